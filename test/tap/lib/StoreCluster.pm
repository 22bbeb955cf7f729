
=pod

=head1 NAME

StoreCluster - a replicated store on several servers of this machine

=head1 SYNOPSIS

  use StoreCluster;

  my $cluster = StoreCluster->new('name', nodes => 3);
  my ($one, $two, $three) = $cluster->nodes;
  my $leader = $cluster->wait_for_leader;
  my $writer = $cluster->start_writer($one, 'prefix');

=head1 DESCRIPTION

Every server is a L<PostgreSQL::Test::Cluster>.  The nodes reach each other by
TCP on the loopback address, with a password from a password file; the tests
reach them by the socket in the test's own folder.

Nothing here sleeps for a fixed time: what has to happen is polled for, up to
the time limit of the PostgreSQL test modules.

=cut

package StoreCluster;

use strict;
use warnings;

use Carp;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our $ELECTION_TIMEOUT = 1;

my $PASSWORD = 'not-a-secret';

# Whoever runs the tests, this is the superuser of their servers; the modules of
# PostgreSQL take the name that the operating system knows them by.
$ENV{PGUSER} = 'postgres';

my $FINGERPRINT = q{
	SELECT md5(string_agg(object::text, ''
		ORDER BY api_group, version, kind, namespace NULLS FIRST, name))
	FROM store.resources};

=pod

=over

=item StoreCluster->server(name, %params)

A running server that preloads store and is not yet a node: no extension.
C<conf> is added to its configuration, or what it returns for the server if it
is code; C<preload> = 0 leaves the library out.
C<allows_streaming> and C<install_path> are passed on.

=cut

sub server
{
	my ($class, $name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name,
		$params{install_path} ? (install_path => $params{install_path}) : ());
	my $preload = $params{preload} // 1;
	my $host = '127.0.0.1';
	my $passfile = $node->basedir . '/passfile';

	$node->init(
		allows_streaming => $params{allows_streaming},
		extra => [ '-E', 'UTF8', '--locale=C.UTF-8', '-U', 'postgres' ],
		auth_extra => [ '--create-role', 'peer' ]);

	append_to_file($passfile, "$host:*:*:peer:$PASSWORD\n");
	chmod 0600, $passfile or die "chmod: $!";

	# People come by the socket, which only the owner can reach; nodes by TCP.
	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf',
			"local all all trust\n"
		  . "local replication all trust\n"
		  . "host all all 127.0.0.1/32 scram-sha-256\n");

	$node->append_conf('postgresql.conf', "listen_addresses = '$host'\n");
	$node->append_conf('postgresql.conf', "log_statement = none\n");
	$node->append_conf('postgresql.conf', "log_min_duration_statement = -1\n");
	$node->append_conf('postgresql.conf', "fsync = on\n");
	$node->append_conf('postgresql.conf', "max_connections = 30\n");
	$node->append_conf('postgresql.conf', "shared_buffers = 32MB\n");
	if ($preload)
	{
		$node->append_conf('postgresql.conf', "shared_preload_libraries = 'store'\n");
		$node->append_conf('postgresql.conf',
			"store.peer_options = 'user=peer passfile=$passfile'\n");
		$node->append_conf('postgresql.conf',
			"store.election_timeout = '${ELECTION_TIMEOUT}s'\n");
	}
	start_first_time($node, $params{conf} // '');
	$node->safe_psql('postgres', "CREATE ROLE peer SUPERUSER LOGIN PASSWORD '$PASSWORD'");
	return $node;
}

# A port that was free a moment ago may have been taken since by somebody else
# on this machine.  As long as nobody knows it, another one will do.
sub start_first_time
{
	my ($node, $conf) = @_;

	for (1 .. 10)
	{
		$node->append_conf('postgresql.conf', ref $conf ? $conf->($node) : $conf);
		return if $node->start(fail_ok => 1);
		last if slurp_file($node->logfile) !~ /Address already in use/;
		$node->{_port} = PostgreSQL::Test::Cluster::get_free_port();
		$node->append_conf('postgresql.conf', 'port = ' . $node->port);
		unlink $node->logfile;
	}
	BAIL_OUT($node->name . ' does not start');
}

=pod

=item StoreCluster->new(%params)

A cluster of C<nodes> servers (3), all voters when this returns.  C<conf> is
added to the configuration of each.

=cut

sub new
{
	my ($class, %params) = @_;
	my $count = $params{nodes} // 3;
	my $self = bless { nodes => [] }, $class;

	for my $i (1 .. $count)
	{
		my $node = $class->server("node$i", %params);

		push @{ $self->{nodes} }, $node;
		$node->safe_psql('postgres', 'CREATE EXTENSION store');
		$self->join_node($node, $self->{nodes}[0]) if $i > 1;
	}
	return $self;
}

=pod

=item $cluster->join_node(node, contact)

Let a node enter the cluster of another one.

=cut

sub join_node
{
	my ($self, $node, $contact) = @_;

	$node->safe_psql('postgres',
			"SET store.request_timeout = '60s';"
		  . "SELECT store.join('"
		  . $self->address($contact)
		  . "')");
	return;
}

sub address
{
	my ($self, $node) = @_;

	return 'host=127.0.0.1 dbname=postgres port=' . $node->port;
}

sub nodes
{
	my ($self) = @_;

	return @{ $self->{nodes} };
}

# Those whose postmaster should be there.
sub running
{
	my ($self) = @_;

	return grep { defined $_->{_pid} } $self->nodes;
}

=pod

=item $cluster->status(node, column)

One column of store.status, or undef if the node does not answer.

=cut

sub status
{
	my ($self, $node, $column) = @_;
	my ($ret, $stdout) = $node->psql('postgres', "SELECT $column FROM store.status");

	return $ret == 0 ? $stdout : undef;
}

=pod

=item poll(what, code)

Call code until it returns something true, and return that.  Fails the test
and returns undef when the time limit has passed.

=cut

sub poll
{
	my ($what, $code) = @_;
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;

	while (time() < $deadline)
	{
		my $result = $code->();

		return $result if $result;
		usleep(50_000);
	}
	fail("timed out waiting for $what");
	return;
}

=pod

=item $cluster->wait_for_leader()

The running node that leads, once all running nodes agree who it is.

=cut

sub wait_for_leader
{
	my ($self) = @_;

	return poll(
		'a leader that all running nodes know',
		sub {
			my (%leaders, $leader);

			for my $node ($self->running)
			{
				$leaders{ $self->status($node, 'leader') || return }++;
				$leader = $node if $self->status($node, 'state') eq 'leader';
			}
			return keys %leaders == 1
			  && $leader
			  && $leaders{ $leader->name } ? $leader : undef;
		});
}

# The running nodes that are not $leader.
sub others
{
	my ($self, $leader) = @_;

	return grep { $_ != $leader } $self->running;
}

=pod

=item $cluster->term()

The highest term that a running node knows.

=cut

sub term
{
	my ($self) = @_;
	my ($term) = sort { $b <=> $a } map { $self->status($_, 'term') // 0 } $self->running;

	return $term;
}

=pod

=item $cluster->wait_all_writable()

Every running node takes part again: a barrier on it returns.

=cut

sub wait_all_writable
{
	my ($self) = @_;

	for my $node ($self->running)
	{
		$node->poll_query_until('postgres', 'SELECT store.barrier() > 0')
		  or die $node->name . ' does not come back';
	}
	return;
}

=pod

=item $cluster->fingerprints()

Name => md5 of all objects, for every running node, each after a barrier.

=cut

sub fingerprints
{
	my ($self) = @_;
	my %result;

	for my $node ($self->running)
	{
		$node->poll_query_until('postgres', 'SELECT store.barrier() > 0');
		$result{ $node->name } = $node->safe_psql('postgres', $FINGERPRINT);
	}
	return %result;
}

=pod

=item $cluster->is_same_everywhere(test_name)

One check: all running nodes have the same objects, and there are some.

=cut

sub is_same_everywhere
{
	my ($self, $name) = @_;
	my %prints = $self->fingerprints;
	my %distinct = map { $_ => 1 } values %prints;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(keys %distinct == 1 && !exists $distinct{''}, $name)
	  or diag(explain(\%prints));
	return;
}

=pod

=item configmap(name, value)

A small object as SQL literal.

=cut

sub configmap
{
	my ($name, $value, $namespace) = @_;

	return quote(
		JSON::PP->new->canonical->encode(
			{
				apiVersion => 'v1',
				kind => 'ConfigMap',
				metadata => { name => $name, namespace => $namespace // 'default' },
				data => { value => "$value" }
			}));
}

sub quote
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return "'$text'";
}

=pod

=item $cluster->start_writer(node, prefix)

A client that puts one object after the other on a node, forever, whatever
errors it gets, and notes what was acknowledged.  stop_writer() ends it and
returns [name, resource_version, time] of each acknowledged write, in order.

=cut

my $WRITER = q{
	$| = 1;
	my $prefix = shift;
	for (my $i = 1;; $i++)
	{
		my $name = "$prefix-$i";
		print "SELECT '$name', w.resource_version, extract(epoch from clock_timestamp()) "
		  . "FROM store.put('{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", "
		  . "\"metadata\": {\"name\": \"$name\", \"namespace\": \"writers\"}, "
		  . "\"data\": {\"value\": \"$i\"}}') w;\n"
		  or exit;
	}
};

sub start_writer
{
	my ($self, $node, $prefix) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/" . $node->name . "_$prefix.acks";
	my $errors = "$PostgreSQL::Test::Utils::tmp_check/" . $node->name . "_$prefix.errors";
	my $run = IPC::Run::start(
		[ $^X, '-e', $WRITER, $prefix ],
		'|', [ 'psql', '-XAtq', '-F', '|', '-d', $node->connstr('postgres'), '-f', '-' ],
		'>', $file, '2>', $errors);

	return { run => $run, file => $file, errors => $errors };
}

sub acknowledged
{
	my ($writer) = @_;

	return unless -e $writer->{file};
	return map { [ split /\|/ ] }
	  grep { /^\S+\|\d+\|[\d.]+$/ } split /\n/, slurp_file($writer->{file});
}

=pod

=item wait_for_writes(writer, count)

Until the writer has had count more writes acknowledged than now.

=cut

sub wait_for_writes
{
	my ($writer, $count) = @_;
	my $before = () = acknowledged($writer);

	return poll(
		"$count more acknowledged writes",
		sub {
			my $now = () = acknowledged($writer);
			return $now >= $before + $count;
		});
}

sub stop_writer
{
	my ($writer) = @_;
	my @acknowledged;

	$writer->{run}->kill_kill(grace => 5);
	@acknowledged = acknowledged($writer);
	note("errors of the writer:\n" . slurp_file($writer->{errors}))
	  if -s $writer->{errors};
	return @acknowledged;
}

=pod

=item $cluster->missing_writes(node, @acknowledged)

Those acknowledged writes that the node does not have with the same
resource_version, as text.

=cut

sub missing_writes
{
	my ($self, $node, @acknowledged) = @_;
	my $values = join ', ', map { "('$_->[0]', $_->[1])" } @acknowledged;

	return 'nothing was acknowledged' unless $values;
	$node->poll_query_until('postgres', 'SELECT store.barrier() > 0');
	return $node->safe_psql('postgres', <<"SQL");
SELECT string_agg(a.name || ' at ' || a.version || ': '
	|| coalesce('is at ' || r.resource_version, 'not there'), ', ')
FROM (VALUES $values) AS a(name, version)
LEFT JOIN store.resources r
	ON r.kind = 'ConfigMap' AND r.namespace = 'writers' AND r.name = a.name
WHERE r.resource_version IS DISTINCT FROM a.version
SQL
}

=pod

=item $cluster->kill9(nodes)

SIGKILL the postmasters of these nodes.

=item $cluster->restart_killed(node)

Start a node whose postmaster was killed, once that is gone for good; its
other processes may still be leaving and hold the shared memory.

=cut

sub kill9
{
	my ($self, @victims) = @_;

	$self->{killed}{ $_->name } = $_->{_pid} for @victims;
	$_->kill9 for @victims;
	return;
}

sub restart_killed
{
	my ($self, $node) = @_;
	my $pid = delete $self->{killed}{ $node->name };

	poll('the killed postmaster to be reaped', sub { return !kill(0, $pid) });
	poll(
		'the killed server to start',
		sub {
			return 1 if $node->start(fail_ok => 1);
			# the module takes the process id from a file that is out of date
			$node->{_pid} = undef;
			return 0;
		});
	return;
}

=pod

=item manifests()

Real objects, a line of JSON each: of the file named by STORE_MANIFESTS, or of
the larger set that may lie beside the checkout, or of the product's own.

=cut

sub manifests
{
	my ($file) = grep { defined && -r } $ENV{STORE_MANIFESTS}, '../shared/data/manifests.jsonl';
	my @files = $file // sort glob('scripts/demo-data/*.jsonl');

	note("manifests of @files");
	return grep { /\S/ } map { split /\n/, slurp_file($_) } @files;
}

=pod

=item sqlstate(node, sql)

Run SQL that should fail; returns (SQLSTATE, whole error text, seconds).  The
SQLSTATE is '' if it did not fail.

=back

=cut

sub sqlstate
{
	my ($node, $sql) = @_;
	my $start = time();
	my ($ret, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	my $seconds = time() - $start;
	my ($state) = $stderr =~ /ERROR:  (\w{5}):/;

	note("after ${seconds} s: $stderr");
	return ($state // '', $stderr, $seconds);
}

1;
