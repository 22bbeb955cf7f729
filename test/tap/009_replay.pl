# What the raft workers recorded of their cores' events, through elections and
# the death of a leader, leads a replayed core to the same updates; and a
# recording that was tampered with does not.

use strict;
use warnings;

use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir;
my $replay = "$ENV{TESTDIR}/build/raft/raft_replay";
my $cluster = StoreCluster->new(conf => "store.record_directory = '$directory'\n");

my $leader = $cluster->wait_for_leader;
my @writers = map { $cluster->start_writer($_, $_->name) } $cluster->others($leader);
StoreCluster::wait_for_writes($_, 50) for @writers;
$cluster->kill9($leader);
StoreCluster::wait_for_writes($_, 50) for @writers;
StoreCluster::stop_writer($_) for @writers;
$cluster->restart_killed($leader);
$cluster->wait_all_writable;
$_->stop('fast') for $cluster->nodes;

my @recordings = glob("$directory/*.rec");
cmp_ok(scalar @recordings, '>=', 4, 'every life of a raft worker is recorded');

my $steps = 0;
for my $recording (@recordings)
{
	my ($stdout, $stderr) = run_command([ $replay, $recording ]);

	like($stdout, qr/^(\d+) steps, the same as recorded$/, "$recording replays")
	  or diag($stderr);
	$steps += $1 if $stdout =~ /^(\d+) steps/;
}
cmp_ok($steps, '>', 200, "$steps steps were replayed");

# The digest of the last step is in the last bytes but for its event; flip one
# bit in each of the bytes of the last kilobyte, one at a time.
my ($longest) = sort { -s $b <=> -s $a } @recordings;
my $damaged = "$directory/damaged.rec";
my $noticed = 0;
for my $offset (1 .. 64)
{
	my $byte;

	copy($longest, $damaged) or die "copy: $!";
	open my $file, '+<:raw', $damaged or die "open: $!";
	seek $file, -16 * $offset, 2;
	read $file, $byte, 1;
	seek $file, -16 * $offset, 2;
	print $file chr(ord($byte) ^ 1);
	close $file;
	$noticed++ if system("$replay $damaged >/dev/null 2>&1") != 0;
}
cmp_ok($noticed, '>=', 8, "of 64 flipped bits, $noticed changed what the core does");

done_testing();
