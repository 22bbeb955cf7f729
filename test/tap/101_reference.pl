# doc/reference.md against the catalog and the sources: what one has and the
# other lacks is an error, and so is an argument, type, default or description
# that differs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $node = StoreCluster->server('node');
$node->safe_psql('postgres', 'CREATE EXTENSION store');

# The rows of the tables of the document: section, then cells.
my (@rows, $section);
for my $line (split /\n/, slurp_file("$top/doc/reference.md"))
{
	$section = $1 if $line =~ /^##+ (.*)/;
	push @rows, [ $section, split /\s*\|\s*/, $1 ] if $line =~ /^\| (.*) \|$/;
}

# Rows that a query makes, as the document has them.
sub expected
{
	my ($query) = @_;

	return sort split /\n/, $node->safe_psql('postgres', $query);
}

sub compare
{
	my ($name, $documented, $wanted) = @_;
	my %in_catalog = map { $_ => 1 } @$wanted;
	my %in_doc = map { $_ => 1 } @$documented;
	my @missing = grep { !$in_doc{$_} } @$wanted;
	my @surplus = grep { !$in_catalog{$_} } @$documented;

	cmp_ok(scalar @$wanted, '>', 0, "$name: there are some");
	is(join("\n", @missing), '', "$name: nothing is missing");
	is(join("\n", @surplus), '', "$name: nothing is there that is not");
	return;
}

sub cells
{
	my ($pattern, $n) = @_;

	return map {
		my @cells = @$_[ 1 .. $n ];
		join(' | ', map { $_ // '' } @cells)
	} grep { ($_->[1] // '') =~ $pattern } @rows;
}

compare(
	'functions',
	[ cells(qr/^`store\.\w+\(/, 3) ],
	[
		expected(
			q{
	SELECT format('`store.%s(%s)` | %s | %s', proname,
		(SELECT coalesce(string_agg(concat_ws(' ', quote_ident(proargnames[i]),
				format_type(coalesce(proallargtypes[i], proargtypes[i - 1]), NULL),
				'DEFAULT ' || regexp_replace(pg_get_function_arg_default(p.oid, i),
					'::\w+$', '')), ', ' ORDER BY i), '')
			FROM generate_series(1, pronargs) AS i),
		CASE WHEN proallargtypes IS NULL THEN pg_get_function_result(p.oid)
			WHEN proretset THEN 'rows' ELSE 'a row' END,
		obj_description(p.oid, 'pg_proc'))
	FROM pg_proc p WHERE pronamespace = 'store'::regnamespace})
	]);

compare(
	'columns',
	[
		map { "$_->[0] | $_->[1] | $_->[2]" }
		  grep { $_->[0] =~ /^store\.\w+$/ && $_->[1] =~ /^`/ } @rows
	],
	[
		expected(
			q{
	SELECT format('store.%s | `%s` | %s', relname, attname,
		replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz'))
	FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
	WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'v')
		AND relname !~ '^raft_|^events_'})
	]);

compare(
	'tables of the workers',
	[ cells(qr/^`store\.(?:raft_|events_)\w+`$/, 2) ],
	[
		expected(
			q{
	SELECT format('`store.%s` | %s', relname, obj_description(c.oid, 'pg_class')) FROM pg_class c
	WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'v')
		AND relname ~ '^raft_|^events_'})
	]);

compare(
	'settings',
	[ cells(qr/^`store\.\w+`$/, 4) ],
	[
		grep { !/^`store\.(?:raft_|events_)/ } expected(
			q{
	SELECT format('`%s` | %s | %s | %s', name,
		CASE WHEN boot_val = '' THEN 'empty' ELSE '`' || boot_val || coalesce(unit, '') || '`' END,
		context, concat_ws(' ', short_desc, extra_desc))
	FROM pg_settings WHERE name LIKE 'store.%'})
	]) if @rows = grep { $_->[0] ne 'Tables of the workers' } @rows;

# Errors: every SQLSTATE that the sources raise, and those of input functions.
my %code = map { /^(\w{5})\s+[EWS]\s+(ERRCODE_\w+)/ ? ($2 => $1) : () }
  split /\n/, slurp_file($node->config_data('--sharedir') . '/errcodes.txt');
my %raised = ('`22P02`' => 1, '`22004`' => 1);
for my $file (glob("$top/src/*.[ch]"))
{
	for my $line (split /\n/, slurp_file($file))
	{
		if ($line =~ /#define (ERRCODE_STORE_\w+)\s+MAKE_SQLSTATE\('(.)','(.)','(.)','(.)','(.)'\)/)
		{
			$raised{"`$2$3$4$5$6`"} = 1;
			next;
		}
		next if $line =~ /[=!]=|\bcase\b|ERRCODE_TO_CATEGORY/;
		for my $name ($line =~ /\b(ERRCODE_(?!STORE_)\w+)/g)
		{
			die "$file: $name is no condition of this server" if !$code{$name};
			$raised{"`$code{$name}`"} = 1;
		}
	}
}
@rows = grep { $_->[0] eq 'Errors' } @rows;
compare('errors', [ cells(qr/^`\w{5}`$/, 1) ], [ sort keys %raised ]);
is(scalar(grep { !$_->[2] } @rows), 0, 'each is explained');

done_testing();
