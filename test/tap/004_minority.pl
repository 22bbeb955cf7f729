# One of three nodes is up: writes fail in time with the documented SQLSTATE
# and the last known leader in DETAIL, local reads work, and what was refused
# for certain never happens.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

# Far above what a busy machine adds to the timeout of one second.
my $IN_TIME = 30;

my $cluster = StoreCluster->new;
my ($one, $two, $three) = $cluster->nodes;
my $leader = $cluster->wait_for_leader;

$one->safe_psql('postgres',
	'SELECT store.put(' . StoreCluster::configmap('before', 1) . ')');

sub check_survivor
{
	my ($survivor, $what, $last_leader) = @_;
	my @dead = $cluster->others($survivor);
	my ($state, $error, $seconds);

	$cluster->wait_all_writable;
	$cluster->kill9(@dead);

	# A leader finds out within an election timeout, by check-quorum.
	$survivor->poll_query_until('postgres',
		"SELECT state <> 'leader' AND leader IS NULL FROM store.status")
	  or die 'still believes in a leader';

	($state, $error, $seconds) = StoreCluster::sqlstate($survivor,
			"SET store.request_timeout = '1s';\nSELECT store.put("
		  . StoreCluster::configmap("refused-$what", 1)
		  . ');');
	is($state, 'RS503', "$what: a write is refused");
	cmp_ok($seconds, '<', $IN_TIME, "$what: in time");
	like($error, qr/DETAIL: .*\b$last_leader\b/, "$what: DETAIL names the last known leader");

	for my $sql ('SELECT store.delete(\'ConfigMap\', \'before\', \'default\');',
		'SELECT store.patch(\'ConfigMap\', \'before\', \'{"data": {"value": "2"}}\', \'default\');',
		'SELECT store.update(' . StoreCluster::configmap('before', 2) . ');',
		'SELECT store.create(' . StoreCluster::configmap("refused-too-$what", 1) . ');',
		'SELECT store.get(\'ConfigMap\', \'before\', \'default\');',
		'SELECT count(*) FROM store.list(\'ConfigMap\');',
		'SELECT store.barrier();')
	{
		($state) = StoreCluster::sqlstate($survivor, "SET store.request_timeout = '300ms';\n$sql");
		is($state, 'RS503', "$what: $sql");
	}

	is( $survivor->safe_psql('postgres', q{
		SET store.read_consistency = 'local';
		SELECT store.get('ConfigMap', 'before', 'default')#>>'{data,value}',
			(SELECT count(*) FROM store.list('ConfigMap', 'default'))}),
		'1|1', "$what: local reads work");
	is($survivor->safe_psql('postgres', 'SELECT count(*) FROM store.resources'),
		'1', "$what: and so does plain SQL");

	$cluster->restart_killed($_) for @dead;
	$cluster->wait_for_leader;
	$cluster->wait_all_writable;
	is( $survivor->safe_psql('postgres',
			"SELECT count(*) FROM store.resources WHERE name LIKE 'refused%'"),
		'0', "$what: what was refused did not happen");
	is( $survivor->safe_psql('postgres',
			"SELECT count(*) FROM store.events WHERE name LIKE 'refused%'"),
		'0', "$what: not for a moment");
	return;
}

check_survivor($leader, 'leader', $leader->name);

$leader = $cluster->wait_for_leader;
my ($follower) = $cluster->others($leader);
check_survivor($follower, 'follower', $leader->name);

# The instant before a leader finds out: it has taken the write into its log,
# so nobody can say; the error says so.
$leader = $cluster->wait_for_leader;
$cluster->kill9($cluster->others($leader));
my ($state, $error) = StoreCluster::sqlstate($leader,
		"SET store.request_timeout = '1s';\nSELECT store.put("
	  . StoreCluster::configmap('unknown', 1)
	  . ');');
like($state, qr/^RS50[03]$/, 'a write at that moment ends in an error');
like($error, $state eq 'RS500' ? qr/may/ : qr/DETAIL/, 'which says how certain it is');

done_testing();
