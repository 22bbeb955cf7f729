# A member must not come back with an older or a second copy of its state: it
# would vote twice, and count for entries that it no longer has.  Every way in
# which that happens in practice is tried here with the real tools.  Each time
# the dangerous node must say that it is detached and must not help to elect a
# leader without the member that has what was acknowledged.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Amnesia;
use File::Path qw(rmtree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StoreCluster;
use Test::More;

start_cluster();

#
# An old data folder is copied back.
#
write_some($cluster->wait_for_leader);
{
	my ($victim, $leader, $other) = cast();
	my $saved = $victim->data_dir . '.saved';

	$victim->stop;
	copy_folder($victim->data_dir, $saved);
	$victim->start;
	$cluster->wait_all_writable;
	write_some($leader);
	with_folder(
		$victim,
		sub { rename $saved, $_[0] or die "rename: $!"; },
		sub {
			is_detached($victim, qr/copied or restored/, 'old folder');
			is_out_of_service($victim, 'old folder');
			no_leader_without($leader, $other, 'old folder');
		});
	all_is_there('old folder');
}

#
# A base backup is restored in the folder of the member.
#
{
	my ($victim, $leader, $other) = cast();
	my $backup;

	$victim->backup('base');
	$backup = $victim->backup_dir . '/base';
	write_some($leader);
	with_folder(
		$victim,
		sub { copy_folder($backup, $_[0]); },
		sub {
			is_detached($victim, qr/copied or restored/, 'base backup');
			no_leader_without($leader, $other, 'base backup');
		});
	all_is_there('base backup');
}

#
# A standby of a member is promoted while the member runs.
#
{
	my ($victim, $leader, $other) = cast();
	my $standby = PostgreSQL::Test::Cluster->new('standby');

	$victim->backup('standby');
	$standby->init_from_backup($victim, 'standby', has_streaming => 1);
	$standby->append_conf('postgresql.conf', 'port = ' . $standby->port);
	$standby->start;
	write_some($leader);
	$victim->wait_for_catchup($standby);
	$standby->promote;
	is_detached($standby, qr/timeline/, 'promoted standby');
	is_out_of_service($standby, 'promoted standby');
	goes_on($victim, 'promoted standby');
	write_some($leader);
	in_place_of(
		$victim, $standby,
		sub { no_leader_without($leader, $other, 'promoted standby'); });
	all_is_there('promoted standby');

	# The member is made to follow what was promoted.
	with_folder(
		$victim,
		sub {
			my ($folder) = @_;

			copy_folder("$folder.real", $folder);
			command_ok(
				[
					'pg_rewind', '--no-sync',
					'--source-pgdata', $standby->data_dir, '--target-pgdata', $folder
				],
				'pg_rewind');
			system_or_bail('cp', "$folder.real/postgresql.conf", $folder);
		},
		sub {
			is_detached($victim, qr/timeline/, 'rewound');
			is_out_of_service($victim, 'rewound');
			no_leader_without($leader, $other, 'rewound');
		});
	all_is_there('rewound');
}

#
# Recovery to a point in time.
#
{
	my ($victim, $leader, $other) = cast();
	my $restored = PostgreSQL::Test::Cluster->new('restored');
	my $target;

	$victim->append_conf('postgresql.conf',
		"archive_mode = on\narchive_command = 'cp \"%p\" \"" . $victim->archive_dir . "/%f\"'\n");
	mkdir $victim->archive_dir;
	$victim->restart;
	$cluster->wait_all_writable;
	$victim->backup('pitr');
	write_some($leader);
	$target = $victim->safe_psql('postgres', 'SELECT pg_create_restore_point($$here$$)');
	write_some($leader);
	$victim->safe_psql('postgres', 'SELECT pg_switch_wal()');
	$victim->poll_query_until('postgres',
		"SELECT last_archived_wal >= pg_walfile_name('$target') FROM pg_stat_archiver");
	$restored->init_from_backup($victim, 'pitr', has_restoring => 1, standby => 0);
	$restored->append_conf('postgresql.conf',
		'port = ' . $restored->port . "\nrecovery_target_name = 'here'\n"
		  . "recovery_target_action = promote\narchive_mode = off\n");
	$restored->start;
	is_detached($restored, qr/timeline/, 'point in time');
	in_place_of($victim, $restored,
		sub { no_leader_without($leader, $other, 'point in time'); });
	all_is_there('point in time');
}

#
# The database is cloned, and the clone taken for the store.
#
{
	my ($victim, $leader, $other) = cast();
	my $take = sub {
		$victim->append_conf('postgresql.conf', "store.database = '$_[0]'\n");
		$victim->restart;
	};

	$take->('nowhere');
	$victim->safe_psql('template1', 'CREATE DATABASE clone TEMPLATE postgres');
	write_some($leader);
	$take->('clone');
	is_detached($victim, qr/a copy with OID/, 'template clone');
	no_leader_without($leader, $other, 'template clone');
	$take->('postgres');
	all_is_there('template clone');
}

#
# A copy that is the newest one, such as after a change of disks.
#
{
	my ($victim, $leader, $other) = cast();
	my $folder = $victim->data_dir;

	$victim->stop;
	rename $folder, "$folder.old" or die "rename: $!";
	copy_folder("$folder.old", $folder);
	$victim->start;
	is_detached($victim, qr/copied or restored/, 'moved folder');
	like(($victim->psql('postgres', 'SELECT store.keep_identity()'))[2],
		qr/WARNING:.*identity/, 'moved folder: an operator says that it is the member');
	write_some($leader);
	all_is_there('moved folder');
	like(
		(StoreCluster::sqlstate($victim, 'SELECT store.keep_identity()'))[1],
		qr/not detached/, 'a member that runs keeps its identity anyway');
	like(
		(StoreCluster::sqlstate($victim, 'SELECT store.restore_as_new_cluster()'))[1],
		qr/not detached/, 'and does not leave its cluster by mistake');
	$victim->restart;
	$cluster->wait_all_writable;
	is($cluster->status($victim, 'problem'), '', 'moved folder: it stays a member');
	rmtree("$folder.old");
}

done_testing();
