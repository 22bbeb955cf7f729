
=pod

=head1 NAME

Amnesia - members that come back with an older or a second copy of their state

=head1 SYNOPSIS

  use Amnesia;

  start_cluster();
  my ($victim, $leader, $other) = cast();
  with_folder($victim, sub { copy_folder($saved, $_[0]); }, sub {
      is_detached($victim, qr/copied/, 'old folder');
      no_leader_without($leader, $other, 'old folder');
  });
  all_is_there('old folder');

=head1 DESCRIPTION

There is one cluster of three, $cluster, made by start_cluster().  What the
writers of write_some() had acknowledged is remembered, and looked for by
all_is_there().

=cut

package Amnesia;

use strict;
use warnings;

use Exporter 'import';
use File::Path qw(rmtree);
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

our @EXPORT = qw($cluster all_is_there cast copy_folder go_back_in_place goes_on in_place_of
  is_detached is_out_of_service no_leader_without start_cluster with_folder write_some);

our $cluster;

my $scenario = 0;
my @acknowledged;

sub start_cluster
{
	$cluster = StoreCluster->new(
		allows_streaming => 1,
		conf => "wal_keep_size = 256MB\nmax_wal_senders = 5\nwal_log_hints = on\n");
	return;
}

sub copy_folder
{
	my ($from, $to) = @_;

	system_or_bail('cp', '-a', $from, $to);
	return;
}

# As a restored volume looks: all files are the old ones, in the same places.
sub go_back_in_place
{
	my ($saved, $node) = @_;
	my $folder = $node->data_dir;
	my $control = "$folder/global/pg_control";

	rename $control, "$folder.control" or die "rename: $!";
	rmtree($folder);
	copy_folder($saved, $folder);
	system_or_bail('cp', $control, "$folder.content");
	unlink $control or die "unlink: $!";
	rename "$folder.control", $control or die "rename: $!";
	system_or_bail('dd', "if=$folder.content", "of=$control", 'conv=notrunc', 'status=none');
	return;
}

sub write_some
{
	my ($node, $count) = @_;
	my $writer;

	$scenario++;
	$writer = $cluster->start_writer($node, "s$scenario");
	StoreCluster::wait_for_writes($writer, $count // 20);
	push @acknowledged, StoreCluster::stop_writer($writer);
	return;
}

sub is_detached
{
	my ($node, $pattern, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok( $node->poll_query_until('postgres',
			q{SELECT state = 'detached' AND problem ~ 'detached' FROM store.status}),
		"$name: the node is detached");
	like($cluster->status($node, 'problem'), $pattern, "$name: it says why");
	return;
}

# The member itself takes part.  On a busy machine it may even have come to lead.
sub goes_on
{
	my ($node, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($cluster->status($node, q{state <> 'detached'}), 't', "$name: the member goes on");
	return;
}

# It refuses work at once, and can be read.
sub is_out_of_service
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($state, $text) = StoreCluster::sqlstate($node,
		"SELECT store.put(" . StoreCluster::configmap('no', 1) . ")");

	is($state, 'RS503', "$name: a write is refused");
	like($text, qr/detached/, "$name: with the reason");
	cmp_ok(
		$node->safe_psql('postgres',
			q{SET store.read_consistency = 'local'; SELECT count(*) FROM store.list('ConfigMap')}),
		'>', 0, "$name: it can be read");
	return;
}

# With the leader gone, or who was it when the roles were cast, the detached node
# and the last one are no majority.
sub no_leader_without
{
	my ($leader, $other, $name) = @_;
	my ($state);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$cluster->kill9($leader);
	# Until it is missed, a write may go to it, and its outcome be unknown.
	$other->poll_query_until('postgres', 'SELECT leader IS NULL FROM store.status');
	($state) = StoreCluster::sqlstate($other,
		"SET store.request_timeout = '3s';"
		  . "SELECT store.put(" . StoreCluster::configmap('no', 1) . ")");
	is($state, 'RS503', "$name: it helps nobody to a majority");
	is($cluster->status($other, "coalesce(leader, '')"), '', "$name: no leader was elected");
	$cluster->restart_killed($leader);
	return;
}

sub all_is_there
{
	my ($name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$cluster->wait_all_writable;
	for my $node ($cluster->running)
	{
		is($cluster->missing_writes($node, @acknowledged),
			'', "$name: nothing acknowledged is lost on " . $node->name);
	}
	return;
}

# A follower to play the victim, the leader, and the third.
sub cast
{
	my $leader = $cluster->wait_for_leader;
	my ($victim, $other) = $cluster->others($leader);

	return ($victim, $leader, $other);
}

# Run code with another folder in place of the node's own, then put that back.
sub with_folder
{
	my ($node, $prepare, $code) = @_;
	my $folder = $node->data_dir;

	$node->stop;
	rename $folder, "$folder.real" or die "rename: $!";
	$prepare->($folder);
	$node->start;
	$code->();
	$node->stop;
	rmtree($folder);
	rename "$folder.real", $folder or die "rename: $!";
	$node->start;
	return;
}

# Run code with another server at the address of a member; then there is the
# member again, and the other one is stopped.
sub in_place_of
{
	my ($node, $impostor, $code) = @_;

	$_->stop for $node, $impostor;
	$impostor->append_conf('postgresql.conf', 'port = ' . $node->port);
	$impostor->{_port} = $node->port;
	$impostor->start;
	$code->();
	$impostor->stop;
	$node->start;
	return;
}

1;
