# Catching up by copy: a member that was away for longer than the log is kept,
# and one that joins a cluster whose log has been compacted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

# Small segments, so that the log is compacted soon.  Nobody is canceled for
# holding a lock: locks are how this test stops a copy at a stage.
my $CONF = <<'CONF';
fsync = off
store.log_segment_size = '64kB'
store.max_apply_delay = '1h'
autovacuum = off
CONF

# The columns of the tables, with a column list in one order for all nodes.
my %TABLES = (
	resources => 'SELECT * FROM store.raft_resources ORDER BY uid',
	events => 'SELECT * FROM store.raft_events ORDER BY resource_version, ordinal');

sub dumps
{
	my ($node, $index) = @_;
	my %result;

	$node->safe_psql('postgres',
		"SET store.read_consistency = local; SELECT store.wait_for($index, '180 s')");
	for my $table (sort keys %TABLES)
	{
		IPC::Run::run(
			[
				'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
				"COPY ($TABLES{$table}) TO STDOUT (FORMAT binary)"
			],
			'>', \$result{$table}) or die 'could not dump ' . $node->name;
	}
	$result{floor} = $node->safe_psql('postgres', 'SELECT compacted_revision FROM store.status');
	return \%result;
}

# Every byte of the state is the same on these nodes.
sub is_same_state
{
	my ($name, @nodes) = @_;
	my $index = $nodes[0]->safe_psql('postgres', 'SELECT store.barrier()');
	my @dumps = map { dumps($_, $index) } @nodes;

	for my $i (1 .. $#nodes)
	{
		ok($dumps[$i]{$_} eq $dumps[0]{$_}, "$name: $_ of " . $nodes[$i]->name)
		  or diag(length($dumps[$i]{$_}) . ' instead of ' . length($dumps[0]{$_}) . ' bytes')
		  for sort keys %{ $dumps[0] };
	}
	cmp_ok(length $dumps[0]{resources}, '>', 100_000, "$name: there is something to compare");
	return;
}

my ($cluster, $n_written);

# Write until the log has lost the entry after an index.
sub compact_log_past
{
	my ($node, $index) = @_;

	return StoreCluster::poll(
		"the log to begin after entry $index + 1",
		sub {
			$n_written++;
			$node->safe_psql('postgres', <<"SQL");
SET store.request_timeout = '60s';
SELECT count(store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'ConfigMap',
	'metadata', jsonb_build_object('name', 'n-' || i, 'namespace', 'ballast',
		'labels', jsonb_build_object('round', '$n_written')),
	'data', jsonb_build_object('text', repeat(md5(i || '-$n_written'), 30)))))
FROM generate_series(1, 150) AS i
SQL
			return $cluster->status($node, 'first_index') > $index + 1;
		});
}

sub applied
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT applied_index FROM store.status');
}

sub phase
{
	my ($node) = @_;
	my ($ret, $phase) = $node->psql('postgres',
		q{SELECT phase FROM store.progress_copy WHERE direction = 'receiving'});

	return $ret == 0 ? $phase : '';
}

sub wait_for_phase
{
	my ($node, $phase) = @_;

	return StoreCluster::poll("phase \"$phase\" of " . $node->name,
		sub { phase($node) eq $phase });
}

sub copies_received
{
	my ($node) = @_;

	return scalar(() = slurp_file($node->logfile) =~ /was brought up to date by a copy/g);
}

sub wait_for_copy
{
	my ($node, $before) = @_;

	return StoreCluster::poll('a copy on ' . $node->name,
		sub { copies_received($node) > $before });
}

$cluster = StoreCluster->new(conf => $CONF);
my @nodes = $cluster->nodes;
my ($leader, $away, $other, $index, $base, $writer, $before);

sub assign_roles
{
	$cluster->wait_all_writable;
	$leader = $cluster->wait_for_leader;
	($away, $other) = $cluster->others($leader);
	return;
}

# ----------------------------------------------------------------------------
# A member that was away for longer than the log is kept.
# ----------------------------------------------------------------------------

assign_roles();
$leader->safe_psql('postgres',
	qq{SELECT store.put('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "old"}}')});
$leader->safe_psql('postgres',
	qq{SELECT store.put('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mortal"}}',
	ttl => '1 week')});
$away->safe_psql('postgres', 'SELECT store.barrier()');
$index = applied($away);
$away->stop('immediate');
$leader->safe_psql('postgres', q{SELECT store.delete('Secret', 'old')});
compact_log_past($leader, $index);
pass('a member that is away does not keep the log');

$writer = $cluster->start_writer($other, 'meanwhile');
$away->start;
wait_for_copy($away, 0);
pass('it is brought up to date by a copy when it comes back');
StoreCluster::wait_for_writes($writer, 20);
{
	my @acknowledged = StoreCluster::stop_writer($writer);

	is($cluster->missing_writes($_, @acknowledged), '', $_->name . ' has all that was written')
	  for @nodes;
}
is_same_state('after a copy', @nodes);
is($away->safe_psql('postgres', q{SELECT store.get('Secret', 'old') IS NULL}),
	't', 'what was deleted meanwhile is gone');
is(copies_received($away), 1, 'one copy was enough');
is( $away->safe_psql('postgres', 'SELECT count(*) FROM store.progress_copy'),
	'0', 'nothing is going on any more');
unlike($cluster->status($away, 'problem'), qr/copy/, 'nothing is wrong with it');

# It is a voter as good as any.
$other->stop('immediate');
$leader->safe_psql('postgres',
	qq{SET store.request_timeout = '60s';
	SELECT store.put('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "new"}}')});
pass('it counts for a majority');
$other->start;
$cluster->wait_all_writable;

# What was read on the leader at an index can be read here.
{
	my ($low, $high) = split /\|/, $leader->safe_psql('postgres',
		'SELECT compacted_revision, applied_index FROM store.status');
	my $middle = int(($low + $high) / 2);
	my $query = "SELECT md5(store.list_page('ConfigMap', resource_version => $middle,"
	  . " resource_version_match => 'Exact')::text)";

	is($away->safe_psql('postgres', $query),
		$leader->safe_psql('postgres', $query), 'the past is the same, too');
}

# ----------------------------------------------------------------------------
# A node that joins.
# ----------------------------------------------------------------------------

# Change a stamp past the guard.
sub damage
{
	my ($node, $by) = @_;

	$node->safe_psql('postgres', <<"SQL");
BEGIN;
ALTER TABLE store.resources DISABLE TRIGGER ALL;
UPDATE store.resources SET generation = generation $by
	WHERE namespace = 'ballast' AND name = 'n-1';
ALTER TABLE store.resources ENABLE ALWAYS TRIGGER guard;
ALTER TABLE store.resources ENABLE ALWAYS TRIGGER guard_row;
COMMIT;
SQL
	return;
}

{
	my $four = StoreCluster->server('node4', conf => $CONF);

	assign_roles();
	cmp_ok($leader->safe_psql('postgres', 'SELECT first_index FROM store.status'),
		'>', 1, 'the log does not reach back to its beginning');
	$four->safe_psql('postgres', 'CREATE EXTENSION store');

	# Of the leader, which it asks first, it takes nothing: a row there is not
	# what was applied.  The next member has it right.
	damage($leader, '+ 1');
	$cluster->join_node($four, $leader);
	is($four->safe_psql('postgres', q{SELECT role FROM store.members WHERE name = 'node4'}),
		'voter', 'a node joins all the same');
	like(slurp_file($four->logfile),
		qr/ERROR:  the copy of the state is not what its sender has applied/,
		'it has refused a copy that does not add up');
	damage($leader, '- 1');
	is_same_state('after joining', $leader, $four);
	push @{ $cluster->{nodes} }, $four;
}

# ----------------------------------------------------------------------------
# Stopped at each stage, and killed there.
# ----------------------------------------------------------------------------

# Make a member need a copy, which it cannot know before somebody reaches it.
sub send_away
{
	assign_roles();
	$away->safe_psql('postgres', 'SELECT store.barrier()');
	$index = applied($away);
	$before = copies_received($away);
	$away->stop('fast');
	compact_log_past($leader, $index);
	$base = $leader->safe_psql('postgres', 'SELECT first_index - 1 FROM store.status');
	rename $away->data_dir . '/pg_hba.conf', $away->data_dir . '/pg_hba.conf.open' or die $!;
	append_to_file($away->data_dir . '/pg_hba.conf', "local all all trust\n");
	$away->start;
	StoreCluster::poll('the old state',
		sub { ($cluster->status($away, 'applied_index') // 0) >= $index });
	return;
}

sub let_reach
{
	rename $away->data_dir . '/pg_hba.conf.open', $away->data_dir . '/pg_hba.conf' or die $!;
	$away->reload;
	return;
}

sub session
{
	my ($statement) = @_;
	my $session = $away->background_psql('postgres');

	$session->query_safe("BEGIN; $statement");
	return $session;
}

# Stop the copy in a phase by a lock on the receiving node; returns the session
# that holds it.
sub stop_in_phase
{
	my ($phase) = @_;
	my ($table, $first, $second);

	if ($phase =~ /^replacing/)
	{
		my $lock = $phase =~ /log/ ? 'LOCK TABLE store.raft_state IN SHARE MODE' :
		  'SELECT count(*) FROM (SELECT FROM store.resources FOR UPDATE) AS r';

		$second = session($lock);
		let_reach();
		StoreCluster::poll(
			"phase \"$phase\"",
			sub {
				return 1 if phase($away) eq $phase;

				# There is a new term, which it has to note before it can ask for a copy.
				if ($away->safe_psql('postgres', q{
					SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
					WHERE NOT granted AND backend_type = 'store raft worker'}))
				{
					$second->quit;
					$second = session($lock);
				}
				return 0;
			});
		return $second;
	}

	# The staging tables are emptied first: this holds that up, ...
	$table = $phase =~ /events/ ? 'raft_copied_events' : 'raft_copied_resources';
	$first = session("LOCK TABLE store.$table IN ACCESS SHARE MODE");
	let_reach();
	wait_for_phase($away, 'connecting');
	return $first if $phase eq 'connecting';

	# ... and this comes between that and the rows.
	$away->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'})
	  or die 'nobody waits';
	$second = $away->background_psql('postgres');
	$second->query_until(qr/begun/,
		"\\echo begun\nBEGIN; LOCK TABLE store.$table IN SHARE MODE;\n");
	$away->poll_query_until('postgres',
		qq{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND mode = 'ShareLock'
		AND relation = 'store.$table'::regclass})
	  or die 'the second lock does not wait';
	$first->quit;
	wait_for_phase($away, $phase);
	return $second;
}

# A session that is dead, or whose server is, has no words for its end.
sub leave
{
	my ($session) = @_;

	eval { $session->quit };
	return;
}

my $OLD_STATE = q{SELECT count(*), max(resource_version) FROM store.resources};

# The state from before the copy; the end of the old log may have been applied
# since.  Says nothing once there was a copy.
sub is_old
{
	my ($old, $name) = @_;
	my ($old_count, $old_index) = split /\|/, $old;
	my ($count, $version) = split /\|/, $away->safe_psql('postgres', $OLD_STATE);

	ok( copies_received($away) > $before
		  || ($count >= $old_count && $version >= $old_index && $version <= $base),
		$name) or diag("$count objects up to $version, not $old up to at most $base");
	return;
}

my %VICTIMS = (
	'the receiving server' => sub {
		$cluster->kill9($away);
		$cluster->restart_killed($away);
	},
	'the sending server' => sub { $cluster->kill9($leader) },
	'the sending session' => sub {
		$leader->poll_query_until('postgres',
			q{SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity
			WHERE application_name LIKE 'store copy to %'}) or die 'no session';
	},
	'the snapshot worker' => sub {
		$away->safe_psql('postgres',
			q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'store snapshot worker'});
	},
	'the raft worker' => sub {
		$away->safe_psql('postgres',
			q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'store raft worker'});
	});

for my $round (
	[ 'connecting', 'the receiving server' ],
	[ 'connecting', 'the sending server' ],
	[ 'copying resources', 'the receiving server' ],
	[ 'copying resources', 'the sending server' ],
	[ 'copying resources', 'the sending session' ],
	[ 'copying resources', 'the snapshot worker' ],
	[ 'copying events', 'the receiving server' ],
	[ 'copying events', 'the sending server' ],
	[ 'replacing the state', 'the receiving server' ],
	[ 'replacing the state', 'the sending server' ],
	[ 'replacing the state', 'the snapshot worker' ],
	[ 'replacing the log', 'the receiving server' ],
	[ 'replacing the log', 'the sending server' ],
	[ 'replacing the log', 'the raft worker' ])
{
	my ($phase, $victim) = @$round;
	my $name = "$victim ended while $phase";
	my ($holder, $reader, $old);

	send_away();
	$reader = session('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
	$old = $reader->query_safe($OLD_STATE);
	$holder = stop_in_phase($phase);
	is_old($old, "$name: the old state can be read");
	is( $leader->safe_psql('postgres',
			q{SELECT count(*) FROM store.progress_copy WHERE direction = 'sending'}),
		$phase eq 'connecting' ? '0' : '1', "$name: the sending side shows it");

	$VICTIMS{$victim}->();
	is_old($old, "$name: the old state is there");
	if ($victim eq 'the sending session')
	{
		$holder->quit;
		StoreCluster::poll('the failure to be seen',
			sub { slurp_file($away->logfile) =~ /ERROR:  lost connection to peer/ });
	}
	leave($holder);
	wait_for_copy($away, $before);
	if ($victim !~ /receiving/)
	{
		is($reader->query_safe($OLD_STATE), $old, "$name: an old snapshot sees the old state");
	}
	leave($reader);
	$cluster->restart_killed($leader) if $victim eq 'the sending server';
	$cluster->wait_all_writable;
	is_same_state($name, $leader, $away);
	is($away->safe_psql('postgres', 'SELECT count(*) FROM store.progress_copy'),
		'0', "$name: no copy is left over");
}

done_testing();
