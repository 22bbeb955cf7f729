# What packagers rely on: the versions agree, META.json says what PGXN asks for,
# and DESTDIR gets all that belongs to the extension, and nothing else does.

use strict;
use warnings;

use File::Find;
use FindBin;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my ($release) = slurp_file("$top/store.control") =~ /^default_version = '(.*)'$/m;

# https://pgxn.org/spec/
my $meta = decode_json(slurp_file("$top/META.json"));
is(join(' ', grep { !defined $meta->{$_} } qw(name version abstract maintainer license provides
	meta-spec)), '', 'META.json has what is required');
is($meta->{version}, "$release.0", 'the version is that of the extension');
is($meta->{provides}{store}{version}, $meta->{version}, 'and so is that of what it provides');
is($meta->{'meta-spec'}{version}, '1.0.0', 'the specification is named');
like($meta->{license}, qr/^postgresql$/, 'so is the license, as PGXN spells it');
ok(-e "$top/$meta->{provides}{store}{$_}", "$meta->{provides}{store}{$_} is there")
  for qw(file docfile);
my ($packaged) = slurp_file("$top/debian/changelog") =~ /^postgresql-store \((\S+)\)/;
is($packaged, $release, 'the version of the Debian package');

# What debian/control says about one version is what debian/control.in says.
(my $control = slurp_file("$top/debian/control.in")) =~ s/PGVERSION/15/g;
is(slurp_file("$top/debian/control"), $control, 'debian/control follows from control.in');

my $root = PostgreSQL::Test::Utils::tempdir;
my $config = $ENV{PG_CONFIG} // 'pg_config';
chomp(my %folder = map { $_ => scalar `$config --$_` } qw(pkglibdir sharedir));
chomp(%folder);
system_or_bail('make', '-s', '-C', $top, 'install', "DESTDIR=$root", "PG_CONFIG=$config",
	'with_llvm=no');
my @files;
find(sub { push @files, substr($File::Find::name, length $root) if -f }, $root);
is_deeply(
	[ sort @files ],
	[
		sort "$folder{pkglibdir}/store.so",
		"$folder{sharedir}/extension/store.control",
		map { m{/(store--[^/]+\.sql)$} ? "$folder{sharedir}/extension/$1" : () }
		  glob("$top/sql/*.sql")
	],
	'DESTDIR has the library, the control file and the scripts');

done_testing();
