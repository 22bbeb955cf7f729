# Transactions as others see them, and times to live through changes of leader.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new;
my $leader = $cluster->wait_for_leader;
my ($follower, $other) = $cluster->others($leader);

sub object
{
	my ($name, $value) = @_;

	return qq({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "$name"}, "spec": $value});
}

sub txn
{
	my ($node, @operations) = @_;

	return $node->safe_psql('postgres',
		'SELECT resource_version FROM store.txn(\'[]\', '
		  . StoreCluster::quote('[' . join(', ', @operations) . ']') . ')');
}

sub version
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT store.barrier()');
}

# ----------------------------------------------------------------------------
# Who listens hears all changes of a transaction, in order, and none is folded
# into another, however equal they are.
# ----------------------------------------------------------------------------

my $listener = $follower->background_psql('postgres');
$listener->query_safe('LISTEN store');

my $before = txn($other, '{"put": ' . object('first', 0) . '}');
my @operations = map { '{"put": ' . object('same', 1) . '}' } 1 .. 600;
push @operations, '{"delete": {"apiVersion": "v1", "kind": "Thing", "name": "first"}}';
my $index = txn($other, @operations);
my $after = txn($leader, '{"put": ' . object('last', 0) . '}');
my @heard;

StoreCluster::poll(
	'the last notification',
	sub {
		push @heard, map { /with payload "(.*)" received/ ? decode_json($1) : () }
		  split /\n/, $listener->query_safe('SELECT 1');
		return @heard && $heard[-1]{resourceVersion} == $after;
	});
$listener->quit;

is(scalar @heard, 603, 'every change was notified once');
my @of_txn = grep { $_->{resourceVersion} == $index } @heard;
is(join(',', map { $_->{ordinal} // 0 } @of_txn), join(',', 0 .. 600),
	'in the order of operations');
is($of_txn[0]{previous}, $before, 'the first names the event before the transaction');
is(scalar(grep { $_->{previous} == $index } @of_txn), 600, 'the others name their own index');
is($heard[-1]{previous}, $index, 'and what comes next names it, too');
is($of_txn[0]{type} . $of_txn[1]{type} . $of_txn[-1]{type}, 'ADDEDMODIFIEDDELETED', 'types');

# ----------------------------------------------------------------------------
# Nobody sees a part of one.
# ----------------------------------------------------------------------------

{
	my $script = "$PostgreSQL::Test::Utils::tmp_check/transfers.sql";
	my ($out, $run) = ('');
	my (%seen, $rounds);

	append_to_file($script,
		join '',
		map {
			my $i = $_;
			'SELECT store.txn(\'[]\', '
			  . StoreCluster::quote('['
				  . join(', ', map { '{"put": ' . object("part-$_", $i) . '}' } 1 .. 20) . ']')
			  . ");\n"
		} 1 .. 500);
	$run = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $leader->connstr('postgres'), '-f', $script ], '>', \$out);
	while ($run->pumpable)
	{
		$seen{ $follower->safe_psql('postgres', q{
			SELECT count(DISTINCT object -> 'spec') || ' value(s) in ' || count(*)
			FROM store.resources WHERE name LIKE 'part-%'}) }++;
		$run->pump_nb;
		$rounds++;
	}
	$run->finish;
	note(explain(\%seen));
	is(join(', ', grep { !/^(?:1 value\(s\) in 20|0 value\(s\) in 0)$/ } sort keys %seen),
		'', "$rounds reads saw all of a transaction or nothing");
}

# ----------------------------------------------------------------------------
# The next leader deletes what expires; nobody deletes it twice, or too early.
# ----------------------------------------------------------------------------

sub put
{
	my ($node, $name, $ttl) = @_;

	return $node->safe_psql('postgres',
		'SELECT op FROM store.put(' . StoreCluster::quote(object($name, 1)) . ", ttl => $ttl)");
}

sub poll_gone
{
	my ($node, $pattern) = @_;

	return $node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM store.resources WHERE name LIKE '$pattern'");
}

put($follower, "short-$_", "'3 s'") for 1 .. 20;
put($follower, 'renewed', "'3 s'");
put($follower, 'kept', "'3 s'");
put($leader, 'kept', 'NULL');
$leader->stop('immediate');
put($follower, 'renewed', "'1 day'");
my $successor = $cluster->wait_for_leader;
isnt($successor->name, $leader->name, 'another node leads');
ok(poll_gone($_, 'short-%'), $_->name . ': what expired is gone') for $cluster->running;

# All are down when the time comes.
put($follower, "down-$_", "'5 s'") for 1 .. 20;
my $due = $follower->safe_psql('postgres',
	q{SELECT extract(epoch FROM max(expires_at)) FROM store.resources WHERE name LIKE 'down-%'});

# With all of it applied and on disk, nobody learns of it by applying it again.
$cluster->wait_all_writable;
$_->safe_psql('postgres', 'CHECKPOINT') for $cluster->running;
$_->stop('immediate') for $cluster->running;
StoreCluster::poll('the time to come', sub { time() > $due });
$_->start for $cluster->nodes;
$cluster->wait_for_leader;
$cluster->wait_all_writable;
ok(poll_gone($_, 'down-%'), $_->name . ': what expired while all were down is gone')
  for $cluster->nodes;

for my $node ($cluster->nodes)
{
	is( $node->safe_psql('postgres', q{
		SELECT string_agg(name || ' ' || (expires_at IS NOT NULL), ', ' ORDER BY name)
		FROM store.resources WHERE name IN ('kept', 'renewed')}),
		'kept false, renewed true', $node->name . ': what was renewed or kept is there');
	is( $node->safe_psql('postgres', q{
		SELECT count(*) || ' of ' || count(DISTINCT name) || ', too early: '
			|| count(*) FILTER (WHERE at < created + CASE WHEN name LIKE 'short-%'
				THEN interval '3 s' ELSE interval '5 s' END)
			|| ', by others: ' || count(*) FILTER (WHERE reason <> 'garbage_collector')
		FROM (SELECT e.*, (SELECT max(a.at) FROM store.events a
				WHERE a.name = e.name AND a.type <> 'DELETED') AS created
			FROM store.events e
			WHERE type = 'DELETED' AND (name LIKE 'short-%' OR name LIKE 'down-%')) AS d}),
		'40 of 40, too early: 0, by others: 0', $node->name . ': each was deleted once, in time');
}
$cluster->is_same_everywhere('all have the same objects');

done_testing();
