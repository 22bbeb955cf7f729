# What a read sees: every acknowledged write by default, on any node; this
# node's replica with read_consistency = local; plain SQL after a barrier.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new(conf => "store.max_apply_delay = '10min'\n");
my $leader = $cluster->wait_for_leader;
my ($follower, $other) = $cluster->others($leader);
my $READ = q{SELECT store.get('ConfigMap', 'seen', 'default')#>>'{data,value}'};
my $PLAIN = q{SELECT object#>>'{data,value}' FROM store.resources WHERE name = 'seen'};

# Write here, read there, at once, many times over.
my %sessions = map { $_->name => $_->background_psql('postgres') } $cluster->nodes;
my @nodes = $cluster->nodes;
my $stale = 0;
for my $i (1 .. 100)
{
	my $writer = $sessions{ $nodes[ $i % 3 ]->name };
	my $reader = $sessions{ $nodes[ ($i + 1 + $i % 2) % 3 ]->name };

	$writer->query_safe('SELECT op FROM store.put(' . StoreCluster::configmap('seen', $i) . ')');
	$stale++ if $reader->query_safe($READ) ne $i;
}
is($stale, 0, 'a read on another node sees the write that was just acknowledged');

$stale = 0;
for my $i (101 .. 150)
{
	my $writer = $sessions{ $nodes[ $i % 3 ]->name };
	my $reader = $sessions{ $nodes[ ($i + 1) % 3 ]->name };

	$writer->query_safe('SELECT op FROM store.put(' . StoreCluster::configmap('seen', $i) . ')');
	$reader->query_safe('SELECT store.barrier()');
	$stale++
	  if $reader->query_safe($PLAIN) ne $i;
}
is($stale, 0, 'plain SQL after a barrier sees it too');

# A session reads its own writes, whatever the consistency.
is( $follower->safe_psql('postgres', q{
		SET store.read_consistency = 'local';
		SELECT op FROM store.put(} . StoreCluster::configmap('seen', 'own') . ");$READ"),
	"Replaced\nown", 'a session reads its own write locally');

# To a superuser both are a look into the index: no query, whatever policies there are.
my $log_end = -s $leader->logfile;
is($leader->safe_psql('postgres', "SET debug_print_plan = on; $READ"),
	'own', 'one resource is read');
is( $leader->safe_psql('postgres', "SET debug_print_plan = on;
		SELECT count(*) FROM store.list('ConfigMap', 'default')"),
	'1', 'a namespace is read');
unlike(slurp_file($leader->logfile, $log_end), qr/FROM store\.resources/, 'without a query');

# A follower that cannot apply: a lock that lets readers through.
my $old = $follower->safe_psql('postgres', 'SELECT applied_index FROM store.status');
my $locker = $follower->background_psql('postgres');
$locker->query_safe('BEGIN');
$locker->query_safe('LOCK TABLE store.resources IN SHARE MODE');
my $new = $leader->safe_psql('postgres',
	'SELECT resource_version FROM store.put(' . StoreCluster::configmap('seen', 'new') . ')');

is( $follower->safe_psql('postgres', "SET store.read_consistency = 'local'; $READ"),
	'own', 'a local read answers at once with what this node has');
is($follower->safe_psql('postgres', $PLAIN), 'own', 'and so does plain SQL');
is($other->safe_psql('postgres', $READ), 'new', 'another follower has it');

my ($state, $error) =
  StoreCluster::sqlstate($follower, "SET store.request_timeout = '500ms';\n$READ;");
like($state, qr/^RS50[34]$/, 'a linearizable read does not answer with the past');
($state, $error) =
  StoreCluster::sqlstate($follower,
	"SET store.request_timeout = '500ms';\nSELECT store.barrier();");
like($state, qr/^RS50[34]$/, 'nor does a barrier return');
($state, $error) =
  StoreCluster::sqlstate($follower, "SELECT store.wait_for($new, '500ms');");
is($state, 'RS504', 'wait_for() says when it has not come');
is( $follower->safe_psql('postgres', "SELECT store.wait_for($old, '0') >= $old"),
	't', 'wait_for() of what is there returns at once');

# All of them are answered when the lock is gone.
my @waiting;
for my $sql ($READ, "SELECT store.barrier() >= $new",
	"SELECT store.wait_for($new, '3min') >= $new")
{
	my $session = $follower->background_psql('postgres');

	$session->query_safe("SET store.request_timeout = '3min'");
	$session->{stdin} .= "$sql;\n";
	$session->{run}->pump_nb;
	push @waiting, $session;
}
$follower->poll_query_until('postgres', q{
	SELECT count(*) = 3 FROM pg_stat_activity
	WHERE state = 'active' AND wait_event_type IN ('Extension', 'IPC')
		AND query ~ 'store\.(get|barrier|wait_for)' AND pid <> pg_backend_pid()
		AND backend_type = 'client backend'})
  or die 'they do not wait';
$locker->query_safe('COMMIT');
is($waiting[0]->query_until(qr/\w\n/, ''), "new\n", 'a waiting read gets the new value');
is($waiting[1]->query_until(qr/\w\n/, ''), "t\n", 'a waiting barrier returns');
is($waiting[2]->query_until(qr/\w\n/, ''), "t\n", 'a waiting wait_for() returns');

$_->quit for splice @waiting;

# A read takes no answer to what was asked before it came, however late it
# arrives: here the session through which the leader speaks to the follower hangs.
$follower->safe_psql('postgres', "ALTER SYSTEM SET store.election_timeout = '1min'");
$follower->reload;
$locker->query_safe('BEGIN');
$locker->query_safe('LOCK TABLE store.resources IN SHARE MODE');
my $link = $follower->safe_psql('postgres', "SELECT pid FROM pg_stat_activity
	WHERE application_name = 'store link from ' || '" . $leader->name . "'");
kill 'STOP', $link;
# The write goes by way of the follower, and so comes to the leader after the question.
for my $sql ($READ, 'SELECT op FROM store.put(' . StoreCluster::configmap('seen', 'newer') . ')',
	$READ)
{
	my $session = $follower->background_psql('postgres');

	$session->{stdin} .= "$sql;\n";
	$session->{run}->pump_nb;
	push @waiting, $session;
	$follower->poll_query_until('postgres', 'SELECT count(*) = ' . @waiting . q{
		FROM pg_stat_activity
		WHERE state = 'active' AND wait_event_type = 'Extension'
			AND query ~ 'store\.(get|put)' AND pid <> pg_backend_pid()})
	  or die 'it does not wait';
	$leader->poll_query_until('postgres', "SELECT ($READ) = 'newer'") if $sql ne $READ;
}
my $newer = $leader->safe_psql('postgres', 'SELECT commit_index FROM store.status');
kill 'CONT', $link;
$follower->poll_query_until('postgres', "SELECT last_index >= $newer FROM store.status");
isnt( $follower->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity
		WHERE state = 'active' AND query ~ 'store\.get' AND pid <> pg_backend_pid()}),
	'0', 'the answer to a question is none to a reader who came after a write');
$locker->query_safe('COMMIT');
is($waiting[2]->query_until(qr/\w\n/, ''), "newer\n", 'who sees that');
$follower->safe_psql('postgres', 'ALTER SYSTEM RESET store.election_timeout');
$follower->reload;

$_->quit for @waiting, $locker, values %sessions;
$cluster->is_same_everywhere('all have the same objects');

done_testing();
