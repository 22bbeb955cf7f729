# The past is what it was.  Writers on three nodes change a few resources at
# random; the test keeps a model out of their acknowledgements, and asks every
# node for random indexes: while they write, afterwards, after a restart of all
# nodes, and down to a floor that is the same everywhere.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $seed = $ENV{STORE_SEED} // int(rand(1_000_000));
diag("STORE_SEED=$seed");
srand($seed);

my $WRITES = 250;    # of each writer
my @NAMESPACES = ('north', 'south', undef);
my @NAMES = ('a' .. 'h');

my $cluster = StoreCluster->new;
my @nodes = $cluster->nodes;

# A client that writes at random and reports what it was told.
sub start_random_writer
{
	my ($node, $name) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$name.acks";
	my $sql = '';

	for my $i (1 .. $WRITES)
	{
		my $resource = $NAMES[ rand @NAMES ];
		my $namespace = $NAMESPACES[ rand @NAMESPACES ];
		my $place = defined $namespace ? "'$namespace'" : 'NULL';
		my $shown = $namespace // '';
		my $call;

		if (rand() < 0.3)
		{
			$call = "store.delete('Thing', '$resource', $place)";
		}
		elsif (rand() < 0.3)
		{
			my $value = int(rand(5));
			$call = "store.patch('Thing', '$resource',"
			  . " '{\"spec\": {\"patched\": $value}}', $place)";
		}
		else
		{
			my %metadata = (name => $resource);
			$metadata{namespace} = $namespace if defined $namespace;
			$call = 'store.put(' . StoreCluster::quote(JSON::PP->new->canonical->encode({
				apiVersion => 'v1', kind => 'Thing', metadata => \%metadata,
				spec => { value => int(rand(5)), pad => 'x' x int(rand(3000)) } })) . ')';
		}
		$sql .= "SELECT '$shown', '$resource', w.op, w.resource_version, w.object FROM $call w;\n";
	}
	$sql .= "SELECT 'done';\n";
	return {
		file => $file,
		run => IPC::Run::start(
			[
				'psql', '-XAtq', '-F', '|', '-v', 'ON_ERROR_STOP=1',
				'-d', $node->connstr('postgres')
			],
			'<', \$sql, '>', $file),
	};
}

# What was seen at an index while others wrote: index => text of the list.
my %seen;

my @writers = map { start_random_writer($nodes[$_], "random$_") } 0 .. 2;
my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;
while (time() < $deadline && grep { slurp_file($_->{file}) !~ /^done$/m } @writers)
{
	my $node = $nodes[ rand @nodes ];
	my ($version, $items) = split /\|/, $node->safe_psql('postgres', q{
		SELECT l #>> '{metadata,resourceVersion}', l -> 'items'
		FROM store.list_page('Thing') AS l}), 2;

	$seen{$version} = $items;

	# It is the same again, elsewhere, a little later.
	my ($then) = (sort { $a <=> $b } keys %seen)[ rand keys %seen ];
	my $other = $nodes[ rand @nodes ];
	my $again = $other->safe_psql('postgres', "SELECT store.list_page('Thing',
		resource_version => $then, resource_version_match => 'Exact') -> 'items'");
	if ($again ne $seen{$then})
	{
		fail("index $then changed while others wrote, on " . $other->name);
		diag("seen: $seen{$then}\nagain: $again");
	}
	$_->{run}->pump_nb for @writers;
}
ok($_->{run}->finish, 'every write was acknowledged') for @writers;
note(scalar(keys %seen) . ' indexes were looked at meanwhile');

# The model: for each key its states in order.
my %states;
my $last = 0;
for my $writer (@writers)
{
	for my $line (split /\n/, slurp_file($writer->{file}))
	{
		my ($namespace, $name, $op, $version, $object) = split /\|/, $line, 5;

		next if $line eq 'done' || $op eq 'NoOp' || $op eq 'Unchanged';
		$states{"$namespace/$name"}{$version} = $op eq 'Deleted' ? undef : $object;
		$last = $version if $version > $last;
	}
}
my ($first) = sort { $a <=> $b } map { keys %$_ } values %states;

sub model_object
{
	my ($key, $index) = @_;
	my $object;

	for my $version (sort { $a <=> $b } keys %{ $states{$key} // {} })
	{
		last if $version > $index;
		$object = $states{$key}{$version};
	}
	return $object;
}

# In key order: no namespace sorts before all others.
sub model_list
{
	my ($index) = @_;

	return join("\n", grep { defined } map { model_object($_, $index) } sort keys %states);
}

sub model_differs
{
	my ($node, $index) = @_;
	my $list = $node->safe_psql('postgres', "SELECT jsonb_array_elements(store.list_page('Thing',
		resource_version => $index, resource_version_match => 'Exact') -> 'items')");
	my $limit = 1 + int(rand(10));
	my $key = (sort keys %states)[ rand keys %states ];
	my ($namespace, $name) = split m{/}, $key;
	my $place = $namespace eq '' ? 'NULL' : "'$namespace'";
	my $object = $node->safe_psql('postgres',
		"SELECT store.get('Thing', '$name', $place, resource_version => $index)");
	my ($pages, $token) = ('', 'NULL');

	return "list at $index: $list\nmodel: " . model_list($index) if $list ne model_list($index);
	return "$key at $index: $object" if $object ne (model_object($key, $index) // '');

	my $version = "resource_version => $index";
	for (;;)
	{
		my $page = $node->safe_psql('postgres', qq{SELECT jsonb_array_elements(l -> 'items')::text,
			l #>> '{metadata,continue}' FROM store.list_page('Thing', "limit" => $limit,
				$version) AS l});
		($token) = $page =~ /\|([-_\w]+)$/m;
		$page =~ s/\|[-_\w]*$//mg;
		$pages .= "$page\n" if $page ne '';
		last if !defined $token;
		$version = "continue => '$token'";
	}
	chomp $pages;
	return "pages of $limit at $index: $pages" if $pages ne $list;
	return;
}

sub check_past
{
	my ($what, $lowest, $count) = @_;
	my @wrong;

	for (1 .. $count)
	{
		my $index = $lowest + int(rand($last - $lowest + 1));
		my $node = $nodes[ rand @nodes ];
		my $wrong = model_differs($node, $index);

		push @wrong, $node->name . ": $wrong" if defined $wrong;
	}
	is("@wrong", '', "$what: $count random indexes on random nodes");
	return;
}

is(scalar(grep { $seen{$_} ne $nodes[0]->safe_psql('postgres', "SELECT store.list_page('Thing',
	resource_version => $_, resource_version_match => 'Exact') -> 'items'") } keys %seen),
	0, 'what was seen while they wrote is still so');
is(model_differs($nodes[$_], $last), undef, 'the newest state is the model\'s, on node ' . ($_ + 1))
  for 0 .. 2;
check_past('afterwards', $first - 1, 40);

# History is on disk.
$_->stop('immediate') for @nodes;
$_->start for @nodes;
$cluster->wait_all_writable;
check_past('after a crash of all nodes', $first - 1, 20);

# One floor.
sub floors
{
	$cluster->wait_all_writable;
	return join ' ', map { $cluster->status($_, 'compacted_revision') } @nodes;
}

my $floor = int(($first + $last) / 2);
my ($follower) = $cluster->others($cluster->wait_for_leader);
is($follower->safe_psql('postgres', "SELECT store.compact($floor)"), $floor,
	'a follower compacts');
is(floors(), "$floor $floor $floor", 'the floor is the same on all nodes');
check_past('above the floor', $floor, 20);
for my $node (@nodes)
{
	for my $sql ("store.get('Thing', 'a', resource_version => $floor - 1)",
		"store.list_page('Thing', resource_version => $floor - 1,"
		  . " resource_version_match => 'Exact')",
		"store.list_page('Thing', resource_version => $floor - 1, \"limit\" => 2)")
	{
		my ($state) = StoreCluster::sqlstate($node, "SELECT $sql;");
		is($state, 'RS410', $node->name . ": $sql");
	}
}

$_->stop('immediate') for @nodes;
$_->start for @nodes;
is(floors(), "$floor $floor $floor", 'and after a crash of all nodes');
check_past('after that', $floor, 10);

# The same bytes everywhere.
my %events = map { $_ => 1 } map { $_->safe_psql('postgres', qq{
	SELECT count(*), md5(string_agg(e::text, '' ORDER BY resource_version, ordinal))
	FROM store.events AS e WHERE resource_version > $floor}) } @nodes;
is(scalar(keys %events), 1, 'all nodes have the same history') or diag(explain(\%events));
$cluster->is_same_everywhere('and the same resources');

done_testing();
