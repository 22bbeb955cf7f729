# A leader whose disk is slow hands leadership over to a member that has all it
# has, and writes go on.  commit_delay stands in for the disk: it makes every
# flush of one server a tenth of a second longer.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new(conf => <<'EOC');
fsync = on
commit_siblings = 0
EOC
my $leader = $cluster->wait_for_leader;
my ($client, $other) = $cluster->others($leader);
my $term = $cluster->term;
my $writer = $cluster->start_writer($client, 'slow');

StoreCluster::wait_for_writes($writer, 20);
is($cluster->wait_for_leader->name, $leader->name, 'a leader with a good disk stays');

# A flush of 100 ms is longer than half of an election timeout of 150 ms.
for my $node ($cluster->nodes)
{
	$node->append_conf('postgresql.conf', "store.heartbeat_interval = '40ms'\n");
	$node->append_conf('postgresql.conf', "store.election_timeout = '150ms'\n");
	$node->append_conf('postgresql.conf', "commit_delay = 100000\n") if $node == $leader;
	$node->reload;
}

my $log = $leader->logfile;
StoreCluster::poll('the leader hands over',
	sub { slurp_file($log) =~ /handing leadership over, because this node's disk is slow/ });
StoreCluster::wait_for_writes($writer, 50);
my @acknowledged = StoreCluster::stop_writer($writer);
cmp_ok($cluster->term, '>', $term, 'another member was elected');

$_->safe_psql('postgres', 'ALTER SYSTEM SET commit_delay = 0') for $leader;
$leader->reload;
$cluster->wait_all_writable;
is($cluster->missing_writes($_, @acknowledged),
	'', $_->name . ' has all ' . @acknowledged . ' acknowledged writes')
  for $cluster->nodes;
$cluster->is_same_everywhere('all have the same objects');

done_testing();
