# Notifications cost what they are worth: only channels that somebody listens to
# are published, and each keeps its chain; whoever does not read what it
# listens to holds up notifications and nothing else, and is named.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $seed = $ENV{STORE_SEED} // int(rand(1_000_000));
diag("STORE_SEED=$seed");
srand($seed);

my $cluster = StoreCluster->new(
	nodes => 1,
	conf => "store.history_size = 1MB\nstore.history_retention = -1\n");
my ($node) = $cluster->nodes;

# What the session was told so far: [channel, payload] each.
sub hear
{
	my ($session, $query) = @_;
	my $text = $session->query_safe($query // 'SELECT 1');

	return map { /^Asynchronous notification "([^"]+)" with payload "(.*)" received/
		  ? [ $1, decode_json($2) ] : () } split /\n/, $text;
}

# Until it was told of this index; returns all until then.
sub hear_until
{
	my ($session, $index) = @_;
	my @heard;

	StoreCluster::poll(
		"a notification of $index",
		sub {
			push @heard, hear($session);
			return grep { $_->[1]{resourceVersion} >= $index } @heard;
		});
	return @heard;
}

sub versions
{
	return [ map { $_->[1]{resourceVersion} } @_ ];
}

sub put
{
	my ($kind, $namespace, $value) = @_;

	return $node->safe_psql('postgres', qq{SELECT (store.put('{"apiVersion": "v1", "kind": "$kind",
		"metadata": {"name": "x", "namespace": "$namespace"}, "spec": {"v": "$value"}}')
		).resource_version});
}

# A session that has begun to listen, on its own.
sub listener
{
	my (@channels) = @_;
	my $session = $node->background_psql('postgres');

	$session->query_safe(qq{LISTEN "$_"}) for @channels;
	return $session;
}

sub pid_of
{
	my ($session) = @_;

	return ($session->query_safe('SELECT pg_backend_pid()') =~ /^(\d+)$/m)[0];
}

# Each session gets what it asked for, chained by itself.
my $all = listener('store');
my $pods = listener('store.Pod');
my $mine = listener('store.Pod.mine', 'store.Secret.mine');
my $keys = listener('store/key', 'store.Pod.mine/key');
my @made = map { put(@$_) } (
	[ 'Pod', 'mine', 1 ], [ 'Pod', 'other', 1 ], [ 'Secret', 'mine', 1 ],
	[ 'Pod', 'mine', 2 ], [ 'Secret', 'other', 1 ], [ 'Pod', 'mine', 3 ]);
my @heard = hear_until($all, $made[5]);
is_deeply(versions(@heard), \@made, 'who listens to everything hears everything');
is_deeply([ map { $_->[1]{previous} } @heard[ 1 .. 5 ] ], [ @made[ 0 .. 4 ] ], 'chained');
@heard = hear_until($pods, $made[5]);
is_deeply(versions(@heard), [ @made[ 0, 1, 3, 5 ] ], 'a kind');
is_deeply([ map { $_->[1]{previous} } @heard[ 1 .. 3 ] ], [ @made[ 0, 1, 3 ] ], 'chained');
@heard = hear_until($mine, $made[5]);
is_deeply([ map { "$_->[0] $_->[1]{resourceVersion}" } @heard ],
	[ "store.Pod.mine $made[0]", "store.Secret.mine $made[2]", "store.Pod.mine $made[3]",
		"store.Pod.mine $made[5]" ], 'kinds in a namespace');
is_deeply([ map { $_->[1]{previous} } @heard[ 2, 3 ] ], [ @made[ 0, 3 ] ], 'each chained');
ok(exists $heard[0][1]{object}, 'with the object');
@heard = hear_until($keys, $made[5]);
is_deeply(
	[ map { "$_->[0] $_->[1]{resourceVersion}" } grep { $_->[0] ne 'store/key' } @heard ],
	[ map { "store.Pod.mine/key $made[$_]" } 0, 3, 5 ], 'a channel of keys');
is_deeply(versions(grep { $_->[0] eq 'store/key' } @heard), \@made, 'and that of all keys');
is(scalar(grep { exists $_->[1]{object} } @heard), 0, 'has no objects');

# A long name is cut as LISTEN would cut it.
my $long = 'n' x 62;
my $cut = listener(substr("store.Pod.$long", 0, 63));
@heard = hear_until($cut, $made[0] = put('Pod', $long, 1));
is_deeply(versions(@heard), [ $made[0] ], 'a long channel is heard');
$_->quit for $all, $pods, $mine, $keys, $cut;

# Nobody listens: nothing is published, nor later when somebody does.
my $last;
$last = put('Pod', 'mine', "unheard $_") for 1 .. 20;
my $unheard = $last;
$pods = listener('store.Pod');
$all = listener('store');
$last = put('Pod', 'mine', 'heard');
@heard = hear_until($pods, $last);
is_deeply(versions(@heard), [$last], 'what was before LISTEN is not heard');
is($heard[0][1]{previous}, $unheard, 'but the chain knows of it');
@heard = hear_until($all, $last);
is($heard[0][1]{previous}, $unheard, 'on each channel');
put('Secret', 'mine', 'not a pod');
$last = put('Pod', 'mine', 'not heard');
hear_until($pods, $last);
$pods->query_safe('UNLISTEN *');
$unheard = put('Pod', 'mine', "unheard again $_") for 1 .. 3;
$pods->query_safe('LISTEN "store.Pod"');
$last = put('Pod', 'mine', 'heard again');
@heard = hear_until($pods, $last);
is($heard[-1][1]{previous}, $unheard, 'also if others went on listening');
$pods->quit;

# How much is published shows in the queue, while somebody keeps it.
my $sync = listener('store.Sync');
my $keeper = listener('unrelated');
$keeper->query_safe('BEGIN');

sub usage
{
	return $node->safe_psql('postgres', 'SELECT pg_notification_queue_usage()');
}

# Do ten pages of events in the namespace "big" arrive in the queue?
sub is_published
{
	my $before = usage();

	put('Pod', 'big', $_ x 7000) for 0 .. 9;
	hear_until($sync, put('Sync', 'x', rand()));
	return usage() - $before > 5 / 2**20 ? 'published' : 'not published';
}

is(is_published(), 'published', 'what somebody listens to is published');
$all->query_safe('UNLISTEN store');
is(is_published(), 'not published', 'not after UNLISTEN');
$all->query_safe('BEGIN; LISTEN "store.Pod.big"; LISTEN unrelated; ROLLBACK');
is(is_published(), 'not published', 'not for a LISTEN that was rolled back');
$all->query_safe('BEGIN; SAVEPOINT a; LISTEN "store.Pod.big"; ROLLBACK TO a; LISTEN unrelated;'
	  . ' COMMIT');
is(is_published(), 'not published', 'nor one in a subtransaction that was');
$all->query_safe('BEGIN; SAVEPOINT a; LISTEN "store.Pod.big"; RELEASE a; SAVEPOINT b; UNLISTEN *;'
	  . ' ROLLBACK TO b; COMMIT');
is(is_published(), 'published', 'but for one in a subtransaction that was not');
$all->query_safe('BEGIN; UNLISTEN *; ROLLBACK');
is(is_published(), 'published', 'and an UNLISTEN that was rolled back');
$all->query_safe('UNLISTEN "store.Pod"');
is(is_published(), 'published', 'and one of something else');
$all->query_safe('UNLISTEN "store.Pod.big"');
is(is_published(), 'not published', 'not after UNLISTEN of the last channel');
$all->query_safe(q{DO $$ BEGIN EXECUTE 'LISTEN "store.Pod"'; END $$});
$all->query_safe('LISTEN "store.Pod"');
is(is_published(), 'published', 'LISTEN in a function counts');
$all->query_safe('DISCARD ALL');
is(is_published(), 'not published', 'DISCARD ALL ends it');
$all->query_safe('LISTEN "storefront"; LISTEN "store.Pod.bi"; LISTEN "Store"');
is(is_published(), 'not published', 'other names mean nothing');
$all->query_safe('LISTEN store');
$all->query_safe('BEGIN');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . pid_of($all) . ', 60000)');
is(is_published(), 'not published', 'nor those who have been terminated');
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
my $elsewhere = $node->background_psql('elsewhere');
$elsewhere->query_safe('LISTEN store');
is(is_published(), 'not published', 'nor who is in another database');
$elsewhere->quit;
$keeper->query_safe('COMMIT');
$keeper->quit;

# A listener idle in a transaction, and a queue that is full at ten pages.
$node->append_conf('postgresql.conf', "store.notify_queue_limit = 0.00001\n");
$node->reload;
$all = listener('store');
my $stuck = listener('store');
my $pid = pid_of($stuck);
$stuck->query_safe('BEGIN');
@made = map { put('Pod', 'mine', $_ x 3500) } 0 .. 9;
push @made, map { put('Pod', 'mine', $_ x 3500) } 0 .. 9 for 1 .. 4;
StoreCluster::poll('the problem to be noticed',
	sub { return $cluster->status($node, 'problem') =~ /notifications wait/ });
my $problem = $cluster->status($node, 'problem');
note($problem);
like($problem, qr/; process $pid, which listens in database "postgres", has been idle in trans/,
	'the process that holds up notifications is named');
cmp_ok(usage(), '<', 30 / 2**20, 'the queue is left to others');
@heard = hear($all);
cmp_ok(scalar @heard, '<', scalar @made, 'not everything is published');
is($made[-1], $node->safe_psql('postgres', 'SELECT max(resource_version) FROM store.events'),
	'but all of it is written and can be watched');
$node->safe_psql('postgres',
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE backend_type = 'store notify worker'});
push @made, put('Pod', 'mine', 'after the notify worker ended');
my @late = hear($stuck, 'COMMIT');
push @heard, hear_until($all, $made[-1]);
is_deeply(versions(@heard), \@made, 'once it is done, all of it comes, and nothing twice');
push @late, hear_until($stuck, $made[-1]);
is_deeply(versions(@late), \@made, 'to it, too');
StoreCluster::poll('the problem to go', sub { return $cluster->status($node, 'problem') eq '' });
is($cluster->status($node, 'problem'), '', 'and the node is well again');

# What is compacted away before it could be published leaves a gap in the chain.
$stuck->query_safe('BEGIN');
put('Pod', 'mine', $_ x 3500) for (0 .. 9) x 4;
StoreCluster::poll('the problem to be noticed again',
	sub { return $cluster->status($node, 'problem') =~ /process $pid/ });
put('Pod', 'mine', join '', map { chr(ord('a') + rand(26)) } 1 .. 7000) for 1 .. 80;
$last = put('Pod', 'mine', 'the last of those');
$node->safe_psql('postgres', "SELECT store.compact($last)");
StoreCluster::poll(
	'history to go',
	sub {
		put('Secret', 'mine', rand());
		return $node->safe_psql('postgres', "SELECT count(*) FROM store.events
			WHERE kind = 'Pod' AND resource_version < $last - 50") == 0;
	});
$stuck->query_safe('COMMIT');
$last = put('Pod', 'mine', 'after the gap');
my @now = hear_until($all, $last);
my $known = $made[-1];
my @gaps;
for my $payload (map { $_->[1] } @now)
{
	push @gaps, [ $known, $payload->{previous} ] if $payload->{previous} != $known;
	$known = $payload->{resourceVersion};
}
is(scalar @gaps, 1, 'there is one gap in the chain') or diag(explain(\@gaps, versions(@now)));
cmp_ok($gaps[0][1], '>', $gaps[0][0], 'it says that something is missing');
my ($state) = StoreCluster::sqlstate($node, "SELECT store.watch($gaps[0][0])");
is($state, 'RS410', 'and who asks what it was learns that it is gone');
$_->quit for $all, $stuck, $sync;

done_testing();
