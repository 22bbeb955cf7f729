# Every command of the documents, run as it is written.
#
# A block of code is fenced and says what it is: sh and sql are run, one after the
# other, by one shell for each document; conf, text and others are no commands.
# Two kinds of comments, which a reader does not see, go before a block:
#
#   <!-- test: SHELL -->        run this first; "use b" lets SQL go to host b
#   <!-- not run: REASON -->    the next block is shown only
#
# Hosts a to f, old and new have addresses of their own on the loopback device; nss_wrapper
# tells them to whoever asks.  test/tap/lib/docs.sh has what the comments may call.
# scripts/check-style sees that every block says what it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Borrowed;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $nss_wrapper = Borrowed::library('libnss_wrapper.so');
my @documents = @ARGV ? @ARGV : map { s{^\Q$top\E/}{}r }
  ("$top/README.md", sort glob("$top/doc/*.md $top/contrib/*/README.md"));

# What there is to do in a document: [kind, line, text].
sub steps
{
	my ($document) = @_;
	my ($kind, $line, $text, $reason, @steps);
	my $number = 0;

	for (split /^/, slurp_file("$top/$document"))
	{
		$number++;
		if (/^```\s*$/ && defined $kind)
		{
			$kind = 'not run' if defined $reason;
			push @steps, [ $kind, $line, $kind eq 'not run' ? $reason : $text ]
			  if $kind =~ /^(?:sh|sql|not run)$/;
			undef $kind;
			undef $reason;
		}
		elsif (defined $kind) { $text .= $_ }
		elsif (/^```(\S+)/) { ($kind, $line, $text) = ($1, $number, '') }
		elsif (/^<!-- test: (.*) -->$/) { push @steps, [ 'test', $number, "$1\n" ] }
		elsif (/^<!-- not run: (.*) -->$/) { $reason = $1 }
	}
	return @steps;
}

sub shell_of
{
	my ($kind, $line, $text) = @_;
	$text = "psql -X -v ON_ERROR_STOP=1 <<'END_OF_BLOCK'\n${text}END_OF_BLOCK\n"
	  if $kind eq 'sql';
	return "echo '## $line'\n$text";
}

local $ENV{LD_PRELOAD} = $nss_wrapper;
local $ENV{PGPORT} = PostgreSQL::Test::Cluster::get_free_port();
# a slow machine may take longer to elect a leader than people wait for
local $ENV{PGOPTIONS} = '-c store.request_timeout=60s';
local $ENV{SOURCES} = $top;
my @hosts = ('a' .. 'f', 'old', 'new');
my $network = join '.', 127, map { 1 + int rand 254 } 1 .. 2;

for my $document (@documents)
{
	my @steps = steps($document);
	my @run = grep { $_->[0] ne 'not run' } @steps;

	note("$document:$_->[1] is not run: $_->[2]") for grep { $_->[0] eq 'not run' } @steps;
	next unless grep { $_->[0] ne 'test' } @run;

	my $folder = PostgreSQL::Test::Utils::tempdir_short;
	my $script = "$folder/script";
	my $log = $document =~ s/\W/_/gr;
	my $output = '';

	local $ENV{HOME} = $folder;
	local $ENV{NSS_WRAPPER_HOSTS} = "$folder/hosts";
	append_to_file($ENV{NSS_WRAPPER_HOSTS},
		join('', map { "$network." . ($_ + 1) . " $hosts[$_]\n" } 0 .. $#hosts));
	append_to_file($script, join '', ". $top/test/tap/lib/docs.sh\n", map { shell_of(@$_) } @run);
	IPC::Run::run([ 'bash', '-e', '-o', 'pipefail', $script ],
		'<', '/dev/null', '>&', \$output);
	my $failed = $? != 0;
	append_to_file("$PostgreSQL::Test::Utils::log_path/$log.log", $output);

	my ($before, %output) = split /^## (\d+)\n/m, $output;
	my @reached = grep { exists $output{ $_->[1] } } @run;
	for my $step (@run)
	{
		my ($kind, $line) = @$step;
		my $is_well = exists $output{$line} && !($failed && $step == $reached[-1]);

		next if $kind eq 'test' && $is_well;
		ok($is_well, "$document:$line: $kind")
		  or diag($output{$line} // ($before || 'not reached'));
	}
}

done_testing();
