
=pod

=head1 NAME

Installation - another installation of the server, with another release of store

=head1 SYNOPSIS

  use Installation;

  my $older = Installation::make(library => 'build/older/store.so');
  my $node = StoreCluster->server('node', install_path => $older);
  Installation::change($node, undef);    # and with the one that is tested

=head1 DESCRIPTION

A folder with copies of the server's programs and links to everything else; a
server finds its files relative to its program.

=cut

package Installation;

use strict;
use warnings;

use File::Basename;
use File::Path qw(mkpath);
use PostgreSQL::Test::Utils;

sub config
{
	my ($what) = @_;
	my ($stdout, $stderr) = run_command([ 'pg_config', "--$what" ]);

	return $stdout;
}

sub link_all
{
	my ($from, $to, %except) = @_;

	mkpath($to);
	for my $name (slurp_dir($from))
	{
		next if $name =~ /^\.\.?$/ || $except{$name};
		symlink "$from/$name", "$to/$name" or die "symlink $to/$name: $!";
	}
	return;
}

=pod

=over

=item make(library => path, files => { name => text })

Returns what install_path wants.  library replaces that of store; files are put
among those of extensions, in place of what has that name.

=back

=cut

sub make
{
	my (%params) = @_;
	my $root = PostgreSQL::Test::Utils::tempdir;
	my ($bin, $lib, $share) = map { config($_) } qw(bindir pkglibdir sharedir);
	my $prefix = $bin;
	my $files = $params{files} // {};

	$prefix = dirname($prefix)
	  while index($lib, "$prefix/") != 0 || index($share, "$prefix/") != 0;
	$_ = substr($_, length $prefix) for $bin, $lib, $share;

	mkpath("$root$bin");
	system_or_bail("cp -L $prefix$bin/* $root$bin/");
	link_all("$prefix$lib", "$root$lib", $params{library} ? ('store.so' => 1) : ());
	symlink $params{library}, "$root$lib/store.so" or die "symlink: $!" if $params{library};
	link_all("$prefix$share", "$root$share", extension => 1);
	link_all("$prefix$share/extension", "$root$share/extension", %$files);
	append_to_file("$root$share/extension/$_", $files->{$_}) for keys %$files;
	return dirname("$root$bin");
}

# Stop a server and start it with the programs and the library of another.
sub change
{
	my ($node, $install_path) = @_;

	$node->stop;
	$node->{_install_path} = $install_path;
	$node->start;
	return;
}

1;
