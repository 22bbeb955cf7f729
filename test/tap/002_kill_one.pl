# SIGKILL of any one server's postmaster during a stream of writes from two
# clients: what was acknowledged is there, writes go on, and the server catches
# up by itself when it is started again.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;
use Time::HiRes qw(time);

my $cluster = StoreCluster->new;
my @everything;

sub kill_during_writes
{
	my ($victim, $what) = @_;
	my @clients = $cluster->others($victim);
	my @writers = map { $cluster->start_writer($clients[$_], "$what-$_") } 0 .. 1;
	my $doomed = $cluster->start_writer($victim, "$what-doomed");
	my ($term, $killed_at, @outages, @acknowledged);

	StoreCluster::wait_for_writes($_, 50) for @writers, $doomed;

	$term = $cluster->term;
	$killed_at = time();
	$cluster->kill9($victim);

	StoreCluster::wait_for_writes($_, 50) for @writers;
	ok(1, "$what: both clients go on writing");

	# The longest pause of a client around the kill, by its own clock.
	for my $writer (@writers)
	{
		my @acks = StoreCluster::acknowledged($writer);
		my $longest = 0;

		for my $i (1 .. $#acks)
		{
			next if $acks[$i][2] < $killed_at;
			my $pause = $acks[$i][2] - $acks[ $i - 1 ][2];
			$longest = $pause if $pause > $longest;
		}
		push @outages, $longest;
	}

	# Three election timeouts for an election.  On a busy machine two members
	# may stand at the same moment, which takes another one; the terms tell.
	my $elections = $cluster->term - $term;
	my ($outage) = sort { $b <=> $a } @outages;
	note(sprintf '%s: writes paused for %.2f s, %d election(s)', $what, $outage, $elections);
	cmp_ok($elections, '<=', 3, "$what: no more than a few elections");
	cmp_ok($outage, '<',
		3 * $StoreCluster::ELECTION_TIMEOUT * ($elections > 1 ? $elections : 1),
		"$what: writes go on within three election timeouts");

	push @acknowledged, StoreCluster::stop_writer($_) for @writers, $doomed;
	for my $node (@clients)
	{
		is($cluster->missing_writes($node, @acknowledged),
			'', "$what: " . $node->name . ' has all ' . @acknowledged . ' acknowledged writes');
	}

	$cluster->restart_killed($victim);
	$cluster->wait_all_writable;
	is($cluster->missing_writes($victim, @acknowledged),
		'', "$what: the server that was killed has them too");
	$cluster->is_same_everywhere("$what: all have the same objects");
	push @everything, @acknowledged;
	return;
}

my $leader = $cluster->wait_for_leader;
kill_during_writes($leader, 'leader');

$leader = $cluster->wait_for_leader;
my ($first, $second) = $cluster->others($leader);
my $term = $cluster->term;
kill_during_writes($first, 'follower');
is($cluster->term, $term, 'a follower that was killed and came back deposes nobody');
kill_during_writes($second, 'second-follower');

is($cluster->missing_writes($_, @everything), '', $_->name . ' has everything at the end')
  for $cluster->nodes;

done_testing();
