# How much is stored and how much history is kept makes no difference to who
# reads one resource, one namespace or one page.  Time is measured elsewhere;
# here the pages that a query touches are counted, and its plan is looked at,
# as the server itself reports them.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $COUNT = 4000;
my $DEPTH = 5;

my $cluster = StoreCluster->new(
	nodes => 1,
	conf => "fsync = off\nautovacuum = off\n");
my ($node) = $cluster->nodes;

# Resources $from to $to, 20 to a namespace, all of them changed.
sub write_all
{
	my ($from, $to, $value) = @_;

	$node->safe_psql('postgres', qq{
		SELECT count(*) FROM generate_series($from, $to) AS i,
			store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'Grain', 'metadata',
				jsonb_build_object('name', 'g' || i, 'namespace', 'n' || i / 20),
				'spec', jsonb_build_object('value', $value)))});
	return;
}

# What the server says of a call: (pages, plan).  The pages are those of all that
# the function reads; the plan is that of its query, '' if it needs none.
sub cost_of
{
	my ($call) = @_;
	my ($ret, $stdout, $stderr) = $node->psql('postgres', qq{
		LOAD 'auto_explain';
		SET client_min_messages = notice;
		SET auto_explain.log_level = notice;
		SET auto_explain.log_min_duration = 0;
		SET auto_explain.log_nested_statements = on;
		SET auto_explain.log_analyze = on;
		SET auto_explain.log_timing = off;
		SET auto_explain.log_buffers = on;
		SELECT 1 FROM $call LIMIT 1;
		SELECT 1 FROM $call LIMIT 1;});
	my @plans = reverse split /^NOTICE:\s+duration/m, $stderr;
	my ($whole) = grep { /Query Text: SELECT 1 FROM/ } @plans;
	my ($plan) = grep { /Query Text: SELECT (?:object|previous)\b/ } @plans;
	my ($hit, $read) = (0, 0);

	die "no plan of $call: $stderr" unless defined $whole;
	($hit) = $whole =~ /Buffers: shared hit=(\d+)/;
	($read) = $whole =~ /Buffers: shared (?:hit=\d+ )?read=(\d+)/;
	return (($hit // 0) + ($read // 0), $plan // '');
}

my %calls = (
	'get' => "store.get('Grain', 'g55', 'n2')",
	'list of a namespace' => "store.list('Grain', 'n2')",
	'first page of a namespace' => "store.list_page('Grain', 'n2', \"limit\" => 10)",
);

write_all(40, 79, 0);
my $past = $node->safe_psql('postgres', 'SELECT applied_index FROM store.status');
$calls{'get from the past'} = "store.get('Grain', 'g55', 'n2', resource_version => $past)";
$calls{'page from the past'} =
  "store.list_page('Grain', 'n2', \"limit\" => 10, resource_version => $past)";
$node->safe_psql('postgres', 'ANALYZE');

my %few = map { $_ => (cost_of($calls{$_}))[0] } keys %calls;

write_all(80, $COUNT, 0);
$node->safe_psql('postgres', 'ANALYZE');
for my $what (sort keys %calls)
{
	my ($pages, $plan) = cost_of($calls{$what});

	note("$what: $few{$what} pages of 40 resources, $pages of $COUNT\n$plan");
	cmp_ok($pages, '<', $few{$what} + 60, "$what: many others make no difference");
	unlike($plan, qr/Seq Scan on resources/, "$what: the table is not scanned");
}

write_all(80, $COUNT, $_) for 1 .. $DEPTH;
for my $what (sort keys %calls)
{
	my ($pages, $plan) = cost_of($calls{$what});

	note("$what: $pages pages with a history of " . $COUNT * $DEPTH . " changes\n$plan");
	cmp_ok($pages, '<', $few{$what} + 100, "$what: nor does a deep history");
}

# A page comes out of the index in its order, and so does a page of the past
# out of both, read no further than it needs.
my (undef, $list) = cost_of("store.list_page('Grain', \"limit\" => 10)");
like($list, qr/Index Scan using resources_key/, 'a page reads the index of the keys');
unlike($list, qr/^\s*(?:->\s*)?Sort /m, 'and is not sorted');
my ($pages, $page) = cost_of("store.list_page('Grain', \"limit\" => 10, resource_version => "
	  . $node->safe_psql('postgres', 'SELECT applied_index - 100 FROM store.status') . ')');
like($page, qr/Index Scan using resources_key on resources/, 'a page of the past reads this index');
like($page, qr/Index Scan using events_\d_p?key/, 'and one of the events');
unlike($page, qr/Seq Scan on events_0/, 'which are not scanned');
note("a page of 10 of all resources: $pages pages");

done_testing();
