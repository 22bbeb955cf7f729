#!/usr/bin/perl
#
# What of the core do the simulator and the golden traces reach?
#
#	coverage.pl SOURCE FOLDER
#
# FOLDER holds the objects core_*.o that were built with --coverage, and what
# their runs have counted.  Prints lines and branches per file, and each line
# that was never reached with the reason that unreached.txt gives.  Fails if that
# gives none, or if less is reached than the project promises.  A branch counts
# as covered once it was taken, so a condition of three parts has six of them.
#
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename;

# Promised, in percent.
use constant LINES => 97;
use constant BRANCHES => 90;

my ($source, $folder) = @ARGV;
die "usage: coverage.pl SOURCE FOLDER\n" unless defined $folder;
$source = abs_path($source);
my %why = read_reasons(dirname(abs_path($0)) . '/unreached.txt');
chdir $folder or die "$folder: $!\n";

my (@total, %missing);
my $n_unexplained = 0;
printf "%-14s %12s %14s\n", 'file', 'lines', 'branches';
for my $path (sort glob("$source/*.c"))
{
	my $name = basename($path);
	my @count = (0, 0, 0, 0);	# lines, reached, branches, taken
	my $function = '';

	system("gcov -b -c core_" . ($name =~ s/\.c$/.o/r) . " >/dev/null 2>&1");
	open(my $f, '<', "$name.gcov") or die "$name.gcov: $!\n";
	while (<$f>)
	{
		$function = $1 if /^[^:]+:\s*\d+:(\w+)\(/;
		if (/^branch\s+\d+ (never executed|taken (\d+))/)
		{
			$count[2]++;
			$count[3]++ if $2;
		}
		elsif (/^\s*(\d+|#####|=====)\*?:\s*(\d+):(.*)/)
		{
			$count[0]++;
			if ($1 =~ /\d/) { $count[1]++ }
			else { missing($name, $2, $function, $3) }
		}
	}
	report($name, @count);
	$total[$_] += $count[$_] for 0 .. 3;
}
report('all', @total);

print "\nnever reached, and why:\n";
print "\n$_:\n", @{ $missing{$_} } for sort keys %missing;

my $ok = !$n_unexplained && 100 * $total[1] >= LINES * $total[0] &&
  100 * $total[3] >= BRANCHES * $total[2];
printf "%s - at least %d %% of lines and %d %% of branches, and a reason for the rest\n",
  $ok ? 'ok' : 'not ok', LINES, BRANCHES;
exit !$ok;

# The reason for each line, by file, function and text without blanks.
sub read_reasons
{
	my ($path) = @_;
	my (%reasons, $reason);
	open(my $f, '<', $path) or die "$path: $!\n";
	while (<$f>)
	{
		if (/^reason (.+)/) { $reason = $1 }
		elsif (/^(\w+\.c) (\w+) (.+)/) { $reasons{ key($1, $2, $3) } = $reason }
		elsif (/\S/ && !/^#/) { die "$path:$.: neither reason nor line\n" }
	}
	return %reasons;
}

sub key
{
	my ($name, $function, $text) = @_;
	return "$name $function " . $text =~ s,/\*.*|\s,,gr;
}

sub missing
{
	my ($name, $number, $function, $text) = @_;
	my $reason = $why{ key($name, $function, $text) };
	$n_unexplained++ unless defined $reason;
	push @{ $missing{ $reason // 'NO REASON GIVEN' } }, "$name:$number:$text\n";
}

sub report
{
	my ($name, @c) = @_;
	printf "%-14s %4d %6.1f%% %6d %6.1f%%\n", $name, $c[0], $c[0] ? 100 * $c[1] / $c[0] : 100,
		$c[2], $c[2] ? 100 * $c[3] / $c[2] : 100;
}
