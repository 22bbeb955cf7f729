# Who does not read what it asked for, who cannot publish, and a history that
# goes while it is read: none of them holds up a write or another watcher, and
# nothing is lost.

use strict;
use warnings;

use DeafClient;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $N_DEAF = 50;

my $cluster = StoreCluster->new(
	nodes => 1,
	conf => "max_connections = 90\nstore.history_size = 4MB\nstore.history_retention = -1\n"
	  . "wal_level = replica\nmax_wal_senders = 1\n");
my ($node) = $cluster->nodes;

# So many resources of 7 kB, which do not compress; returns the last index.
sub put_many
{
	my ($prefix, $count) = @_;

	return $node->safe_psql('postgres', qq{
		SELECT max((store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'Pod',
			'metadata', jsonb_build_object('name', '$prefix-' || i, 'namespace', 'n'),
			'spec', (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 220)
				WHERE i > 0)))).resource_version)
		FROM generate_series(1, $count) AS i});
}

sub put
{
	my ($kind, $value) = @_;

	return $node->safe_psql('postgres', qq{SELECT (store.put('{"apiVersion": "v1", "kind": "$kind",
		"metadata": {"name": "x"}, "spec": {"v": "$value"}}')).resource_version});
}

# A psql that is not waited for.
sub start_query
{
	my (@arguments) = @_;
	my %query = (out => '', err => '');

	$query{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), @arguments ],
		'<', \undef, '>', \$query{out}, '2>', \$query{err});
	return \%query;
}

sub n_deaf
{
	return $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity
		WHERE application_name = 'deaf' AND wait_event = 'ClientWrite'});
}

sub notify_pid
{
	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'store notify worker'});
}

# What a session that listens was told: the indexes, until this one.
sub hear_until
{
	my ($session, $index) = @_;
	my @heard;

	StoreCluster::poll(
		"a notification of $index",
		sub {
			push @heard, $session->query_safe('SELECT 1') =~ /"resourceVersion":"(\d+)"/g;
			return grep { $_ >= $index } @heard;
		});
	return @heard;
}

# ----------------------------------------------------------------------------
# Fifty watchers that do not read their answers
# ----------------------------------------------------------------------------

my $start = put('Start', 0);
my $last = put_many('first', 100);
my @deaf = map { DeafClient->new($node) } 1 .. $N_DEAF;
$_->ask("SELECT * FROM store.watch($start)") for @deaf;
StoreCluster::poll('the watchers to stall', sub { return n_deaf() == $N_DEAF });

my @made;
my @seen;
my $at = $last;
for my $i (1 .. 20)
{
	push @made, put('Pod', $i);
	my @rows = split /\n/, $node->safe_psql('postgres', "SELECT type, resource_version
		FROM store.watch($at, 'Pod', timeout => '1 hour')");

	($at) = pop(@rows) =~ /BOOKMARK\|(\d+)/;
	push @seen, map { (split /\|/)[1] } @rows;
}
is_deeply(\@seen, \@made, "one that reads gets all, beside $N_DEAF that do not");
is(n_deaf(), $N_DEAF, 'which are all still stalled');

# ----------------------------------------------------------------------------
# A history that goes while it is read
# ----------------------------------------------------------------------------

# A lock keeps the reader, which has looked at the floor, from the table.  The
# segments below are emptied meanwhile, and it must not take them for empty.
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE ONLY store.events IN ACCESS EXCLUSIVE MODE');
my $reader = start_query('-v', 'VERBOSITY=verbose', '-c',
	"SELECT count(*) FROM store.watch($start)");
StoreCluster::poll(
	'the reader to wait for the lock',
	sub {
		return $node->safe_psql('postgres',
			q{SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock'}) == 1;
	});
my $floor = put_many('second', 300);
$node->safe_psql('postgres', "SELECT store.compact($floor)");
my $segments = join ' UNION ALL ',
  map { "SELECT resource_version FROM store.events_$_" } 0 .. 7;
StoreCluster::poll(
	'history to go',
	sub {
		put('Tick', rand());
		return $node->safe_psql('postgres',
			"SELECT count(*) FROM ($segments) AS e WHERE resource_version <= $last") == 0;
	});
pass('stalled watchers do not keep the history from going');
$locker->query_safe('COMMIT');
$locker->quit;
$reader->{run}->finish;
like($reader->{err}, qr/RS410/, 'a history that went while it was read is no answer');
is($reader->{out}, '', 'nor part of one');

is($deaf[0]->read_rows, 101, 'a stalled watcher that reads on gets what it asked for');
$_->hang_up for @deaf;
StoreCluster::poll(
	'the watchers to go',
	sub {
		return $node->safe_psql('postgres',
			q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deaf'}) == 0;
	});

# ----------------------------------------------------------------------------
# A listener whose client does not read
# ----------------------------------------------------------------------------

$node->append_conf('postgresql.conf', "store.notify_queue_limit = 0.00001\n");
$node->reload;
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN "store.Pod/key"');
my $deaf = DeafClient->new($node);
$deaf->ask('LISTEN store');
$deaf->read_rows;
$start = put('Pod', 'the first that is heard');
$last = put_many('third', 150);
StoreCluster::poll('the queue to fill',
	sub { return $cluster->status($node, 'problem') =~ /notifications wait/ });
my ($pid, $problem) = ($deaf->pid, $cluster->status($node, 'problem'));
like($problem, qr/; process $pid, which listens in database "postgres", has been waiting for its/,
	'the process whose client does not read is named');
my $notified = $cluster->status($node, 'notified_index');
cmp_ok($notified, '<', $last, 'notifications wait for it');
$last = put_many('fourth', 150);
is($cluster->status($node, 'applied_index'), $last, 'writes do not');
is($cluster->status($node, 'notified_index'), $notified, 'not one of them');
$deaf->hang_up;
my @heard = hear_until($listener, $last);
is_deeply(
	\@heard,
	[ split /\n/, $node->safe_psql('postgres', "SELECT resource_version FROM store.events
		WHERE resource_version >= $start AND kind = 'Pod' ORDER BY resource_version") ],
	'once it has gone, another listener hears all of them');
StoreCluster::poll('the problem to go', sub { return $cluster->status($node, 'problem') eq '' });

# ----------------------------------------------------------------------------
# A COMMIT of the notify worker that fails
# ----------------------------------------------------------------------------

# A full queue fails it where it takes the lock on the queue, which a session
# holds that waits for a standby which never comes.  There it is canceled.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
$node->reload;
StoreCluster::poll('the setting',
	sub { return $node->safe_psql('postgres', 'SHOW synchronous_standby_names') eq 'nobody' });
$node->safe_psql('postgres', 'CHECKPOINT');	# the process that puts it into force
my $waiter = start_query('-c', q{SELECT pg_logical_emit_message(true, 'a', 'b'); NOTIFY a});
StoreCluster::poll(
	'a session to hold the lock',
	sub {
		return $node->safe_psql('postgres',
			q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'}) == 1;
	});

# The notify worker other than this one, once it waits for the lock.
sub stuck_notify_worker
{
	my ($not) = @_;

	return StoreCluster::poll(
		'the notify worker to wait for the lock',
		sub {
			return $node->safe_psql('postgres', qq{SELECT pid FROM pg_stat_activity
				WHERE backend_type = 'store notify worker' AND wait_event_type = 'Lock'
					AND pid <> $not});
		});
}

@made = (put('Pod', 'cannot be published'));
my $worker = stuck_notify_worker(0);
$notified = $cluster->status($node, 'notified_index');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($worker)");
my $another = stuck_notify_worker($worker);
like($cluster->status($node, 'problem'), qr/^notifications are delayed: the notify worker failed/,
	'a failure is a problem until something is published');
push @made, map { put('Pod', "nor this $_") } 1 .. 10;
is($cluster->status($node, 'notified_index'), $notified, 'nothing counts as published');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
$node->reload;
$waiter->{run}->finish;
is_deeply([ hear_until($listener, $made[-1]) ], \@made, 'all of it is published then, once');
StoreCluster::poll('the problem to go', sub { return $cluster->status($node, 'problem') eq '' });
is(notify_pid(), $another, 'by a worker that was started again');
$listener->quit;

# ----------------------------------------------------------------------------
# A long history
# ----------------------------------------------------------------------------

$node->append_conf('postgresql.conf', "store.history_size = 1GB\n");
$node->reload;
$start = put('Pod', 'the last before');
$node->safe_psql('postgres', qq{
	SELECT store.txn('[]', (SELECT jsonb_agg(jsonb_build_object('put', jsonb_build_object(
			'apiVersion', 'v1', 'kind', 'Many', 'metadata', jsonb_build_object('name', 'm' || i),
			'spec', t || repeat('0123456789abcdef', 320)))) FROM generate_series(1, 200) AS i))
	FROM generate_series(1, 50) AS t});

my $session = $node->background_psql('postgres');
($pid) = $session->query_safe('SELECT pg_backend_pid()') =~ /(\d+)/;

sub peak
{
	return slurp_file("/proc/$pid/status") =~ /^VmPeak:\s+(\d+) kB/m ? $1 / 1024 : undef;
}

my $few = "SELECT count(*) FROM store.watch($start, label_selector => '!a', \"limit\" => 1)";
$session->query_safe($few);
my $before = peak();
like($session->query_safe("SELECT count(*), sum(length(object ->> 'spec')) > 50000000
	FROM store.watch($start, label_selector => '!a')"), qr/^10001\|t$/m, 'a long history');
my $grown = peak() - $before;
note("memory: $grown MB");
cmp_ok($grown, '<', 25, 'its answer is not in memory');
$session->quit;

my $plan;
$node->psql('postgres', "
	LOAD 'auto_explain';
	SET auto_explain.log_min_duration = 0;
	SET auto_explain.log_nested_statements = on;
	SET client_min_messages = log;
	$few", stderr => \$plan);
like($plan, qr/Index Scan using events_\d_pkey/, 'it is read in the order of an index');
unlike($plan, qr/Sort  \(/, 'and not sorted');

done_testing();
