#!/usr/bin/perl
#
# selftest.pl TORTURE HISTORY
#	  Does the judge of torture reject what it should, and nothing else?
#
# A checker that finds nothing may be blind.  So it is shown a sound history,
# and copies of it, each with one thing wrong, for each of its rules.
#
# Copyright (c) 2026, store contributors

use strict;
use warnings;

use File::Temp;

my ($torture, $sound) = @ARGV;
defined $sound or die "usage: selftest.pl TORTURE HISTORY\n";

# rule, what is wrong, and pairs of a text and what stands in for it everywhere
my @DOCTORED = (
	[ two_stories => 'a watcher was told of another key', '13 (M.*) A10.0:k3', '13 $1 A10.0:k0' ],
	[ chain => 'a change of what was there, as if it had not been', 'M8.0', 'A8.0' ],
	[ nobody_wrote => 'a value that no client put', 'W 3 3 2 800 900 .*\n', '' ],
	[
		nobody_wrote => 'a deletion that nobody did', 'delete ok 00000 11',
		'delete refused RS503 0'
	],
	[ ghost => 'a write that failed for certain is there', 'unknown RS500', 'refused RS503' ],
	[ ghost => 'a branch that was not taken is there', 'txn ok 00000 9', 'txn else 00000 14' ],
	[
		twice => 'a value is written again', 'D11.0:k0=1-2', 'D11.0:k0=1-2 M14.0:k3=3-1',
		'V 0 1 7 13', 'V 0 1 7 14', 'k3=3-1@10', 'k3=3-1@14'
	],
	[ twice => 'a new value changed nothing', 'put ok 00000 8', 'put noop 00000 8' ],
	[ lost => 'an acknowledged write is not there', 'A6.0:k0=1-1 ', '', 'M8.0', 'A8.0' ],
	[ lost => 'an acknowledged deletion is not there', ' D11.0:k0=1-2', '' ],
	[ torn => 'half a transaction', ' D9.1:k1=2-1', '' ],
	[ torn => 'another write at the index of a transaction', 'A10.0:k3', 'A9.2:k3' ],
	[ precondition => 'a put on another version than expected', '\?k0=6', '?k0=5' ],
	[ precondition => 'a create of what was there', 'k1- \+k1=2-1', 'k0- +k1=2-1' ],
	[ refusal => 'refused, and the version was the expected one', '\?k2=6', '?k2=9' ],
	[ refusal => 'nothing to delete, and it was there', '12 -k1', '12 -k2' ],
	[ refusal => 'the other branch, and the compares held', 'k1\+ \+k1=2-5', 'k2+ +k1=2-5' ],
	[ real_time => 'placed before what was known', '0 300 400', '0 660 690' ],
	[ real_time => 'one index given to two', 'noop 00000 12', 'noop 00000 13' ],
	[ stale => 'a read of what had been replaced', 'k0 k0=1-2@8', 'k0 k0=1-1@6' ],
	[ stale => 'a barrier in the past', 'plain ok 00000 13', 'plain ok 00000 9' ],
	[
		no_such_state => 'half a transaction is read', 'list (.*) \* k0=1-2@8',
		'list $1 * k1=2-1@7'
	],
	[ no_such_state => 'a value under another version', 'k2=2-2@9\nR', "k2=2-2\@8\nR" ],
	[ no_such_state => 'a page of another index', 'page ok 00000 13', 'page ok 00000 10' ],
	[ no_such_state => 'a past that was not', 'past ok 00000 8', 'past ok 00000 7' ],
	[
		stale => 'a page of what had been replaced', ' page (.*) 13 .*',
		' page $1 10 * k0=1-2@8 k2=2-2@9 k3=3-1@10'
	],
	[ bytes_differ => 'a node has other bytes', '(lpage.*)=aa', '$1=ab' ],
	[
		back_in_time => 'a session goes back in a page', 'lpage (.*) 12 .*',
		'lpage $1 8 * k0=1-2@8 k1=2-1@7 =bb'
	],
	[
		back_in_time => 'a session goes back', 'local (.*) k0=1-2@8 k2=2-2@9',
		'local $1 k0=1-2@8 k1=2-1@7'
	],
	[ watch => 'an event is not told of', '(V 0 1 .*) A10.0:k3=3-1', '$1' ],
	[ watch => 'an event is told of twice', '(V 0 1 .*) D11', '$1 A10.0:k3=3-1 D11' ],
	[ watch => 'two events in the wrong order', '(A6\S*) (A7\S*)', '$2 $1' ],
	[ watch => 'an event beyond the bookmark', 'V 0 1 7 13', 'V 0 1 7 10' ],
	[ watch => 'an answer that goes on elsewhere', 'V 0 1 7 13', 'V 0 1 6 13 A7.0:k1=2-1' ],
	[ node_history => 'a node lacks an event', '(E 1 .*) D11.*', '$1' ],
	[ final_state => 'a node lacks a key', 'S 2 k2=2-2@9 k3=3-1@10', 'S 2 k2=2-2@9' ],
	[ final_state => 'a node has what was deleted', 'S 2', 'S 2 k0=1-2@8' ],
	[ nodes_differ => 'the bytes of a node differ', 'F 2 8 abc', 'F 2 8 abd' ],
	[ odd_error => 'an error that is not documented', 'refused RS503 0', 'refused XX000 0' ],
);

my $failed = 0;

# The rules that the judge finds broken.
sub broken_rules
{
	my ($text) = @_;
	my $file = File::Temp->new;
	my %rules;

	print $file $text;
	close $file;
	open(my $judge, '-|', $torture, 'judge', $file->filename) or die "$torture: $!\n";
	while (<$judge>)
	{
		$rules{$1} = 1 if /^VIOLATION (\w+)/;
		$rules{none} = 1 if /^violations: 0$/;
	}
	close $judge;
	return %rules;
}

sub report
{
	my ($passed, $what, %rules) = @_;

	print $passed ? 'ok' : 'not ok', " - $what: ", join(' ', sort keys %rules), "\n";
	$failed++ if !$passed;
	return;
}

open(my $file, '<', $sound) or die "$sound: $!\n";
my $text = do { local $/; <$file> };
close $file;

my %rules = broken_rules($text);
report($rules{none}, 'a sound history', %rules);
my %shown;
for (@DOCTORED)
{
	my ($rule, $what, @edits) = @$_;
	my $copy = $text;

	while (my ($old, $new) = splice(@edits, 0, 2))
	{
		my $count = $copy =~ s{$old}{my $first = $1; my $second = $2; my $to = $new;
			$to =~ s/\$1/$first/; $to =~ s/\$2/$second/; $to}gme;
		$count or die "$what: nothing to change\n";
	}
	%rules = broken_rules($copy);
	report($rules{$rule}, "$rule, $what", %rules);
	$shown{$rule} = 1;
}

# Every rule of the judge has been shown.
my ($head) = do { open(my $c, '<', $0 =~ s/selftest\.pl/judge.c/r) or die; local $/; <$c> }
  =~ /Rules, by the names(.*?)\*-----/s;
for my $rule ($head =~ /^ \*\t(\w+)\t/mg)
{
	report($shown{$rule}, "rule $rule has a history that breaks it") if !$shown{$rule};
}
exit($failed ? 1 : 0);
