#!/usr/bin/perl
#
# What of the core do the simulator and the golden traces reach?
#
#	coverage.pl SOURCE FOLDER
#
# FOLDER holds the objects core_*.o that were built with --coverage, and what
# their runs have counted.  Prints lines and branches per file, and each line
# that was never reached.  A branch counts as covered once it was taken, so a
# condition of three parts has six of them.
#
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;

my ($source, $folder) = @ARGV;
die "usage: coverage.pl SOURCE FOLDER\n" unless defined $folder;
$source = abs_path($source);
chdir $folder or die "$folder: $!\n";

my (@total, @missing);
printf "%-14s %12s %14s\n", 'file', 'lines', 'branches';
for my $path (sort glob("$source/*.c"))
{
	my $name = basename($path);
	my @count = (0, 0, 0, 0);	# lines, reached, branches, taken

	system("gcov -b -c core_" . ($name =~ s/\.c$/.o/r) . " >/dev/null 2>&1");
	open(my $f, '<', "$name.gcov") or die "$name.gcov: $!\n";
	while (<$f>)
	{
		if (/^branch\s+\d+ (never executed|taken (\d+))/)
		{
			$count[2]++;
			$count[3]++ if $2;
		}
		elsif (/^\s*(\d+|#####|=====)\*?:\s*(\d+):(.*)/)
		{
			$count[0]++;
			if ($1 =~ /\d/) { $count[1]++ }
			else { push @missing, sprintf('%s:%d:%s', $name, $2, $3) }
		}
	}
	report($name, @count);
	$total[$_] += $count[$_] for 0 .. 3;
}
report('all', @total);
print "\nnever reached:\n", map { "$_\n" } @missing;

sub report
{
	my ($name, @c) = @_;
	printf "%-14s %4d %6.1f%% %6d %6.1f%%\n", $name, $c[0], $c[0] ? 100 * $c[1] / $c[0] : 100,
		$c[2], $c[2] ? 100 * $c[3] / $c[2] : 100;
}
