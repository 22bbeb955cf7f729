# A session that listens on a follower sees each change once, in order, and
# each payload names the one before it on the same channel.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new;
my $leader = $cluster->wait_for_leader;
my ($follower, $writer) = $cluster->others($leader);

# What the session was told so far, [channel, payload] each.
sub hear
{
	my ($session) = @_;
	my $text = $session->query_safe('SELECT 1');

	return map { /^Asynchronous notification "([^"]+)" with payload "(.*)" received/
		  ? [ $1, decode_json($2) ] : () } split /\n/, $text;
}

sub hear_until
{
	my ($session, $channel, $count) = @_;
	my @heard;

	StoreCluster::poll(
		"$count notifications on $channel",
		sub {
			push @heard, hear($session);
			return scalar(grep { $_->[0] eq $channel } @heard) >= $count;
		});
	# nothing more than that, once everything was published
	push @heard, hear($session);
	return @heard;
}

sub is_chained
{
	my ($first, $name, @payloads) = @_;
	my $previous = $first;
	my @broken;

	for my $payload (@payloads)
	{
		push @broken, $payload
		  if defined $previous && $payload->{previous} ne $previous;
		push @broken, $payload
		  if defined $previous && $payload->{resourceVersion} <= $previous;
		$previous = $payload->{resourceVersion};
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(scalar @broken, 0, $name) or diag(explain(\@broken));
	return;
}

my $before = $follower->safe_psql('postgres',
	'SELECT store.barrier(); SELECT coalesce(max(resource_version), 0) FROM store.events');
$before =~ s/^.*\n//s;

my $everything = $follower->background_psql('postgres');
my $pods = $follower->background_psql('postgres');
$everything->query_safe('LISTEN store');
$pods->query_safe('LISTEN "store.Pod"');

# Changes of every type on several nodes; two clients at a time in between.
sub pod
{
	my ($name, $image) = @_;

	return StoreCluster::quote(
		qq({"apiVersion": "v1", "kind": "Pod",
			"metadata": {"name": "$name", "namespace": "default"},
			"spec": {"containers": [{"name": "main", "image": "$image"}]}}));
}

$writer->safe_psql('postgres', 'SELECT store.create(' . pod('web', 'nginx:1') . ')');
$leader->safe_psql('postgres',
	'SELECT store.put(' . StoreCluster::configmap('settings', 1) . ')');
$follower->safe_psql('postgres', 'SELECT store.put(' . pod('web', 'nginx:2') . ')');
# unchanged
$follower->safe_psql('postgres', 'SELECT store.put(' . pod('web', 'nginx:2') . ')');
$writer->safe_psql('postgres',
	q{SELECT store.patch('Pod', 'web', '{"metadata": {"labels": {"app": "web"}}}', 'default')});
$leader->safe_psql('postgres', q{SELECT store.delete('Pod', 'web', 'default')});
# nothing left to delete
$leader->safe_psql('postgres', q{SELECT store.delete('Pod', 'web', 'default')});

my @streams = ($cluster->start_writer($writer, 'one'), $cluster->start_writer($leader, 'two'));
StoreCluster::wait_for_writes($_, 100) for @streams;
StoreCluster::stop_writer($_) for @streams;
$leader->safe_psql('postgres', 'SELECT store.create(' . pod('last', 'nginx:3') . ')');

# The payload of something large leaves the object out.
my $large = 'x' x 20000;
$leader->safe_psql('postgres',
	'SELECT store.put(' . StoreCluster::configmap('large', $large) . ')');

$follower->poll_query_until('postgres', 'SELECT store.barrier() > 0');
my @events = map { [ split /\|/, $_, -1 ] } split /\n/, $follower->safe_psql('postgres', qq{
	SELECT resource_version, type, kind, namespace, name FROM store.events
	WHERE resource_version > $before ORDER BY resource_version});
cmp_ok(scalar @events, '>=', 207, 'there were events: ' . scalar @events);

my @heard = hear_until($everything, 'store', scalar @events);
is_deeply([ map { $_->[0] } grep { $_->[0] ne 'store' } @heard ],
	[], 'nothing is heard on a channel that was not asked for');
my @payloads = map { $_->[1] } @heard;
is_deeply(
	[
		map { [ @$_{qw(resourceVersion type)}, @{ $_->{key} }{qw(kind namespace name)} ] }
		  @payloads
	],
	\@events,
	'each change is heard once, in order');
is_chained($before || undef, 'each names the one before it', @payloads);

my ($created) = grep { $_->{type} eq 'ADDED' && $_->{key}{kind} eq 'Pod' } @payloads;
is_deeply(
	$created->{key},
	{ group => '', version => 'v1', kind => 'Pod', namespace => 'default', name => 'web' },
	'the key is spelt out');
is($created->{object}{metadata}{resourceVersion},
	$created->{resourceVersion}, 'the object is there, with its version');
ok(!exists $payloads[-1]{object}, 'but not when it would not fit');
is($payloads[-1]{key}{name}, 'large', 'its key is there all the same');

# The channel of one kind has its own chain.
my @pod_events = grep { $_->[2] eq 'Pod' } @events;
@heard = hear_until($pods, 'store.Pod', scalar @pod_events);
@payloads = map { $_->[1] } @heard;
is_deeply(
	[ map { [ @$_{qw(resourceVersion type)} ] } @payloads ],
	[ map { [ $_->[0], $_->[1] ] } @pod_events ],
	'a kind has a channel of its own');
is_deeply([ map { $_->{type} } @payloads ], [qw(ADDED MODIFIED MODIFIED DELETED ADDED)],
	'with every type of event');
is_chained(undef, 'chained within that channel', @payloads);

# A stuck listener delays nobody: it sits in a transaction and reads nothing.
my $stuck = $follower->background_psql('postgres');
$stuck->query_safe("LISTEN store");
$stuck->query_safe('BEGIN');
$leader->safe_psql('postgres',
	'SELECT store.put(' . StoreCluster::configmap('settings', 2) . ')');
@heard = hear_until($everything, 'store', 1);
is($heard[0][1]{key}{name}, 'settings', 'others still hear');
is($heard[0][1]{previous}, $events[-1][0], 'and their chain goes on');
$stuck->query_safe('COMMIT');

# A listener that comes back after a restart of its server finds the chain
# where the history has it.
$_->quit for $everything, $pods, $stuck;
my $last = $heard[0][1]{resourceVersion};
$follower->restart;
$cluster->wait_all_writable;
$everything = $follower->background_psql('postgres');
$everything->query_safe('LISTEN store');
$leader->safe_psql('postgres',
	'SELECT store.put(' . StoreCluster::configmap('settings', 3) . ')');
@heard = hear_until($everything, 'store', 1);
is($heard[-1][1]{previous}, $last, 'the chain survives a restart');
$everything->quit;

done_testing();
