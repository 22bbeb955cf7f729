# Prometheus and its exporter with contrib/monitoring: everything that the rules and
# the dashboard look at is there, and true, and Prometheus understands them.

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
my $prometheus = Borrowed::program('prometheus');
my $promtool = Borrowed::program('promtool');
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
my @shown = map { $_->{expr} } map { @{ $_->{targets} } } @{ $dashboard->{panels} };
my @watched = slurp_file("$contrib/alerts.yaml") =~ /expr: (?:>-\n\s+)?(.*)/g;
my %metric = map { $_ => 1 } map { /\b(store_\w+)/g } @shown, @watched;
cmp_ok(scalar keys %metric, '>', 15, 'rules and dashboard look at much');
is(join(' ', grep { !defined value($_) } sort keys %metric), '', 'all of it is there');

# Prometheus itself, which asks the exporter every second.
my $folder = PostgreSQL::Test::Utils::tempdir;
my $web = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$folder/prometheus.yml", <<"YAML");
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ['$contrib/alerts.yaml']
scrape_configs:
- job_name: store
  static_configs: [{targets: ['127.0.0.1:$port']}]
YAML
command_ok([ $promtool, 'check', 'rules', "$contrib/alerts.yaml" ], 'the rules are rules');
my $server = IPC::Run::start(
	[
		$prometheus, "--config.file=$folder/prometheus.yml", "--storage.tsdb.path=$folder/data",
		"--web.listen-address=127.0.0.1:$web"
	],
	'<', '/dev/null', '>', "$PostgreSQL::Test::Utils::log_path/prometheus.log", '2>&1');

# What Prometheus answers to a query of this kind, or undef.
sub ask
{
	my ($path, %parameters) = @_;
	my $http = HTTP::Tiny->new(timeout => 10);
	my $query = $http->www_form_urlencode(\%parameters);
	my $answer = $http->get("http://127.0.0.1:$web/api/v1/$path?$query");

	return $answer->{success} ? decode_json($answer->{content})->{data} : undef;
}

sub is_drawn
{
	my ($expression) = @_;
	my $data = ask('query', query => $expression);

	return $data && @{ $data->{result} } > 0;
}

my $writer = $cluster->start_writer($leader, 'drawn');
for my $expression (@shown)
{
	ok(StoreCluster::poll($expression, sub { return is_drawn($expression) }), "drawn: $expression");
}
is_deeply([ grep { !ask('query', query => $_) } @watched ], [], 'each rule can be evaluated');

StoreCluster::stop_writer($writer);

# A leader without a majority: the rule that says so is about to fire.
$cluster->kill9($cluster->others($leader));
ok( StoreCluster::poll(
		'an alert',
		sub {
			my $data = ask('alerts') or return 0;
			return grep { $_->{labels}{alertname} eq 'StoreCritical' } @{ $data->{alerts} };
		}),
	'an alert for a leader that lost its majority');

$server->kill_kill;
$run->kill_kill;
done_testing();
