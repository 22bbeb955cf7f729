# Prometheus' exporter with contrib/monitoring: everything that the rules and
# the dashboard look at is there, and true.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Borrowed;
use HTTP::Tiny;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $exporter = Borrowed::program('prometheus-postgres-exporter');
my $contrib = "$FindBin::RealBin/../../contrib/monitoring";
my $cluster = StoreCluster->new('exporter', nodes => 3);
my $leader = $cluster->wait_for_leader;
my $port = PostgreSQL::Test::Cluster::get_free_port();

$leader->safe_psql('postgres', q{
	CREATE ROLE exporter LOGIN IN ROLE pg_monitor;
	SELECT store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'ConfigMap', 'metadata',
		jsonb_build_object('name', 'name' || i))) FROM generate_series(1, 5) i});

my $log = "$PostgreSQL::Test::Utils::log_path/exporter.log";
local $ENV{DATA_SOURCE_NAME} =
  'user=exporter sslmode=disable dbname=postgres host=' . $leader->host . ' port=' . $leader->port;
my $run = IPC::Run::start(
	[
		$exporter, "--web.listen-address=127.0.0.1:$port", '--disable-default-metrics',
		'--disable-settings-metrics', "--extend.query-path=$contrib/queries.yaml"
	],
	'<', '/dev/null', '>', $log, '2>&1');

my $text;
StoreCluster::poll(
	'metrics',
	sub {
		my $answer = HTTP::Tiny->new(timeout => 10)->get("http://127.0.0.1:$port/metrics");
		$text = $answer->{content};
		return $answer->{success} && $text =~ /^store_watch_queue_usage/m;
	});

# A value by the beginning of its labels.
sub value
{
	my ($name, @labels) = @_;

	for my $line (split /\n/, $text)
	{
		my ($labels, $value) = $line =~ /^\Q$name\E(?:\{(.*)\})? (\S+)$/ or next;
		return $value if @labels == grep { index($labels, $_) >= 0 } @labels;
	}
	return;
}

unlike($text, qr/^pg_exporter_user_queries_load_error\{.*\} 1/m, 'the queries can be read');
is(value('pg_exporter_last_scrape_error'), 0, 'and they run');
is(value('store_health_level'), 0, 'the node is well');
is(value('store_raft_is_leader'), 1, 'it leads');
is(value('store_requests_requests_total', 'kind="put"', 'outcome="ok"'), 5, 'writes are counted');
is(value('store_latency_below', 'kind="put"', 'le="+Inf"'), 5, 'their latencies, too');
for my $node ($cluster->others($leader))
{
	my $label = 'name="' . $node->name . '"';

	cmp_ok(value('store_peers_lag', $label), '<', 10, $node->name . ' is close behind');
	cmp_ok(value('store_peers_round_trip_seconds', $label), '>', 0, 'and near');
}

my $dashboard = decode_json(slurp_file("$contrib/dashboard.json"));
my %asked = map { $_ => 1 } (
	map { $_->{expr} } map { @{ $_->{targets} } } @{ $dashboard->{panels} }),
  slurp_file("$contrib/alerts.yaml") =~ /expr: (?:>-\n\s+)?(.*)/g;
my %metric = map { $_ => 1 } map { /\b(store_\w+)/g } keys %asked;
cmp_ok(scalar keys %metric, '>', 15, 'rules and dashboard look at much');
is(join(' ', grep { !defined value($_) } sort keys %metric), '', 'all of it is there');

$run->kill_kill;
done_testing();
