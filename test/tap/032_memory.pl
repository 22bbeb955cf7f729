# What one transaction asks for does not decide how much memory the apply worker
# takes: whoever could make it run out of memory would stop every member, again
# and again, at the same entry.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

# Megabytes that a worker has had at most.
my $LIMIT = 200;

my $cluster = StoreCluster->new(nodes => 1);
my ($node) = $cluster->nodes;
my $worker = $node->safe_psql('postgres',
	q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'store apply worker'});

sub peak
{
	return slurp_file("/proc/$worker/status") =~ /^VmHWM:\s+(\d+) kB/m ? $1 / 1024 : undef;
}

sub is_small
{
	my ($what) = @_;
	my $peak = peak();

	note(sprintf '%s: %d MB', $what, $peak);
	cmp_ok($peak, '<', $LIMIT, $what);
	return;
}

# Two objects of over a megabyte: one of text that does not compress, one of
# very many small values, which take far more room when they are open.
is( $node->safe_psql('postgres', q{
		SELECT op FROM store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'Load',
			'metadata', '{"name": "text"}'::jsonb, 'spec', (
				SELECT string_agg(md5(i::text), '') FROM generate_series(1, 40000) AS i)));
		SELECT op FROM store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'Load',
			'metadata', '{"name": "fields"}'::jsonb, 'spec', (
				SELECT jsonb_object_agg('f' || i, NULL) FROM generate_series(1, 90000) AS i)))}),
	"Created\nCreated", 'there are large objects');
is_small('two large objects');

is( $node->safe_psql('postgres', q{
		SELECT succeeded FROM store.txn((
			SELECT jsonb_agg(jsonb_build_object('exists', true, 'key',
				'{"apiVersion": "v1", "kind": "Load", "name": "text"}'::jsonb))
			FROM generate_series(1, 1000)), '[]')}),
	't', 'a thousand conditions on a large object');
is_small('conditions do not read the object');

is( $node->safe_psql('postgres', q{
		SELECT succeeded FROM store.txn('[]', (
			SELECT jsonb_agg(jsonb_build_object('patch', jsonb_build_object(
				'key', '{"apiVersion": "v1", "kind": "Load", "name": "fields"}'::jsonb,
				'patch', jsonb_build_object('spec', jsonb_build_object('f' || i, 1)))))
			FROM generate_series(1, 14) AS i))}),
	't', 'merge patches of an object of many fields');
is_small('the memory of a merge patch is given back');

is( $node->safe_psql('postgres', q{
		SELECT succeeded FROM store.txn('[]', (
			SELECT jsonb_agg(jsonb_build_object('patch', jsonb_build_object('type', 'json',
				'key', '{"apiVersion": "v1", "kind": "Load", "name": "fields"}'::jsonb,
				'patch', (
					SELECT jsonb_agg(p ORDER BY n)
					FROM generate_series(1, 3) AS n, LATERAL (VALUES
						('{"op": "copy", "from": "/spec", "path": "/c"}'::jsonb),
						('{"op": "add", "path": "/c/more", "value": 1}'),
						('{"op": "remove", "path": "/c"}')) AS v (p)))))
			FROM generate_series(1, 12)))}),
	't', 'JSON patches that copy an object of many fields');
is_small('the memory of a JSON patch is given back');

is($node->safe_psql('postgres', 'SELECT problem IS NULL FROM store.status'),
	't', 'nothing is wrong');
$node->stop;
done_testing();
