# A member whose state differs from that of the others is noticed, stops serving
# and says so, for good; where no majority knows better, all say so.  And
# store.verify() finds what nobody has touched since it was damaged.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Installation;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new;
my ($one, $two, $three) = $cluster->nodes;
my $local = "SET store.read_consistency = 'local'";

sub put
{
	my ($node, $name, $value) = @_;

	return $node->safe_psql('postgres',
		'SELECT resource_version FROM store.put(' . StoreCluster::configmap($name, $value) . ')');
}

# As nobody should, and as a disk might.
sub damage
{
	my ($node, $change) = @_;

	$node->safe_psql('postgres', "BEGIN; ALTER TABLE store.resources DISABLE TRIGGER ALL; $change;"
		  . ' ALTER TABLE store.resources ENABLE ALWAYS TRIGGER guard;'
		  . ' ALTER TABLE store.resources ENABLE ALWAYS TRIGGER guard_row; COMMIT');
	return;
}

sub spoil
{
	my ($node, $name) = @_;

	damage($node, 'UPDATE store.resources'
		  . q{ SET object = jsonb_set(object, '{data,value}', '"spoilt"')}
		  . " WHERE name = '$name'");
	return;
}

sub health_is
{
	my ($node, $status, $pattern, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok( $node->poll_query_until('postgres',
			"SELECT status = '$status' AND message ~ '$pattern' FROM store.health()"),
		"$name: $status") or diag($node->safe_psql('postgres', 'SELECT * FROM store.health()'));
	return;
}

# What store.verify() has against whom, asked at a node.
sub verdicts_are
{
	my ($node, $expected, $name) = @_;
	my $found = $node->safe_psql('postgres', q{
		SELECT member || ': ' || regexp_replace(problem, 'index \\d+', 'index N')
		FROM store.verify() WHERE agrees IS DISTINCT FROM true ORDER BY member});

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($found, $expected, $name);
	is( $node->safe_psql('postgres', 'SELECT count(*) FROM store.verify()'),
		scalar($cluster->nodes), "$name: a row for each member");
	return;
}

sub serves_nothing
{
	my ($node, $name) = @_;
	my %calls = (
		'a write' => 'SELECT store.put(' . StoreCluster::configmap('x', 1) . ')',
		'a read' => q{SELECT store.get('ConfigMap', 'a', 'default')},
		'a local read' => qq{$local; SELECT store.get('ConfigMap', 'a', 'default')},
		'a local list' => qq{$local; SELECT store.list('ConfigMap')},
		'a watch' => q{SELECT * FROM store.watch(1)});

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $what (sort keys %calls)
	{
		my ($state, $text) = StoreCluster::sqlstate($node, $calls{$what});

		is($state, 'RS503', "$name: $what is refused");
		like($text, qr/HINT:\s+(Use another member|See store.status)/,
			"$name: $what is refused with a hint");
	}
	return;
}

sub rejoin
{
	my ($node, $contact) = @_;

	$contact->safe_psql('postgres', "SELECT store.remove_member('" . $node->name . "')");
	$node->safe_psql('postgres', 'DROP EXTENSION store');
	$node->safe_psql('postgres', 'CREATE EXTENSION store');
	$cluster->join_node($node, $contact);
	return;
}

# ----------------------------------------------------------------------------
# A follower that was damaged
# ----------------------------------------------------------------------------

put($one, $_, 'first') for qw(a b c d e);
$cluster->wait_all_writable;
my $leader = $cluster->wait_for_leader;
my ($damaged, $well) = $cluster->others($leader);
my $name = $damaged->name;

health_is($_, 'OK', '', 'all agree: ' . $_->name) for $cluster->nodes;
verdicts_are($_, '', 'a cluster that is well, asked at ' . $_->name) for $cluster->nodes;
{
	my $writer = $cluster->start_writer($well, 'load');

	for my $node ($leader, $damaged)
	{
		StoreCluster::wait_for_writes($writer, 20);
		verdicts_are($node, '', 'while it is written to, asked at ' . $node->name);
	}
	StoreCluster::stop_writer($writer);
}

spoil($damaged, 'a');
verdicts_are($_, "$name: its resources are not what it has applied",
	'damage that nobody has met yet, asked at ' . $_->name)
  for $leader, $damaged;
health_is($damaged, 'OK', '', 'nobody has met it');
damage($well, 'ALTER TABLE store.events_0 DISABLE TRIGGER ALL;'
	  . q{UPDATE store.events_0 SET reason = 'spoilt' WHERE name = 'c';}
	  . ' ALTER TABLE store.events_0 ENABLE ALWAYS TRIGGER guard;'
	  . ' ALTER TABLE store.events_0 ENABLE ALWAYS TRIGGER guard_row');
verdicts_are(
	$leader,
	join("\n", sort "$name: its resources are not what it has applied",
		$well->name . ': its history is not what a majority has'),
	'damage to the history of another one');
damage($well, 'ALTER TABLE store.events_0 DISABLE TRIGGER ALL;'
	  . q{UPDATE store.events_0 SET reason = 'operator' WHERE name = 'c';}
	  . ' ALTER TABLE store.events_0 ENABLE ALWAYS TRIGGER guard;'
	  . ' ALTER TABLE store.events_0 ENABLE ALWAYS TRIGGER guard_row');

put($leader, 'a', 'second');

health_is($damaged, 'CRITICAL', 'its state differs', 'the damaged member');
is($cluster->status($damaged, 'state'), 'detached', 'it is detached');
serves_nothing($damaged, 'the damaged member');
verdicts_are(
	$leader,
	"$name: this node is detached: its state differs from that of a majority of the members"
	  . ' since index N or before',
	'it is asked for its tables');
like($damaged->safe_psql('postgres', 'SELECT member, agrees, problem FROM store.verify()'),
	qr/^$name\|f\|its resources are not what it has applied; this node is detached: [^;]*$/,
	'it knows that its tables were damaged');
like(slurp_file($damaged->logfile), qr/WARNING:  this node stops serving: its state differs/,
	'it says so in the log');
health_is($_, 'WARNING', qq{"$name" differs from that of a majority}, $_->name) for $leader, $well;
put($_, 'while', $_->name) for $leader, $well;
pass('the others go on');

$damaged->restart;
serves_nothing($damaged, 'after a restart');
health_is($damaged, 'CRITICAL', 'its state differs', 'after a restart');

rejoin($damaged, $leader);
$cluster->is_same_everywhere('who joins anew has what the others have');
verdicts_are($damaged, '', 'who joins anew is well');
health_is($_, 'OK', '', 'after that: ' . $_->name) for $cluster->nodes;

# ----------------------------------------------------------------------------
# A leader whose library applies another rule
# ----------------------------------------------------------------------------

{
	my ($library) = run_command([ 'pg_config', '--pkglibdir' ]);
	my $odd = "$PostgreSQL::Test::Utils::tmp_check/odd.so";
	my $bytes = slurp_file("$library/store.so");
	my $count = $bytes =~ s/deletionTimestamp\0/deletionTimestamq\0/g;
	my $held = q{'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held",
		"namespace": "default", "finalizers": ["example.com/hold"]}}'};

	ok($count, 'a library was made that marks what is to be deleted in another way');
	append_to_file($odd, $bytes);
	Installation::change($leader, Installation::make(library => $odd));
	$cluster->wait_all_writable;
	$leader->safe_psql('postgres', "SELECT store.transfer_leadership('" . $leader->name . "')");

	$well->safe_psql('postgres', "SELECT store.put($held)");
	$well->safe_psql('postgres', q{SELECT store.delete('ConfigMap', 'held', 'default')});
	health_is($leader, 'CRITICAL', 'its state differs', 'the odd leader');
	serves_nothing($leader, 'the odd leader');
	put($_, 'after', $_->name) for $damaged, $well;
	isnt($cluster->status($well, 'leader'), $leader->name, 'somebody else leads');
	Installation::change($leader, undef);
	serves_nothing($leader, 'with the right library again');
	$well->safe_psql('postgres', "SELECT store.remove_member('" . $leader->name . "')");
}

# ----------------------------------------------------------------------------
# Two members, and no majority for either
# ----------------------------------------------------------------------------

spoil($well, 'b');
put($damaged, 'b', 'second');
health_is($_, 'CRITICAL', 'no majority says who is right', 'of two that differ: ' . $_->name)
  for $damaged, $well;
put($_, 'still', $_->name) for $damaged, $well;
pass('both go on');

done_testing();
