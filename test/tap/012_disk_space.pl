# A node that is short of disk space takes no write that makes the store grow,
# and says so; deletes, compaction and reads go on, and it follows its leader.  A
# leader that is short of it hands over to a member that is not.  Where too few
# have space, all refuse.
#
# The disks of the tests have space, so what is asked of them is what no disk has.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new(conf => "store.min_free_space = 0\n");
my $leader = $cluster->wait_for_leader;
my ($one, $two) = $cluster->others($leader);

sub demand
{
	my ($node, $megabytes) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET store.min_free_space = $megabytes");
	$node->reload;
	return;
}

sub is_problem
{
	my ($node, $pattern, $name) = @_;

	ok( StoreCluster::poll($name,
			sub { ($cluster->status($node, 'problem') // '') =~ $pattern }), $name);
	return;
}

# How a put on a node ends: 'ok', or its SQLSTATE.
sub put
{
	my ($node, $name) = @_;
	my ($state, $text) = StoreCluster::sqlstate($node,
		'SELECT op FROM store.put(' . StoreCluster::configmap($name, 1) . ');');

	return ($state || 'ok', $text);
}

sub is_refused
{
	my ($node, $name) = @_;
	my ($state, $text) = put($node, 'refused');

	is($state, '53100', $name);
	return $text;
}

sub is_taken
{
	my ($node, $name) = @_;

	is((put($node, 'taken'))[0], 'ok', $name);
	return;
}

is((put($_, 'some-' . $_->name))[0], 'ok', 'a write on ' . $_->name) for $cluster->nodes;
is($one->safe_psql('postgres', 'SELECT string_agg(place, $$, $$ ORDER BY place) FROM store.stat_disk
		WHERE free_bytes BETWEEN 1 AND size_bytes AND NOT is_low'),
	'data directory, pg_wal, tablespace', 'store.stat_disk has what there is');

# ---------------------------------------------------------------------------
# A follower
# ---------------------------------------------------------------------------

demand($one, 2_000_000_000);
is_problem($one, qr/short of disk space/, 'a follower notices');
my $text = is_refused($one, 'it refuses a put');
like($text, qr/DETAIL:  In the file system of its .* \d+ MB are free; store\.min_free_space is 20/,
	'how much is free, and where');
like($text, qr/HINT:  .*store\.delete\(\) and store\.compact\(\) are still taken/,
	'and what to do');
for my $write (
	'store.create(' . StoreCluster::configmap('new', 1) . ')',
	'store.update(' . StoreCluster::configmap('some-node1', 2) . ')',
	q{store.patch('ConfigMap', 'some-node1', '{"data": {"value": "2"}}', 'default')},
	q{store.txn('[]', jsonb_build_array(jsonb_build_object('put', }
	  . StoreCluster::configmap('new', 1) . '::jsonb)))')
{
	is((StoreCluster::sqlstate($one, "SELECT $write;"))[0],
		'53100', 'it refuses ' . substr($write, 0, index($write, '(')));
}
is( $one->safe_psql('postgres', q{
		SELECT op FROM store.delete('ConfigMap', 'some-node1', 'default')}),
	'Deleted', 'it takes a delete');
is( $one->safe_psql('postgres', q{
		SELECT succeeded FROM store.txn('[]', '[{"delete": {"apiVersion": "v1",
			"kind": "ConfigMap", "name": "some-node2", "namespace": "default"}}]')}),
	't', 'and a transaction of nothing else');
cmp_ok($one->safe_psql('postgres', 'SELECT store.compact(store.barrier())'), '>', 0,
	'and a compaction');
is( $one->safe_psql('postgres', q{
		SELECT store.get('ConfigMap', 'some-node3', 'default') IS NOT NULL}),
	't', 'and reads');
is($one->safe_psql('postgres', 'SELECT status FROM store.health()'), 'CRITICAL',
	'its clients do not get what they ask for');
is($one->safe_psql('postgres', q{SELECT bool_and(is_low) FROM store.stat_disk}), 't',
	'store.stat_disk says where');
cmp_ok($one->safe_psql('postgres', q{SELECT sum(requests) FROM store.stat_requests
		WHERE outcome = 'refused'}), '>=', 5, 'what was refused is counted');

is_taken($_, $_->name . ' takes writes all the same') for $leader, $two;
ok( $one->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM store.resources WHERE name = 'taken'}), 'which reach it');
is( $leader->safe_psql('postgres', q{
		SELECT string_agg(name, ',') FROM store.members WHERE low_on_disk}),
	$one->name, 'the leader knows who it is');
is($leader->safe_psql('postgres', 'SELECT status FROM store.health()'), 'WARNING',
	'and warns');
is($cluster->wait_for_leader->name, $leader->name, 'and goes on leading');

demand($one, 0);
ok( StoreCluster::poll('space again', sub { (put($one, 'again'))[0] eq 'ok' }),
	'with space again it takes writes');
is($cluster->status($one, 'problem'), '', 'and has no problem');

# ---------------------------------------------------------------------------
# The leader
# ---------------------------------------------------------------------------

my $log = $leader->logfile;
demand($leader, 2_000_000_000);
ok( StoreCluster::poll('another leader',
		sub { ($cluster->status($one, 'leader') // '') !~ /^$|^\Q${\$leader->name}\E$/ }),
	'a leader without space hands over');
like(slurp_file($log), qr/handing leadership over to ".*", because .* short of disk space/,
	'it says so in the log');
my $heir = $cluster->wait_for_leader;
my ($third) = grep { $_ != $heir && $_ != $leader } $cluster->nodes;
is_taken($_, $_->name . ' takes writes') for $heir, $third;
is_refused($leader, 'the former leader does not');

# ---------------------------------------------------------------------------
# Too many
# ---------------------------------------------------------------------------

demand($third, 2_000_000_000);
is_problem($heir, qr/too few members have disk space/, 'the leader closes the cluster');
$text = is_refused($heir, 'and refuses, though it has space itself');
like($text, qr/too few members have disk space/, 'for the sake of the others');
is_refused($third, 'so does the one that has none');
is($_->safe_psql('postgres', q{SELECT op FROM store.delete('ConfigMap', 'again', 'default')}),
	$_ == $heir ? 'Deleted' : 'NoOp', 'deletes are taken on ' . $_->name) for $heir, $third;
is($heir->safe_psql('postgres', 'SELECT status FROM store.health()'),
	'CRITICAL', 'which is critical');

# A follower with space is told by the leader.
demand($third, 0);
demand($heir, 2_000_000_000);
$cluster->wait_for_leader;
ok( StoreCluster::poll('the follower with space refuses', sub {
		my ($state, $why) = put($third, 'told');

		return $state eq '53100' && $why =~ /The leader, "node\d", has no majority/
		  || $cluster->status($third, 'state') eq 'leader' && $state eq '53100';
	}), 'a member with space refuses, too');

demand($_, 0) for $cluster->nodes;
for my $node ($cluster->nodes)
{
	ok(StoreCluster::poll('writes', sub { (put($node, 'end'))[0] eq 'ok' }),
		$node->name . ' takes writes again');
}
$cluster->is_same_everywhere('all have the same objects');
$_->stop for $cluster->nodes;
done_testing();
