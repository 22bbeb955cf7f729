
=pod

=head1 NAME

DeafClient - a client that asks and does not read the answer

=head1 SYNOPSIS

  my $client = DeafClient->new($node);
  $client->ask('LISTEN store');
  $client->read_rows;    # reads this answer, and how many rows it had
  $client->ask('SELECT * FROM store.watch(1)');

=head1 DESCRIPTION

psql reads whatever comes, so a server never has to wait for it.  This one
speaks just enough of the protocol to leave an answer in the socket until that
is full and the server has to wait.

=cut

package DeafClient;

use strict;
use warnings;

use IO::Socket::UNIX;

sub new
{
	my ($class, $node) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port)
	  or die "could not connect: $@";
	my $self = bless { socket => $socket }, $class;
	my $startup = pack('N', 3 << 16)
	  . join("\0", user => 'postgres', database => 'postgres', application_name => 'deaf', '', '');

	binmode $socket;
	$self->send_all(pack('N', 4 + length $startup) . $startup);
	$self->read_rows;
	return $self;
}

sub pid
{
	my ($self) = @_;

	return $self->{pid};
}

sub send_all
{
	my ($self, $bytes) = @_;

	while (length $bytes)
	{
		my $n = syswrite($self->{socket}, $bytes) // die "could not send: $!";

		substr($bytes, 0, $n, '');
	}
	return;
}

sub ask
{
	my ($self, $query) = @_;

	$self->send_all('Q' . pack('N', 5 + length $query) . "$query\0");
	return;
}

sub read_all
{
	my ($self, $length) = @_;
	my $bytes = '';

	while (length($bytes) < $length)
	{
		sysread($self->{socket}, $bytes, $length - length $bytes, length $bytes)
		  or die 'the server has closed the connection';
	}
	return $bytes;
}

# Read until the server is ready for the next query.
sub read_rows
{
	my ($self) = @_;
	my $rows = 0;

	while (1)
	{
		my ($type, $length) = unpack('a N', $self->read_all(5));
		my $body = $self->read_all($length - 4);

		die "error: $body" if $type eq 'E';
		$self->{pid} = unpack('N', $body) if $type eq 'K';
		$rows++ if $type eq 'D';
		return $rows if $type eq 'Z';
	}
}

sub hang_up
{
	my ($self) = @_;

	close $self->{socket};
	return;
}

1;
