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

my $n_written = 0;

# Write until the log has lost everything up to an index.
sub compact_log_past
{
	my ($node, $index) = @_;

	return StoreCluster::poll(
		"the log to begin after $index",
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
			return $node->safe_psql('postgres', 'SELECT first_index FROM store.status') > $index;
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

my $cluster = StoreCluster->new(conf => $CONF);
my @nodes = $cluster->nodes;
my ($leader, $away, $other, $index, $writer, $before);

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
is($away->safe_psql('postgres', 'SELECT problem IS NULL FROM store.status'),
	't', 'nothing is wrong with it');

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

{
	my $four = StoreCluster->server('node4', conf => $CONF);

	assign_roles();
	cmp_ok($leader->safe_psql('postgres', 'SELECT first_index FROM store.status'),
		'>', 1, 'the log does not reach back to its beginning');
	$four->safe_psql('postgres', 'CREATE EXTENSION store');
	$cluster->join_node($four, $leader);
	is($four->safe_psql('postgres', q{SELECT role FROM store.members WHERE name = 'node4'}),
		'voter', 'a node joins all the same');
	is_same_state('after joining', $leader, $four);
	push @{ $cluster->{nodes} }, $four;
}

# ----------------------------------------------------------------------------
# Stopped at each stage, and killed there.
# ----------------------------------------------------------------------------

# A copy that begins while something is locked.  Returns what to finish to let
# it go on.
sub hold
{
	my ($node, $statement) = @_;
	my $session = $node->background_psql('postgres');

	$session->query_safe("BEGIN; $statement");
	return $session;
}

# Make a member need a copy, and leave it stopped.
sub send_away
{
	assign_roles();
	$away->safe_psql('postgres', 'SELECT store.barrier()');
	$index = applied($away);
	$before = copies_received($away);
	$away->stop('fast');
	compact_log_past($leader, $index);
	return;
}

sub finish
{
	my ($name) = @_;

	wait_for_copy($away, $before);
	$cluster->wait_all_writable;
	is_same_state($name, $leader, $away);
	is($away->safe_psql('postgres', 'SELECT count(*) FROM store.progress_copy'),
		'0', "$name: no copy is left over");
	return;
}

my $OLD_STATE = q{SELECT count(*), max(resource_version) FROM store.resources};

# Sending: while it reads the events there, this lock is in the way.
for my $side ('the receiving server', 'the sending session', 'the snapshot worker')
{
	my ($session, $old);

	send_away();
	$session = hold($leader, 'LOCK TABLE store.raft_log_0 IN ACCESS SHARE MODE;'
		  . ' LOCK TABLE store.raft_resources IN ACCESS EXCLUSIVE MODE');
	$away->start;
	$old = $away->safe_psql('postgres', $OLD_STATE);
	wait_for_phase($away, 'connecting');
	is($away->safe_psql('postgres', $OLD_STATE), $old, "the old state is there meanwhile");
	if ($side eq 'the receiving server')
	{
		$cluster->kill9($away);
		$cluster->restart_killed($away);
	}
	elsif ($side eq 'the sending session')
	{
		ok( $leader->poll_query_until('postgres',
				q{SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity
				WHERE application_name LIKE 'store copy to %'}),
			'the session is ended');
		StoreCluster::poll(
			'the failure to be seen',
			sub { ($cluster->status($away, 'problem') // '') =~ /^copying the store|; copying the store/ });
		pass('a failed attempt is a problem in store.status');
	}
	else
	{
		$away->safe_psql('postgres',
			q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'store snapshot worker'});
	}
	$session->quit;
	finish("$side was ended while connecting");
}

# Installing: a row lock on the receiving node holds up the deletion of the old
# state, and a lock on the log that of the log.
for my $stage (
	[ 'replacing the state', 'SELECT count(*) FROM (SELECT FROM store.resources FOR UPDATE) AS r' ],
	[ 'replacing the log', 'LOCK TABLE store.raft_state IN SHARE MODE' ])
{
	my ($phase, $statement) = @$stage;

	for my $victim ('receiving', 'sending')
	{
		my ($session, $old, $reader);

		send_away();
		$away->start;
		$session = hold($away, $statement);
		$reader = hold($away, 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
		$old = $reader->query_safe($OLD_STATE);
		wait_for_phase($away, $phase);
		is($reader->query_safe($OLD_STATE), $old, "$phase: a reader sees the old state");
		$away->safe_psql('postgres', $OLD_STATE);
		if ($victim eq 'receiving')
		{
			$cluster->kill9($away);
			eval { $_->quit } for $session, $reader;
			$cluster->restart_killed($away);
			is($away->safe_psql('postgres', $OLD_STATE), $old,
				"$phase, killed: the old state is there again")
			  if phase($away) ne '' && copies_received($away) == $before;
		}
		else
		{
			$cluster->kill9($leader);
			$session->quit;
			wait_for_copy($away, $before);
			is($reader->query_safe($OLD_STATE), $old,
				"$phase: a snapshot from before still sees the old state afterwards");
			$reader->quit;
			$cluster->restart_killed($leader);
		}
		finish("$phase, the $victim server was killed");
	}
}

done_testing();
