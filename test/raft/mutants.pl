#!/usr/bin/perl
#
# Build each mutant of mutants.txt and see how soon the simulator catches it.
#
#	mutants.pl SOURCE BUILD LIMIT [NAME...]
#
# SOURCE is src/raft, BUILD the folder with the objects of the simulator and
# of the core, LIMIT the number of seeds after which a mutant has escaped.
#
# The mutations are kept beside the simulator, not in the core as #ifdef, so
# that the core stays readable and no build of the product can contain one.
#
use strict;
use warnings;
use File::Basename;
use File::Path qw(make_path remove_tree);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Mutants qw(read_file read_mutants edit);

my ($source, $build, $limit, @only) = @ARGV;
die "usage: mutants.pl SOURCE BUILD LIMIT [NAME...]\n" unless defined $limit;

my @cc = ($ENV{CC} || 'gcc', qw(-std=c11 -O2 -g -w));

# Returns the mutated program, or why there is none.
sub build_mutant
{
	my ($mutant) = @_;
	my $dir = "$build/mutant";
	my %changed;

	remove_tree($dir);
	make_path($dir);
	system('cp', glob("$source/*.[ch]"), $dir) == 0 or die;
	for my $e (@{ $mutant->{edits} })
	{
		my ($file, $old, $new) = @$e;
		my $text = edit(read_file("$dir/$file"), $old, $new);
		return (undef, "its text is not in $file") unless defined $text;
		open(my $f, '>', "$dir/$file") or die;
		print $f $text;
		close $f;
		$changed{$file} = 1;
	}
	my @objects = grep { !$changed{ (basename($_) =~ s/^core_(.*)\.o$/$1.c/r) } }
		(glob("$build/core_*.o"), glob("$build/sim*.o"));
	for my $file (keys %changed)
	{
		system(@cc, "-I$dir", '-c', '-o', "$dir/$file.o", "$dir/$file") == 0
			or return (undef, 'it does not compile');
		push @objects, "$dir/$file.o";
	}
	system(@cc, '-o', "$dir/raft_sim", @objects) == 0 or return (undef, 'it does not link');
	return ("$dir/raft_sim", undef);
}

my @mutants = read_mutants("$FindBin::Bin/mutants.txt");
my ($caught, $escaped) = (0, 0);

printf "%-28s %6s %-9s %s\n", 'mutant', 'seeds', 'caught as', 'rule';
for my $mutant (@mutants)
{
	next if @only && !grep { $_ eq $mutant->{name} } @only;
	my ($program, $problem) = build_mutant($mutant);
	my ($seeds, $class) = ('-', $problem);

	if ($program)
	{
		my $out = `timeout 600 $program 1 $limit 2>&1`;
		if ($out =~ /^seed (\d+) FAILED at step \d+: (\w+)/m) { ($seeds, $class) = ($1, lc $2) }
		elsif ($out =~ /^seed (\d+) FAILED: HARNESS: died of signal (\d+)/m)
		{
			($seeds, $class) = ($1, "signal $2");
		}
		else { $class = 'ESCAPED' }
	}
	if ($seeds eq '-') { $escaped++ } else { $caught++ }
	printf "%-28s %6s %-9s %s\n", $mutant->{name}, $seeds, $class, $mutant->{rule};
	$| = 1;
}
print "$caught passed, $escaped failed\n";
exit($escaped ? 1 : 0);
