# What the tools that come with PostgreSQL do to a member: pg_dump, pg_upgrade,
# pg_rewind.

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
	my ($node, $name, $value) = @_;

	return $node->safe_psql('postgres',
		'SELECT op FROM store.put(' . StoreCluster::configmap($name, $value) . ')');
}

sub values_of
{
	my ($node) = @_;

	return $node->safe_psql('postgres', q{
		SET store.read_consistency = 'local';
		SELECT string_agg(name || '=' || (object#>>'{data,value}'), ' ' ORDER BY name)
		FROM store.resources});
}

sub detached
{
	my ($node) = @_;

	return $node->poll_query_until('postgres',
		q{SELECT state = 'detached' AND problem ~ 'detached' FROM store.status});
}

# With STORE_UPGRADE_FROM, the bin folder's parent of an installation of another
# major version that has the extension, too, pg_upgrade comes from there.
my $from = $ENV{STORE_UPGRADE_FROM};
my $node = StoreCluster->server('node', allows_streaming => 1, install_path => $from);
$node->safe_psql('postgres', 'CREATE EXTENSION store; CREATE TABLE other (a int)');
put($node, 'a', 1);
put($node, 'b', 2);
my $folder = PostgreSQL::Test::Utils::tempdir;

#
# pg_dump: the extension, empty, and everything else; resources by export.
#
my $copy = StoreCluster->server('copy', install_path => $from);
$node->command_ok([ 'pg_dump', '-f', "$folder/dump.sql", $node->connstr('postgres') ], 'pg_dump');
unlike(slurp_file("$folder/dump.sql"), qr/COPY store\./, 'nothing of the store is in the dump');
$copy->command_ok(
	[ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/dump.sql", $copy->connstr('postgres') ],
	'psql reads it');
ok($copy->poll_query_until('postgres', 'SELECT store.barrier() > 0'), 'the copy is a store');
is(values_of($copy), '', 'an empty one');
isnt(
	$copy->safe_psql('postgres', 'SELECT cluster_id FROM store.status'),
	$node->safe_psql('postgres', 'SELECT cluster_id FROM store.status'),
	'of its own cluster');
is($copy->safe_psql('postgres', 'SELECT count(*) FROM other'), '0', 'other tables are there');

$node->safe_psql('postgres', "COPY (SELECT store.export()) TO '$folder/export.copy'");
$copy->safe_psql('postgres', "CREATE TEMP TABLE incoming (object jsonb);"
	  . "COPY incoming FROM '$folder/export.copy';"
	  . 'SELECT store.import(object) FROM incoming');
is(values_of($copy), values_of($node), 'export and import carry the resources');
$copy->stop;

#
# pg_rewind: a standby took over, and its former primary follows it.
#
my $standby = PostgreSQL::Test::Cluster->new('standby', $from ? (install_path => $from) : ());
$node->backup('base');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf',
	'port = ' . $standby->port . "\nwal_log_hints = on\n");
$node->append_conf('postgresql.conf', "wal_log_hints = on\n");
$node->restart;
$standby->start;
$node->poll_query_until('postgres', 'SELECT store.barrier() > 0');
put($node, 'c', 3);
$node->wait_for_catchup($standby);
$standby->promote;
ok(detached($standby), 'a promoted standby is detached');
$standby->safe_psql('postgres', 'CHECKPOINT');
put($node, 'd', 4);
$node->stop;
$standby->stop;
my $conf = slurp_file($node->data_dir . '/postgresql.conf');
$node->command_ok(
	[
		'pg_rewind', '--no-sync',
		'--source-pgdata', $standby->data_dir, '--target-pgdata', $node->data_dir
	],
	'pg_rewind');
unlink $node->data_dir . '/postgresql.conf';
$node->append_conf('postgresql.conf', $conf);
$node->start;
ok(detached($node), 'a rewound member is detached');
like($node->safe_psql('postgres', 'SELECT problem FROM store.status'),
	qr/timeline/, 'and says why');
is( ($node->psql('postgres', 'SELECT store.keep_identity()'))[0],
	0, 'an operator who knows that it is the newest goes on with it');
ok($node->poll_query_until('postgres', 'SELECT store.barrier() > 0'), 'it is a store again');
# not before: what the log has, a detached node does not apply
is(values_of($node), 'a=1 b=2 c=3', 'with the state of the standby');
is(put($node, 'e', 5), 'Created', 'that writes');

#
# pg_upgrade, from a version to the same one unless there is another.
#
my $new = PostgreSQL::Test::Cluster->new('new');
my $before = values_of($node);
my $cluster_id = $node->safe_psql('postgres', 'SELECT cluster_id FROM store.status');
my $bindir = $node->config_data('--bindir');

$new->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8', '-U', 'postgres' ]);
$new->append_conf('postgresql.conf', "shared_preload_libraries = 'store'\n");
note($node->pg_version . ' to ' . $new->pg_version);
$node->stop;
chdir $folder or die "chdir: $!";
command_ok(
	[
		'pg_upgrade', '--no-sync', '-U', 'postgres',
		'-d', $node->data_dir, '-D', $new->data_dir,
		'-b', $bindir, '-B', $new->config_data('--bindir'),
		'-s', $folder, '-p', $node->port, '-P', $new->port
	],
	'pg_upgrade');
$new->start;
ok(detached($new), 'an upgraded member is detached');
like($new->safe_psql('postgres', 'SELECT problem FROM store.status'),
	qr/system identifier/, 'and says why');
is( ($new->psql('postgres', 'SELECT store.keep_identity()'))[0],
	0, 'an operator who has upgraded it goes on with it');
ok($new->poll_query_until('postgres', 'SELECT store.barrier() > 0'), 'it is a store again');
is(values_of($new), $before, 'with all it had');
is($new->safe_psql('postgres', 'SELECT cluster_id FROM store.status'),
	$cluster_id, 'of the same cluster');
is(put($new, 'f', 6), 'Created', 'that writes');

done_testing();
