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
	is($cluster->status($victim, 'state'), 'follower', 'twin: the member goes on');

	$twin->safe_psql('postgres', 'SELECT store.keep_identity()');
	is_detached($victim, qr/a later start of it is known/, 'twin: the member is stopped');
	no_leader_without($leader, $other, 'twin: the member');
	$leader->poll_query_until('postgres', 'SELECT store.barrier() > 0');
	write_some($leader);
	$victim->stop;
	$twin->stop;
	all_is_there('twin');
}

done_testing();
