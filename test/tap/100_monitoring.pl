# What monitoring sees: statistics that say which node lags, waits or is in the
# way, and a health that gets worse and better with the cluster.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new('monitoring', nodes => 3);
my $leader = $cluster->wait_for_leader;
my ($one, $two) = $cluster->others($leader);

sub value
{
	my ($node, $query) = @_;

	return $node->safe_psql('postgres', $query);
}

sub health
{
	my ($node) = @_;

	return value($node, q{SELECT status || ': ' || message FROM store.health()});
}

# Until the health of a node is as described.
sub becomes
{
	my ($node, $pattern, $name) = @_;

	ok(StoreCluster::poll($name, sub { return health($node) =~ $pattern }), $name)
	  or diag(health($node));
	return;
}

my $put = sub {
	my ($node, $name) = @_;
	value($node, 'SELECT store.put(' . StoreCluster::configmap($name, 'x' x 500) . ')');
};

becomes($leader, qr/^OK: leader of 3 voters and 0 learners$/, 'a leader whose members all answer');
is(health($one), 'OK: follower of "' . $leader->name . '"', 'a follower');

# Numbers on the leader
$put->($one, "before-$_") for 1 .. 3;
value($_, 'SELECT store.barrier()') for $cluster->nodes;
StoreCluster::poll('no lag', sub {
	return value($leader, 'SELECT count(*) FROM store.stat_peers WHERE lag = 0 AND lag_bytes = 0')
	  == 2;
});
is( value(
		$leader,
		q{SELECT count(*) FROM store.stat_peers WHERE connected AND is_voter AND NOT copying
			AND match_index > 0 AND next_index > match_index AND round_trip_time > 0
			AND last_contact > now() - interval '1 minute'
			AND sent_messages > 0 AND sent_bytes > 0 AND last_error IS NULL}),
	2,
	'the leader knows what the others hold and how far away they are');
is( value($one, 'SELECT count(*) FROM store.stat_peers WHERE lag IS NULL AND lag_bytes IS NULL'),
	2,
	'the others do not, and do not make it up');
is( value(
		$one,
		q{SELECT requests FROM store.stat_requests WHERE kind = 'put' AND outcome = 'ok'}),
	3,
	'a forwarded write is counted where it was asked for');
is( value(
		$leader,
		q{SELECT requests FROM store.stat_requests WHERE kind = 'put' AND outcome = 'ok'}),
	0,
	'and not where it was proposed');

# A member that is away
my $elections = value($leader, 'SELECT elections FROM store.stat_raft');
$cluster->kill9($two);
becomes(
	$leader,
	qr/^WARNING: "\Q${\$two->name}\E" not heard from; writes stop when 1 more of 3 voters fail/,
	'one of three is away');
$put->($leader, "away-$_") for 1 .. 5;
ok( StoreCluster::poll(
		'the lag of who is away',
		sub {
			return value(
				$leader,
				"SELECT lag >= 5 AND lag_bytes > 2500 AND NOT connected AND round_trip_time IS NULL"
				  . " FROM store.stat_peers WHERE name = '"
				  . $two->name
				  . "'") eq 't';
		}),
	'its lag is known in entries and bytes');
is(value($leader, 'SELECT elections FROM store.stat_raft'),
	$elections, 'a member that goes costs no election');

# No majority
$cluster->kill9($one);
becomes($leader, qr/^CRITICAL: .*no leader is known/, 'no majority, no leader');
my ($state) =
  StoreCluster::sqlstate($leader,
	"SET store.request_timeout = '200ms'; SELECT store.put("
	  . StoreCluster::configmap('lonely', 1)
	  . ')');
is($state, 'RS503', 'a write is refused');
is( value(
		$leader,
		q{SELECT requests FROM store.stat_requests WHERE kind = 'put' AND outcome = 'unavailable'}),
	1,
	'and counted as that');
is(value($leader, 'SELECT is_leader::int FROM store.stat_raft'), 0, 'who led does not any more');

$cluster->restart_killed($_) for ($one, $two);
$leader = $cluster->wait_for_leader;
becomes($leader, qr/^OK: leader of 3 voters/, 'all is well again');
ok( value($leader, 'SELECT elections > 0 AND leaders > 0 FROM store.stat_raft') eq 't',
	'the new leader stood for election');

# Somebody in the way of the apply worker
$leader->append_conf('postgresql.conf', "store.max_apply_delay = '200ms'\n");
$leader->reload;
my $session = $leader->background_psql('postgres', on_error_stop => 0);
$session->query_safe('BEGIN; LOCK TABLE store.resources IN SHARE MODE');
my $pid = $session->query_safe('SELECT pg_backend_pid()');
$put->($leader, 'blocked');
is( value(
		$leader,
		qq{SELECT blockers_canceled >= 1 AND last_blocker_pid = $pid
			AND last_blocker_at > now() - interval '1 minute' FROM store.stat_apply}),
	't',
	'who was in the way of the state machine is named');
$session->{run}->kill_kill;

done_testing();
