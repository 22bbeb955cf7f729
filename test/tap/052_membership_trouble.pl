# Changes of membership that are broken off: a join that fails or is canceled
# leaves no learner behind, or one that the next attempt takes over; a leader
# that loses its office while it removes a member; a member that was removed
# while it was down and has nobody to ask any more.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

sub raft_worker
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'store raft worker'});
}

# psql that waits for one statement, and its whole story when it has ended.
sub start_call
{
	my ($node, $sql) = @_;
	my %call = (out => '', node => $node, timer => IPC::Run::timeout(
			$PostgreSQL::Test::Utils::timeout_default));

	$call{run} = IPC::Run::start([
			'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'),
			'-c', "SET application_name = 'call'; SET store.request_timeout = '30s'; $sql" ],
		'>', \$call{out}, '2>&1', $call{timer});
	return \%call;
}

sub end_call
{
	my ($call) = @_;
	my $success = IPC::Run::finish($call->{run});

	note($call->{out});
	return $success;
}

sub signal_call
{
	my ($call, $function) = @_;

	is( $call->{node}->safe_psql('postgres',
			"SELECT $function(pid) FROM pg_stat_activity WHERE application_name = 'call'"),
		't', $function);
	return;
}

sub members
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		q{SELECT string_agg(name || ':' || role, ' ' ORDER BY name) FROM store.members});
}

my $cluster = StoreCluster->new(nodes => 3);
my ($one, $two, $three) = $cluster->nodes;
my $late = StoreCluster->server('late');
my $join = 'SELECT store.join(' . StoreCluster::quote($cluster->address($one)) . ')';
my $all = join ' ', map { $_->name . ':voter' } $cluster->nodes;

$late->safe_psql('postgres', 'CREATE EXTENSION store');

#
# The members have an address of the leader that the new one cannot use.
#
my $lone = StoreCluster->server('lone');

$lone->safe_psql('postgres', 'CREATE EXTENSION store');
$lone->append_conf('postgresql.conf', "store.advertise = 'host=127.0.0.1 port=1'\n");
$lone->reload;
ok($lone->poll_query_until('postgres', q{SELECT conninfo ~ 'port=1$' FROM store.members}),
	'who is alone has the address that it was told to have');
my ($state, $error) = StoreCluster::sqlstate($late,
	'SELECT store.join(' . StoreCluster::quote($cluster->address($lone)) . ');');
is($state, '08001', 'a join fails: the leader is not reached');
like($error, qr/does not reach the leader at "host=127.0.0.1 port=1".*HINT:.*store\.advertise/s,
	'and says where');
is(members($lone), 'lone:voter', 'the learner was withdrawn');
is($cluster->status($late, 'state'), 'leader', 'the node is what it was');
$lone->append_conf('postgresql.conf',
	"store.advertise = '" . $cluster->address($lone) . "'\n");
$lone->reload;
ok($lone->poll_query_until('postgres', q{SELECT conninfo !~ 'port=1$' FROM store.members}),
	'the address is mended');

#
# A join that is canceled after the leader has admitted the node.
#
my $worker = raft_worker($late);
my $call;

kill 'STOP', $worker;
$call = start_call($late, $join);
ok($one->poll_query_until('postgres',
		q{SELECT role = 'learner' FROM store.members WHERE name = 'late'}),
	'the node was admitted');
signal_call($call, 'pg_cancel_backend');
ok(!end_call($call), 'the join is canceled');
like($call->{out}, qr/ERROR:  57014/, 'and says so');
unlike($call->{out}, qr/WARNING/, 'without a warning');
is(members($one), $all, 'the learner was withdrawn');
kill 'CONT', $worker;
ok($late->poll_query_until('postgres', 'SELECT store.barrier() > 0'),
	'the node is still a cluster of its own');

#
# A session that is ended has no time to say anything.
#
$worker = raft_worker($late);
kill 'STOP', $worker;
$call = start_call($late, $join);
ok($one->poll_query_until('postgres',
		q{SELECT role = 'learner' FROM store.members WHERE name = 'late'}),
	'admitted again');
my $id = $one->safe_psql('postgres', q{SELECT node_id FROM store.members WHERE name = 'late'});
signal_call($call, 'pg_terminate_backend');
ok(!end_call($call), 'the session has gone');
kill 'CONT', $worker;
ok($late->poll_query_until('postgres', 'SELECT store.barrier() > 0'),
	'the node is still a cluster of its own');
$cluster->join_node($late, $one);
is( $late->safe_psql('postgres', q{SELECT node_id, state FROM store.status}),
	"$id|follower", 'the next join takes over what was left');
push @{ $cluster->{nodes} }, $late;

#
# The leader loses its office while it removes a learner.
#
my $leader = $cluster->wait_for_leader;
my @others = $cluster->others($leader);
my %workers = map { $_->name => raft_worker($_) } $cluster->nodes;

$leader->safe_psql('postgres', 'SELECT node_id FROM store.raft_admit(' . join(', ',
	"'ghost'",
	StoreCluster::quote('dbname=postgres ' . $cluster->address($lone)),
	StoreCluster::quote($lone->safe_psql('postgres',
		'SELECT cluster_id FROM store.status'))) . ')');
kill 'STOP', $workers{ $_->name } for @others;
$call = start_call($leader, q{SELECT store.remove_member('ghost')});
ok($leader->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM store.members WHERE name = 'ghost'}),
	'the removal is under way');
ok($leader->poll_query_until('postgres', q{SELECT state <> 'leader' FROM store.status}),
	'the leader has stepped down');
kill 'STOP', $workers{ $leader->name };
kill 'CONT', $workers{ $_->name } for @others;
StoreCluster::poll('another leader',
	sub { return grep { $cluster->status($_, 'state') eq 'leader' } @others; });
kill 'CONT', $workers{ $leader->name };
ok(end_call($call), 'the removal is asked for again, of the next leader');
like($call->{out}, qr/NOTICE:.*waiting:.*leader/, 'and the session says what it waits for');
is($two->safe_psql('postgres', q{SELECT count(*) FROM store.members WHERE name = 'ghost'}),
	'0', 'the ghost is gone');
$cluster->wait_all_writable;

#
# A member that was removed while it was down remembers it.
#
$leader = $cluster->wait_for_leader;
@others = $cluster->others($leader);
my $gone = pop @others;

$gone->stop('immediate');
$cluster->{nodes} = [ $leader, @others ];
$leader->safe_psql('postgres',
	'SELECT store.remove_member(' . StoreCluster::quote($gone->name) . ')');
$gone->start;
ok($gone->poll_query_until('postgres',
		q{SELECT state = 'detached' AND problem ~ 'removed' FROM store.status}),
	'a member hears that it was removed');
$_->stop('fast') for $cluster->nodes;
$gone->restart;
ok($gone->poll_query_until('postgres',
		q{SELECT state = 'detached' AND problem ~ 'removed' FROM store.status}),
	'and knows it at its next start, with nobody there to ask');
($state) = StoreCluster::sqlstate($gone,
	'SELECT store.put(' . StoreCluster::configmap('x', 1) . ');');
is($state, '55000', 'it goes on refusing writes');

done_testing();
