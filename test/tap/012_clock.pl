# Who waits goes by a clock that nobody sets: an hour back does not make a request
# wait an hour, and an hour ahead does not make it give up.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

# Orders to the clock of a server; see test/torture/shim.h.
$ENV{LD_PRELOAD} = "$ENV{TESTDIR}/build/torture_shim.so";
my $cluster = StoreCluster->new(
	nodes => 2,
	conf => sub { append_to_file($_[0]->data_dir . '/torture.orders', "\0" x 64); return ''; });
my ($one, $two) = $cluster->nodes;

sub step_clock
{
	my ($seconds) = @_;

	open(my $orders, '+<', $one->data_dir . '/torture.orders') or die "orders: $!";
	print $orders pack('q', $seconds * 1_000_000);
	close $orders or die "orders: $!";
	return;
}

# Begin a write that has to wait, and let the clock jump meanwhile.
sub write_meanwhile
{
	my ($name, $timeout, $seconds, $output) = @_;
	my $sql = "SET store.request_timeout = '$timeout';"
	  . 'SELECT op FROM store.put(' . StoreCluster::configmap($name, 1) . ')';
	my $writer = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d', $one->connstr('postgres'),
			'-c', $sql
		],
		'<', \undef, '>&', $output,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	$one->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE wait_event = 'Extension' AND query ~ 'store.put' AND pid <> pg_backend_pid()});
	step_clock($seconds);
	return $writer;
}

my ($before) = $one->safe_psql('postgres', 'SELECT extract(epoch FROM now())::bigint');
step_clock(3600);
cmp_ok($one->safe_psql('postgres', 'SELECT extract(epoch FROM now())::bigint'),
	'>=', $before + 3600, 'the clock of a server can be set');
step_clock(0);

$cluster->wait_for_leader;
$cluster->kill9($two);
my $output = '';
my $writer = write_meanwhile('back', '3s', -3600, \$output);
$writer->finish;
like($output, qr/RS50[03]/, 'an hour back: the request gives up when its time is over');

step_clock(0);
$output = '';
$writer = write_meanwhile('ahead', '120s', 3600, \$output);
$cluster->restart_killed($two);
$writer->finish;
is($output, "Created\n", 'an hour ahead: the request waits as long as it may');

done_testing();
