# The extension comes and goes while workers run: nothing waits for them, and
# where a store cannot be, CREATE EXTENSION says so and leaves nothing behind.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

# Far above what any of this should take; a hang is what it is about.
my $PROMPT = 60;

my @WORKERS = ('store apply worker', 'store launcher', 'store notify worker', 'store raft worker');

sub workers
{
	my ($node) = @_;

	return $node->safe_psql('postgres', q{
		SELECT string_agg(backend_type, ',' ORDER BY backend_type)
		FROM pg_stat_activity WHERE backend_type LIKE 'store %'});
}

# What op a put of one small object has.
sub put
{
	my ($name) = @_;

	return 'SELECT op FROM store.put(' . StoreCluster::configmap($name, 1) . ')';
}

# Run SQL under a limit; a statement that waits for a worker runs into it.
sub is_prompt
{
	my ($node, $sql, $name) = @_;
	my ($ret, $stdout, $stderr) = $node->psql('postgres', $sql, timeout => $PROMPT,
		timed_out => \my $timed_out);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($ret == 0 && !$timed_out, $name) or diag($stderr);
	return;
}

sub is_refused
{
	my ($node, $database, $sql, $pattern, $name) = @_;
	my ($ret, $stdout, $stderr) = $node->psql($database, "\\set VERBOSITY verbose\n$sql");

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	isnt($ret, 0, "$name: refused");
	like($stderr, $pattern, "$name: with a reason");
	like($stderr, qr/HINT:  \S/, "$name: and a hint");
	return;
}

sub is_untouched
{
	my ($node, $database, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	# DROP EXTENSION leaves the schema, as it always does, but nothing in it.
	is( $node->safe_psql($database, q{
			SELECT count(*) FROM pg_extension WHERE extname = 'store'
			UNION ALL SELECT count(*) FROM pg_depend d JOIN pg_namespace n
				ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
			WHERE n.nspname = 'store'}),
		"0\n0", "$name: nothing half-made");
	return;
}

#
# A node on its own.
#
my $node = StoreCluster->server('alone', allows_streaming => 1,
	conf => "max_prepared_transactions = 2\n");

$node->safe_psql('postgres', 'CREATE DATABASE other');
is_refused($node, 'other', 'CREATE EXTENSION store',
	qr/ERROR:  55000: .*database/, 'another database than store.database');
is_untouched($node, 'other', 'another database');

$node->safe_psql('postgres',
	q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});

$node->safe_psql('postgres', 'CREATE EXTENSION store');
is( $node->safe_psql('postgres', put('a')),
	'Created', 'a node is ready to use as soon as the extension is there');
is(workers($node), join(',', @WORKERS), 'its workers are visible');

is_prompt($node, 'DROP DATABASE other',
	'DROP DATABASE of another database does not wait for workers');
is_prompt($node, 'CREATE DATABASE copy TEMPLATE latin ENCODING LATIN1',
	'CREATE DATABASE does not either');
is_prompt($node, 'ALTER DATABASE copy RENAME TO copied', 'nor ALTER DATABASE');
is_prompt($node, 'VACUUM', 'nor VACUUM');
is_prompt($node, 'CHECKPOINT', 'nor CHECKPOINT');

is_prompt($node, 'DROP EXTENSION store', 'DROP EXTENSION does not wait for workers');
is_untouched($node, 'postgres', 'after DROP EXTENSION');

# Rolled back, it never happened.
$node->safe_psql('postgres', 'CREATE EXTENSION store');
$node->safe_psql('postgres', put('a'));
is_prompt($node, 'BEGIN; DROP EXTENSION store; ROLLBACK', 'DROP EXTENSION can be rolled back');
is( $node->safe_psql('postgres', put('a')),
	'Unchanged', 'and the store is as it was');
is_prompt($node, 'DROP EXTENSION store', 'dropped again');
is_prompt($node, 'BEGIN; CREATE EXTENSION store; ROLLBACK', 'CREATE EXTENSION can be rolled back');
is_untouched($node, 'postgres', 'after the rollback');
$node->safe_psql('postgres', 'CREATE EXTENSION store');
is( $node->safe_psql('postgres',
		put('a')),
	'Created', 'a new store is empty');

# Dropped behind the workers' backs: the session that ends it did not begin it.
$node->safe_psql('postgres', q{BEGIN; DROP EXTENSION store; PREPARE TRANSACTION 'drop'});
$node->safe_psql('postgres', q{COMMIT PREPARED 'drop'});
is_untouched($node, 'postgres', 'after a DROP EXTENSION in two phases');
$node->safe_psql('postgres', 'CREATE EXTENSION store');
is( $node->safe_psql('postgres', put('a')),
	'Created', 'a store that is created after that is as new as any');

#
# Stop, start, crash of one worker.
#
{
	local $ENV{PGCTLTIMEOUT} = $PROMPT;
	ok($node->stop('fast', fail_ok => 1), 'pg_ctl stop -m fast does not wait for workers');
}
$node->start;
is( $node->safe_psql('postgres', q{SELECT store.get('ConfigMap', 'a', 'default')#>>'{data,value}'}),
	'1', 'the store is there again after a restart');

for my $worker (@WORKERS)
{
	my $pid = $node->safe_psql('postgres', qq{
		SELECT max(pid) FROM pg_stat_activity WHERE backend_type = '$worker'});

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	ok( $node->poll_query_until('postgres', qq{
			SELECT count(*) = 1 FROM pg_stat_activity
			WHERE backend_type = '$worker' AND pid <> $pid}),
		"the $worker is started again when it ends");
	ok( $node->poll_query_until('postgres', q{
			SELECT string_agg(backend_type, ',' ORDER BY backend_type)
			FROM pg_stat_activity WHERE backend_type LIKE 'store %'}, join(',', @WORKERS)),
		'and there is one process of each kind');
	is( $node->safe_psql('postgres',
			"SET store.request_timeout = '60s'; " . put("after-$worker")),
		'Created', 'and the store goes on');
}

#
# A standby never takes part.
#
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'port = ' . $standby->port);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT count(*) FROM store.resources'),
	1 + @WORKERS, 'a standby has the rows');
is($standby->safe_psql('postgres', q{
	SELECT count(*) FROM pg_stat_activity
	WHERE backend_type IN ('store raft worker', 'store apply worker', 'store notify worker')}),
	'0', 'and no worker');
is_refused($standby, 'postgres', put('b'),
	qr/ERROR: .*(?:standby|recovery|read-only)/, 'a write on a standby');
is_prompt($node, 'DROP EXTENSION store', 'DROP EXTENSION with a standby');
$node->wait_for_catchup($standby);
is_refused($standby, 'postgres', 'CREATE EXTENSION store',
	qr/ERROR: .*(?:standby|recovery|read-only)/, 'CREATE EXTENSION on a standby');
is_untouched($standby, 'postgres', 'a standby');
$standby->stop;
$node->stop;

#
# Without preloading, and with an encoding that cannot hold every name.
#
my $bare = StoreCluster->server('bare', preload => 0);
is_refused($bare, 'postgres', 'CREATE EXTENSION store', qr/ERROR:  55000: /, 'without preloading');
like(($bare->psql('postgres', 'CREATE EXTENSION store'))[2],
	qr/HINT: .*shared_preload_libraries/, 'without preloading: the hint names the setting');
is_untouched($bare, 'postgres', 'without preloading');

$bare->safe_psql('postgres',
	q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
$bare->append_conf('postgresql.conf',
	"shared_preload_libraries = 'store'\nstore.database = 'latin'\n");
$bare->restart;
is_refused($bare, 'latin', 'CREATE EXTENSION store',
	qr/ERROR: .*encoding "LATIN1"/, 'a database that is not UTF8');
is_untouched($bare, 'latin', 'a database that is not UTF8');

# A database that is not there is waited for.
$bare->append_conf('postgresql.conf', "store.database = 'later'\n");
$bare->restart;
$bare->safe_psql('postgres', 'CREATE DATABASE later');
$bare->safe_psql('later', 'CREATE EXTENSION store');
ok($bare->poll_query_until('later', 'SELECT store.barrier() > 0'),
	'a database created later becomes a store');

#
# The database itself: not while there is a store in it; without one, the
# workers that wait there are no hindrance.
#
is_refused($bare, 'postgres', 'DROP DATABASE later',
	qr/ERROR:  55006: .*holds the store.*HINT:.*store\.leave\(\)/s, 'DROP DATABASE of a store');
is_refused($bare, 'postgres', 'ALTER DATABASE later RENAME TO never',
	qr/ERROR:  55006: .*holds the store.*HINT:.*store\.database/s,
		'ALTER DATABASE RENAME of a store');
is( $bare->safe_psql('later', put('kept')), 'Created', 'it is there and works');

# Renamed the way the hint says.
$bare->append_conf('postgresql.conf', "store.database = 'renamed'\n");
$bare->restart;
my ($state, $error) = (
	$bare->psql('later', "\\set VERBOSITY verbose\n" . put('lost')))[0, 2];
isnt($state, 0, 'a database that is not the store of this server refuses writes');
like($error, qr/ERROR:  55000: cannot call .* in database "later".*HINT:.*store\.database/s,
	'and says where it is');
is($bare->safe_psql('later', 'SELECT count(*) FROM store.resources'), '1',
	'what is in it can be read');
is_prompt($bare, 'ALTER DATABASE later RENAME TO renamed', 'the database is renamed');
ok($bare->poll_query_until('renamed', 'SELECT store.barrier() > 0'), 'and is the store again');
is( $bare->safe_psql('renamed', put('kept')), 'Unchanged', 'with what it had');

is_prompt($bare, 'DROP DATABASE renamed WITH (FORCE)', 'DROP DATABASE WITH (FORCE) means it');
$bare->safe_psql('postgres', 'CREATE DATABASE renamed');
ok( $bare->poll_query_until('renamed', q{
		SELECT count(*) = 3 FROM pg_stat_activity WHERE datname = 'renamed'
		AND backend_type LIKE 'store %'}),
	'workers wait in a database of that name');
is_prompt($bare, 'ALTER DATABASE renamed RENAME TO spare',
	'which can be renamed before it is a store');
is_prompt($bare, 'ALTER DATABASE spare RENAME TO renamed', 'and back');
$bare->safe_psql('renamed', 'CREATE EXTENSION store');
is( $bare->safe_psql('renamed', "SET store.request_timeout = '60s'; " . put('kept')),
	'Created', 'a new store begins empty');
$bare->safe_psql('renamed', 'DROP EXTENSION store');
is_prompt($bare, 'DROP DATABASE renamed', 'without a store it can be dropped');

#
# In a cluster.
#
my $cluster = StoreCluster->new;
my ($one) = $cluster->nodes;

$one->safe_psql('postgres', put('a'));
for my $member ($cluster->nodes)
{
	local $ENV{PGCTLTIMEOUT} = $PROMPT;
	ok($member->stop('fast', fail_ok => 1), $member->name . ' of a cluster stops promptly');
	$member->start;
	$cluster->wait_all_writable;
}
is($cluster->status($one, 'problem'), '', 'no problem is left');

# The database of a member, to which the others are connected, goes elsewhere.
{
	my ($member) = $cluster->others($cluster->wait_for_leader);
	my ($other) = grep { $_ != $member } $cluster->nodes;
	my $space = PostgreSQL::Test::Utils::tempdir;
	my $database_is = sub {
		$member->append_conf('postgresql.conf', "store.database = '$_[0]'\n");
		$member->restart;
	};

	$member->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
	is_refused($member, 'template1', 'ALTER DATABASE postgres SET TABLESPACE space',
		qr/ERROR:  55006: .*holds the store.*HINT:.*store\.database/s, 'moving a store');
	is_refused($member, 'template1', 'CREATE DATABASE copy TEMPLATE postgres',
		qr/ERROR:  55006: .*holds the store.*HINT:.*store\.export/s, 'a store as template');
	is_refused($member, 'postgres', 'CREATE DATABASE copy TEMPLATE postgres',
		qr/ERROR:  55006: .*holds the store/s, 'the same from within');

	$database_is->('moved');
	ok( $member->poll_query_until('template1', q{
			SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'postgres'
				AND application_name ~ 'store link from'}),
		'a member that has nothing to say is connected to it');
	is( ($member->psql('template1', 'ALTER DATABASE postgres SET TABLESPACE space'))[0],
		0, 'out of use, it is moved to another tablespace');
	is( ($member->psql('template1', 'ALTER DATABASE postgres RENAME TO moved'))[0],
		0, 'and renamed');
	ok($member->poll_query_until('moved', 'SELECT store.barrier() > 0'),
		'it takes part under its new name');
	ok( $other->poll_query_until('postgres', q{SELECT conninfo ~ 'dbname=moved' FROM store.members
			WHERE name = '} . $member->name . q{'}),
		'which the others learn');

	$database_is->('postgres');
	is( ($member->psql('template1', 'ALTER DATABASE moved RENAME TO postgres'))[0],
		0, 'and back');
	$cluster->wait_all_writable;
	$cluster->is_same_everywhere('nothing is lost by that');
}

$one->append_conf('postgresql.conf', "fsync = off\n");
$one->reload;
ok( $one->poll_query_until('postgres', q{SELECT problem ~ 'fsync' FROM store.status}),
	'a server that forgets what it promised says so');
my ($lonely) = $cluster->others($cluster->wait_for_leader);
is_prompt($lonely, 'DROP EXTENSION store', 'a member can drop the extension');
for my $member (grep { $_ != $lonely } $cluster->nodes)
{
	ok($member->poll_query_until('postgres', 'SELECT store.barrier() > 0'),
		'and ' . $member->name . ' goes on');
}

done_testing();
