# A cluster grows and shrinks under load: one node, three, five, three, one;
# then every member of it is replaced by another one.  Nothing acknowledged is
# lost, and no change of the membership keeps writers waiting for longer than a
# few elections.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

# A few election timeouts.
my $LONGEST_PAUSE = 5 * $StoreCluster::ELECTION_TIMEOUT;

my @servers;

sub new_node
{
	my ($name) = @_;
	my $node = StoreCluster->server($name);

	$node->safe_psql('postgres', 'CREATE EXTENSION store');
	push @servers, $node;
	return $node;
}

sub voters
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		q{SELECT string_agg(name, ',' ORDER BY name) FROM store.members WHERE role = 'voter'});
}

sub make_new
{
	my ($node) = @_;

	$node->safe_psql('postgres', 'DROP EXTENSION store; CREATE EXTENSION store');
	return $node;
}

sub check_pauses
{
	my ($who, @acknowledged) = @_;
	my ($longest, $after) = (0, '');

	for my $i (1 .. $#acknowledged)
	{
		my $pause = $acknowledged[$i][2] - $acknowledged[ $i - 1 ][2];

		($longest, $after) = ($pause, $acknowledged[ $i - 1 ][0]) if $pause > $longest;
	}
	note(sprintf '%s: the longest pause between two acknowledged writes was %.2f s, after %s',
		$who, $longest, $after);
	cmp_ok($longest, '<', $LONGEST_PAUSE, "no change kept $who waiting for long");
	return;
}

my $cluster = StoreCluster->new(nodes => 1);
my ($home) = $cluster->nodes;
my $writer = $cluster->start_writer($home, 'load');
StoreCluster::wait_for_writes($writer, 50);

# One to five: each is a voter when join() returns.
for my $i (2 .. 5)
{
	my $node = new_node("node$i");

	$cluster->join_node($node, $home);
	push @{ $cluster->{nodes} }, $node;
	StoreCluster::wait_for_writes($writer, 20);
	is(voters($node), join(',', map { "node$_" } 1 .. $i), "node$i is a voter when join() returns");
}

# Leadership goes round, and back by name.
my $leader = $cluster->wait_for_leader;
my $next = $leader->safe_psql('postgres', 'SELECT store.transfer_leadership()');
isnt($next, $leader->name, 'leadership goes to another member');
is( $home->safe_psql('postgres', q{SELECT store.transfer_leadership('node3')}),
	'node3', 'and to a named one');
is( $home->safe_psql('postgres', q{SELECT store.transfer_leadership('node3')}),
	'node3', 'which leads already when asked again');
$leader = $cluster->wait_for_leader;
is($leader->name, 'node3', 'everybody knows');
StoreCluster::wait_for_writes($writer, 20);

# Five to one: the leader leaves, a follower is removed, a member that is down
# is removed, the last one leaves.
my ($ret, $out, $notices) = $leader->psql('postgres', 'SELECT store.leave()');
is($ret, 0, 'the leader leaves');
like($notices, qr/NOTICE:.*leadership is being handed over/, 'and hands over first');
is($cluster->status($leader, 'state'), 'detached', 'who left is detached, leader or not');
like($cluster->status($leader, 'problem'), qr/removed.*DROP EXTENSION/, 'and knows what to do');
StoreCluster::wait_for_writes($writer, 20);

my %servers = map { $_->name => $_ } ($home, @servers);
$home->safe_psql('postgres', q{SELECT store.remove_member('node5')});
$home->safe_psql('postgres', q{SELECT store.remove_member('node5')});
pass('a removal that is repeated has the same outcome');
is(voters($home), 'node1,node2,node4', 'three are left');
StoreCluster::wait_for_writes($writer, 20);

$cluster->{nodes} = [ $home, @servers{ 'node2', 'node4' } ];
$cluster->wait_for_leader;
$servers{node4}->stop('immediate');
$cluster->{nodes} = [ $home, $servers{node2} ];
$home->safe_psql('postgres', q{SELECT store.remove_member('node4')});
$servers{node2}->safe_psql('postgres', 'SELECT store.leave()');
is(voters($home), 'node1', 'one is left');
StoreCluster::wait_for_writes($writer, 20);

# Removed while it was down: it learns of it, and goes quiet.
$servers{node4}->start;
ok( $servers{node4}->poll_query_until('postgres',
		q{SELECT state = 'detached' AND problem ~ 'removed' FROM store.status}),
	'a member that was removed while it was down hears of it');

# What is left there can be read, and not written.
my ($state, $error) = StoreCluster::sqlstate($servers{node4},
	'SELECT store.put(' . StoreCluster::configmap('x', 1) . ');');
is($state, '55000', 'a node that was removed refuses writes');
like($error, qr/removed from its cluster.*HINT:/s, 'and says why');
($state) = StoreCluster::sqlstate($servers{node4}, 'SELECT store.barrier();');
is($state, '55000', 'and linearizable reads');
cmp_ok(
	$servers{node4}->safe_psql('postgres',
		q{SET store.read_consistency = local;
		SELECT count(*) FROM store.list('ConfigMap', 'writers')}),
	'>', 100, 'local reads go on');
$servers{node4}->safe_psql('postgres', 'SELECT store.leave()');
pass('leaving once more is no error');

my @acknowledged = StoreCluster::stop_writer($writer);
is($cluster->missing_writes($home, @acknowledged), '',
	scalar(@acknowledged) . ' acknowledged writes are there');

check_pauses('the writer', @acknowledged);

# It can come back, as a new member.
for my $name ('node4', 'node3')
{
	my $id = $servers{$name}->safe_psql('postgres', 'SELECT node_id FROM store.status');

	$cluster->join_node(make_new($servers{$name}), $home);
	cmp_ok($servers{$name}->safe_psql('postgres', 'SELECT node_id FROM store.status'),
		'>', $id, "$name is back, under a new number");
}
$cluster->{nodes} = [ $home, @servers{ 'node3', 'node4' } ];

# Every member is replaced, one after the other, under load: node3 by node2,
# node4 by node5, and the last one, where the first writer is at home, by node3,
# which is another member this time.
my %writers = (first => $cluster->start_writer($home, 'first'));

StoreCluster::wait_for_writes($writers{first}, 10);
for my $step ([ 'node3', 'node2' ], [ 'node4', 'node5' ], [ 'node1', 'node3' ])
{
	my ($old, $new) = @servers{@$step};

	$cluster->join_node(make_new($new), $old);
	$writers{second} //= $cluster->start_writer($new, 'second');
	StoreCluster::wait_for_writes($_, 10) for values %writers;
	$old->safe_psql('postgres', 'SELECT store.leave()');
	StoreCluster::wait_for_writes($writers{second}, 10);
}

my %acknowledged = map { $_ => [ StoreCluster::stop_writer($writers{$_}) ] } keys %writers;

$cluster->{nodes} = [ @servers{ 'node2', 'node3', 'node5' } ];
is(voters($servers{node2}), 'node2,node3,node5', 'no member of before is left');
like($cluster->status($home, 'problem'), qr/removed/, 'not even the first');
check_pauses("the $_ writer", @{ $acknowledged{$_} }) for sort keys %acknowledged;
for my $node ($cluster->nodes)
{
	is( $cluster->missing_writes($node, map { @$_ } values %acknowledged),
		'', $node->name . ' has all that was acknowledged');
}
$cluster->is_same_everywhere('all have the same');

done_testing();
