# Real manifests, applied by two managers with small edits in between: on every
# node each object is what was wanted last of each field, by whom it is owned.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $json = JSON::PP->new->canonical->allow_nonref;
my @objects = map { $json->decode($_) } StoreCluster::manifests();
my $cluster = StoreCluster->new;
my @sessions = map { $_->background_psql('postgres') } $cluster->nodes;
my $turn = 0;
my %refused;

# Each statement is made on the next node.
sub ask
{
	my ($sql) = @_;

	return $sessions[ $turn++ % @sessions ]->query_safe($sql);
}

sub literals
{
	return join ', ', map { defined $_ ? StoreCluster::quote($_) : 'NULL' } @_;
}

# What a patch of this object answers: the operation, or SQLSTATE and DETAIL.
sub patch
{
	my ($object, $patch, $type, $manager, $force) = @_;

	return ask('SELECT * FROM pg_temp.try_patch('
		  . literals($object->{kind}, $object->{metadata}{name}, $json->encode($patch),
			$object->{metadata}{namespace}, $object->{apiVersion}, $type, $manager,
			$force ? 't' : 'f')
		  . ')');
}

sub expect
{
	my ($step, $object, $answer, $wanted) = @_;

	return if $answer =~ /\A$wanted\z/s;
	$refused{$step}++;
	diag("$step: $object->{kind} $object->{metadata}{name}: $answer");
}

# The part of a wish that says which object it is about.
sub identity
{
	my ($object) = @_;
	my %metadata = map { $_ => $object->{metadata}{$_} }
	  grep { defined $object->{metadata}{$_} } qw(name namespace);

	return { %$object{qw(apiVersion kind)}, metadata => \%metadata };
}

# The specification of the pods of an object of a kind whose lists have keys.
sub pod_spec
{
	my ($object) = @_;

	return $object->{spec} if $object->{kind} eq 'Pod';
	return $object->{spec}{template}{spec}
	  if $object->{apiVersion} =~ /^(apps\/)?v1$/
	  && ref $object->{spec} eq 'HASH'
	  && ref $object->{spec}{template} eq 'HASH';
	return undef;
}

sub copies
{
	return map { $json->decode($json->encode($_)) } @_;
}

$_->query_safe(q{
	CREATE FUNCTION pg_temp.try_patch(kind text, name text, patch jsonb, namespace text,
		api_version text, type text, manager text, force boolean) RETURNS text
	LANGUAGE plpgsql AS $$
	DECLARE
		answer text;
	BEGIN
		SELECT op INTO answer FROM store.patch(kind, name, patch, namespace, api_version,
			type, field_manager => manager, force => force);
		RETURN answer;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
		RETURN SQLSTATE || ' ' || SQLERRM || ' ' || answer;
	END $$})
  for @sessions;

my @expected;
for my $object (@objects)
{
	my ($first, $again, $expected) = copies(($object) x 3);
	my $wish = identity($object);
	my ($pods, $seen) = map { pod_spec($_) } $object, $expected;

	# One manager creates the object, and somebody edits it.
	$_->{metadata}{labels}{delivered} = 'yes' for $first, $again, $expected;
	$first->{metadata}{annotations}{$_} = 'first' for qw(contested dropped);
	expect('create', $object, patch($object, $first, 'apply', 'delivery'), 'Created');
	expect('edit', $object,
		patch($object, { metadata => { labels => { edited => 'yes' } } }, 'merge', 'editor'),
		'Patched');

	# The other wants a field that the first one owns, and some that nobody does.
	$wish->{metadata}{annotations} = { contested => 'second', mine => 'second' };
	if (ref $object->{spec} eq 'HASH' && exists $object->{spec}{replicas})
	{
		$wish->{spec}{replicas} = 7;
		delete $again->{spec}{replicas};
		$expected->{spec}{replicas} = 7;
	}
	if ($pods && @{ $pods->{containers} // [] })
	{
		my $added = { name => 'ADDED', value => 'second' };
		my $part = { containers =>
			  [ { name => $pods->{containers}[0]{name}, env => [$added] } ] };

		if ($object->{kind} eq 'Pod') { $wish->{spec} = $part }
		else { $wish->{spec}{template}{spec} = $part }
		push @{ $seen->{containers}[0]{env} }, $added;
	}
	expect('conflict', $object, patch($object, $wish, 'apply', 'operator'),
		'40001 .*metadata\.annotations\.contested.*');
	expect('force', $object, patch($object, $wish, 'apply', 'operator', 1), 'Patched');
	expect('repeat', $object, patch($object, $wish, 'apply', 'operator'), 'Unchanged');

	# The first applies what it has, and wants one annotation no longer.
	expect('apply again', $object, patch($object, $again, 'apply', 'delivery'), 'Patched');
	expect('and again', $object, patch($object, $again, 'apply', 'delivery'), 'Unchanged');

	$expected->{metadata}{labels}{edited} = 'yes';
	$expected->{metadata}{annotations}{$_} = 'second' for qw(contested mine);
	push @expected, $expected;
}
cmp_ok(scalar @expected, '>', 20, 'there are manifests to apply: ' . scalar @expected);
is($refused{$_} // 0, 0, "$_: as it should be")
  for ('create', 'edit', 'conflict', 'force', 'repeat', 'apply again', 'and again');

$cluster->is_same_everywhere('all three nodes have the same objects');

my ($changed, $unowned) = (0, 0);
for my $expected (@expected)
{
	my $answer = ask('SELECT '
		  . q{object #- '{metadata,resourceVersion}' #- '{metadata,uid}'
			#- '{metadata,creationTimestamp}' #- '{metadata,generation}'
			#- '{metadata,managedFields}' = }
		  . StoreCluster::quote($json->encode($expected))
		  . q{::jsonb, (SELECT string_agg(field->>'manager', ' ' ORDER BY field->>'manager')
				FROM jsonb_array_elements(object#>'{metadata,managedFields}') AS field)
			FROM store.get(}
		  . literals($expected->{kind}, $expected->{metadata}{name},
			$expected->{metadata}{namespace}, $expected->{apiVersion})
		  . ') AS object');
	my ($same, $managers) = split /\|/, $answer;

	$changed++ if $same ne 't';
	$unowned++ if $managers ne 'delivery editor operator';
	diag("$expected->{kind} $expected->{metadata}{name}: $answer")
	  if $answer ne 't|delivery editor operator';
}
is($changed, 0, 'what each wanted last is what is there');
is($unowned, 0, 'and all three own some of it');

$_->quit for @sessions;
done_testing();
