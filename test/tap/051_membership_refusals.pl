# What the verbs of membership refuse, and with which words; what happens when
# they are repeated; and members whose address changes.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

sub new_node
{
	my ($name, %params) = @_;
	my $node = StoreCluster->server($name, %params);

	$node->safe_psql('postgres', 'CREATE EXTENSION store');
	return $node;
}

sub is_refused
{
	my ($node, $sql, $sqlstate, $pattern, $name) = @_;
	my ($state, $error) = StoreCluster::sqlstate($node, "$sql;");

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($state, $sqlstate, "$name: SQLSTATE");
	like($error, $pattern, "$name: words");
	like($error, qr/HINT:  \S/, "$name: a hint");
	return;
}

sub put
{
	my ($name, $value) = @_;

	return 'SELECT store.put(' . StoreCluster::configmap($name, $value // 1) . ')';
}

my $cluster = StoreCluster->new(nodes => 1);
my ($one) = $cluster->nodes;

#
# A node on its own.
#
is_refused($one, 'SELECT store.leave()', '55000', qr/only member/, 'the only member leaves');
is_refused($one, q{SELECT store.remove_member('node1')},
	'55000', qr/only voter/, 'the only voter is removed');
is_refused($one, q{SELECT store.remove_member('nobody')},
	'42704', qr/no member named "nobody".*"node1"/s, 'nobody is removed');
is_refused($one, q{SELECT store.promote('nobody')},
	'42704', qr/no member named "nobody"/, 'nobody is promoted');
is_refused($one, 'SELECT store.transfer_leadership()',
	'55000', qr/only voter/, 'the only voter hands over');
is( $one->safe_psql('postgres', q{SELECT store.transfer_leadership('node1')}),
	'node1', 'handing over to oneself is no error');
is_refused($one, 'SELECT store.join(' . StoreCluster::quote($cluster->address($one)) . ')',
	'22023', qr/this node itself/, 'a node joins itself');

#
# Joining.
#
my $two = new_node('node2');
my $stranger = new_node('stranger');
my $there = StoreCluster::quote($cluster->address($one));

$one->safe_psql('postgres', put('a'));
$stranger->safe_psql('postgres', put('mine'));
is_refused($stranger, "SELECT store.join($there)", '55000', qr/not empty/,
	'a node with data joins');
is($one->safe_psql('postgres', 'SELECT count(*) FROM store.members'), '1',
	'and left nothing behind');
is_refused($two, q{SELECT store.join('host=127.0.0.1 port=1 dbname=postgres')},
	'08001', qr/could not connect/, 'there is nobody to join');

# A name is taken once.
$stranger->safe_psql('postgres', 'DROP EXTENSION store');
$stranger->append_conf('postgresql.conf', "store.node_name = 'node1'\n");
$stranger->restart;
$stranger->safe_psql('postgres', 'CREATE EXTENSION store');
is_refused($stranger, "SELECT store.join($there)",
	'42710', qr/already has a member named "node1"/, 'a name that is taken');

# An address at which the members find somebody else, or nobody.
my $elsewhere = $cluster->address($two);
$stranger->append_conf('postgresql.conf',
	"store.node_name = 'stranger'\nstore.advertise = '$elsewhere'\n");
$stranger->reload;
ok($stranger->poll_query_until('postgres',
	q{SELECT current_setting('store.node_name') = 'stranger'}),
	'the settings are there');
is_refused($stranger, "SELECT store.join($there)",
	'22023', qr/address of another node/, 'an address of another node');
$stranger->append_conf('postgresql.conf', "store.advertise = 'host=127.0.0.1 port=1'\n");
$stranger->reload;
ok($stranger->poll_query_until('postgres',
	q{SELECT current_setting('store.advertise') ~ 'port=1$'}),
	'the settings are there');
is_refused($stranger, "SELECT store.join($there)",
	'08001', qr/could not connect/, 'an address of nobody');
is($one->safe_psql('postgres', 'SELECT count(*) FROM store.members'), '1',
	'none of them was let in');

# A join that was left half done: admitted, and never heard of again.
$one->safe_psql('postgres', 'SELECT node_id FROM store.raft_admit(' . join(', ',
	"'node2'",
	StoreCluster::quote($two->safe_psql('postgres', 'SELECT conninfo FROM store.members')),
	StoreCluster::quote($two->safe_psql('postgres', 'SELECT cluster_id FROM store.status')),
	'(SELECT protocol FROM store.status)') . ')');
is_refused($one, q{SELECT store.promote('node2')},
	'55000', qr/"node2" (?:cannot be reached|has not caught up)/, 'who never came is not promoted');
is_refused($one, q{SELECT store.transfer_leadership('node2')},
	'55000', qr/is a learner.*promote/s, 'and does not lead');
$cluster->join_node($two, $one);
push @{ $cluster->{nodes} }, $two;
is($one->safe_psql('postgres', q{SELECT role, node_id FROM store.members WHERE name = 'node2'}),
	'voter|2', 'its next attempt takes over what the first one left');
$cluster->join_node($two, $one);
pass('joining again is no error');
is($two->safe_psql('postgres', q{SELECT store.promote('node2')}), '', 'nor is promoting a voter');

# A founder whose cluster has come to an end, and who remembers who was in it:
# members of another cluster with the same numbers are not taken for these.
{
	my ($founder, $guest) = map { new_node($_) } 'founder', 'guest';

	$cluster->join_node($guest, $founder);
	$guest->safe_psql('postgres', 'SELECT store.leave()');
	$cluster->join_node($founder, $one);
	my $start = $two->safe_psql('postgres', 'SELECT start FROM store.raft_state');
	ok( $founder->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM store.raft_starts WHERE node_id = 2 AND start = $start"),
		'a member knows who is who in the cluster that it joined last');
	is($cluster->status($two, q{state <> 'detached'}), 't', 'and shuts nobody out');
	$founder->safe_psql('postgres', 'SELECT store.leave()');
	$_->stop for $founder, $guest;
}

# Another half: this one goes away again.
$one->safe_psql('postgres', 'SELECT node_id FROM store.raft_admit(' . join(', ',
	"'ghost'",
	StoreCluster::quote('dbname=postgres ' . $cluster->address($stranger)),
	StoreCluster::quote($stranger->safe_psql('postgres',
		'SELECT cluster_id FROM store.status')),
	'(SELECT protocol FROM store.status)') . ')')
  if $cluster->wait_for_leader == $one
  || $one->safe_psql('postgres', q{SELECT store.transfer_leadership('node1')});
$two->safe_psql('postgres', q{SELECT store.remove_member('ghost')});
is($two->safe_psql('postgres', 'SELECT count(*) FROM store.members'), '2',
	'a ghost can be removed');

# Two at once.
my $three = new_node('node3');
my $four = new_node('node4');
{
	my @runs = map {
		IPC::Run::start([ 'psql', '-XAtq', '-d', $_->connstr('postgres'), '-c',
				"SET store.request_timeout = '60s'; SELECT store.join($there)" ],
			'>', \my $out, '2>', \my $err)
	} ($three, $four);

	ok(IPC::Run::finish($_), 'two nodes join at once') for @runs;
}
push @{ $cluster->{nodes} }, $three, $four;
is($one->safe_psql('postgres', q{SELECT count(*) FROM store.members WHERE role = 'voter'}),
	'4', 'and both are voters');
is_refused($three,
	"SELECT store.join('host=127.0.0.1 dbname=postgres port=" . $stranger->port . q{')},
	'55000', qr/already a member/, 'a member joins another cluster');

#
# Members that cannot be reached.
#
$four->safe_psql('postgres', 'SELECT store.leave()');
$cluster->{nodes} = [ $one, $two, $three ];
my $leader = $cluster->wait_for_leader;
my ($down, $up) = $cluster->others($leader);
$down->stop('immediate');
$cluster->{nodes} = [ $leader, $up ];
is_refused($leader, 'SELECT store.remove_member(' . StoreCluster::quote($up->name) . ')',
	'55000', qr/without a majority.*Not to be reached: "@{[ $down->name ]}"/s,
	'a removal that would leave no majority');
is_refused($leader, 'SELECT store.transfer_leadership(' . StoreCluster::quote($down->name) . ')',
	'55000', qr/cannot take over/, 'a transfer to who is down');
is($cluster->wait_for_leader->name, $leader->name, 'the leader is still there');
$leader->safe_psql('postgres', put('a', 2));

#
# A member that comes back under another address.
#
my $port = PostgreSQL::Test::Cluster::get_free_port();
$down->append_conf('postgresql.conf', "port = $port\n");
$down->{_port} = $port;
$down->start;
$cluster->{nodes} = [ $leader, $up, $down ];
for my $node ($leader, $up, $down)
{
	ok( $node->poll_query_until('postgres',
			"SELECT conninfo ~ 'port=$port\\M' FROM store.members WHERE name = '"
			  . $down->name . q{'}),
		'a member that moved is found again: ' . $node->name);
}
$cluster->wait_all_writable;
$leader->safe_psql('postgres', put('a', 3));
$cluster->is_same_everywhere('and follows');

# The leader moves without moving: another name for the same place.
$leader = $cluster->wait_for_leader;
$leader->append_conf('postgresql.conf',
	"store.advertise = '" . $cluster->address($leader) . " connect_timeout=4'\n");
$leader->reload;
for my $node ($cluster->nodes)
{
	ok( $node->poll_query_until('postgres',
			q{SELECT conninfo ~ 'connect_timeout=4' FROM store.members WHERE name = '}
			  . $leader->name . q{'}),
		'a new store.advertise of the leader reaches ' . $node->name);
}
$cluster->wait_all_writable;

# An address that leads nowhere, or to another member, is announced in vain:
# nobody gives up the one that works.
for my $case ([ 'the leader', $leader ], [ 'a follower', $cluster->others($leader) ])
{
	my ($who, $node, $other) = @$case;
	my $before = $leader->safe_psql('postgres',
		'SELECT conninfo FROM store.members WHERE name = ' . StoreCluster::quote($node->name));

	$other //= ($cluster->others($leader))[0];
	for my $bad ('host=127.0.0.1 dbname=postgres port=1', $cluster->address($other))
	{
		$node->append_conf('postgresql.conf', "store.advertise = '$bad'\n");
		$node->reload;
		ok( $node->poll_query_until('postgres',
				"SELECT problem ~ 'do not reach this node at \"$bad' FROM store.status"),
			"an address of $who that does not work is a problem: $bad");
		for my $there ($cluster->nodes)
		{
			is( $there->safe_psql('postgres', 'SELECT conninfo FROM store.members WHERE name = '
					  . StoreCluster::quote($node->name)),
				$before, 'nothing was changed on ' . $there->name);
			$there->safe_psql('postgres', put('a', 4));
		}
		is($cluster->wait_for_leader->name, $leader->name, 'and the leader stays');
	}
	$node->append_conf('postgresql.conf',
		"store.advertise = '" . $cluster->address($node) . " connect_timeout=5'\n");
	$node->reload;
	for my $there ($cluster->nodes)
	{
		ok( $there->poll_query_until('postgres',
				q{SELECT conninfo ~ 'connect_timeout=5' FROM store.members WHERE name = }
				  . StoreCluster::quote($node->name)),
			"a good address of $who is known to " . $there->name);
	}
	ok($node->poll_query_until('postgres', 'SELECT problem IS NULL FROM store.status'),
		'the problem is gone');
}
$cluster->wait_all_writable;

#
# A member that drops the extension without a word.
#
my ($leaver) = $cluster->others($leader);
my ($ret, $stdout, $stderr) = $leaver->psql('postgres', 'DROP EXTENSION store');
is($ret, 0, 'a member may drop the extension');
like($stderr, qr/WARNING:.*still a member.*store\.leave\(\)/s,
	'and is told that it should leave first');
ok( $leader->poll_query_until('postgres',
		q{SELECT last_error LIKE '42883%' FROM store.members WHERE name = '}
		  . $leaver->name . q{'}),
	'the others see an error there');
$leaver->safe_psql('postgres', 'CREATE EXTENSION store');
is($leaver->safe_psql('postgres', 'SELECT state, node_id FROM store.status'),
	'leader|1', 'created again, it is a cluster of its own')
  if $leaver->poll_query_until('postgres', q{SELECT state = 'leader' FROM store.status});
$there = StoreCluster::quote($cluster->address($leader));
is_refused($leaver, "SELECT store.join($there)", '42710',
	qr/already has a member.*remove_member\('@{[ $leaver->name ]}'\)/s,
	'it is not taken for the member that it was');
$leader->safe_psql('postgres',
	'SELECT store.remove_member(' . StoreCluster::quote($leaver->name) . ')');
$cluster->join_node($leaver, $leader);
$cluster->wait_all_writable;
$cluster->is_same_everywhere('until that one was removed; then it joins');

done_testing();
