# Who waits for an answer gets one, and a certain one: leaders are killed, raft and
# apply workers are ended and stopped, connections between members are ended below
# clients that have time, and leadership goes round.  The workers finish what was
# begun, once.  Only a session whose own server was killed is left in doubt.
#
# EXACTLY_ONCE_SECONDS (15), EXACTLY_ONCE_SEED.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $seconds = $ENV{EXACTLY_ONCE_SECONDS} || 15;
my $seed = $ENV{EXACTLY_ONCE_SEED} || int(rand(1_000_000_000));
my $history = "$PostgreSQL::Test::Utils::tmp_check/exactly_once.history";
my $faults = 'kill of the leader,end of a raft worker,end of an apply worker,stop of a raft worker,'
  . 'transfer,end of links';

my $cluster = StoreCluster->new(
	conf => "max_connections = 60\nstore.log_segment_size = '256kB'\n"
	  . "store.history_retention = -1\nstore.history_size = '8GB'\n");
my @nodes = map { $_->data_dir . '=' . $_->connstr('postgres') . ' user=postgres' } $cluster->nodes;
my $output = '';

$cluster->wait_for_leader;
my $run = IPC::Run::start(
	[
		'build/torture', 'run', '-p', '-s', $seed, '-t', $seconds, '-r', 600,
		'-o', $history, '-f', $faults, @nodes
	],
	'<', \undef, '>&', sub { $output .= $_[0]; note($_[0]); });

ok($run->finish, "every outcome is known, and right (seed $seed, history $history)")
  or diag(join "\n", grep { /VIOLATION/ } split /\n/, $output);
for my $what ([ qr/^judged: (\d+) operations/m, 'operations' ],
	[ qr/^  end of a raft worker +(\d+)/m, 'raft workers that were ended' ],
	[ qr/^  end of an apply worker +(\d+)/m, 'apply workers that were ended' ],
	[ qr/^  kill of the leader +(\d+)/m, 'leaders that were killed' ],
	[ qr/^  end of links +(\d+)/m, 'times that connections between members were ended' ],
	[ qr/^elections: (\d+)/m, 'elections' ])
{
	my ($count) = $output =~ $what->[0];
	ok($count, "there were $what->[1]: " . ($count // 0));
}

done_testing();
