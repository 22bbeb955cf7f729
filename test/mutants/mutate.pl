#!/usr/bin/perl
#
# mutate.pl list [NAME...]
#	One line for each mutant of mutants.txt, or for those named:
#	name, test and rule, with tabs between them.
# mutate.pl apply NAME SOURCE TARGET
#	Write the files that it changes, taken from SOURCE, below TARGET; print
#	their names.
#
# Used by scripts/mutants.
#
# Copyright (c) 2026, store contributors

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Mutants qw(read_file read_mutants edit);

my ($command, @arguments) = @ARGV;
my @mutants = read_mutants("$FindBin::Bin/mutants.txt");
my %known = map { $_->{name} => $_ } @mutants;

if (($command // '') eq 'list')
{
	exists $known{$_} or die "there is no mutant \"$_\"\n" for @arguments;
	@mutants = @known{@arguments} if @arguments;
	print join("\t", @$_{qw(name test rule)}), "\n" for @mutants;
}
elsif (($command // '') eq 'apply' && @arguments == 3)
{
	my ($name, $source, $target) = @arguments;
	my %changed;

	for my $e (@{ $known{$name}{edits} })
	{
		my ($file, $old, $new) = @$e;

		$changed{$file} = edit($changed{$file} // read_file("$source/$file"), $old, $new)
		  // die "its text is not in $file\n";
	}
	for my $file (sort keys %changed)
	{
		open(my $f, '>', "$target/$file") or die "$target/$file: $!\n";
		print $f $changed{$file};
		close $f or die "$target/$file: $!\n";
		print "$file\n";
	}
}
else
{
	die "usage: mutate.pl list [NAME...] | apply NAME SOURCE TARGET\n";
}
