# Clients that come through pgbouncer, which gives their session to others after
# it (session mode) or between any two transactions (transaction mode).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Borrowed;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $pgbouncer = Borrowed::program('pgbouncer');
my $cluster = StoreCluster->new('pooler', nodes => 3);
my $node = ($cluster->others($cluster->wait_for_leader))[0];
my $folder = PostgreSQL::Test::Utils::tempdir_short;

sub start_pooler
{
	my ($mode) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $ini = "$folder/$mode.ini";

	append_to_file("$folder/users", qq{"postgres" ""\n}) unless -e "$folder/users";
	append_to_file(
		$ini,
		join "\n",
		'[databases]',
		'postgres = host=' . $node->host . ' port=' . $node->port . ' user=postgres pool_size=2',
		'[pgbouncer]',
		"unix_socket_dir = $folder",
		"listen_port = $port",
		"auth_type = any",
		"auth_file = $folder/users",
		"pool_mode = $mode",
		"logfile = $PostgreSQL::Test::Utils::log_path/pgbouncer_$mode.log",
		'');
	local $ENV{LD_LIBRARY_PATH} = Borrowed::library_path();
	my $run = IPC::Run::start([ $pgbouncer, $ini ], '<', '/dev/null', '>', '/dev/null', '2>&1');
	StoreCluster::poll("pgbouncer in $mode mode", sub { return -S "$folder/.s.PGSQL.$port" });
	return ($run, "host=$folder port=$port dbname=postgres user=postgres");
}

# Through the pooler: rows, or the error with its SQLSTATE.
sub ask
{
	my ($connection, $sql) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $connection ],
		'<', \$sql, '>', \$out, '2>', \$err);
	chomp $out;
	note($err) if $err ne '';
	return $err =~ /ERROR:  (\w{5}):/ ? $1 : $out;
}

for my $mode ('session', 'transaction')
{
	my ($run, $connection) = start_pooler($mode);
	my $put = 'SELECT op FROM store.put(' . StoreCluster::configmap("by-$mode", 1) . ')';

	is(ask($connection, $put), 'Created', "$mode: a write");
	is(ask($connection, "SELECT store.get('ConfigMap', 'by-$mode', 'default') IS NOT NULL"),
		't', "$mode: it is read");
	is(ask($connection, $put =~ s/\)$/, expected => 1)/r),
		'40001', "$mode: a conflict comes with its SQLSTATE");

	# Two clients in one session each wait for their own answers.
	my ($since) = ask($connection, 'SELECT store.barrier()');
	my $watcher = IPC::Run::start(
		[
			'psql', '-XAtq', '-d', $connection, '-c',
			"SELECT type FROM store.watch($since, 'ConfigMap', timeout => '60 s')"
		],
		'>', \my $seen, '2>&1');
	$node->poll_query_until('postgres', 'SELECT watchers = 1 FROM store.stat_watch');
	is(ask($connection, $put =~ s/by-/beside-/r), 'Created', "$mode: a write beside a watch");
	$watcher->finish;
	is($seen, "ADDED\nBOOKMARK\n", "$mode: and the watch is told");

	# What a transaction sets for itself goes with it, whoever has the session next.
	is( ask(
			$connection,
			"BEGIN; SET LOCAL store.read_consistency = 'local';"
			  . ' SELECT current_setting($$store.read_consistency$$); COMMIT;'
			  . ' SELECT current_setting($$store.read_consistency$$)'),
		"local\nlinearizable",
		"$mode: a setting for one transaction");
	if ($mode eq 'session')
	{
		# pgbouncer's DISCARD ALL, when a client leaves, takes LISTEN away
		is(ask($connection, 'LISTEN store; SELECT listeners FROM store.stat_watch'),
			'1', "$mode: LISTEN lasts as long as the session");
		ok( $node->poll_query_until('postgres', 'SELECT listeners = 0 FROM store.stat_watch'),
			"$mode: and no longer");
	}
	$run->kill_kill;
}

$cluster->is_same_everywhere('all nodes have the same');
done_testing();
