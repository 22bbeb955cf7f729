# Clients that are rude, for a while: statements canceled in the middle, clients
# killed, sessions terminated, watchers and listeners that go, idle connections; in
# the end nobody leads, and they come again and again.  All they are told is what
# the documentation says, and when they are gone nothing of them is left: no
# request, no answer, no memory.
#
# SOAK_SECONDS (15): "make soak MINUTES=10".

use strict;
use warnings;

use POSIX ();
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{SOAK_SECONDS} || 15;
my $seed = $ENV{SOAK_SEED} || int(rand(1_000_000_000));
note("seed $seed");
srand($seed);

# What a worker may have more at the end than when a quarter of the time has
# passed: caches fill slowly, and the raft worker keeps 16 MB of the log at hand
# for the others, which a short soak is not enough to fill.
my %GROWTH_MB = (raft => 24, apply => 8, notify => 8);

# At a time.
my $CLIENTS = 30;

# An election would be due to them; but not because the machine has other work.
my $cluster = StoreCluster->new(conf => <<'EOC');
store.election_timeout = '5s'
max_connections = 60
store.history_size = '8MB'
store.log_segment_size = '1MB'
EOC
my @nodes = $cluster->nodes;

# ---------------------------------------------------------------------------
# Clients: psql, fed by a script that never ends, and what it complains about
# ---------------------------------------------------------------------------

my $FEED = q{
	$| = 1;
	my ($statements, $seed) = @ARGV;
	srand($seed);
	print "\\\\set VERBOSITY sqlstate\n";
	for (my $i = 1;; $i++)
	{
		my $line = $statements;
		my $value = 'x' x (1 + 20 * int(rand(3)) ** 9);
		my $timeout = 1 + int(rand(20));

		$line =~ s/%T/$timeout/g;
		$line =~ s/%V/$value/g;
		$line =~ s/%I/$i % 50/ge;
		print "$line\n" or exit;
	}
};
my $PUT = q[SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap", ]
  . q["metadata": {"name": "soak-%I", "namespace": "soak"}, "data": {"value": "%V"}}');];
my %statements = (
	canceled => "SET statement_timeout = %T; $PUT SELECT store.barrier();",
	impatient => "SET store.request_timeout = %T; $PUT SELECT store.barrier();",
	writer => $PUT,
	reader => q{SELECT length(store.get('ConfigMap', 'soak-%I', 'soak')::text);},
	watcher => q{SET statement_timeout = %T; SELECT count(*) FROM }
	  . q{store.watch(store.barrier(), 'ConfigMap', timeout => '10 s');},
	listener => qq{LISTEN "store.ConfigMap"; $PUT UNLISTEN *;});
my @kinds = (sort(keys %statements), 'idle');
my (%errors, $n_started);

my $PIPE = q("$1" -e "$2" "$3" "$4" | psql -XAtq -d "$5" -f - >/dev/null 2>"$6");
my $IDLE = q(tail -f /dev/null | psql -XAtq -d "$5" -f - >/dev/null 2>"$6");

# In a process group of its own, to be killed as a whole.
sub start_client
{
	my ($node, $kind) = @_;
	my $errors = "$PostgreSQL::Test::Utils::tmp_check/client.errors." . ++$n_started;
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		setpgrp(0, 0);
		exec('bash', '-c', $kind eq 'idle' ? $IDLE : $PIPE, 'bash', $^X, $FEED,
			$statements{$kind} // '', $seed + $n_started, $node->connstr('postgres'), $errors)
		  or POSIX::_exit(1);
	}
	setpgrp($pid, $pid);
	return { kind => $kind, pid => $pid, errors => $errors };
}

sub end_client
{
	my ($client) = @_;

	kill('KILL', -$client->{pid});
	waitpid($client->{pid}, 0);
	return unless -e $client->{errors};
	my $text = slurp_file($client->{errors});
	unlink $client->{errors};
	$errors{ $client->{kind} }{$_}++ for $text =~ /(?:ERROR|FATAL):  (\w{5})\s*$/mg;
	return;
}

# ---------------------------------------------------------------------------
# What is to stay flat
# ---------------------------------------------------------------------------

# Private memory of each worker, in MB.
sub memory
{
	my %memory;

	for my $node (@nodes)
	{
		my $workers = $node->safe_psql('postgres', q{
			SELECT backend_type, pid FROM pg_stat_activity
			WHERE backend_type LIKE 'store % worker'});

		for (split /\n/, $workers)
		{
			my ($worker, $pid) = /store (\w+) worker\|(\d+)/;
			my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;

			$memory{ $node->name . " $worker" } = $kb / 1024;
		}
	}
	return \%memory;
}

sub show
{
	my ($what, $memory) = @_;

	note("$what: "
		  . join(', ', map { sprintf '%s %.1f', $_, $memory->{$_} } sort keys %$memory));
	return;
}

sub count_elections
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT elections FROM store.stat_raft');
}

my %elections = map { $_->name => count_elections($_) } @nodes;
my $start = time();
my ($first, @clients);
my ($shown, $n_terminated) = (0, 0);

# some of them have come and gone, however slow the machine
while (time() - $start < $seconds || $n_started < $CLIENTS + 10)
{
	my $node = $nodes[ rand @nodes ];
	my $part = (time() - $start) / $seconds;

	push @clients, start_client($node, $kinds[ rand @kinds ]);
	end_client(shift @clients) if @clients > $CLIENTS;
	$n_terminated += $node->safe_psql('postgres', q{
		SELECT count(pg_terminate_backend(pid)) FROM (
			SELECT pid FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
				AND application_name NOT LIKE 'store link from %'
			ORDER BY random() LIMIT 1) AS victim})
	  if rand() < 0.2;
	$first //= memory() if $part > 0.25;
	if ($part * 10 >= $shown + 1)
	{
		$shown = int($part * 10);
		show(sprintf('after %d s', time() - $start), memory());
	}
}

# ---------------------------------------------------------------------------
# Afterwards
# ---------------------------------------------------------------------------

end_client($_) for @clients;
for my $node (@nodes)
{
	ok( $node->poll_query_until('postgres', q{
			SELECT waiting_requests = 0 AND held_answers = 0 AND pending_writes = 0
				AND pending_bytes = 0 AND pending_reads = 0 AND watchers = 0 AND listeners = 0
			FROM store.stat_raft, store.stat_watch}),
		$node->name . ': no request, answer, watcher or listener is left')
	  or diag($node->safe_psql('postgres', 'SELECT * FROM store.stat_raft'));
	is(count_elections($node), $elections{ $node->name }, $node->name . ': no election was held');
}

my $last = memory();
show('in the end', $last);
for my $worker (sort keys %$last)
{
	cmp_ok($last->{$worker} - $first->{$worker},
		'<', $GROWTH_MB{ (split ' ', $worker)[1] }, "$worker: its memory is flat");
}

my %allowed = map { $_ => 1 } qw(57014 57P01 RS500 RS503 RS504);
my %strange;
for my $kind (sort keys %errors)
{
	note("$kind: " . join(', ', map { "$_ $errors{$kind}{$_}" } sort keys %{ $errors{$kind} }));
	$allowed{$_} || $strange{$_}++ for keys %{ $errors{$kind} };
}
is(join(' ', sort keys %strange), '', 'the errors are those that clients are to expect');
note("clients: $n_started; sessions terminated: $n_terminated");
cmp_ok($errors{canceled}{57014} // 0, '>', 0, 'statements were canceled');
cmp_ok($n_terminated, '>', 0, 'sessions were terminated');
$cluster->wait_all_writable;
$cluster->is_same_everywhere('all have the same objects');

# ---------------------------------------------------------------------------
# Nobody leads
# ---------------------------------------------------------------------------

my ($alone, @away) = @nodes;
$_->stop('immediate') for @away;
my @impatient = map { start_client($alone, 'impatient') } 1 .. 4;
my $tries = q{SELECT sum(requests) FROM store.stat_requests WHERE outcome = 'unavailable'};
my $before = $alone->safe_psql('postgres', $tries);
ok($alone->poll_query_until('postgres', "SELECT ($tries) > $before + 3000"),
	'thousands of requests are given up');
is( $alone->safe_psql('postgres', q{
		SELECT pending_reads < 100, pending_writes <= 1100 FROM store.stat_raft}),
	't|t', 'those of whom nobody waits any more are not kept');
end_client($_) for @impatient;
$alone->stop('immediate');
done_testing();
