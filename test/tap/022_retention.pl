# History goes by itself, by age and by size: the leader proposes the floor, so
# it is the same everywhere; each node empties its segments, unless somebody is
# reading them, and nobody who reads holds up the store.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new(conf => "store.history_retention = -1\n");
my @nodes = $cluster->nodes;
my $SEGMENTS = q{SELECT sum(pg_table_size(inhrelid)) FROM pg_inherits
	WHERE inhparent = 'store.events'::regclass};

sub set_everywhere
{
	my ($name, $value) = @_;

	for my $node (@nodes)
	{
		$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
		$node->reload;
	}
	return;
}

# Objects that do not compress, 10 kB each.
sub write_kilobytes
{
	my ($node, $kilobytes) = @_;

	$node->safe_psql('postgres', qq{
		SELECT count(*) FROM generate_series(1, $kilobytes / 10) AS i,
			store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'Stone',
				'metadata', jsonb_build_object('name', 's' || i % 3),
				'spec', jsonb_build_object('i', i, 'pad', (
					SELECT string_agg(md5(i || '.' || j || random()), '')
					FROM generate_series(1, 310) AS j))))});
	return;
}

sub floor_of
{
	my ($node) = @_;

	return $cluster->status($node, 'compacted_revision');
}

sub same_floor
{
	$cluster->wait_all_writable;
	return keys %{ { map { floor_of($_) => 1 } @nodes } } == 1;
}

my $leader = $cluster->wait_for_leader;
my ($follower, $other) = $cluster->others($leader);

# By size.  An event holds the object before and after, so half of the events
# are worth a megabyte.
write_kilobytes($leader, 1000);
is(floor_of($leader), 0, 'without a limit in reach nothing goes');
set_everywhere('store.history_size', '1MB');
write_kilobytes($follower, 6000);
ok(StoreCluster::poll('the floor to rise by size', sub { floor_of($follower) > 0 }),
	'too much history goes');
ok( StoreCluster::poll(
		'segments to be emptied',
		sub {
			write_kilobytes($leader, 10);
			return !grep { $_->safe_psql('postgres', $SEGMENTS) > 6 * 1024 * 1024 } @nodes;
		}),
	'and the room of it is given back on every node');
ok(StoreCluster::poll('the floors to agree', \&same_floor), 'there is one floor');

# Somebody reads, and does not let go.  Segments stay, everything else goes on.
my $reader = $other->background_psql('postgres');
$reader->query_safe('BEGIN');
my $held = $reader->query_safe('SELECT count(*) FROM store.events');
my $floor = floor_of($other);
write_kilobytes($leader, 6000);
ok(StoreCluster::poll('the floor to rise beside a reader',
		sub { floor_of($other) > $floor && same_floor() }),
	'the floor rises beside a reader');
unlike($cluster->status($other, 'problem'), qr/apply/, 'without a problem');
cmp_ok($other->safe_psql('postgres', $SEGMENTS), '>', 6 * 1024 * 1024, 'his node keeps the rows');
$reader->query_safe('COMMIT');
$reader->quit;
ok( StoreCluster::poll(
		'segments to be emptied behind the reader',
		sub {
			write_kilobytes($leader, 10);
			return $other->safe_psql('postgres', $SEGMENTS) < 6 * 1024 * 1024;
		}),
	'until he is done');

# What is left is what is above the floor, on all of them.
$cluster->wait_all_writable;
$floor = (sort { $b <=> $a } map { floor_of($_) } @nodes)[0];
is( scalar(keys %{ { map { $_->safe_psql('postgres', qq{
		SELECT md5(string_agg(e::text, '' ORDER BY resource_version, ordinal))
		FROM store.events AS e WHERE resource_version > $floor}) => 1 } @nodes } }),
	1, 'all nodes have the same history above it');

# By age; an idle store, too.
set_everywhere('store.history_size', '1GB');
set_everywhere('store.history_retention', '2s');
sub put_last
{
	my ($node, $value) = @_;

	return $node->safe_psql('postgres',
		'SELECT resource_version FROM store.put(' . StoreCluster::configmap('last', $value) . ')');
}

my $last = put_last($leader, 1);
ok(StoreCluster::poll('the floor to rise by age',
		sub { floor_of($follower) >= $last && same_floor() }),
	'what is too old goes, though nothing else happens');
is(floor_of($leader), $last, 'up to the newest event that is too old');

# The next object gets too old, too, after the same time, in which nothing is
# written but it and the order to forget it.
my $quiet = $cluster->status($leader, 'last_index');
$last = put_last($leader, 2);
ok(StoreCluster::poll('the floor to rise again', sub { floor_of($leader) >= $last }),
	'and so does what comes later');
is($leader->safe_psql('postgres', join(' + ', map {
		"(SELECT count(*) FROM store.raft_log_$_ WHERE kind = 1 AND index > $quiet)" } 0 .. 3)
		=~ s/^/SELECT /r),
	2, 'for which nothing is written in vain');

# Whoever leads next goes on with it.
$cluster->kill9($leader);
my $next = $cluster->wait_for_leader;
$last = put_last($next, 3);
ok(StoreCluster::poll('the floor to rise under the next leader',
		sub { floor_of($next) >= $last }),
	'the next leader sees to it');
$cluster->restart_killed($leader);
ok(StoreCluster::poll('the floor to be the same again', \&same_floor),
	'and the last one has its floor when it comes back');

done_testing();
