# contrib/kubernetes: folders of YAML go in, and come out as they were.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $program = "$FindBin::RealBin/../../contrib/kubernetes/manifests";
my $node = StoreCluster->server('node');
my $folder = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', 'CREATE EXTENSION store');
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
local $ENV{PGUSER} = 'postgres';

sub manifests
{
	my ($input, @arguments) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ '/usr/bin/python3', $program, @arguments ],
		'<', \$input, '>', \$out, '2>', \$err);
	note($err) if $err ne '';
	return ($? >> 8, $out, $err);
}

mkdir "$folder/app" or die "mkdir: $!";
append_to_file("$folder/app/1-config.yaml", <<'YAML');
# two documents, and an empty one
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, labels: {app: web}}
data:
  since: 2024-01-02
  opens: 12:30
  port: "8080"
  script: |
    first line
      second line
---
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: shop}
data: {a: MQ==}
YAML
append_to_file("$folder/app/2-list.yml", <<'YAML');
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop}
  spec: {replicas: 3}
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
YAML
append_to_file("$folder/app/ignored.txt", "no manifest\n");

my ($status, $out, $err) = manifests('', 'load', $folder);
is($out, "Created ConfigMap shop/settings\nCreated Secret shop/key\n"
	  . "Created Deployment shop/web\nCreated Namespace shop\n", 'a folder is loaded in order');
is($status, 0, 'and all is well');
($status, $out) = manifests('', 'load', $folder);
is($out =~ s/^Unchanged .*\n//mgr, '', 'again, it changes nothing');
is( $node->safe_psql('postgres',
		q{SELECT object->'data' FROM store.resources WHERE kind = 'ConfigMap'}),
	'{"port": "8080", "opens": "12:30", "since": "2024-01-02",'
	  . ' "script": "first line\n  second line\n"}',
	'dates, times and quoted numbers are strings');
is( $node->safe_psql('postgres',
		q{SELECT object#>'{spec,replicas}' FROM store.resources WHERE kind = 'Deployment'}),
	'3', 'a number is a number');

(undef, $out) = manifests('', 'print', 'ConfigMap', 'settings', '-n', 'shop', '--plain');
is($out, <<'YAML', 'printed as people write it');
---
apiVersion: v1
kind: ConfigMap
metadata:
  labels:
    app: web
  name: settings
  namespace: shop
data:
  opens: '12:30'
  port: '8080'
  script: |
    first line
      second line
  since: '2024-01-02'
YAML
(undef, my $again) = manifests($out, 'load', '-');
is($again, "Unchanged ConfigMap shop/settings\n", 'what was printed can be loaded');
(undef, $out) = manifests('', 'print', 'ConfigMap', '-l', 'app=web');
like($out, qr/^  resourceVersion: '\d+'$/m, 'by label, with the stamps');
($status, $out, $err) = manifests('', 'print', 'ConfigMap', 'none', '-n', 'shop');
is("$status $out$err", "1 ConfigMap none does not exist\n", 'what is not there');

# What is wrong is named, and the rest is loaded; or nothing is.
append_to_file("$folder/bad.yaml", <<'YAML');
{apiVersion: v1, kind: ConfigMap, metadata: {name: good}}
---
{apiVersion: v1, kind: pods, metadata: {name: bad}}
YAML
append_to_file("$folder/twice.yaml", "apiVersion: v1\nkind: Secret\nkind: Secret\n");
($status, $out, $err) = manifests('', 'load', '--atomic', "$folder/bad.yaml");
is("$status $out", '1 ', 'all or nothing: nothing');
like($err, qr/^nothing was loaded: invalid transaction: .*success\[1\]/, 'and why');
($status, $out, $err) = manifests('', 'load', "$folder/bad.yaml", "$folder/twice.yaml");
is("$status $out", "1 Created ConfigMap good\n", 'otherwise the good one');
like($err, qr{bad\.yaml: pods bad: }, 'an object that is refused is named');
like($err, qr{twice\.yaml: key "kind" comes twice}, 'and a file that cannot be read');
($status, $out) = manifests('', 'load', '--atomic', "$folder/app");
is($out =~ s/^Replaced .*\n//mgr, '', 'a transaction writes all of it, and tells so');

done_testing();
