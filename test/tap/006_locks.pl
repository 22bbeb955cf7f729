# A user's LOCK TABLE delays apply on that node, for a bounded time, and
# nothing else: no write hangs, no election is held.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

# Far above store.max_apply_delay (2 s) and what a busy machine adds.
my $NO_HANG = 60;

my $cluster = StoreCluster->new;
my $leader = $cluster->wait_for_leader;
my ($follower, $other) = $cluster->others($leader);
my $term = $cluster->term;

sub put
{
	my ($name, $value) = @_;

	return 'SELECT op FROM store.put(' . StoreCluster::configmap($name, $value) . ');';
}

for my $where ([ $leader, 'leader' ], [ $follower, 'follower' ])
{
	my ($node, $what) = @$where;

	# Whoever holds the lock cannot wait for what waits for it.
	for my $table (qw(store.resources store.events))
	{
		my ($state, $error, $seconds) = StoreCluster::sqlstate($node,
			"SET store.request_timeout = '${NO_HANG}s';\n"
			  . "BEGIN; LOCK TABLE $table;\n"
			  . put("own-$what", 1));
		isnt($state, '', "$what: a session that locks $table cannot write");
		like($error, qr/HINT|lock/, "$what: the error says why");
		unlike($state, qr/^RS50/, "$what: it does not wait for a timeout");
		cmp_ok($seconds, '<', $NO_HANG, "$what: it is told at once");
	}
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM store.resources WHERE name = 'own-$what'"),
		'0', "$what: and nothing was written");

	# Others write meanwhile, on this node and on another one.
	my $locker = $node->background_psql('postgres', on_error_stop => 0);
	$locker->query_safe('BEGIN');
	$locker->query_safe('LOCK TABLE store.resources');

	my ($state, $error, $seconds) =
	  StoreCluster::sqlstate($other,
		"SET store.request_timeout = '${NO_HANG}s';\n" . put("there-$what", 1));
	is($state, '', "$what locked: a write on another node succeeds");
	cmp_ok($seconds, '<', $NO_HANG, "$what locked: and does not hang");

	($state, $error, $seconds) =
	  StoreCluster::sqlstate($node,
		"SET store.request_timeout = '${NO_HANG}s';\n" . put("here-$what", 1));
	is($state, '', "$what locked: a write on this node succeeds");
	cmp_ok($seconds, '<', $NO_HANG, "$what locked: once the holder is canceled");

	# Whether the holder was waiting in SQL or idle, it is not left hanging.
	$locker->{stdin} .= "ROLLBACK;\n\\q\n";
	eval { $locker->{run}->finish };
	note("the holder was told: $locker->{stderr}");

	# A short timeout ends in a clear error: the write is in the log by then.
	$locker = $node->background_psql('postgres', on_error_stop => 0);
	$locker->query_safe('BEGIN');
	$locker->query_safe('LOCK TABLE store.resources');
	($state, $error) =
	  StoreCluster::sqlstate($node,
		"SET store.request_timeout = '200ms';\n" . put("short-$what", 1));
	like($state, qr/^(?:RS500|RS503)$/, "$what locked: a short timeout ends in a clear error");
	$locker->{stdin} .= "ROLLBACK;\n\\q\n";
	eval { $locker->{run}->finish };

	$cluster->wait_all_writable;

	# A lock on one row is in the way of a change of that row.
	$node->safe_psql('postgres', put("row-$what", 1));
	$locker = $node->background_psql('postgres', on_error_stop => 0);
	$locker->query_safe('BEGIN');
	$locker->query_safe("SELECT FROM store.resources WHERE name = 'row-$what' FOR UPDATE");
	($state, $error, $seconds) =
	  StoreCluster::sqlstate($node,
		"SET store.request_timeout = '${NO_HANG}s';\n" . put("row-$what", 2));
	is($state, '', "$what: a write of a row that somebody has locked succeeds");
	cmp_ok($seconds, '<', $NO_HANG, "$what: once the holder is canceled");
	$locker->{stdin} .= "ROLLBACK;\n\\q\n";
	eval { $locker->{run}->finish };

	($state, $error, $seconds) = StoreCluster::sqlstate($node,
		"SET store.request_timeout = '${NO_HANG}s';\n"
		  . "BEGIN; SELECT FROM store.resources WHERE name = 'row-$what' FOR UPDATE;\n"
		  . put("row-$what", 3));
	isnt($state, '', "$what: a session that locks a row cannot write it");
	cmp_ok($seconds, '<', $NO_HANG, "$what: and is told so");
	$cluster->wait_all_writable;
}

is($cluster->term, $term, 'nobody stood for election meanwhile');
is($cluster->wait_for_leader->name, $leader->name, 'and the leader is the same');
$cluster->is_same_everywhere('all have the same objects');
is( $other->safe_psql('postgres', q{
		SELECT count(*) FROM store.resources
		WHERE name IN ('here-leader', 'there-leader', 'here-follower', 'there-follower')}),
	'4', 'every write that succeeded is there');

# A session whose first read gave up waiting for a lock reads well afterwards.
my $locker = $follower->background_psql('postgres', on_error_stop => 0);
my $reader = $follower->background_psql('postgres', on_error_stop => 0);
my $get = "SELECT store.get('ConfigMap', 'there-leader', 'default')->>'kind';";

$reader->query("SET store.read_consistency = 'local'; SET lock_timeout = '100ms';");
$locker->query_safe('BEGIN; LOCK TABLE store.resources;');
is($reader->query($get), '', 'a read that has no patience fails at a lock');
$locker->quit;
$reader->query('RESET lock_timeout;');
is($reader->query($get), 'ConfigMap', 'and the next one of its session does not');
$reader->quit;

done_testing();
