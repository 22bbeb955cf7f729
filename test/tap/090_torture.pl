# Everything at once: clients in every way on all nodes; below them processes
# that are killed and stopped, a network that cuts, delays, loses and reorders,
# disks that are slow, full or broken, clocks that jump, members that go and
# come.  Afterwards a judge holds what each client was told against the history,
# the store compares its members, and pg_amcheck looks at every table and index of
# every node.
# The work is done by test/torture; this starts its servers, and reads its report.
#
# TORTURE_SECONDS (120), TORTURE_SEED, TORTURE_RATE (150 operations a second),
# TORTURE_FAULTS (all): see "make torture".

use strict;
use warnings;

use IO::Socket::UNIX;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $seconds = $ENV{TORTURE_SECONDS} || 120;
my $seed = $ENV{TORTURE_SEED} || int(rand(1_000_000_000));
my $rate = $ENV{TORTURE_RATE} || 150;
my @faults = $ENV{TORTURE_FAULTS} ? ('-f', $ENV{TORTURE_FAULTS}) : ();
my $history = "$PostgreSQL::Test::Utils::tmp_check/torture.history";

# A socket's path must be short.
my $control = PostgreSQL::Test::Utils::tempdir_short() . '/proxy';
my $proxy = IPC::Run::start([ 'build/torture_proxy', $control, $seed ], '<', \undef);
StoreCluster::poll('the proxy', sub { -S $control });

sub tell_proxy
{
	my ($line) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $control) or die "could not reach the proxy: $@";

	print $socket "$line\n";
	$socket->flush;
	my $reply = <$socket>;
	$reply =~ /^ok/ or die "the proxy refuses: $line";
	return;
}

# Each node is reached through the proxy, which knows it by its name, whoever
# starts it.  It looks for orders to its disk and clock (test/torture/shim.h) in
# its data directory.  What is compacted is said by the nemesis, and not by clocks
# that jump.
sub configuration
{
	my ($node) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();

	tell_proxy('add ' . $node->name . " $port " . $node->port);
	append_to_file($node->data_dir . '/torture.orders', "\0" x 64);
	return <<"EOC";
store.node_name = '@{[$node->name]}'
max_connections = 60
restart_after_crash = on
store.advertise = 'host=127.0.0.1 port=$port dbname=postgres'
store.log_segment_size = '256kB'
store.history_retention = -1
store.history_size = '8GB'
EOC
}

$ENV{LD_PRELOAD} = "$ENV{TESTDIR}/build/torture_shim.so";
my $cluster = StoreCluster->new(conf => \&configuration);
my @nodes = map { $_->data_dir . '=' . $_->connstr('postgres') . ' user=postgres' } $cluster->nodes;
my $bindir = $cluster->{nodes}[0]->config_data('--bindir');
my $output = '';

$cluster->wait_for_leader;
my $run = IPC::Run::start(
	[
		'build/torture', 'run', '-s', $seed, '-t', $seconds, '-r', $rate,
		'-b', $bindir, '-c', $control, '-o', $history, @faults, @nodes
	],
	'<', \undef, '>&', sub { $output .= $_[0]; note($_[0]); });
my $passed = $run->finish;

# The nodes were started by somebody else: tell the module.
$_->_update_pid(1) for $cluster->nodes;

ok($passed, "the judge finds nothing (seed $seed, history $history)")
  or diag(join "\n", grep { /VIOLATION/ } split /\n/, $output);
like($output, qr/^violations: 0$/m, 'no violations');
like($output, qr/^network: connections [1-9]\d*, strangers 0,/m,
	'the proxy knew whose connections it had');
for my $what ([ qr/^judged: (\d+) operations/m, 'operations' ],
	[ qr/^judged: .*, (\d+) events/m, 'events' ])
{
	my ($count) = $output =~ $what->[0];
	ok($count, "there were $what->[1]: " . ($count // 0));
}
is( ($cluster->nodes)[0]->safe_psql(
		'postgres',
		q{SELECT count(*) FILTER (WHERE agrees) || ' of ' || count(*) FROM store.verify()}),
	'3 of 3',
	'store.verify() finds all members the same');
for my $node ($cluster->nodes)
{
	my ($out, $err) = ('', '');
	my $fine = IPC::Run::run(
		[
			'pg_amcheck', '--install-missing', '--heapallindexed', '--rootdescend',
			'-U', 'postgres', '-h', $node->host, '-p', $node->port, 'postgres'
		],
		'<', \undef, '>', \$out, '2>', \$err);

	ok($fine && "$out$err" eq '', 'pg_amcheck finds nothing on ' . $node->name)
	  or diag("$out$err");
}
ok( ($cluster->nodes)[0]->poll_query_until('postgres', q{
		SELECT count(*) = (SELECT count(*) FROM store.members) AND count(DISTINCT digest) = 1
		FROM store.verify() WHERE agrees}),
	'store.verify() finds nothing either');
$_->stop('immediate') for $cluster->nodes;
$proxy->kill_kill;

done_testing();
