# Lists in pages, of random sizes, from random nodes, with and without a
# selector, while others write: the pages are the list of the version of the
# first.  A token goes on after the leader died, on any node, and below the
# floor it gets a fresh one.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $seed = $ENV{STORE_SEED} // int(rand(1_000_000));
diag("STORE_SEED=$seed");
srand($seed);

my $cluster = StoreCluster->new(conf => "store.request_timeout = '60s'\n");
my @nodes = $cluster->nodes;

# Changes cards at random; a selector finds some of them.
my $CHURN = q{
	DO $$
	DECLARE
		i int;
	BEGIN
		FOR n IN 1 .. 200 LOOP
			i := 1 + (random() * 150)::int;
			IF random() < 0.3 THEN
				PERFORM store.delete('Card', 'c' || i, 'n' || i % 4);
			ELSE
				PERFORM store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'Card',
					'metadata', jsonb_build_object('name', 'c' || i, 'namespace', 'n' || i % 4,
						'labels', jsonb_build_object('suit',
							(ARRAY['hearts', 'spades', 'clubs'])[1 + (random() * 2)::int])),
					'spec', jsonb_build_object('value', (random() * 1000)::int)));
			END IF;
		END LOOP;
	END
	$$;};

$nodes[0]->safe_psql('postgres', $CHURN);

my @churners = map { IPC::Run::start(
		[ 'psql', '-Xq', '-d', $_->connstr('postgres'), '-c', $CHURN x 8 ]) } @nodes;
my $ACTIVE = q{SELECT count(*) FROM pg_stat_activity
	WHERE query LIKE '%PERFORM store.delete%' AND state = 'active' AND pid <> pg_backend_pid()};

# One page: its version, the token of the next, and the items as text.
sub fetch
{
	my ($node, $arguments) = @_;
	my $answer = $node->safe_psql('postgres', qq{
		SELECT (l #>> '{metadata,resourceVersion}') || ' '
			|| coalesce(l #>> '{metadata,continue}', '') || chr(10)
			|| coalesce((SELECT string_agg(i::text, chr(10) ORDER BY n)
				FROM jsonb_array_elements(l -> 'items') WITH ORDINALITY AS e (i, n)), '')
		FROM store.list_page('Card', $arguments) AS l});
	my ($head, $items) = split /\n/, $answer, 2;
	my ($version, $token) = split / /, $head, 2;

	return ($version, $token, grep { $_ ne '' } split /\n/, $items // '');
}

sub all_pages
{
	my ($what) = @_;
	my $node = $nodes[ rand @nodes ];
	my ($first, $token, @items) =
	  fetch($node, "$what, \"limit\" => " . (1 + int(rand(20))));
	my $pages = 1;

	while (($token // '') ne '')
	{
		my ($version, $next, @more);
		my $limit = 1 + int(rand(20));

		$node = $nodes[ rand @nodes ];
		($version, $next, @more) = fetch($node, "$what, continue => '$token', \"limit\" => $limit");
		return "page of version $version in a list of $first" if $version != $first;
		return "a page of " . scalar(@more) . " and then more" if $next && @more != $limit;
		push @items, @more;
		$token = $next;
		$pages++;
	}

	$node = $nodes[ rand @nodes ];
	my (undef, undef, @whole) =
	  fetch($node, "$what, resource_version => $first, resource_version_match => 'Exact'");
	return "list of $first: " . scalar(@items) . ' items in pages, ' . scalar(@whole) . ' at once'
	  if "@items" ne "@whole";
	return '';
}

my $rounds = 0;
my @wrong;
do
{
	for my $what ('namespace => NULL', "namespace => 'n2'",
		"namespace => NULL, label_selector => 'suit=hearts'",
		"namespace => 'n1', label_selector => 'suit!=clubs', field_selector => 'spec.value!=7'")
	{
		my $wrong = all_pages($what);

		push @wrong, "$what: $wrong" if $wrong ne '';
		$rounds++;
	}
} while (grep { $_->safe_psql('postgres', $ACTIVE) > 0 } @nodes);
ok($_->finish, 'a writer beside it came through') for @churners;
is("@wrong", '', "$rounds lists in pages beside three writers");

# Nothing is kept between two pages.
my $leader = $cluster->wait_for_leader;
my ($follower, $other) = $cluster->others($leader);
my ($version, $token, @items) = fetch($leader, '"limit" => 10');
my (undef, undef, @whole) = fetch($leader,
	"resource_version => $version, resource_version_match => 'Exact'");

$cluster->kill9($leader);
$cluster->wait_for_leader;
$follower->safe_psql('postgres', $CHURN);
my ($version_two, $token_two, @more) = fetch($other, "continue => '$token', \"limit\" => 10");
push @items, @more;
$cluster->restart_killed($leader);
$cluster->wait_all_writable;
my ($version_three, $token_three, @rest) = fetch($leader, "continue => '$token_two'");
push @items, @rest;
is("$version_two $version_three", "$version $version", 'a token goes on after the leader died');
is("@items", "@whole", 'with the list of the first page');

# Below the floor.
my $floor = $follower->safe_psql('postgres', 'SELECT applied_index FROM store.status');
$follower->safe_psql('postgres', "SELECT store.compact($floor)");
my ($state, $error) =
  StoreCluster::sqlstate($other, "SELECT store.list_page('Card', continue => '$token');");
is($state, 'RS410', 'a token below the floor is refused');
my ($fresh) = $error =~ /DETAIL: .* (\S+)$/m;

my ($now, undef, @remainder) = fetch($leader, "continue => '$fresh'");
my (undef, undef, @all) = fetch($other,
	"resource_version => $now, resource_version_match => 'Exact'");
cmp_ok($now, '>=', $floor, 'its fresh token goes on at the newest state');
ok(@remainder > 0 && @remainder < @all, 'not from the start');
is("@all[ @all - @remainder .. $#all ]", "@remainder", 'behind the same key');

# Ahead of the store.
($state) = StoreCluster::sqlstate($other,
	"SET store.request_timeout = '300ms';\n"
	  . "SELECT store.list_page('Card', resource_version => $now + 1000);");
is($state, 'RS504', 'a version ahead of the store is waited for, and not for ever');

done_testing();
