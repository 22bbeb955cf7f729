# A role that may call store.raft_receive() says anything: noise, messages that
# are cut, damaged, repeated, of another cluster, in another's name, or made up.
# All of it is refused, counted and next to never logged, and nobody is harmed.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $ROUNDS = 300;
my $seed = $ENV{HOSTILE_SEED} || int(rand(1_000_000_000));
note("seed $seed");
srand($seed);

# An election would be due to them; but not because the machine has other work.
my $cluster = StoreCluster->new(conf => "store.election_timeout = '5s'\n");
my $leader = $cluster->wait_for_leader;
my ($follower, $third) = $cluster->others($leader);
my %id = map { $_->name => $cluster->status($_, 'node_id') } $cluster->nodes;

# ---------------------------------------------------------------------------
# Messages: an envelope (magic, kind, cluster, start, from, to, ...), a body,
# and a seal: number, checksum, zero.  See message.c and seal.c.
# ---------------------------------------------------------------------------

my @table = map {
	my $crc = $_;

	$crc = $crc & 1 ? ($crc >> 1) ^ 0x82F63B78 : $crc >> 1 for 1 .. 8;
	$crc
} 0 .. 255;

sub seal
{
	my ($message, $number) = @_;
	my $crc = 0xFFFFFFFF;

	$crc = $table[ ($crc ^ $_) & 0xFF ] ^ ($crc >> 8)
	  for unpack('C*', $message . pack('Q', $number));
	return $message . pack('QLL', $number, $crc ^ 0xFFFFFFFF, 0);
}

# A recorded message with bytes of it replaced, sealed anew with a number that
# was not used yet.
sub doctor
{
	my ($message, %bytes) = @_;

	$message = substr($message, 0, -16);
	substr($message, $_, length $bytes{$_}) = $bytes{$_} for keys %bytes;
	return seal($message, 1_000_000_000 + int(rand(1_000_000_000)));
}

my ($KIND, $CLUSTER, $START, $FROM, $TO) = (4, 8, 24, 32, 40);
my ($BODY, $TERM) = (56, 64);

# What the others say to a node, as its own server log has it.
sub record
{
	my ($node) = @_;
	my $offset = -s $node->logfile;
	my @messages;

	$node->safe_psql('postgres', "ALTER SYSTEM SET log_statement = 'all'");
	$node->reload;
	StoreCluster::poll('messages', sub {
		my $log = substr(slurp_file($node->logfile), $offset);

		@messages = map { pack('H*', $_) }
		  $log =~ /execute receive.*\n.*parameters: \$1 = '\\x([0-9a-f]+)'/g;
		return @messages >= 60;
	});
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET log_statement');
	$node->reload;
	return grep { unpack('L', substr($_, $KIND, 4)) <= 2 } @messages;
}

# Say it as that role; returns how often there was which SQLSTATE ('': none).
sub say_as
{
	my ($node, $role, @messages) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/hostile.sql";
	my ($stdout, $stderr, %count) = ('', '');

	unlink $file;
	append_to_file($file, "\\set VERBOSITY sqlstate\n" . join '',
		map { sprintf "SELECT 'taken' FROM store.raft_receive('\\x%s');\n", unpack('H*', $_) }
		  @messages);
	IPC::Run::run([ 'psql', '-XAtq', '-U', $role, '-d', $node->connstr('postgres'), '-f', $file ],
		'>', \$stdout, '2>', \$stderr) or diag("psql failed: $stderr");
	$count{$_}++ for $stderr =~ /ERROR:  (\w{5})\s*$/mg;
	$count{taken} = () = $stdout =~ /^taken$/mg;
	delete $count{taken} if $count{taken} == 0;
	return \%count;
}

sub is_refused
{
	my ($node, $role, $state, $name, @messages) = @_;

	is_deeply(say_as($node, $role, @messages), { $state => scalar @messages },
		$node->name . ": $name");
	return;
}

sub counted
{
	my ($node, $reason) = @_;

	return $node->safe_psql('postgres',
		"SELECT messages FROM store.stat_refused WHERE reason = '$reason'");
}

# All by which harm would show.
sub state_of
{
	my ($node) = @_;

	return $node->safe_psql('postgres', q{
		SELECT s.term, s.leader, s.problem, elections, leaders, pids
		FROM store.status s, store.stat_raft, LATERAL (
			SELECT string_agg(pid::text, ' ' ORDER BY backend_type) AS pids
			FROM pg_stat_activity WHERE backend_type LIKE 'store % worker') AS workers});
}

$leader->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
is_refused($leader, 'nobody', '42501', 'who has no right to speak', 'words');
my @writers = map { $cluster->start_writer($_, 'hostile') } $leader, $follower;
StoreCluster::wait_for_writes($_, 20) for @writers;
my %recorded = map { $_->name => [ record($_) ] } $leader, $follower;
$_->safe_psql('postgres', 'SELECT store.stat_reset()') for $cluster->nodes;
my %before = map { $_->name => state_of($_) } $cluster->nodes;
my %log_before = map { $_->name => -s $_->logfile } $cluster->nodes;

for my $node ($leader, $follower)
{
	my @messages = @{ $recorded{ $node->name } };
	my $some = sub { $messages[ rand @messages ] };
	my @of_raft = grep { unpack('L', substr($_, $KIND, 4)) == 1 } @messages;
	my $other = $id{ $third->name };
	my $self = $id{ $node->name };

	$node->safe_psql('postgres', <<"SQL");
CREATE ROLE mallory LOGIN;
CREATE ROLE bound LOGIN;
SELECT store.grant_peer('mallory'), store.grant_peer('bound', $other);
SQL

	is_refused($node, 'mallory', '08P01', 'noise',
		map { join '', map { chr rand 256 } 0 .. rand 400 } 1 .. $ROUNDS);
	is_refused($node, 'mallory', '08P01', 'messages that are cut',
		map { my $m = $some->(); substr($m, 0, rand length $m) } 1 .. $ROUNDS);
	is_refused(
		$node, 'mallory', '08P01',
		'messages with one bit changed',
		map {
			my $m = $some->();
			my $at = int rand length $m;

			substr($m, $at, 1) = substr($m, $at, 1) ^ chr(1 << rand 8);
			$m
		} 1 .. $ROUNDS);
	is(counted($node, 'damaged'), 3 * $ROUNDS, '    all of it is counted');

	is_refused($node, 'mallory', '08P01', 'messages that have been here', @messages);
	is(counted($node, 'replayed'), scalar @messages, '    they are counted');

	is_refused($node, 'mallory', '08P01', 'noise with a good seal',
		map { seal(join('', map { chr rand 256 } 0 .. rand 400), $_) } 1 .. $ROUNDS);
	is_refused($node, 'mallory', '08P01', 'envelopes with noise in them', map {
		my $m = $some->();
		doctor($m, $BODY, join('', map { chr rand 256 } $BODY + 1 .. length($m) - 16))
	} 1 .. $ROUNDS);
	is(counted($node, 'malformed'), 2 * $ROUNDS, '    they are counted');

	is_refused($node, 'mallory', '55000', 'messages of another cluster',
		map { doctor($some->(), $CLUSTER, join '', map { chr rand 256 } 1 .. 16) } 1 .. 20);
	is_refused($node, 'mallory', '55000', 'messages to another member',
		map { doctor($some->(), $TO, pack('Q', 1000 + $_)) } 1 .. 20);
	is(counted($node, 'foreign'), 40, '    they are counted');

	is_refused($node, 'mallory', '42501', 'messages of its own',
		doctor($some->(), $FROM, pack('Q', $self)));
	is_refused($node, 'bound', '42501', 'messages of a member that the role is not',
		map { doctor($some->(), $FROM, pack('Q', $_)) }
		  grep { $_ != $other } 1 .. 20);
	is_refused($node, 'mallory', 'RS409', 'messages of an earlier start',
		doctor($some->(), $START, pack('Q', 1)));
	my $large = q{SELECT store.raft_receive(repeat('x', 9000000)::bytea);};
	is((StoreCluster::sqlstate($node, $large))[0],
		'54000', $node->name . ': a message that is too large');
	is(counted($node, $_->[0]) >= $_->[1] ? 1 : 0, 1, "    $_->[0] is counted")
	  for [ 'forged', 18 ], [ 'shut out', 1 ], [ 'too large', 1 ];

	# Well-formed, from somebody who may have joined meanwhile: the consensus
	# looks at what it says.
	is_deeply(
		say_as($node, 'mallory', map {
			doctor($of_raft[ rand @of_raft ],
				$FROM, pack('Q', 1000 + $_), $TERM, pack('Q', (1 << 40) + $_))
		} 1 .. 20),
		{ taken => 20 }, $node->name . ': terms that are out of reach are passed on');
}

StoreCluster::wait_for_writes($_, 20) for @writers;
my @acknowledged = map { StoreCluster::stop_writer($_) } $writers[0];
StoreCluster::stop_writer($writers[1]);
for my $node ($cluster->nodes)
{
	my $log = substr(slurp_file($node->logfile), $log_before{ $node->name });
	my $lines = () = $log =~ /ERROR:  (?:malformed message|message \d+ of member)/g;

	is(state_of($node), $before{ $node->name },
		$node->name . ': no election, no worker ended, no problem');
	cmp_ok($lines, '<', 30, $node->name . ": refusals are in the log $lines times");
	unlike($log, qr/ERROR:  m.*\n.*STATEMENT/, $node->name . ': and never with the message');
}
is($cluster->missing_writes($_, @acknowledged), '', $_->name . ' has all that was acknowledged')
  for $cluster->nodes;
$cluster->is_same_everywhere('all have the same objects');
$_->stop for $cluster->nodes;
done_testing();
