# Mutants.pm
#	  Mutants as text: what is taken away from the sources, and how.
#
# A file of mutants has, for each of them:
#
#	mutant NAME
#	rule WHAT IT BREAKS
#	KEY VALUE			whatever else the runner wants to know
#	file NAME
#	<<<
#	old text			must occur exactly once; white space does not matter
#	===
#	new text
#	>>>
#
# A mutant may have several pairs of "file" and text.  When the sources change
# so that an old text is no longer found, the run fails: move the mutant along.
#
# Copyright (c) 2026, store contributors

package Mutants;

use strict;
use warnings;

use Exporter qw(import);
our @EXPORT_OK = qw(read_file read_mutants edit);

sub read_file
{
	my ($name) = @_;
	local $/;
	open(my $f, '<', $name) or die "$name: $!\n";
	return scalar <$f>;
}

# All mutants of a file: { name, rule, ..., edits => [ [file, old, new] ] }
sub read_mutants
{
	my ($name) = @_;
	my @mutants;
	my ($file, $old, $new, $in);
	for my $line (split /^/, read_file($name))
	{
		if (!$in && $line =~ /^mutant (\w+)/) { push @mutants, { name => $1, edits => [] } }
		elsif (!$in && $line =~ /^file (\S+)/) { $file = $1 }
		elsif ($line =~ /^<<<$/) { $in = 'old'; $old = $new = '' }
		elsif ($line =~ /^===$/) { $in = 'new' }
		elsif ($line =~ /^>>>$/)
		{
			push @{ $mutants[-1]{edits} }, [ $file, $old, $new ];
			undef $in;
		}
		elsif ($in) { $in eq 'old' ? $old : $new .= $line }
		elsif (@mutants && $line =~ /^(\w+) (.*)/) { $mutants[-1]{$1} = $2 }
	}
	return @mutants;
}

# Change one text that must be there exactly once; white space is free.
sub edit
{
	my ($text, $old, $new) = @_;
	my $pattern = join '\s+', map { quotemeta } split ' ', $old;
	my $count = () = $text =~ /$pattern/g;
	return undef if $count != 1;
	$new =~ s/\s+$//;
	$text =~ s/$pattern/$new/;
	return $text;
}

1;
