# A cluster whose members are upgraded one after the other, while it is written
# to: it uses what the newer release brings when all have it, and not before.
#
# There is one release so far, so the older one is made: the same, but for the
# version of commands that it understands, which is the first.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Installation;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $older = Installation::make(library => "$ENV{TESTDIR}/build/older/store.so");
my $cluster = StoreCluster->new(install_path => $older);
my @acknowledged;
my $round = 0;

# What is new in version 2, and what it needs to be there.
my %NEW = (
	'a transaction' => q{SELECT store.txn('[]', '[{"put":
		{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "of-txn"}}}]')},
	'a transaction with a JSON patch' => q{SELECT store.txn('[]', '[{"patch": {"type": "json",
		"key": {"apiVersion": "v1", "kind": "Secret", "name": "plain"},
		"patch": [{"op": "add", "path": "/data", "value": {}}]}}]')},
	'a JSON patch' => q{SELECT store.patch('Secret', 'plain',
		'[{"op": "add", "path": "/type", "value": "Opaque"}]', type => 'json')},
	'a time to live' => q{SELECT store.put(
		'{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mortal"}}',
		ttl => '1 week')},
	'a compaction' => 'SELECT store.compact(1)');

sub protocols
{
	return join ' ', map { $cluster->status($_, 'protocol') // '?' } $cluster->nodes;
}

# Everything else works on every node, and what one writes all apply.
sub works
{
	my ($name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $node ($cluster->nodes)
	{
		$round++;
		is( $node->safe_psql('postgres', qq{
				SELECT op FROM store.put('{"apiVersion": "v1", "kind": "Secret",
					"metadata": {"name": "plain"}, "data": {"round": "$round"}}');
				SELECT op FROM store.patch('Secret', 'plain', '{"data": {"patched": "$round"}}');
				SELECT op FROM store.create(jsonb_build_object('apiVersion', 'v1',
					'kind', 'Lease', 'metadata', jsonb_build_object('name', 'l-$round')));
				SELECT op FROM store.delete('Lease', 'l-$round')}),
			($round == 1 ? 'Created' : 'Replaced') . "\nPatched\nCreated\nDeleted",
			"$name: " . $node->name . ' writes');
	}
	$cluster->is_same_everywhere("$name: all apply the same");
	unlike($cluster->status($_, "coalesce(problem, '')"), qr/version/, "$name: no problem")
	  for $cluster->nodes;
	return;
}

sub is_refused
{
	my ($node, $pattern, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $what (sort keys %NEW)
	{
		my ($state, $text) = StoreCluster::sqlstate($node, $NEW{$what});

		is($state, '0A000', "$name: $what is refused");
		like($text, $pattern, "$name: it says why");
	}
	return;
}

# Upgrade a node while another one is written to.
sub upgrade
{
	my ($node) = @_;
	my ($other) = grep { $_ != $node } $cluster->nodes;
	my $writer = $cluster->start_writer($other, 'upgrade-' . $node->name);

	StoreCluster::wait_for_writes($writer, 5);
	Installation::change($node, undef);
	$cluster->wait_all_writable;
	StoreCluster::wait_for_writes($writer, 20);
	push @acknowledged, StoreCluster::stop_writer($writer);
	return;
}

my ($one, $two, $three) = $cluster->nodes;

is(protocols(), '1 1 1', 'a cluster of the older release');
works('older release');
is_refused($one, qr/needs version 2 of the protocol, and the cluster uses version 1/,
	'older release');

upgrade($three);
is(protocols(), '1 1 1', 'one member is upgraded: the cluster stays with the older version');
works('one of three upgraded');
$cluster->wait_for_leader;
is_refused($three, qr/Not upgraded yet: .*"node[12]"/, 'one of three upgraded');
$one->safe_psql('postgres', q{SELECT store.transfer_leadership('node3')});
works('an upgraded leader');
$three->poll_query_until('postgres',
	q{SELECT string_agg(protocol::text, ' ' ORDER BY name) = '1 1 2' FROM store.members})
  or die 'the leader does not know who understands what';
pass('the leader shows who is not upgraded yet');

# Another member of the older release may still join, and counts.
my $four = StoreCluster->server('node4', install_path => $older);
$four->safe_psql('postgres', 'CREATE EXTENSION store');
$cluster->join_node($four, $three);
push @{ $cluster->{nodes} }, $four;
upgrade($one);
upgrade($two);
is(protocols(), '1 1 1 1', 'three of four upgraded: one holds the cluster back');
works('three of four upgraded');
is_refused($two, qr/Upgrade the extension's library on every member/, 'three of four upgraded');

# So does a learner, even one that never came.
my $late = StoreCluster->server('late', install_path => $older);
$late->safe_psql('postgres', 'CREATE EXTENSION store');
$one->safe_psql('postgres', q{SELECT store.transfer_leadership('node1')});
$one->safe_psql('postgres', q{SELECT store.raft_admit('late', '}
	  . $cluster->address($late) . q{', '} . $cluster->status($late, 'cluster_id') . q{', 1)});
upgrade($four);
$one->poll_query_until('postgres',
	q{SELECT string_agg(coalesce(protocol::text, '?'), ' ' ORDER BY name) = '? 2 2 2 2'
	FROM store.members}) or die 'the leader has not heard from all members';
works('all upgraded but a learner');
is(protocols(), '1 1 1 1', 'a learner that was not heard of holds the cluster back, too');

$one->safe_psql('postgres', q{SELECT store.remove_member('late')});
$_->poll_query_until('postgres', 'SELECT protocol = 2 FROM store.status') or die 'not raised'
  for $cluster->nodes;
pass('all are upgraded: the cluster goes on to the newer version');
works('all upgraded');
for my $what (sort keys %NEW)
{
	my ($ret) = $two->psql('postgres', $NEW{$what});

	is($ret, 0, "all upgraded: $what works");
}
$cluster->is_same_everywhere('all upgraded: all apply the same again');
is($cluster->missing_writes($_, @acknowledged), '', 'nothing is lost on ' . $_->name)
  for $cluster->nodes;

# It survives restarts, and an election.
$_->restart for $cluster->nodes;
$cluster->wait_all_writable;
is(protocols(), '2 2 2 2', 'it stays so');

# There is no way back.
my ($state, $text) = StoreCluster::sqlstate($late,
	q{SELECT store.join('} . $cluster->address($one) . q{')});
is($state, '0A000', 'a node of the older release is not admitted any more');
like($text, qr/understands versions up to 1.*Upgrade/s, 'it is told why');
is( $one->safe_psql('postgres', q{SELECT count(*) FROM store.members WHERE name = 'late'}),
	'0', 'and leaves nothing behind');
Installation::change($late, undef);
$cluster->join_node($late, $one);
is($late->safe_psql('postgres', 'SELECT protocol FROM store.status'),
	'2', 'upgraded, it is admitted');
push @{ $cluster->{nodes} }, $late;

my $index = $four->safe_psql('postgres', 'SELECT store.barrier()');
Installation::change($four, $older);
is($one->psql('postgres', $NEW{'a JSON patch'}), 0, 'the others go on without a downgraded one');
$one->safe_psql('postgres', $NEW{'a transaction'});
ok( $four->poll_query_until('postgres',
		q{SELECT problem ~ 'is of version 2.*upgrade' FROM store.status}),
	'which says what is wrong');
Installation::change($four, undef);
$cluster->wait_all_writable;
$cluster->is_same_everywhere('and catches up when it has the newer library again');

done_testing();
