# A random stream of commands of all kinds makes the same state on every member,
# whatever its settings, through restarts, and for one that replays the log.

use strict;
use warnings;

use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $seed = $ENV{STORE_TEST_SEED} // int(rand(2**31));
my $COMMANDS = 24_000;    # of which some never reach the log
my $ENTRIES = 20_000;
my $PHASES = 4;
my $SESSIONS = 6;

my $json = JSON::PP->new->canonical->allow_nonref;

note("STORE_TEST_SEED=$seed replays the commands");
srand($seed);

# ----------------------------------------------------------------------------
# Commands
# ----------------------------------------------------------------------------

sub pick
{
	return $_[ int(rand(@_)) ];
}

# Numbers are written in several ways, and strings are of several kinds.
sub random_value
{
	my ($depth) = @_;
	my $kind = int(rand($depth > 0 ? 8 : 6));

	return pick('0', '1', '1.0', '1.00', '-0.5', '1e3', '12345678901234567890', '0.1', '1e-7')
	  if $kind < 2;
	return pick('true', 'false', 'null') if $kind == 2;
	return $json->encode(
		pick('', 'a', 'Zürich', "tab\there", "quo\"te", '2026-11-24', '\\x00ff', 'ß' x 9))
	  if $kind < 6;
	return '[' . join(',', map { random_value($depth - 1) } 1 .. rand(4)) . ']' if $kind == 6;
	return random_object($depth - 1);
}

sub random_object
{
	my ($depth) = @_;
	my %members = map { pick(qw(a b c dd ee fff g)) => random_value($depth) } 1 .. rand(5);

	return '{' . join(',', map { "\"$_\":$members{$_}" } sort keys %members) . '}';
}

sub random_key
{
	my $key = { apiVersion => pick('v1', 'apps/v1'), kind => pick('Widget', 'Gadget') };

	$key->{name} = 'n' . int(rand(40));
	$key->{namespace} = pick('east', 'west') if rand() < 0.9;
	return $key;
}

sub random_resource
{
	my ($key) = @_;
	my $metadata = { name => $key->{name} };
	my $text;

	$metadata->{namespace} = $key->{namespace} if $key->{namespace};
	$metadata->{labels} = { map { pick(qw(app tier zone)) => pick(qw(x y z)) } 1 .. rand(4) }
	  if rand() < 0.6;
	$metadata->{finalizers} = ['example.com/hold'] if rand() < 0.1;
	$text = $json->encode(
		{ apiVersion => $key->{apiVersion}, kind => $key->{kind}, metadata => $metadata });
	chop $text;
	$text .= ',"spec":' . random_object(2) if rand() < 0.8;
	$text .= ',"status":' . random_object(1) if rand() < 0.3;
	return "$text}";
}

sub random_merge_patch
{
	return '{"metadata":{"finalizers":null}}' if rand() < 0.2;
	return '{"metadata":{"labels":{"app":' . pick('"x"', '"y"', 'null') . '}}}' if rand() < 0.3;
	return '{"metadata":{"name":"other"}}' if rand() < 0.03;
	return '{"spec":' . random_object(2) . '}';
}

sub random_pointer
{
	return '/spec' . join('', map { '/' . pick(qw(a b c dd ee 0 1 -)) } 1 .. rand(3));
}

sub random_json_patch
{
	my @operations;

	for (1 .. 1 + rand(3))
	{
		my $op = pick(qw(add add add remove replace move copy test));
		my $path = random_pointer();

		push @operations,
			"{\"op\":\"$op\",\"path\":\"$path\""
		  . ($op =~ /add|replace|test/ ? ',"value":' . random_value(1) : '')
		  . ($op =~ /move|copy/ ? ',"from":"' . random_pointer() . '"' : '') . '}';
	}
	return '[' . join(',', @operations) . ']';
}

sub random_operation
{
	my $key = random_key();
	my $kind = pick(qw(put put create patch patch delete));

	return "{\"$kind\":" . random_resource($key) . '}' if $kind eq 'put' || $kind eq 'create';
	return '{"delete":' . $json->encode($key) . '}' if $kind eq 'delete';
	return '{"patch":{"key":' . $json->encode($key) . (
		rand() < 0.5
		? ',"patch":' . random_merge_patch()
		: ',"type":"json","patch":' . random_json_patch()) . '}}';
}

sub random_compare
{
	return '{"key":'
	  . $json->encode(random_key()) . ','
	  . pick('"exists":true', '"exists":false', '"resourceVersion":"' . int(rand(9999)) . '"')
	  . '}';
}

# What is stored, or nearly; a precondition that often holds.
sub expected
{
	my ($key) = @_;
	my $namespace = $key->{namespace} ? "= '$key->{namespace}'" : 'IS NULL';

	return 'NULL' if rand() < 0.6;
	return int(1 + rand(9999)) if rand() < 0.3;
	return "(SELECT resource_version FROM store.resources WHERE kind = '$key->{kind}'"
	  . " AND api_group = '" . ($key->{apiVersion} eq 'v1' ? '' : 'apps')
	  . "' AND name = '$key->{name}' AND namespace $namespace)";
}

sub arguments
{
	my ($key) = @_;

	return "'$key->{kind}', '$key->{name}', api_version => '$key->{apiVersion}'"
	  . ($key->{namespace} ? ", namespace => '$key->{namespace}'" : '');
}

sub options
{
	my ($with_ttl) = @_;
	my $reason = pick(qw(operator controller admission scheduler));
	my $ttl = $with_ttl && rand() < 0.2 ? ", ttl => '" . pick('300 ms', '2 s', '1 day') . "'" : '';

	return ", reason => '$reason'$ttl";
}

sub random_command
{
	my $key = random_key();
	my $resource = StoreCluster::quote(random_resource($key));
	my $kind = int(rand(100));
	my $call;

	if ($kind < 15) { $call = "store.create($resource" . options(1) . ')' }
	elsif ($kind < 35)
	{
		$call = "store.put($resource, expected => " . expected($key) . options(1) . ')';
	}
	elsif ($kind < 45) { $call = "store.update($resource" . options(1) . ')' }
	elsif ($kind < 60)
	{
		$call = 'store.patch(' . arguments($key) . ', patch => '
		  . StoreCluster::quote(random_merge_patch()) . options(0) . ')';
	}
	elsif ($kind < 75)
	{
		$call = 'store.patch(' . arguments($key) . ", type => 'json', patch => "
		  . StoreCluster::quote(random_json_patch()) . options(0) . ')';
	}
	elsif ($kind < 87)
	{
		$call = 'store.delete(' . arguments($key) . ', expected => ' . expected($key)
		  . options(0) . ')';
	}
	elsif ($kind < 99)
	{
		return 'SELECT CASE WHEN succeeded THEN \'success\' ELSE \'failure\' END FROM store.txn('
		  . join(', ', map { StoreCluster::quote('[' . join(',', @$_) . ']') }
			  [ map { random_compare() } 1 .. rand(3) ],
			  [ map { random_operation() } 1 .. rand(5) ],
			  [ map { random_operation() } 1 .. rand(3) ])
		  . ");\n";
	}
	else { return 'SELECT store.compact(' . int(1 + rand(500)) . ");\n" }
	return "SELECT op FROM $call;\n";
}

# ----------------------------------------------------------------------------
# Running them
# ----------------------------------------------------------------------------

my $n_files = 0;

# Sessions side by side, some on each of the nodes; what they printed.
sub run_phase
{
	my (@nodes) = @_;
	my (@runs, %seen);

	for my $session (0 .. $SESSIONS - 1)
	{
		my $file = "$PostgreSQL::Test::Utils::tmp_check/determinism_" . $n_files++;
		my $node = $nodes[ $session % @nodes ];

		append_to_file("$file.sql",
			"\\set VERBOSITY sqlstate\nSET store.request_timeout = '120s';\n" . join '',
			map { random_command() } 1 .. $COMMANDS / $PHASES / $SESSIONS);
		push @runs,
		  [
			$file,
			IPC::Run::start(
				[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$file.sql" ],
				'>', "$file.out", '2>', "$file.err")
		  ];
	}
	for (@runs)
	{
		my ($file, $run) = @$_;

		$run->finish;
		$seen{$_}++ for split /\n/, slurp_file("$file.out");
		$seen{$_}++ for slurp_file("$file.err") =~ /ERROR:\s+(\w{5})/g;
	}
	return %seen;
}

my %TABLES = (
	resources => 'SELECT * FROM store.resources'
	  . ' ORDER BY api_group, version, kind, namespace NULLS FIRST, name',
	events => 'SELECT * FROM store.events WHERE resource_version >'
	  . ' (SELECT compacted_revision FROM store.status) ORDER BY resource_version, ordinal');

# The newest applied position: index, chain, digest.
my $POSITION = 'SELECT index, chain, digest FROM (TABLE store.raft_applied_0'
  . ' UNION ALL TABLE store.raft_applied_1) AS marks ORDER BY index DESC LIMIT 1';

# Both tables and the floor, in COPY's binary format, which no setting changes;
# and what the resources should add up to.
sub dumps
{
	my ($node) = @_;
	my %result = (floor => $node->safe_psql('postgres',
			'SELECT compacted_revision FROM store.status'));

	$result{digest} = $node->safe_psql('postgres', "SELECT digest FROM ($POSITION) AS position");
	for my $table (keys %TABLES)
	{
		IPC::Run::run(
			[
				'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
				"COPY ($TABLES{$table}) TO STDOUT (FORMAT binary)"
			],
			'>', \$result{$table}) or die 'could not dump ' . $node->name;
	}
	return \%result;
}

# ----------------------------------------------------------------------------
# The test
# ----------------------------------------------------------------------------

my @settings = (
	[ 'UTC', 'ISO, MDY', 'C', 'hex', 1, 'iso_8601' ],
	[ 'Asia/Kathmandu', 'German, DMY', 'C.UTF-8', 'escape', -15, 'postgres_verbose' ],
	[ 'America/St_Johns', 'SQL, YMD', 'POSIX', 'hex', 3, 'sql_standard' ],
	[ 'Pacific/Chatham', 'Postgres, DMY', 'C', 'escape', 0, 'postgres' ]);

sub give_settings
{
	my ($node, $timezone, $datestyle, $messages, $bytea, $digits, $interval) = @{ [@_] };

	$node->append_conf('postgresql.conf', <<"CONF");
timezone = '$timezone'
datestyle = '$datestyle'
lc_messages = '$messages'
bytea_output = '$bytea'
extra_float_digits = $digits
intervalstyle = '$interval'
CONF
	return;
}

my $cluster = StoreCluster->new(conf => "fsync = off\n");
my @nodes = $cluster->nodes;
my ($one, $two, $three) = @nodes;
my (%seen, $first_index, $last_index, $reference);

sub add_seen
{
	my (%more) = @_;

	$seen{$_} += $more{$_} for keys %more;
	return;
}

give_settings($nodes[$_], @{ $settings[$_] }) for 0 .. 2;
$_->restart for @nodes;
$cluster->wait_for_leader;
$cluster->wait_all_writable;
$first_index = $one->safe_psql('postgres', 'SELECT store.barrier()');

add_seen(run_phase(@nodes));
$three->stop('immediate');
add_seen(run_phase($one, $two));
$three->start;
$cluster->wait_for_leader;
$cluster->wait_all_writable;
$one->stop('fast');
add_seen(run_phase($two, $three));
$one->start;
$cluster->wait_for_leader;
$cluster->wait_all_writable;
add_seen(run_phase(@nodes));
$two->stop('immediate');
$two->start;
$cluster->wait_for_leader;
$cluster->wait_all_writable;
note(explain(\%seen));

# What expires soon must have gone, or it would go between two dumps.
ok( $one->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM store.resources WHERE expires_at < now() + interval '1 hour'}),
	'what was to expire has expired');
$last_index = $one->safe_psql('postgres',
	q{SELECT resource_version FROM store.put('{"apiVersion": "v1", "kind": "Last",
	  "metadata": {"name": "last"}}')});
cmp_ok($last_index - $first_index, '>=', $ENTRIES, "the log has grown by $ENTRIES entries");
ok($seen{$_}, "there was a $_")
  for qw(Created Replaced Patched Deleted DeletionPending Unchanged NoOp success failure
	40001 23505 RS404 22023);

sub is_like_reference
{
	my ($node) = @_;
	my $dumps;

	$node->safe_psql('postgres',
		"SET store.read_consistency = local; SELECT store.wait_for($last_index, '180 s')");
	$dumps = dumps($node);
	$reference //= $dumps;
	is(length $dumps->{$_}, length $reference->{$_}, $node->name . ": size of $_")
	  for sort keys %$reference;
	ok($dumps->{$_} eq $reference->{$_}, $node->name . ": the same $_") for sort keys %$reference;
	return;
}

is_like_reference($_) for @nodes;
note(join ', ', map { "$_: " . length($reference->{$_}) . ' bytes' } sort keys %$reference);
ok( $one->safe_psql('postgres',
		q{SELECT count(*) FROM store.events WHERE reason = 'garbage_collector'}) > 0,
	'some were deleted because their time was over');

# One that was not there replays it all.
{
	my $four = StoreCluster->server('node4', conf => "fsync = off\n");

	give_settings($four, @{ $settings[3] });
	$four->restart;
	$four->safe_psql('postgres', 'CREATE EXTENSION store');
	$cluster->join_node($four, $two);
	is_like_reference($four);
	push @nodes, $four;
}

# All have come to the same chain: in batches of different sizes, with crashes or
# without, and the last one in its own time.
{
	my ($index, $chain) = split /\|/, $one->safe_psql('postgres', $POSITION);

	for my $node (@nodes[ 1 .. $#nodes ])
	{
		ok($node->poll_query_until('postgres', "SELECT index >= $index FROM ($POSITION) AS p"),
			$node->name . ' is there, too');
	}
	is($_->safe_psql('postgres', "SELECT chain FROM ($POSITION) AS p WHERE index = $index"),
		$chain, $_->name . ": the same chain at $index")
	  for @nodes;
	is( $nodes[-1]->safe_psql('postgres',
			'SELECT count(*), count(DISTINCT digest) FROM store.verify() WHERE agrees'),
		'4|1', 'and the tables of all are what was applied');
}

done_testing();
