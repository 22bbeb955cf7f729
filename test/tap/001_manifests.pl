# Real manifests, put through three nodes in turn, are the same on all three
# and come back as they were put.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my @lines = StoreCluster::manifests();
cmp_ok(scalar @lines, '>', 20, 'there are manifests to put: ' . scalar @lines);

my $cluster = StoreCluster->new;
my @sessions = map { $_->background_psql('postgres') } $cluster->nodes;

# The next node is asked before the previous one's followers had a reason to
# tell it: order and visibility are the store's business.
my %versions;
my $refused = 0;
for my $i (0 .. $#lines)
{
	my $session = $sessions[ $i % @sessions ];
	my $answer =
	  $session->query_safe('SELECT op, resource_version FROM store.put('
		  . StoreCluster::quote($lines[$i])
		  . ')');

	if ($answer =~ /^Created\|(\d+)$/)
	{
		$versions{$1} = 1;
	}
	else
	{
		$refused++;
		diag("object $i: $answer");
	}
}
is($refused, 0, 'every object is created');
is(scalar keys %versions, scalar @lines, 'each at a resource version of its own');

$cluster->is_same_everywhere('all three nodes have the same objects');

# Read back, each on another node than it was put on.
my $stamps = join ' ',
  map { "#- '{metadata,$_}'" } qw(resourceVersion uid creationTimestamp generation);
my $changed = 0;
my $unstamped = 0;
for my $i (0 .. $#lines)
{
	my $object = decode_json($lines[$i]);
	my $session = $sessions[ ($i + 1) % @sessions ];
	my $arguments = join ', ', map { defined $_ ? StoreCluster::quote($_) : 'NULL' } (
		$object->{kind}, $object->{metadata}{name},
		$object->{metadata}{namespace}, $object->{apiVersion});
	my $answer = $session->query_safe(
		"WITH got AS MATERIALIZED (SELECT store.get($arguments) AS object) "
		  . "SELECT (object $stamps) = (put $stamps), "
		  . "object->'metadata' ?& '{resourceVersion,uid,creationTimestamp,generation}' "
		  . 'FROM got, (SELECT '
		  . StoreCluster::quote($lines[$i])
		  . '::jsonb AS put) AS given');

	my ($same, $stamped) = split /\|/, $answer;
	$changed++ unless defined $same && $same eq 't';
	$unstamped++ unless defined $stamped && $stamped eq 't';
	diag("$arguments: $answer") if $answer ne 't|t';
}
is($changed, 0, 'every object comes back as it was put, but for its stamps');
is($unstamped, 0, 'every object has its stamps');

$_->quit for @sessions;

# The columns say what the object says.
my ($one) = $cluster->nodes;
is( $one->safe_psql('postgres', q{
	SELECT count(*) FROM store.resources WHERE
		kind IS DISTINCT FROM object->>'kind'
		OR name IS DISTINCT FROM object#>>'{metadata,name}'
		OR namespace IS DISTINCT FROM object#>>'{metadata,namespace}'
		OR resource_version::text IS DISTINCT FROM object#>>'{metadata,resourceVersion}'
		OR uid::text IS DISTINCT FROM object#>>'{metadata,uid}'
		OR generation::text IS DISTINCT FROM object#>>'{metadata,generation}'
		OR concat_ws('/', nullif(api_group, ''), version)
			IS DISTINCT FROM object->>'apiVersion'}),
	'0', 'columns and objects agree');

# Nothing changes, nothing happens.
my $before = $one->safe_psql('postgres', 'SELECT max(resource_version) FROM store.events');
is( $one->safe_psql('postgres',
		'SELECT op FROM store.put(' . StoreCluster::quote($lines[0]) . ')'),
	'Unchanged', 'putting an object again changes nothing');
is($one->safe_psql('postgres', 'SELECT max(resource_version) FROM store.events'),
	$before, 'and makes no event');

done_testing();
