
=pod

=head1 NAME

Borrowed - programs that are tested with, and not installed

=head1 DESCRIPTION

Packages of servers start them when they are installed, so scripts/check unpacks
these beside the workshop instead.

=cut

package Borrowed;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT_OK = qw(program library library_path);

my $ROOT = "$ENV{TESTDIR}/../borrowed";

# The path of a program; without it there is nothing to test.
sub program
{
	my ($name) = @_;
	my ($found) = grep { -x } map { "$_/$name" } "$ROOT/usr/bin", "$ROOT/usr/sbin",
	  split(/:/, $ENV{PATH}), '/usr/sbin';

	plan skip_all => "needs $name; scripts/check gets it" unless $found;
	return $found;
}

# The path of a library that is preloaded.
sub library
{
	my ($name) = @_;
	my ($found) = map { glob "$_/usr/lib/*-linux-gnu*/$name" } $ROOT, '';

	plan skip_all => "needs $name; scripts/check gets it" unless $found;
	return $found;
}

# Where their libraries are.
sub library_path
{
	return join ':', glob "$ROOT/usr/lib/*-linux-gnu*";
}

1;
