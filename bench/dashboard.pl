#!/usr/bin/perl
#
# dashboard.pl URL FROM TO DASHBOARD SVG
#	  Asks Prometheus what the panels of a dashboard ask, and lets gnuplot draw it.
#
# Copyright (c) 2026, store contributors

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP;

my ($url, $from, $to, $dashboard, $svg) = @ARGV;
my $columns = 3;
my $step = 2;    # seconds

sub slurp
{
	my ($path) = @_;

	open(my $file, '<', $path) or die "could not open $path: $!\n";
	local $/ = undef;
	return scalar <$file>;
}

# The series of an expression: name => lines of seconds and value.
sub series
{
	my ($target) = @_;
	my $http = HTTP::Tiny->new;
	my $answer = $http->get(
		"$url/api/v1/query_range?"
		  . $http->www_form_urlencode(
			{ query => $target->{expr}, start => $from, end => $to, step => $step }));
	my %series;

	die "$target->{expr}: $answer->{content}\n" unless $answer->{success};
	for my $result (@{ decode_json($answer->{content})->{data}{result} })
	{
		my $name = $target->{legendFormat} =~ s/\{\{(\w+)\}\}/$result->{metric}{$1} \/\/ ''/ger;

		my $last = $from;
		for (grep { $_->[1] ne 'NaN' } @{ $result->{values} })
		{
			# an empty line interrupts what is drawn
			$series{$name} .= "\n" if $_->[0] > $last + $step;
			$series{$name} .= ($_->[0] - $from) . " $_->[1]\n";
			$last = $_->[0];
		}
	}
	return %series;
}

my @panels = @{ decode_json(slurp($dashboard))->{panels} };
my $rows = int((@panels + $columns - 1) / $columns);

open(my $gnuplot, '|-', 'gnuplot') or die "gnuplot: $!\n";
print $gnuplot "set terminal svg size 1500,", 260 * $rows,
  " font 'sans,11' background '#ffffff'\nset output '$svg'\n",
  "set multiplot layout $rows,$columns\nset grid back lc rgb '#e0e0e0'\n",
  "set key inside top left samplen 1 opaque\nset border 3\nset tics nomirror\n",
  "set xrange [0:", $to - $from, "]\nset xtics 30\nset format y '%.1s%c'\n";
for my $panel (@panels)
{
	my %series = map { series($_) } @{ $panel->{targets} };
	my @names = sort keys %series;
	my $unit = $panel->{fieldConfig}{defaults}{unit} // 'none';
	my %unit = (s => ', s', Bps => ', bytes/s', reqps => '');
	my $title = $panel->{title} . ($unit{$unit} // '');

	print $gnuplot "set title \"$title\" noenhanced\nset yrange [0:*]\n";
	print $gnuplot 'plot ',
	  join(', ', map { "'-' with lines lw 2 title \"$_\" noenhanced" } @names), "\n",
	  map { "$series{$_}e\n" } @names;
}
print $gnuplot "unset multiplot\n";
close($gnuplot) or die "gnuplot failed\n";
