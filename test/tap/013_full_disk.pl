# A disk that is really full, which the store did not see coming: a member whose
# server cannot write fails, the others go on, and with room again it is a member
# like before.  First a follower, then the leader.
#
# The disk is that of test/torture/shim.c: nothing that makes a file longer works.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $DISK_IS_FULL = 16;			# of struct ShimOrders

sub order
{
	my ($node, $full) = @_;

	open(my $file, '+<', $node->data_dir . '/torture.orders') or die "open: $!";
	seek($file, $DISK_IS_FULL, 0);
	print $file pack('l', $full);
	close($file) or die "close: $!";
	return;
}

$ENV{LD_PRELOAD} = "$ENV{TESTDIR}/build/torture_shim.so";
my $cluster = StoreCluster->new(
	conf => sub {
		append_to_file($_[0]->data_dir . '/torture.orders', "\0" x 64);
		return "restart_after_crash = on\nautovacuum = off\n";
	});

# Its log cannot be written either, so what tells is that a worker, or all of the
# server, is another one.
sub workers
{
	my ($node) = @_;

	return ($node->psql('postgres', q{
		SELECT string_agg(pid::text, ' ' ORDER BY backend_type) FROM pg_stat_activity
		WHERE backend_type IN ('store raft worker', 'store apply worker')}))[1];
}

# Is the server there?  It may have given up on a disk that stays full.
sub is_up
{
	my ($node) = @_;

	return ($node->psql('postgres', 'SELECT 1'))[0] == 0;
}

sub trouble
{
	my ($what, $victim) = @_;
	my ($client) = $cluster->others($victim);
	my $before = workers($victim);
	my $writer = $cluster->start_writer($client, $what);

	StoreCluster::wait_for_writes($writer, 10);
	order($victim, 1);
	ok( StoreCluster::poll('the disk to matter', sub { (workers($victim) // '') ne $before }),
		"$what: it fails");
	ok(StoreCluster::wait_for_writes($writer, 100), "$what: the others go on");
	order($victim, 0);
	if (!is_up($victim))
	{
		# it is crash-starting, or gone for good and wants to be started
		StoreCluster::poll('the server', sub {
			return 1 if is_up($victim);
			$victim->_update_pid(0);
			$victim->start(fail_ok => 1) if !defined $victim->{_pid};
			return 0;
		});
		note("$what: the server had failed");
	}
	$victim->_update_pid(1);
	my @acknowledged = StoreCluster::stop_writer($writer);
	$cluster->wait_all_writable;
	for my $node ($cluster->nodes)
	{
		is($cluster->missing_writes($node, @acknowledged), '',
			"$what: " . $node->name . ' has all ' . @acknowledged . ' acknowledged writes');
	}
	$cluster->is_same_everywhere("$what: all have the same objects");
	return;
}

my $leader = $cluster->wait_for_leader;
trouble('follower', ($cluster->others($leader))[0]);
trouble('leader', $cluster->wait_for_leader);
for my $node ($cluster->nodes)
{
	ok( StoreCluster::poll('no problem', sub {
			($cluster->status($node, 'problem') // 'down') eq ''
		}), $node->name . ' has no problem');
}
$_->stop('immediate') for $cluster->nodes;
done_testing();
