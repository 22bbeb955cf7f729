# A watcher waits for what changes next: without polling, without a snapshot or
# a lock, past what does not concern it; it goes on on another node where it
# was, and stalled ones delay nobody.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new(conf => "max_connections = 90\n");
my $leader = $cluster->wait_for_leader;
my ($follower, $other) = $cluster->others($leader);

my $ROWS = q{SELECT w.type, w.resource_version, w.kind, w.namespace, w.name FROM };

# A session whose watch() is under way; its answer is read later.
sub start_watch
{
	my ($node, $call, $set_up) = @_;
	my $session = { in => '', out => '', err => '', app => 'watch' . int(rand(1_000_000_000)) };

	$session->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-F', '|', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') ],
		'<', \$session->{in}, '>', \$session->{out}, '2>', \$session->{err});
	$session->{in} = ($set_up // '') . "SET application_name = '$session->{app}';\n"
	  . "$ROWS $call AS w;\n\\echo done\n";
	$session->{run}->pump_nb;
	return $session;
}

# Until it sleeps.  Its row of pg_stat_activity then says what it holds.
sub wait_until_asleep
{
	my ($node, $session) = @_;

	return StoreCluster::poll(
		'the watcher to sleep',
		sub {
			$session->{run}->pump_nb;
			return $node->safe_psql('postgres', qq{
				SELECT coalesce(backend_xmin::text, 'none') || ' '
					|| (SELECT count(*) FROM pg_locks AS l
						WHERE l.pid = a.pid AND relation IS NOT NULL)
				FROM pg_stat_activity AS a WHERE application_name = '$session->{app}'
					AND wait_event_type = 'Extension'});
		});
}

sub is_done
{
	my ($session) = @_;

	$session->{run}->pump_nb;
	return $session->{out} =~ /^done$/m || $session->{err} ne '';
}

# What it returned in the end, a row each.
sub answer
{
	my ($session) = @_;

	StoreCluster::poll('the answer of a watch', sub { return is_done($session) })
	  or die 'a watch does not come to an end';
	$session->{run}->kill_kill;
	return ($session->{err}) if $session->{err} ne '';
	return grep { $_ ne 'done' } split /\n/, $session->{out};
}

sub put
{
	my ($node, $kind, $name, $namespace, $value) = @_;

	return $node->safe_psql('postgres', qq{SELECT (store.put('{"apiVersion": "v1", "kind": "$kind",
		"metadata": {"name": "$name", "namespace": "$namespace"}, "spec": {"v": "$value"}}')
		).resource_version});
}

sub watch
{
	my ($node, $call) = @_;

	return split /\n/, $node->safe_psql('postgres', "$ROWS $call AS w");
}

# The first change that matches ends the wait, wherever it was made.  Before it
# waits, the watcher has read what does not match.
my $start = put($leader, 'Pod', 'first', 'a', 0);
my $read = put($leader, 'Secret', 'first', 'b', 0);
$follower->safe_psql('postgres', "SELECT store.wait_for($read)");
my $session = start_watch($follower, "store.watch($start, 'Pod', 'b', timeout => '1 hour')");
is(wait_until_asleep($follower, $session), 'none 0',
	'a watcher that sleeps holds neither a snapshot nor a lock');
put($leader, 'Secret', 'x', 'b', 1);
put($leader, 'Pod', 'x', 'a', 1);
my $last = put($leader, 'Pod', 'x', 'b', 1);
is_deeply([ answer($session) ], [ "ADDED|$last|Pod|b|x", "BOOKMARK|$last|||" ],
	'it wakes for what it waits for, and is told of nothing else');

# One that is in a selection wakes for leaving it.
$session = start_watch($other,
	"store.watch($last, 'Pod', field_selector => 'spec.v=1', timeout => '1 hour')");
wait_until_asleep($other, $session);
put($leader, 'Pod', 'y', 'a', 2);
$start = put($leader, 'Pod', 'x', 'b', 2);
is_deeply([ answer($session) ], [ "DELETED|$start|Pod|b|x", "BOOKMARK|$start|||" ],
	'a change out of the selection wakes it');

# The end of the timeout moves the bookmark past what did not match.
$session = start_watch($follower, "store.watch($start, 'Nothing', timeout => '2 s')");
wait_until_asleep($follower, $session);
$last = put($follower, 'Secret', 'x', 'b', 2);
is_deeply([ answer($session) ], ["BOOKMARK|$last|||"],
	'a bookmark moves on past what did not match');

# A cancel is a cancel, a standing transaction is not hurt by the wait.
$session = start_watch($follower, "store.watch($last, timeout => '1 hour')");
wait_until_asleep($follower, $session);
$follower->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
	WHERE application_name = '$session->{app}'");
like((answer($session))[0], qr/canceling statement due to user request/, 'it can be canceled');

my $watcher = $follower->background_psql('postgres');
$watcher->query_safe('BEGIN');
$watcher->query_safe("DECLARE c CURSOR FOR SELECT count(*) FROM store.events");
my $count = $follower->safe_psql('postgres', 'SELECT count(*) FROM store.events');
$watcher->query_safe("SELECT * FROM store.watch($last, timeout => '10 ms')");
put($follower, 'Secret', 'y', 'b', 2);
is($watcher->query_safe('FETCH ALL FROM c'), $count,
	'a cursor of the same transaction keeps its snapshot');
is($watcher->query_safe("SELECT count(*)
	FROM store.events AS e, store.watch($last, timeout => '10 ms') AS w
	WHERE e.resource_version <= $last AND w.type = 'BOOKMARK'"),
	$count, 'and so does a statement with other tables');
$watcher->query_safe('COMMIT');
$watcher->query_safe("DO \$\$ BEGIN PERFORM store.watch($last, timeout => '10 ms'); END \$\$");
$watcher->quit;

# While it sleeps, the history under it can go.
$start = put($leader, 'Pod', 'z', 'c', 1);
$follower->safe_psql('postgres', "SELECT store.wait_for($start)");
$session = start_watch($follower, "store.watch($start, 'Pod', 'c', timeout => '1 hour')");
wait_until_asleep($follower, $session);
my $floor = put($leader, 'Secret', 'z', 'c', 2);
$leader->safe_psql('postgres', "SELECT store.compact($floor)");
put($leader, 'Secret', 'z', 'c', 3);
is(is_done($session) ? 1 : 0, 0, 'what is compacted and does not concern it does not end a wait');
$last = put($leader, 'Pod', 'z', 'c', 2);
is_deeply([ answer($session) ], [ "MODIFIED|$last|Pod|c|z", "BOOKMARK|$last|||" ],
	'and what does is told then');
my ($state, $text) = StoreCluster::sqlstate($follower, "SELECT store.watch($start)");
is($state, 'RS410', 'who comes back from below the floor is refused');
like($text, qr/The history begins at $floor\./, 'and told where the history begins');

# 50 stalled watchers delay nobody: they wait, or do not read what they got.
my @stalled = map { start_watch($follower, "store.watch($last, 'Nothing', timeout => '1 hour')") }
  1 .. 49;
push @stalled, start_watch($follower, "store.watch($last, timeout => '1 hour')");
wait_until_asleep($follower, $_) for @stalled;
$stalled[-1]{run}->signal('STOP');
my @reader;
my @expected;
for my $i (1 .. 30)
{
	my $next = start_watch($follower, "store.watch($last, 'Pod', timeout => '1 hour')");

	$last = put($leader, 'Pod', 'busy', 'd', $i);
	push @expected, ($i == 1 ? 'ADDED' : 'MODIFIED') . "|$last|Pod|d|busy";
	push @reader, grep { !/^BOOKMARK/ } answer($next);
}
is_deeply(\@reader, \@expected, 'one that reads gets all, beside 50 that do not');
is($follower->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity
	WHERE application_name LIKE 'watch%' AND wait_event_type = 'Extension'}),
	49, 'those of other kinds still sleep');
$stalled[-1]{run}->signal('CONT');
is((answer($stalled[-1]))[0], $expected[0], 'the one that was stopped finds its change');
$_->{run}->kill_kill for @stalled;

# Resuming on another node waits until that has applied the index.
my $apply = $other->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type = 'store apply worker'");
kill 'STOP', $apply;
$last = put($leader, 'Pod', 'moved', 'd', 1);
($state, $text) = StoreCluster::sqlstate($other, "SELECT store.watch($last)");
is($state, 'RS504', 'a node that is behind says so at once without a timeout');
($state, $text) = StoreCluster::sqlstate($other, "SELECT store.watch($last, timeout => '100 ms')");
is($state, 'RS504', 'and in the end with one');
$session = start_watch($other, "store.watch($last, 'Pod', timeout => '1 hour')");
is(wait_until_asleep($other, $session), 'none 0',
	'it waits for the index as it waits for a change');
kill 'CONT', $apply;
my $next = put($leader, 'Pod', 'moved', 'd', 2);
is_deeply([ answer($session) ], [ "MODIFIED|$next|Pod|d|moved", "BOOKMARK|$next|||" ],
	'and goes on from there once it is applied');

# A watch outlives neither the tables it reads nor a restart.
$session = start_watch($other, "store.watch($next, timeout => '1 hour')");
wait_until_asleep($other, $session);
$other->stop('immediate');
$other->start;
isnt((answer($session))[0], '', 'a client of a server that dies learns it');
$cluster->wait_all_writable;
is_deeply([ watch($other, "store.watch($last, 'Pod')") ],
	[ "MODIFIED|$next|Pod|d|moved", (watch($other, "store.watch($last, 'Pod')"))[-1] ],
	'and finds everything when it comes back');

my $alone = $cluster->server('alone');
$alone->safe_psql('postgres', 'CREATE EXTENSION store');
$start = put($alone, 'Pod', 'a', 'a', 1);
$session = start_watch($alone, "store.watch($start, timeout => '1 hour')");
wait_until_asleep($alone, $session);
$alone->safe_psql('postgres', 'DROP EXTENSION store; CREATE EXTENSION store');
like((answer($session))[0], qr/created anew or replaced/,
	'who watches tables that are dropped is told so');

done_testing();
