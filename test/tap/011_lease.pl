# Reads under a leader's lease: they need nobody, not even the raft worker of
# the leader's own node; and they end before anybody else can lead.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new;
my $READ = q{SELECT store.get('ConfigMap', 'seen', 'default')#>>'{data,value}'};
my $HURRIED = "SET store.request_timeout = '300ms'; $READ";

sub raft_worker
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'store raft worker'});
}

sub set_everywhere
{
	my (@settings) = @_;

	for my $node ($cluster->nodes)
	{
		$node->append_conf('postgresql.conf', "$_\n") for @settings;
		$node->reload;
	}
	return;
}

# What the node says, or why it does not.
sub hurried_read
{
	my ($node) = @_;
	my ($ret, $stdout) = $node->psql('postgres', $HURRIED);

	return $ret == 0 ? $stdout : undef;
}

# The same while the node's raft worker is stopped.
sub read_without_worker
{
	my ($node) = @_;
	my $worker = raft_worker($node);

	kill 'STOP', $worker;
	my $read = hurried_read($node);
	kill 'CONT', $worker;
	return $read;
}

sub put
{
	my ($node, $value) = @_;

	return $node->safe_psql('postgres',
			"SET store.request_timeout = '60s';"
		  . 'SELECT op FROM store.put('
		  . StoreCluster::configmap('seen', $value)
		  . ')');
}

# Leadership goes round, and whoever had it must know at once.
set_everywhere('store.leader_lease = on');
my %sessions = map { $_->name => $_->background_psql('postgres') } $cluster->nodes;
my $stale = 0;
put(($cluster->nodes)[0], 0);
for my $i (1 .. 15)
{
	my $old = $cluster->wait_for_leader;
	my ($new) = ($cluster->others($old))[ $i % 2 ];

	$sessions{ $old->name }->query_safe($READ);
	$old->safe_psql('postgres',
		"SET store.request_timeout = '60s'; SELECT store.transfer_leadership('"
		  . $new->name . "')");
	put($new, $i);
	for my $node ($old, $cluster->nodes)
	{
		$stale++ if $sessions{ $node->name }->query_safe($READ) ne $i;
	}
}
is($stale, 0, 'after a transfer nobody reads what was before');
$_->quit for values %sessions;

# A leader whose raft worker hangs: its lease ends by the clock alone.
my $old = $cluster->wait_for_leader;
my ($other) = $cluster->others($old);
my $worker = raft_worker($old);

put($old, 'before');
kill 'STOP', $worker;
StoreCluster::poll('another leader', sub {
	my $read = hurried_read($old);

	$stale++ if defined $read && $read ne 'before';
	return ($cluster->status($other, 'leader') // '') !~ /^(\Q@{[$old->name]}\E|)$/;
});
put($other, 'after');
my ($state) = StoreCluster::sqlstate($old, "$HURRIED;");
like($state, qr/^RS50[03]$/, 'a leader that others have replaced does not read under its lease');
is($stale, 0, 'nor did it read anything else meanwhile');
kill 'CONT', $worker;
$cluster->wait_all_writable;
is(hurried_read($_) // 'nothing', 'after', $_->name . ' reads what its successor wrote')
  for $cluster->nodes;

# Without a lease a read needs the raft worker; with one it does not.  Long
# promises come last, because nobody can be elected before they have ended.
set_everywhere('store.leader_lease = off', "store.election_timeout = '10min'");
$old = $cluster->wait_for_leader;
ok( StoreCluster::poll('no lease', sub { !defined read_without_worker($old) }),
	'without a lease a read asks the raft worker');
set_everywhere('store.leader_lease = on');
StoreCluster::poll('a lease', sub { defined read_without_worker($old) });
is(read_without_worker($old) // 'nothing', 'after', 'with a lease it does not');
is($cluster->wait_for_leader->name, $old->name, 'the leader is the same');
$cluster->is_same_everywhere('all have the same objects');

done_testing();
