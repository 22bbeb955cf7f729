# Files of the WAL are there before anybody has to write to them, on a server
# that fills them; one that writes next to nothing gets none.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

my $cluster = StoreCluster->new(nodes => 1);
my ($node) = $cluster->nodes;

sub write_one
{
	$node->safe_psql('postgres',
		'SELECT op FROM store.put(' . StoreCluster::configmap('drop', rand) . ')');
	return;
}

sub files_ahead
{
	return $node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_ls_waldir()
		WHERE name ~ '^[0-9A-F]{24}$' AND name > pg_walfile_name(pg_current_wal_insert_lsn())});
}

write_one();
is(files_ahead(), 0, 'there is no file ahead');

# Now the first one is full.
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
write_one();
ok(StoreCluster::poll('files ahead', sub { files_ahead() == 2 }), 'two files are made ahead');

$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
write_one();
ok(StoreCluster::poll('one more', sub { files_ahead() == 2 }), 'and one more when one is taken');

done_testing();
