# A hundred watchers on three nodes that are killed, stopped and restarted under
# writes: each is told what the history says it should be, and nothing else.
# The work is done by test/watch; this starts its servers, and reads its report.
#
# WATCH_SECONDS (20), WATCH_SEED, WATCH_RATE (60 writes a second): see "make
# watch-check".

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $seconds = $ENV{WATCH_SECONDS} || 20;
my $seed = $ENV{WATCH_SEED} || int(rand(1_000_000_000));
my $rate = $ENV{WATCH_RATE} || 60;

# When a node is down, its clients go to the others.
my $cluster = StoreCluster->new(
	conf => "max_connections = 250\nrestart_after_crash = on\n"
	  . "store.history_retention = '1d'\nstore.history_size = '8GB'\n");
my @nodes = map { $_->data_dir . '=' . $_->connstr('postgres') . ' user=postgres' } $cluster->nodes;
my $bindir = $cluster->{nodes}[0]->config_data('--bindir');
my $output = '';

$cluster->wait_for_leader;
my $run = IPC::Run::start(
	[
		'build/watch_check', '-s', $seed, '-t', $seconds, '-r', $rate, '-b', $bindir, @nodes
	],
	'<', \undef, '>&', sub { $output .= $_[0]; print STDOUT map { "# $_\n" } split /\n/, $_[0]; });
my $passed = $run->finish;

# The nodes were started by somebody else: tell the module.
$_->_update_pid(1) for $cluster->nodes;

ok($passed, "every watcher was told what it should be (seed $seed)");
like($output, qr/^violations: 0$/m, 'no violations');
my ($found, $tried) = $output =~ /^flaws found: (\d+) of (\d+)$/m;
ok($found && $found == $tried, 'the judge finds every flaw that is put in');
for my $what ([ qr/^events: (\d+)$/m, 'events' ],
	[ qr/^watchers: \d+; deliveries: (\d+)/m, 'deliveries to watchers' ],
	[ qr/^listeners: \d+; deliveries: (\d+)/m, 'deliveries to listeners' ],
	[ qr/gaps repaired: (\d+)/, 'gaps repaired' ])
{
	my ($count) = $output =~ $what->[0];
	ok($count, "there were $what->[1]: " . ($count // 0));
}
$cluster->wait_all_writable;
$cluster->is_same_everywhere('all nodes have the same objects');

done_testing();
