# A disk that goes back as a whole, with all files in their places, is nothing
# that the server on it could see; nor does it know that it runs twice.  The other
# members do: by the number of its start, or by what it had acknowledged to the
# leader.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Amnesia;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

# The state of the member as it was, and as it is now, side by side.
sub set_aside
{
	my ($node) = @_;

	$node->stop;
	copy_folder($node->data_dir, $node->data_dir . '.now');
	return;
}

# What an operator who knows that nothing happened meanwhile would do.
sub put_back
{
	my ($node) = @_;

	$node->stop;
	go_back_in_place($node->data_dir . '.now', $node);
	$node->start;
	return;
}

# What a member acknowledged is known to the leader of that term only, so it must
# not lose its office on a busy machine before the member is back.
sub set_election_timeout
{
	my ($value) = @_;

	for my $node ($cluster->running)
	{
		$node->safe_psql('postgres', "ALTER SYSTEM SET store.election_timeout = '$value'");
		$node->reload;
		$node->poll_query_until('postgres',
			"SELECT current_setting('store.election_timeout') = '$value'")
		  or die 'the setting does not come';
	}
	return;
}

start_cluster();
write_some($cluster->wait_for_leader);

#
# Back to the disk of an earlier start.
#
{
	my ($victim, $leader, $other) = cast();
	my $saved = $victim->data_dir . '.saved';
	my $name = 'disk of an earlier start';
	my $start;

	$victim->stop;
	copy_folder($victim->data_dir, $saved);
	$victim->start;
	$cluster->wait_all_writable;
	write_some($leader);

	# Every start is told to everybody, not just to the leader.
	$start = $victim->safe_psql('postgres', 'SELECT start FROM store.raft_state');
	ok( $_->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM store.raft_starts WHERE start = $start"),
		"$name: " . $_->name . ' knows of the later start')
	  for $leader, $other;
	set_aside($victim);

	# What the others know of it outlasts them.
	$_->restart for $leader, $other;
	$cluster->wait_all_writable;
	go_back_in_place($saved, $victim);
	$victim->start;
	is_detached($victim, qr/shut out.*another node was started with its identity/, $name);
	is_out_of_service($victim, $name);
	no_leader_without($leader, $other, $name);

	# So does what it knows itself, when nobody is there to tell it.
	$_->stop for $leader, $other;
	$victim->restart;
	is_detached($victim, qr/shut out/, "$name, started again");
	$_->start for $leader, $other;
	like(
		(StoreCluster::sqlstate($victim, 'SELECT store.keep_identity()'))[1],
		qr/shut out/, "$name: an operator cannot say otherwise");
	put_back($victim);
	all_is_there($name);
}

#
# Back to an earlier moment of the same start: only the leader knows what the
# member acknowledged since.
#
{
	my $name = 'disk of an earlier moment';

	set_election_timeout('1min');
	my ($victim, $leader, $other) = cast();
	$victim->backup('moment');
	write_some($leader);
	$victim->stop;
	go_back_in_place($victim->backup_dir . '/moment', $victim);
	$victim->start;
	is_detached($victim, qr/shut out.*lost data/, $name);
	ok( $leader->log_contains(
			'member "' . $victim->name . '" has lost part of the log that it acknowledged'),
		"$name: the leader tells in its log");
	set_election_timeout('1s');
	no_leader_without($leader, $other, $name);
	$victim->stop;
	all_is_there($name);
}

done_testing();
