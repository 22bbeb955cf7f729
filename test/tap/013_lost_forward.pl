# A write that gets lost on its way to the leader is sent again, and done once.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new;
my $leader = $cluster->wait_for_leader;
my ($follower) = $cluster->others($leader);
my $padding = 'x' x 200_000;

# Bytes that some connection to this server has received and it has not read.
sub unread
{
	my ($node) = @_;
	my $port = sprintf('%04X', $node->port);
	my $most = 0;

	for (split /\n/, slurp_file('/proc/net/tcp'))
	{
		my (undef, $local, undef, undef, $queues) = split ' ';

		next if $local !~ /:$port$/;
		my $n = hex((split /:/, $queues)[1]);
		$most = $n if $n > $most;
	}
	return $most;
}

# Whoever receives what the follower sends is stopped, and is gone when the write
# has arrived and is not read yet.
my $receiver = $leader->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE application_name ~ ' @{[$follower->name]}\$'");
my $term = $cluster->term;
my $sql = "SET store.request_timeout = '${PostgreSQL::Test::Utils::timeout_default}s';"
  . 'SELECT op FROM store.put(' . StoreCluster::configmap('lost', $padding) . ')';
my $output = '';

kill('STOP', $receiver) == 1 or die "kill: $!";
my $writer = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $follower->connstr('postgres'), '-f', '-' ],
	'<', \$sql, '>&', \$output,
	IPC::Run::timeout(2 * $PostgreSQL::Test::Utils::timeout_default));
StoreCluster::poll('the write to arrive',
	sub { $writer->pump_nb; return unread($leader) > 30_000 });
kill('TERM', $receiver);
kill('CONT', $receiver);
$writer->finish;
is($output, "Created\n", 'the write is done');
is($cluster->term, $term, 'by the same leader');
is($leader->safe_psql('postgres',
		q{SELECT string_agg(type, ' ') FROM store.events WHERE name = 'lost'}),
	'ADDED', 'once');

done_testing();
