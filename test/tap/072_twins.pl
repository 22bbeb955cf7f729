# Two nodes with one identity at the same time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Amnesia;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

start_cluster();

#
# A foreign server at the address of a member, in whose own cluster there were
# more starts of the member with our number.  Its word does not count here.
#
{
	my $leader = $cluster->wait_for_leader;
	my ($victim) = grep { $cluster->status($_, 'node_id') < 3 } $cluster->others($leader);
	my ($other) = grep { $_ != $victim } $cluster->others($leader);
	my $id = $cluster->status($victim, 'node_id');
	my @foreign = map { StoreCluster->server($_) } 'foreign1', 'foreign2';
	my $foreigners = bless { nodes => \@foreign }, 'StoreCluster';
	my $starts = "SELECT max(start >> 16) FROM store.raft_starts WHERE node_id = $id";
	my ($namesake, $neighbor, $known);

	$_->safe_psql('postgres', 'CREATE EXTENSION store') for @foreign;
	$foreigners->join_node($foreign[1], $foreign[0]);
	($namesake, $neighbor) = $id == 1 ? @foreign : reverse @foreign;
	$known = $leader->safe_psql('postgres', $starts);
	StoreCluster::poll(
		'more starts over there',
		sub {
			return 1 if ($neighbor->safe_psql('postgres', $starts) || 0) > $known;
			$namesake->restart;
			$foreigners->wait_all_writable;
			return 0;
		});

	$_->stop for $namesake, $neighbor, $other;
	$neighbor->append_conf('postgresql.conf', 'port = ' . $other->port);
	$neighbor->{_port} = $other->port;
	$neighbor->start;
	$victim->restart;
	ok( $victim->poll_query_until('postgres',
			"SELECT last_error ~ 'not member' FROM store.members WHERE name = '"
			  . $other->name . "'"),
		'foreign server: its answer is no verdict on our member');
	is($cluster->status($victim, q{state <> 'detached'}),
		't', 'foreign server: the member goes on');
	$victim->restart;
	$neighbor->stop;
	$other->start;
	$cluster->wait_all_writable;
	write_some($victim);
	all_is_there('foreign server');
}

#
# Two nodes with one identity at once: an operator says of a second copy that it
# is the member, while the member runs.
#
{
	my ($victim, $leader, $other) = cast();
	my $twin = PostgreSQL::Test::Cluster->new('twin');

	$victim->backup('twin');
	$twin->init_from_backup($victim, 'twin');
	$twin->append_conf('postgresql.conf', 'port = ' . $twin->port);
	$twin->start;
	write_some($leader);
	is_detached($twin, qr/copied or restored/, 'twin');
	goes_on($victim, 'twin');

	$twin->safe_psql('postgres', 'SELECT store.keep_identity()');
	is_detached($victim, qr/a later start of it is known/, 'twin: the member is stopped');
	$leader->poll_query_until('postgres', 'SELECT store.barrier() > 0');
	write_some($leader);
	$twin->stop;
	no_leader_without($leader, $other, 'twin: the member');
	$victim->stop;
	all_is_there('twin');
}

done_testing();
