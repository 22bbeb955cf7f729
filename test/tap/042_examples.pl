# The examples do what they say: each sees every change once, in order, though
# its connection is cut, its node is killed, and the history it needs is gone.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new;
my @nodes = $cluster->nodes;

$cluster->wait_for_leader;

# All nodes, beginning with this one: libpq tries them in turn.
sub hosts
{
	my ($first) = @_;
	my @order = ($first, grep { $_ != $first } @nodes);

	return
	    'host='
	  . join(',', map { $_->host } @order)
	  . ' port='
	  . join(',', map { $_->port } @order)
	  . ' dbname=postgres user=postgres connect_timeout=3';
}

my $serial = 0;

# Some changes, by way of a node that runs.
sub change
{
	my ($namespace) = @_;
	my ($node) = $cluster->running;
	my $sql = '';

	for my $name (qw(one two three))
	{
		$serial++;
		$sql .= 'SELECT store.put('
		  . StoreCluster::configmap("$name-" . $serial % 4, $serial, $namespace) . ');';
		# what others do does not show
		$sql .= 'SELECT store.put('
		  . StoreCluster::configmap($name, $serial, 'elsewhere') . ');';
	}
	$sql .= "SELECT store.delete('ConfigMap', 'one-" . ($serial - 2) % 4 . "', '$namespace');";
	poll_sql($node, $sql);
	return;
}

# After a node died the others may need a moment to find a leader.
sub poll_sql
{
	my ($node, $sql) = @_;

	$node->poll_query_until('postgres', 'SELECT store.barrier() > 0');
	$node->safe_psql('postgres', $sql);
	return;
}

# What should be seen of a namespace behind a version, as lines.
sub events
{
	my ($namespace, $since) = @_;
	my ($node) = $cluster->running;

	$node->poll_query_until('postgres', 'SELECT store.barrier() > 0');
	return split /\n/, $node->safe_psql('postgres', qq{
		SELECT type || ' ' || resource_version || ' ' || name FROM store.events
		WHERE kind = 'ConfigMap' AND namespace = '$namespace' AND resource_version > $since
		ORDER BY resource_version, ordinal});
}

sub start_example
{
	my ($name, @command) = @_;
	my $output = "$PostgreSQL::Test::Utils::tmp_check/$name.out";
	my $errors = "$PostgreSQL::Test::Utils::tmp_check/$name.err";

	local $ENV{PGAPPNAME} = $name;
	return {
		name => $name,
		output => $output,
		errors => $errors,
		run => IPC::Run::start(\@command, '<', \undef, '>', $output, '2>', $errors)
	};
}

# The lines so far; of psql in the order of the others, without the bookmarks.
sub lines
{
	my ($example) = @_;

	return grep { !/^BOOKMARK|^$/ }
	  map { /^(\d+)\|(\w+)\|(.*)$/ ? "$2 $1 $3" : $_ } split /\n/, slurp_file($example->{output});
}

sub wait_for_line
{
	my ($example, $line) = @_;

	return StoreCluster::poll(
		"$example->{name}: $line",
		sub { return scalar grep { $_ eq $line } lines($example); });
}

sub stop_example
{
	my ($example) = @_;

	$example->{run}->kill_kill(grace => 5);
	note("$example->{name} said:\n" . slurp_file($example->{errors}));
	return;
}

# Where its connection is, as (node, process id of the backend).
sub find_backend
{
	my ($example) = @_;
	my @found;

	StoreCluster::poll(
		"the connection of $example->{name}",
		sub {
			for my $node ($cluster->running)
			{
				my $pid = $node->safe_psql('postgres', qq{
					SELECT pid FROM pg_stat_activity WHERE application_name = '$example->{name}'
					AND query LIKE '%store.watch%' AND state = 'active'});
				@found = ($node, $pid) if $pid;
			}
			return @found;
		});
	return @found;
}

sub last_version
{
	my (@lines) = @_;

	return (split / /, $lines[-1])[1];
}

# ---------------------------------------------------------------------------
# The two programs, which go on by themselves
# ---------------------------------------------------------------------------

for my $case ([ 'watch_c', 'build/watch_example' ], [ 'watch_py', 'examples/watch.py' ])
{
	my ($name, $program) = @$case;
	my $namespace = "namespace-of-$name" =~ tr/_/-/r;
	my ($node, $pid, @expected);

	change($namespace);
	my $listed = (sort { $a <=> $b } map { (split / /)[1] } events($namespace, 0))[-1];
	my @state = split /\n/, $nodes[0]->safe_psql('postgres', qq{
		SELECT resource_version || ' ' || name FROM store.resources
		WHERE kind = 'ConfigMap' AND namespace = '$namespace' ORDER BY name});

	my $example = start_example($name, $program, hosts($nodes[1]), 'ConfigMap', $namespace);
	($node, $pid) = find_backend($example);
	is_deeply([ map { s/^\w+ //r } lines($example) ], \@state, "$name: first what is there");

	change($namespace);
	wait_for_line($example, (events($namespace, $listed))[-1]);
	ok(1, "$name: then what changes");

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	change($namespace);
	wait_for_line($example, (events($namespace, $listed))[-1]);
	ok(1, "$name: goes on after its connection was cut");

	($node) = find_backend($example);
	$cluster->kill9($node);
	change($namespace);
	@expected = events($namespace, $listed);
	wait_for_line($example, $expected[-1]);
	my @seen = lines($example);
	is_deeply([ @seen[ @state .. $#seen ] ],
		\@expected, "$name: goes on elsewhere after its node died, with nothing missed or twice");
	$cluster->restart_killed($node);
	$cluster->wait_all_writable;

	# Asleep while the history moves on.
	($node, $pid) = find_backend($example);
	my $before = lines($example);
	$example->{run}->signal('STOP');
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	change($namespace);
	poll_sql($node, 'SELECT store.compact(store.barrier())');
	$_->poll_query_until('postgres', 'SELECT compacted_revision > '
		  . last_version(@expected) . ' FROM store.status') for @nodes;
	$example->{run}->signal('CONT');
	wait_for_line($example, 'RELIST');
	change($namespace);
	@expected = events($namespace, 0);
	wait_for_line($example, $expected[-1]);
	@seen = lines($example);
	splice @seen, 0, $before;
	is(shift @seen, 'RELIST', "$name: lists again when the history is gone");
	cmp_ok(scalar(grep { /^(?:LISTED|ADDED) / } @seen), '>', 0, "$name: and goes on from that");
	stop_example($example);
}

# ---------------------------------------------------------------------------
# psql, which a person starts again
# ---------------------------------------------------------------------------

sub start_psql
{
	my ($node, $name, @variables) = @_;

	return start_example($name, 'psql', '-X', '-q', '-d', $node->connstr('postgres'),
		'-v', 'namespace=of-psql', @variables, '-f', 'examples/watch.sql');
}

change('of-psql');
my $start = (sort { $a <=> $b } map { (split / /)[1] } events('of-psql', 0))[-1];
my $first = start_psql($nodes[0], 'psql1');
StoreCluster::poll('the list', sub { return scalar grep { /^LISTED/ } lines($first); });
find_backend($first);
change('of-psql');
wait_for_line($first, (events('of-psql', $start))[-1]);
$cluster->kill9($nodes[0]);
$first->{run}->finish;
like(slurp_file($first->{errors}), qr/connection to server was lost|terminating connection/,
	'psql: its node died');

my ($since) = (split /\n/, slurp_file($first->{output}))[-1] =~ /^(\d+)\|/;
change('of-psql');
my $second = start_psql($nodes[1], 'psql2', '-v', "since=$since");
my @expected = events('of-psql', $start);
wait_for_line($second, $expected[-1]);
stop_example($second);
is_deeply([ grep({ !/^LISTED/ } lines($first)), lines($second) ],
	\@expected, 'psql: goes on with the last version it showed, with nothing missed or twice');
$cluster->restart_killed($nodes[0]);
$cluster->wait_all_writable;

done_testing();
