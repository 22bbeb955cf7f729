# Members that speak TLS: one role with nothing but the functions that members
# call, certificates for two nodes and a password (SCRAM) for the third; and what
# a wrong certificate and a wrong password look like.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;

sub openssl
{
	run_log([ 'openssl', @_ ]) or BAIL_OUT("openssl @_");
	return;
}

sub make_authority
{
	my ($name) = @_;

	openssl('req', '-new', '-x509', '-nodes', '-newkey', 'rsa:2048', '-days', '2',
		'-subj', "/CN=$name", '-keyout', "$folder/$name.key", '-out', "$folder/$name.crt");
	return;
}

# A key, and a certificate of an authority for this name and address.
sub certify
{
	my ($name, $address, $authority) = @_;

	append_to_file("$folder/$name.ext", "subjectAltName = IP:$address\n");
	openssl('req', '-new', '-nodes', '-newkey', 'rsa:2048', '-subj', "/CN=$name",
		'-keyout', "$folder/$name.key", '-out', "$folder/$name.csr");
	openssl('x509', '-req', '-in', "$folder/$name.csr", '-CA', "$folder/$authority.crt",
		'-CAkey', "$folder/$authority.key", '-CAcreateserial', '-days', '2',
		'-extfile', "$folder/$name.ext", '-out', "$folder/$name.crt");
	chmod 0600, "$folder/$name.key" or die "chmod: $!";
	return;
}

sub passfile
{
	my ($name, $password) = @_;
	my $file = "$folder/$name";

	append_to_file($file, "127.0.0.1:*:*:store_password:$password\n");
	chmod 0600, $file or die "chmod: $!";
	return $file;
}

sub by_certificate
{
	my ($name) = @_;

	return "user=store_peer sslmode=verify-full sslrootcert=$folder/ca.crt"
	  . " sslcert=$folder/$name.crt sslkey=$folder/$name.key";
}

sub by_password
{
	my ($file) = @_;

	return "user=store_password sslmode=verify-full sslrootcert=$folder/ca.crt passfile=$file";
}

sub use_options
{
	my ($node, $options) = @_;

	$node->append_conf('postgresql.conf', "store.peer_options = '$options'\n");
	$node->restart;
	return;
}

sub make_node
{
	my ($name, $options) = @_;
	my $node = StoreCluster->server($name);

	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf',
			"local all all trust\n"
		  . "hostssl postgres store_peer 127.0.0.1/32 cert\n"
		  . "hostssl postgres store_password 127.0.0.1/32 scram-sha-256\n");
	$node->append_conf('postgresql.conf',
			"ssl = on\nssl_ca_file = '$folder/ca.crt'\n"
		  . "ssl_cert_file = '$folder/server.crt'\nssl_key_file = '$folder/server.key'\n");
	use_options($node, $options);
	$node->safe_psql('postgres', q{
		CREATE EXTENSION store;
		CREATE ROLE store_peer LOGIN;
		CREATE ROLE store_password LOGIN PASSWORD 'right' IN ROLE store_peer;
		SELECT store.grant_peer('store_peer')});
	return $node;
}

make_authority($_) for qw(ca foreign_ca);
certify($_, '127.0.0.1', 'ca') for qw(server store_peer stranger);
certify('elsewhere', '127.0.0.2', 'ca');
certify('foreigner', '127.0.0.1', 'foreign_ca');

my $right = passfile('right', 'right');
my $wrong = passfile('wrong', 'wrong');
my $one = make_node('one', by_certificate('store_peer'));
my $two = make_node('two', by_certificate('store_peer'));
my $three = make_node('three', by_password($right));
my $cluster = bless { nodes => [ $one, $two, $three ] }, 'StoreCluster';

$cluster->join_node($_, $one) for $two, $three;
$cluster->wait_for_leader;
is($one->safe_psql('postgres', 'SELECT op FROM store.put(' . StoreCluster::configmap('a', 1) . ')'),
	'Created', 'members with certificates and with a password make a cluster');
$cluster->wait_all_writable;
is( $one->safe_psql('postgres', q{
		SELECT string_agg(DISTINCT usename || ' ' || ssl::text, ', ')
		FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
		WHERE application_name LIKE 'store link%'}),
	'store_password true, store_peer true', 'they are who they should be, and encrypted');

# What the role may do: nothing else.
my ($ret, $out, $err) = $one->psql('postgres',
	'SET ROLE store_peer; SELECT count(*) FROM store.resources');
like($err, qr/permission denied/, 'the role cannot read');
($ret, $out, $err) = $one->psql('postgres',
	'SET ROLE store_peer; SELECT store.put(' . StoreCluster::configmap('b', 1) . ')');
like($err, qr/permission denied/, 'nor write');
is( $one->safe_psql('postgres', q{
		SELECT count(*) FROM pg_proc p
		WHERE pronamespace = 'store'::regnamespace
			AND has_function_privilege('store_peer', p.oid, 'EXECUTE')}),
	'7', 'nor call anything but what members call');

sub is_refused
{
	my ($node, $options, $pattern, $name) = @_;

	use_options($node, $options);
	ok( $node->poll_query_until('postgres',
			"SELECT bool_and(last_error ~ '$pattern') FROM store.members WHERE name <> '"
			  . $node->name . "'"),
		"$name: store.members says why");
	ok( $node->poll_query_until('postgres', q{SELECT problem ~ 'refused' FROM store.status}),
		"$name: so does store.status");
	is($one->safe_psql('postgres', 'SELECT store.barrier() > 0'),
		't', "$name: the others go on");
	return;
}

sub is_back
{
	my ($node, $options, $name) = @_;

	use_options($node, $options);
	ok($node->poll_query_until('postgres', 'SELECT store.barrier() > 0'),
		"$name: with the right one it is back");
	return;
}

is_refused($two, by_certificate('stranger'), 'certificate authentication failed',
	'wrong certificate');
is_refused($two, by_certificate('foreigner'), 'SSL error.*unknown ca',
	'certificate of another authority');
is_back($two, by_certificate('store_peer'), 'wrong certificate');
is_refused($three, by_password($wrong), 'password authentication failed', 'wrong password');
is_back($three, by_password($right), 'wrong password');

# A server that cannot show that it is the one at that address.
$two->append_conf('postgresql.conf',
	"ssl_cert_file = '$folder/elsewhere.crt'\nssl_key_file = '$folder/elsewhere.key'\n");
$two->restart;
for my $node ($one, $three)
{
	ok( $node->poll_query_until('postgres', q{
			SELECT last_error ~ 'does not match host name' FROM store.members WHERE name = 'two'}),
		'a server with the certificate of another address is not told anything by '
		  . $node->name);
}
$two->append_conf('postgresql.conf',
	"ssl_cert_file = '$folder/server.crt'\nssl_key_file = '$folder/server.key'\n");
$two->restart;
$cluster->wait_all_writable;
$cluster->is_same_everywhere('with its own it takes part again');

done_testing();
