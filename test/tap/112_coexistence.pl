# Members on servers that are used for other things, too: other preloaded
# libraries, few worker processes, a physical standby, a publication for all
# tables, IPv6, sockets in several folders, other locales.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket;
use StoreCluster;
use Test::More;

my $put = sub {
	my ($node, $name) = @_;
	return $node->safe_psql('postgres',
		'SELECT op FROM store.put(' . StoreCluster::configmap($name, 1) . ')');
};

# ----------------------------------------------------------------------------
# Libraries that hook into the same places, on either side; and just the worker
# processes that the store takes.
# ----------------------------------------------------------------------------

my $others = "shared_preload_libraries = '%s'\nauto_explain.log_min_duration = 0\n"
  . "auto_explain.log_analyze = on\nauto_explain.log_nested_statements = on\n"
  . "pg_stat_statements.track = all\nmax_worker_processes = 5\nwal_level = logical\n"
  . "max_wal_senders = 4\nmax_replication_slots = 4\nmax_parallel_workers = 0\n";
my $one = StoreCluster->server('one', allows_streaming => 1,
	conf => sprintf($others, 'pg_stat_statements,store,auto_explain'));
my $two = StoreCluster->server('two', allows_streaming => 1,
	conf => sprintf($others, 'auto_explain,store,pg_stat_statements'));
my $cluster = bless { nodes => [ $one, $two ] }, 'StoreCluster';

$_->safe_psql('postgres', 'CREATE EXTENSION store; CREATE EXTENSION pg_stat_statements')
  for $one, $two;
$cluster->join_node($two, $one);
is($put->($_, 'beside-' . $_->name), 'Created', $_->name . ' writes beside other libraries')
  for $one, $two;
$cluster->is_same_everywhere('both have the same');
is( $one->safe_psql('postgres',
		q{SELECT count(*) > 0 FROM pg_stat_statements
			WHERE query LIKE 'SELECT op FROM store.put%'}),
	't', 'its statements are counted like any');
is($_->safe_psql('postgres', 'SELECT problem FROM store.status'), '', $_->name . ' is well')
  for $one, $two;

# One process too few: the server says so, and does not go in circles.
$two->append_conf('postgresql.conf', "max_worker_processes = 3\n");
$two->restart;
ok( StoreCluster::poll(
		'word of missing processes',
		sub { return slurp_file($two->logfile) =~ /increase max_worker_processes/ }),
	'a lack of worker processes is named in the log');
isnt($two->safe_psql('postgres', 'SELECT status FROM store.health()'),
	'OK', 'and the node is not well');
$two->append_conf('postgresql.conf', "max_worker_processes = 5\n");
$two->restart;
$cluster->wait_all_writable;

# ----------------------------------------------------------------------------
# A publication for all tables, and a physical standby
# ----------------------------------------------------------------------------

$one->safe_psql('postgres', q{
	CREATE TABLE mine (id int PRIMARY KEY);
	CREATE PUBLICATION everything FOR ALL TABLES;
	SELECT pg_create_logical_replication_slot('changes', 'pgoutput')});
is($put->($one, "published-$_"), 'Created', 'a write under a publication') for 1 .. 2;
is( $one->safe_psql('postgres',
		'SELECT op FROM store.patch($$ConfigMap$$, $$published-1$$, $${"data": {"value": "2"}}$$,'
		  . ' $$default$$)'),
	'Patched', 'an update needs no replica identity but the key');
is( $one->safe_psql('postgres',
		'SELECT op FROM store.delete($$ConfigMap$$, $$published-2$$, $$default$$)'),
	'Deleted', 'nor does a delete');
is($put->($one, 'published-3'), 'Created', 'and the state machine goes on');
ok( $one->poll_query_until('postgres',
		q{SELECT count(*) > 4 FROM pg_logical_slot_peek_binary_changes('changes', NULL, NULL,
			'proto_version', '1', 'publication_names', 'everything')}),
	'the changes are in the publication');
$one->safe_psql('postgres', q{SELECT pg_drop_replication_slot('changes');
	DROP PUBLICATION everything});

my $standby = PostgreSQL::Test::Cluster->new('standby');
$one->backup('base');
$standby->init_from_backup($one, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "hot_standby = on\n");
$standby->start;
is($put->($one, 'streamed'), 'Created', 'a write with a standby');
$one->wait_for_catchup($standby);
is( $standby->safe_psql('postgres',
		"SET store.read_consistency = 'local'; SELECT store.get('ConfigMap', 'streamed', 'default')"
		  . ' IS NOT NULL'),
	't', 'the standby serves local reads');
my ($state) =
  StoreCluster::sqlstate($standby, 'SELECT store.put(' . StoreCluster::configmap('a', 1) . ')');
is($state, '55000', 'and no writes');
is($standby->safe_psql('postgres', 'SELECT * FROM store.health()'),
	'OK|a standby, which takes no part in the cluster', 'it knows what it is');
is($one->safe_psql('postgres', 'SELECT count(*) FROM store.members'), '2', 'it is no member');
$standby->stop;

# ----------------------------------------------------------------------------
# Members that reach each other by IPv6 or by sockets in other folders, with
# other locales
# ----------------------------------------------------------------------------

sub has_ipv6
{
	socket(my $socket, Socket::AF_INET6, SOCK_STREAM, 0) or return 0;
	return bind($socket,
		Socket::pack_sockaddr_in6(0, Socket::inet_pton(Socket::AF_INET6, '::1')));
}

my $folder = PostgreSQL::Test::Utils::tempdir_short;
# in Turkish, the small letter of I is not i
my %locale = (
	C => ['C'],
	Turkish => [ 'C.UTF-8', '--locale-provider', 'icu', '--icu-locale', 'tr-TR' ]);
my %way = (sockets => "listen_addresses = ''\nunix_socket_directories = '%s, $folder'\n");
$way{IPv6} = "listen_addresses = '::1'\n" if has_ipv6();
for my $way (sort keys %way)
{
	my @nodes;

	for my $language (sort keys %locale)
	{
		my $node = PostgreSQL::Test::Cluster->new(lc "${way}_$language");

		$node->init(extra => [ '-E', 'UTF8', '--locale', @{ $locale{$language} } ]);
		append_to_file($node->data_dir . '/pg_hba.conf', "host all all ::1/128 trust\n");
		$node->append_conf('postgresql.conf',
			sprintf("shared_preload_libraries = 'store'\n$way{$way}", $node->host));
		$node->start;
		$node->safe_psql('postgres', 'CREATE EXTENSION store');
		push @nodes, $node;
	}
	my $host = $nodes[0]->safe_psql('postgres', 'SELECT conninfo FROM store.members');
	like($host, $way eq 'IPv6' ? qr/host=::1 / : qr{host=/}, "$way: the address is $host");
	$nodes[1]->safe_psql('postgres',
		"SET store.request_timeout = '60s'; SELECT store.join('$host')");
	is($put->($nodes[1], "by-$way"), 'Created', "$way: a write on the second node");
	is( $nodes[0]->safe_psql('postgres',
			"SELECT store.get('ConfigMap', 'by-$way', 'default') IS NOT NULL"),
		't', "$way: is read on the first");
	$_->stop for @nodes;
}
cmp_ok(scalar keys %way, '>=', 1, join(' and ', sort keys %way));

done_testing();
