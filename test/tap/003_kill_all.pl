# SIGKILL of all three postmasters at once, during writes: nothing acknowledged
# is lost, and resource_version never goes back.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new;
my @nodes = $cluster->nodes;
my @everything;
my $highest = 0;

for my $round (1 .. 3)
{
	my @writers = map { $cluster->start_writer($nodes[$_], "round$round-$_") } 0 .. $#nodes;
	my @acknowledged;
	my ($lowest_now, $highest_now);

	StoreCluster::wait_for_writes($_, 30) for @writers;
	$cluster->kill9(@nodes);
	push @acknowledged, StoreCluster::stop_writer($_) for @writers;

	($lowest_now, $highest_now) =
	  (sort { $a <=> $b } map { $_->[1] } @acknowledged)[ 0, -1 ];
	cmp_ok($lowest_now, '>', $highest, "round $round: versions go on where they were");
	$highest = $highest_now;
	push @everything, @acknowledged;

	$cluster->restart_killed($_) for @nodes;
	$cluster->wait_for_leader;
	$cluster->wait_all_writable;

	my $version = $nodes[ $round % 3 ]->safe_psql('postgres',
		'SELECT resource_version FROM store.put('
		  . StoreCluster::configmap("after-round-$round", $round) . ')');
	cmp_ok($version, '>', $highest, "round $round: the next write gets a higher version");
	$highest = $version;

	is($cluster->missing_writes($_, @everything),
		'', "round $round: " . $_->name . ' has all ' . @everything . ' acknowledged writes')
	  for @nodes;
	$cluster->is_same_everywhere("round $round: all have the same objects");
}

# The history has no hole that a write fell into, and no version twice.
for my $node (@nodes)
{
	is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM store.resources r
		WHERE NOT EXISTS (SELECT FROM store.events e
			WHERE e.resource_version = r.resource_version
				AND e.kind = r.kind AND e.name = r.name AND e.object = r.object)}),
		'0', $node->name . ': every object is in the history');
}

done_testing();
