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

# What the document has, by what it is about: the beginning of a row's cells, as many
# as the catalog knows.
sub documented
{
	my ($section, %rows) = ('');

	for my $line (split /\n/, shift)
	{
		$section = $1 if $line =~ /^##+ (.*)/;
		my @cells = $line =~ /^\| (.*) \|$/ ? split(/\s*\|\s*/, $1) : next;
		my ($about, $n) =
			$cells[0] =~ /^`store\.\w+\(/ ? ('functions', 3)
		  : $section =~ /^store\.\w+$/ && $cells[0] =~ /^`/ ? ('columns', 3)
		  : $cells[0] =~ /^`store\.(?:raft_|events_)\w+`$/ ? ('tables of the workers', 2)
		  : $cells[0] =~ /^`store\.\w+`$/ ? ('settings', 4)
		  : $section eq 'Errors' && $cells[0] =~ /^`\w{5}`$/ ? ('errors', 1)
		  : next;
		my $row = join ' | ', map { $_ // '' } @cells[ 0 .. $n - 1 ];

		if ($about eq 'columns')
		{
			# a comment in the catalog has no marks
			my ($cell, $rest) = $row =~ /^(.*? \| )(.*)/;
			$row = "$section | $cell" . $rest =~ tr/`//dr;
		}
		push @{ $rows{$about} }, $row;
		push @{ $rows{'error without an explanation'} }, $row
		  if $about eq 'errors' && !$cells[1];
	}
	return %rows;
}

# Rows that a query makes, as the document has them.
sub expected
{
	my ($query) = @_;

	return [ split /\n/, $node->safe_psql('postgres', $query) ];
}

# Those of the first list that are not in the second.
sub surplus
{
	my ($first, $second) = @_;
	my %there = map { $_ => 1 } @$second;

	return join "\n", sort grep { !$there{$_} } @$first;
}

my %wanted;
$wanted{functions} = expected(
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
	FROM pg_proc p WHERE pronamespace = 'store'::regnamespace});
$wanted{columns} = expected(
	q{
	SELECT format('store.%s | `%s` | %s | %s', relname, attname,
		replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz'),
		col_description(c.oid, attnum))
	FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
	WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'v')
		AND relname !~ '^raft_|^events_'});
$wanted{'tables of the workers'} = expected(
	q{
	SELECT format('`store.%s` | %s', relname, obj_description(c.oid, 'pg_class')) FROM pg_class c
	WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'v')
		AND relname ~ '^raft_|^events_'});
$wanted{settings} = expected(
	q{
	SELECT format('`%s` | %s | %s | %s', name,
		CASE WHEN boot_val = '' THEN 'empty' ELSE '`' || boot_val || coalesce(unit, '') || '`' END,
		context, concat_ws(' ', short_desc, extra_desc))
	FROM pg_settings WHERE name LIKE 'store.%'});

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
$wanted{errors} = [ keys %raised ];

my $text = slurp_file("$top/doc/reference.md");
my %there = documented($text);
for my $about (sort keys %wanted)
{
	cmp_ok(scalar @{ $wanted{$about} }, '>', 0, "$about: there are some");
	is(surplus($wanted{$about}, $there{$about}), '', "$about: nothing is missing");
	is(surplus($there{$about}, $wanted{$about}), '', "$about: nothing is there that is not");

	# Would it be noticed?  One row after the other is taken away: the first, the last
	# and one in between.
	for my $row (@{ $there{$about} }[ 0, -1, @{ $there{$about} } / 2 ])
	{
		my ($section, $cell) = $row =~ /^(?:(store\.\w+) \| )?(`.*?`)/;
		my $line = qr/^\| \Q$cell\E \|.*\n/m;
		my $head = defined $section ? qr/^### \Q$section\E\n(?:(?!##).*\n)*?/m : qr//;
		my $less = $text =~ s/($head)$line/$1/r;

		is(surplus($wanted{$about}, { documented($less) }->{$about}),
			$row, "$about: without $cell it would");
	}
}
is($there{'error without an explanation'}, undef, 'each error is explained');

done_testing();
