# What an operator does with a member that cannot go on by itself: a cluster of
# its own out of a restored backup, a template clone, or the last survivor.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

sub put
{
	my ($node, $name, $value, $database) = @_;

	return $node->safe_psql($database // 'postgres',
		'SELECT resource_version FROM store.put('
		  . StoreCluster::configmap($name, $value) . ')');
}

sub value
{
	my ($node, $name, $database) = @_;

	return $node->safe_psql($database // 'postgres',
		"SELECT store.get('ConfigMap', '$name', 'default')#>>'{data,value}'");
}

sub detached
{
	my ($node, $database) = @_;

	return $node->poll_query_until($database // 'postgres',
		q{SELECT state = 'detached' AND problem ~ 'detached' FROM store.status});
}

#
# A backup of a member becomes a cluster of its own.
#
my $cluster = StoreCluster->new(allows_streaming => 1, conf => "max_wal_senders = 5\n");
my ($one, $two, $three) = $cluster->nodes;
my $old_version = put($one, 'a', 1);
my $old_id = $cluster->status($one, 'cluster_id');

$one->backup('base');
my $later = put($one, 'a', 2);
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($one, 'base');
$restored->append_conf('postgresql.conf', 'port = ' . $restored->port);
$restored->start;
ok(detached($restored), 'a restored base backup is detached');
my ($ret, $floor, $warning) = $restored->psql('postgres', 'SELECT store.restore_as_new_cluster()');
is($ret, 0, 'it becomes a cluster of its own');
like($warning, qr/WARNING:.*cluster of its own/, 'with a warning');
cmp_ok($floor, '>=', 1_000_000_000 + $later, 'revisions go on far ahead');
$restored->poll_query_until('postgres', 'SELECT store.barrier() > 0');
is($restored->safe_psql('postgres', 'SELECT name, role FROM store.members'),
	'restored|voter', 'it is the only voter');
isnt($cluster->status($restored, 'cluster_id'), $old_id, 'of another cluster');
is($cluster->status($restored, "coalesce(problem, '')"), '', 'without a problem');
is(value($restored, 'a'), '1', 'it has what the backup had');
is( $restored->safe_psql(
		'postgres', "SELECT resource_version FROM store.resources WHERE name = 'a'"),
	$old_version, 'under the same resourceVersion');
cmp_ok(put($restored, 'b', 1), '>', $floor, 'a write goes on above');
is( (StoreCluster::sqlstate($restored,
			"SELECT store.get('ConfigMap', 'a', 'default', resource_version => $old_version)"))[0],
	'RS410', 'whoever knows an old revision is told that it is gone');
is(put($one, 'a', 3) > $later, 1, 'the old cluster goes on');
is(value($restored, 'a'), '1', 'and is another one');
$restored->restart;
$restored->poll_query_until('postgres', 'SELECT store.barrier() > 0');
is(value($restored, 'b'), '1', 'the new cluster is there after a restart');

# Others get numbers that members of the old cluster have, of which the backup
# knows, and are not taken for these.
my $founded = bless { nodes => [$restored] }, 'StoreCluster';
for my $next (map { StoreCluster->server("next$_") } 1, 2)
{
	$next->safe_psql('postgres', 'CREATE EXTENSION store');
	$founded->join_node($next, $restored);
	push @{ $founded->{nodes} }, $next;
}
is($restored->safe_psql('postgres', q{SELECT count(*) FROM store.members WHERE role = 'voter'}),
	'3', 'other nodes join it');
$founded->is_same_everywhere('and have what it has');
$_->stop for $founded->nodes;

#
# The majority is lost for good.
#
put($three, 'last', 'word');
$cluster->wait_all_writable;
my ($state, $text) =
  StoreCluster::sqlstate($three, "SELECT store.recover_without_quorum('$old_id')");
is($state, '55000', 'a cluster with a majority is not given up');
like($text, qr/has not lost its majority/, 'and says why');
$cluster->kill9($one, $two);
$three->poll_query_until('postgres',
	"SELECT leader IS NULL AND state <> 'leader' FROM store.status");
($state, $text) = StoreCluster::sqlstate($three,
	'SELECT store.recover_without_quorum(gen_random_uuid())');
is($state, '22023', 'the cluster given up has to be named');
($state, $text) = StoreCluster::sqlstate($three, 'SELECT store.recover_without_quorum(NULL)');
is($state, '22023', 'and is not null');
# the links notice in their own time that nobody is there
$three->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM store.members WHERE connected AND last_error IS NULL");
($ret, $floor, $warning) =
  $three->psql('postgres', "SELECT store.recover_without_quorum('$old_id')");
is($ret, 0, 'a survivor goes on');
like($warning, qr/WARNING:.*cluster of its own/, 'with a warning');
$three->poll_query_until('postgres', 'SELECT store.barrier() > 0');
is(value($three, 'last'), 'word', 'it has what it had');
cmp_ok(put($three, 'after', 1), '>', $floor, 'it writes');
my $new_id = $cluster->status($three, 'cluster_id');
isnt($new_id, $old_id, 'it is another cluster');

$cluster->restart_killed($one);
$cluster->restart_killed($two);
for my $node ($one, $two)
{
	$node->poll_query_until('postgres', 'SELECT store.barrier() > 0');
	is($cluster->status($node, 'cluster_id'),
		$old_id, $node->name . ' comes back to the old cluster');
}
ok( StoreCluster::poll(
		'the survivor to refuse them',
		sub {
			my ($leader) = grep { $cluster->status($_, 'state') eq 'leader' } $one, $two;
			return $leader && $leader->safe_psql('postgres',
				q{SELECT last_error ~ 'not member' FROM store.members WHERE name = 'node3'}) eq 't';
		}),
	'and their leader is refused by the survivor');
is($three->safe_psql('postgres', 'SELECT string_agg(name, $$ $$) FROM store.members'),
	'node3', 'the survivor has no other member');
is(value($three, 'after'), '1', 'and its state is its own');
$_->stop for $cluster->nodes;

#
# A database made from the store's as template.
#
my $server = StoreCluster->server('template');
$server->safe_psql('postgres', 'CREATE EXTENSION store');
put($server, 'a', 1);
$server->append_conf('postgresql.conf', "store.database = 'nowhere'\n");
$server->restart;
$server->safe_psql('template1', 'CREATE DATABASE clone TEMPLATE postgres');
$server->append_conf('postgresql.conf', "store.database = 'clone'\n");
$server->restart;
ok(detached($server, 'clone'), 'a template clone is detached');
like($server->safe_psql('clone', 'SELECT problem FROM store.status'),
	qr/database/, 'and says why');
$server->safe_psql('clone', 'SELECT store.restore_as_new_cluster()');
$server->poll_query_until('clone', 'SELECT store.barrier() > 0');
is(value($server, 'a', 'clone'), '1', 'it can be a cluster of its own');
put($server, 'a', 2, 'clone');
$server->append_conf('postgresql.conf', "store.database = 'postgres'\n");
$server->restart;
$server->poll_query_until('postgres', 'SELECT store.barrier() > 0');
is(value($server, 'a'), '1', 'and its model is what it was');

# A detached node can be dropped, and be new.
$server->append_conf('postgresql.conf', "store.database = 'nowhere'\n");
$server->restart;
$server->safe_psql('template1', 'CREATE DATABASE second TEMPLATE postgres');
$server->append_conf('postgresql.conf', "store.database = 'second'\n");
$server->restart;
ok(detached($server, 'second'), 'another clone is detached');
$server->safe_psql('second', 'DROP EXTENSION store; CREATE EXTENSION store');
ok($server->poll_query_until('second', 'SELECT store.barrier() > 0'),
	'with a new extension it is a new node');

done_testing();
