# ALTER EXTENSION store UPDATE: from every release there was, the catalog becomes
# that of a new installation; and a server works whose library and SQL objects
# are of different releases, and says what to do.
#
# So far there is one release.  So a chain is made up besides: "0.0", which lacks
# columns that 0.1 has in two views, and "next", which has a function more.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Installation;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $top = $ENV{TESTDIR};
my ($current) = slurp_file("$top/store.control") =~ /^default_version = '(.*)'$/m;
my @releases = sort map { m{store--([^-]+)\.sql$} } glob "$top/sql/store--*.sql";
my $script = slurp_file("$top/sql/store--$current.sql");

# All that the extension made, as text, without anything that differs from one
# installation to the next.
my $CATALOG = q{
	WITH members AS (
		SELECT classid, objid FROM pg_depend
		WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
			AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'store')),
	relations AS (
		SELECT c.* FROM pg_class c
		JOIN members ON classid = 'pg_class'::regclass AND objid = c.oid)
	SELECT line FROM (
		SELECT 'member ' || pg_describe_object(classid, objid, 0) AS line FROM members
		UNION ALL
		SELECT format('comment %s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid),
			description)
		FROM pg_description d JOIN members ON classid = d.classoid AND objid = d.objoid
		UNION ALL
		SELECT 'function ' || pg_get_functiondef(p.oid) || ' ' || coalesce(
			(SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(proacl) a), 'for all')
		FROM pg_proc p JOIN members ON classid = 'pg_proc'::regclass AND objid = p.oid
		UNION ALL
		SELECT format('relation %s: %s %s %s %s', r.oid::regclass, relkind, relpersistence,
			reloptions, coalesce(
				(SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(relacl) a), 'owner'))
		FROM relations r
		UNION ALL
		SELECT format('column %s %s.%s: %s %s %s %s %s', attnum, r.oid::regclass, attname,
			format_type(atttypid, atttypmod), attnotnull, attstorage, attacl,
			pg_get_expr(adbin, adrelid))
		FROM relations r JOIN pg_attribute a ON attrelid = r.oid
		LEFT JOIN pg_attrdef ON adrelid = r.oid AND adnum = attnum
		WHERE attnum > 0 AND NOT attisdropped
		UNION ALL
		SELECT format('index %s, statistics %s', pg_get_indexdef(indexrelid),
			(SELECT string_agg(attstattarget::text, ' ') FROM pg_attribute
				WHERE attrelid = indexrelid))
		FROM relations r JOIN pg_index ON indrelid = r.oid
		UNION ALL
		SELECT 'constraint ' || pg_get_constraintdef(k.oid)
		FROM relations r JOIN pg_constraint k ON conrelid = r.oid
		UNION ALL
		SELECT 'trigger ' || pg_get_triggerdef(t.oid) || ' ' || tgenabled::text
		FROM relations r JOIN pg_trigger t ON tgrelid = r.oid
		UNION ALL
		SELECT format('view %s: %s', r.oid::regclass, pg_get_viewdef(r.oid))
		FROM relations r WHERE relkind = 'v'
		UNION ALL
		SELECT format('inherits %s from %s', inhrelid::regclass, inhparent::regclass)
		FROM relations r JOIN pg_inherits ON inhrelid = r.oid
		UNION ALL
		SELECT format('schema %s', nspacl) FROM pg_namespace WHERE nspname = 'store'
		UNION ALL
		SELECT format('extension %s %s', extversion, cardinality(extconfig))
		FROM pg_extension WHERE extname = 'store'
	) AS lines ORDER BY line COLLATE "C"};

sub catalog
{
	my ($node) = @_;

	return $node->safe_psql('postgres', $CATALOG);
}

sub install
{
	my ($node, $release) = @_;

	$node->safe_psql('postgres', 'DROP EXTENSION IF EXISTS store');
	$node->safe_psql('postgres', "CREATE EXTENSION store VERSION '$release'");
	$node->poll_query_until('postgres', 'SELECT store.barrier() > 0') or die 'it does not run';
	return;
}

sub works
{
	my ($node, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is( $node->safe_psql('postgres', 'SELECT op FROM store.put('
			  . StoreCluster::configmap($name, 1)
			  . q{); SELECT count(*) > 0 FROM store.list('ConfigMap');
			  SELECT state FROM store.status; SELECT role FROM store.members}),
		"Created\nt\nleader\nvoter", "$name: it works");
	return;
}

# ----------------------------------------------------------------------------
# What is made up
# ----------------------------------------------------------------------------

# Two functions and the views of them, with what belongs to them.
my ($views) =
  $script =~ /^(CREATE FUNCTION store\.node_status\n.*?)^CREATE FUNCTION store\.copy_status/ms
  or die 'the views are not where they were';
my ($tables) = $script =~ /^(GRANT SELECT ON store\.status[^;]*;)/m or die 'no grants';
my ($functions) = $script =~ /^(GRANT EXECUTE ON FUNCTION store\.node_status[^;]*;)/m
  or die 'no grants';
my $without = $views =~ s/,\s*(?:OUT )?(?:protocol|diverged)(?: integer| boolean)?(?=,|$)//mgr;
my $commented = qr/^COMMENT ON COLUMN store\.(?:status|members)\.\w+ IS\s+'(?:[^']|'')*';\n/m;
my $comments = join '', $script =~ /$commented/g;
my $earlier = $script =~ s/\Q$views\E/$without/r =~ s/$commented//gr;
my $update = <<"SQL";
DROP VIEW store.status;
DROP VIEW store.members;
DROP FUNCTION store.node_status;
DROP FUNCTION store.member_status;
$views
$comments
REVOKE ALL ON FUNCTION store.node_status, store.member_status FROM PUBLIC;
$tables
$functions
SQL
my $addition = <<'SQL';
CREATE FUNCTION store.anything_new() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 1;
COMMENT ON FUNCTION store.anything_new IS 'what a later release may bring';
REVOKE ALL ON FUNCTION store.anything_new FROM PUBLIC;
SQL
my $careless = $addition =~ s/^REVOKE.*//mr;

isnt($without, $views, 'the earlier release lacks something');
my %files = (
	'store--0.0.sql' => $earlier,
	'store--0.0--0.1.sql' => $update,
	'store--next.sql' => "$script\n$addition",
	'store--0.1--next.sql' => $addition,
	'store--careless.sql' => "$script\n$addition",
	'store--0.1--careless.sql' => $careless);
my $node = StoreCluster->server('node',
	install_path => Installation::make(files => \%files));

# ----------------------------------------------------------------------------
# From each release to each later one
# ----------------------------------------------------------------------------

install($node, $current);
my $fresh = catalog($node);
like($fresh, qr/^function .*store\.put/m, 'there is something to compare');
unlike($fresh, qr/^function .* for all$/m, 'and nothing in it is for PUBLIC');
is($node->safe_psql('postgres', 'SELECT problem FROM store.status'), '', 'no problem');
cmp_ok(scalar @releases, '>=', 1, "releases: @releases");
for my $release (@releases, '0.0')
{
	install($node, $release);
	works($node, "release-$release");
	if ($release ne $current)
	{
		isnt(catalog($node), $fresh, "release $release is another one");
		like($node->safe_psql('postgres', 'SELECT problem FROM store.status'),
			qr/objects are of release $release and its library is of release $current: ALTER/,
			"release $release: a library that is newer than the objects says so");
	}
	$node->safe_psql('postgres', 'ALTER EXTENSION store UPDATE');
	is(catalog($node), $fresh, "release $release is updated to what a new installation is");
	is($node->safe_psql('postgres', 'SELECT problem FROM store.status'),
		'', "release $release: no problem afterwards");
	works($node, "updated-$release");
	$node->restart;
	$node->poll_query_until('postgres', 'SELECT store.barrier() > 0');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM store.resources'),
		'2', "release $release: what it had is there");
}

install($node, 'next');
my $next = catalog($node);
install($node, '0.0');
works($node, 'two-steps');
$node->safe_psql('postgres', q{ALTER EXTENSION store UPDATE TO 'next'});
is(catalog($node), $next, 'two releases in one go');
works($node, 'objects-newer');
like($node->safe_psql('postgres', 'SELECT problem FROM store.status'),
	qr/objects are of release next .* restart the server/,
	'objects that are newer than the library: it says so');

# The comparison notices what an update forgets.
install($node, 'careless');
my $careful = catalog($node);
install($node, $current);
$node->safe_psql('postgres', q{ALTER EXTENSION store UPDATE TO 'careless'});
isnt(catalog($node), $careful, 'an update that forgets a REVOKE is noticed');

# A member whose library is newer than its objects takes part in a cluster.
my $peer = StoreCluster->server('peer', install_path => $node->install_path);
install($node, '0.0');
install($peer, $current);
my $cluster = bless { nodes => [ $node, $peer ] }, 'StoreCluster';
$cluster->join_node($peer, $node);
is( $peer->safe_psql('postgres',
		'SELECT op FROM store.put(' . StoreCluster::configmap('x', 1) . ')'),
	'Created', 'members with objects of two releases work together');
$node->safe_psql('postgres', 'ALTER EXTENSION store UPDATE');
$cluster->is_same_everywhere('and after the update');

done_testing();
