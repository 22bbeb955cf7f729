/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The store.* settings.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "store.h"

#include <limits.h>
#include <unistd.h>

#include "commands/dbcommands.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/guc.h"
#include "utils/varlena.h"

char	   *store_database = NULL;
char	   *store_node_name = NULL;
char	   *store_advertise = NULL;
char	   *store_peer_options = NULL;
int			store_heartbeat_interval = 100;
int			store_election_timeout = 1000;
bool		store_leader_lease = false;
int			store_request_timeout = 5000;
int			store_read_consistency = READ_LINEARIZABLE;
int			store_max_object_size = 1536;
int			store_max_apply_delay = 2000;
int			store_inbox_size = 16384;
int			store_peer_member = 0;
int			store_min_free_space = 256;
int			store_log_segment_size = 262144;
int			store_history_retention = 3600;
int			store_history_size = 1048576;
double		store_notify_queue_limit = 0.5;
char	   *store_record_directory = NULL;

static const struct config_enum_entry read_consistency_options[] = {
	{"linearizable", READ_LINEARIZABLE, false},
	{"local", READ_LOCAL, false},
	{NULL, 0, false}
};

static bool
check_node_name(char **newval, void **extra, GucSource source)
{
	if (strlen(*newval) >= STORE_NAME_SIZE)
	{
		GUC_check_errdetail("The name of a node is at most %d bytes long.",
							STORE_NAME_SIZE - 1);
		return false;
	}
	return true;
}

/*
 * An advertised address becomes part of the replicated membership, which
 * everybody with a look at store.members can read.
 */
static bool
check_advertise(char **newval, void **extra, GucSource source)
{
	if (strlen(*newval) >= STORE_CONNINFO_SIZE)
	{
		GUC_check_errdetail("An advertised address is at most %d bytes long.",
							STORE_CONNINFO_SIZE - 1);
		return false;
	}
	if (strstr(*newval, "password") != NULL)
	{
		GUC_check_errdetail("An advertised address must not contain a password.");
		GUC_check_errhint("Use a password file, named in store.peer_options as passfile.");
		return false;
	}
	return true;
}

static void
define_cluster_settings(void)
{
	DefineCustomStringVariable("store.database",
							   "Database that holds the store.",
							   NULL,
							   &store_database,
							   "postgres",
							   PGC_POSTMASTER, 0,
							   NULL, NULL, NULL);
	DefineCustomStringVariable("store.node_name",
							   "Name of this node among the members of its cluster.",
							   "Empty: cluster_name, or else the address and port of the server.",
							   &store_node_name,
							   "",
							   PGC_SIGHUP, 0,
							   check_node_name, NULL, NULL);
	DefineCustomStringVariable("store.advertise",
							   "Connection string with which the other members reach this node.",
							   "Empty: the server's own first listen address, port and store.database.",
							   &store_advertise,
							   "",
							   PGC_SIGHUP, 0,
							   check_advertise, NULL, NULL);
	DefineCustomStringVariable("store.peer_options",
							   "Connection options added to every connection to another member.",
							   "Such as user, sslmode, sslcert and passfile.",
							   &store_peer_options,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
	DefineCustomIntVariable("store.heartbeat_interval",
							"Time between two heartbeats of the leader.",
							NULL,
							&store_heartbeat_interval,
							100, 5, 60000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("store.election_timeout",
							"Shortest time without a leader after which a member stands for election.",
							"At least three times store.heartbeat_interval.",
							&store_election_timeout,
							1000, 50, 600000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("store.leader_lease",
							 "Lets a leader answer linearizable reads without asking the others.",
							 "Relies on the clocks of all members to run neither faster nor slower than true time by more than an eighth, also while a machine is suspended.",
							 &store_leader_lease,
							 false,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("store.max_apply_delay",
							"How long the apply worker waits for a lock before its holder is canceled.",
							NULL,
							&store_max_apply_delay,
							2000, 10, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("store.inbox_size",
							"Shared memory for requests and messages on their way to the raft worker.",
							NULL,
							&store_inbox_size,
							16384, 4 * STORE_MAX_OBJECT_KB, 1048576,
							PGC_POSTMASTER, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("store.log_segment_size",
							"Size at which the Raft log moves on to its next segment.",
							NULL,
							&store_log_segment_size,
							262144, 64, 16777216,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("store.min_free_space",
							"Free disk space below which a node takes no writes but deletes.",
							"In each of the file systems of the data directory, pg_wal and store.database's tablespace; 0: whatever is left.",
							&store_min_free_space,
							256, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);
	DefineCustomStringVariable("store.record_directory",
							   "Directory in which the raft worker records what its consensus core is told.",
							   "For replaying a fault; empty: nothing is recorded.",
							   &store_record_directory,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
}

static void
define_watch_settings(void)
{
	DefineCustomIntVariable("store.history_retention",
							"How long the history is kept.",
							"The leader's value counts; -1: not limited by time.",
							&store_history_retention,
							3600, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("store.history_size",
							"How much history is kept.",
							"The leader's value counts; what is older goes, whatever store.history_retention says.",
							&store_history_size,
							1048576, 1024, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomRealVariable("store.notify_queue_limit",
							 "Part of the server's notification queue at which the store adds no more.",
							 "Notifications then wait for those who listen and do not read.",
							 &store_notify_queue_limit,
							 0.5, 0, 1,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
}

static void
define_session_settings(void)
{
	DefineCustomIntVariable("store.peer_member",
							"Number of the member whose messages the session may send; 0: any.",
							"Set for the role of a member by store.grant_peer().",
							&store_peer_member,
							0, 0, INT_MAX,
							PGC_SUSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("store.request_timeout",
							"How long a statement waits for the cluster's answer.",
							NULL,
							&store_request_timeout,
							5000, 1, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomEnumVariable("store.read_consistency",
							 "What read functions see: all acknowledged writes, or this node's replica.",
							 NULL,
							 &store_read_consistency,
							 READ_LINEARIZABLE, read_consistency_options,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("store.max_object_size",
							"Largest object or patch that a write accepts.",
							NULL,
							&store_max_object_size,
							1536, 1, STORE_MAX_OBJECT_KB,
							PGC_SUSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
}

void
settings_define(void)
{
	define_cluster_settings();
	define_watch_settings();
	define_session_settings();
	MarkGUCPrefixReserved("store");
}

/*
 * The host part of our own address: the first listen address that names one,
 * this machine's name if the server listens everywhere, or the first socket
 * directory if it does not listen on TCP at all.
 */
static char *
own_host(void)
{
	char	   *raw = pstrdup(ListenAddresses ? ListenAddresses : "");
	List	   *addresses;

	if (SplitGUCList(raw, ',', &addresses) && addresses != NIL)
	{
		char	   *first = linitial(addresses);

		if (strcmp(first, "*") == 0 || strcmp(first, "0.0.0.0") == 0 ||
			strcmp(first, "::") == 0)
		{
			char		name[256];

			if (gethostname(name, sizeof(name)) == 0)
			{
				name[sizeof(name) - 1] = '\0';
				return pstrdup(name);
			}
			return pstrdup("localhost");
		}
		return first;
	}

	raw = pstrdup(Unix_socket_directories ? Unix_socket_directories : "");
	if (SplitDirectoriesString(raw, ',', &addresses) && addresses != NIL)
		return linitial(addresses);
	return pstrdup("localhost");
}

/* A value as a connection string has it; plain if that will do. */
static const char *
conninfo_value(const char *value)
{
	StringInfoData quoted;

	if (value[0] != '\0' && strpbrk(value, " \t\n\r\f\v'\\") == NULL)
		return value;
	initStringInfo(&quoted);
	appendStringInfoChar(&quoted, '\'');
	for (; *value != '\0'; value++)
	{
		if (*value == '\'' || *value == '\\')
			appendStringInfoChar(&quoted, '\\');
		appendStringInfoChar(&quoted, *value);
	}
	appendStringInfoChar(&quoted, '\'');
	return quoted.data;
}

char *
settings_node_name(void)
{
	if (store_node_name[0] != '\0')
		return pstrdup(store_node_name);
	if (cluster_name[0] != '\0')
		return pnstrdup(cluster_name, STORE_NAME_SIZE - 1);
	return psprintf("%.48s:%d", own_host(), PostPortNumber);
}

char *
settings_advertise(void)
{
	if (store_advertise[0] != '\0')
		return pstrdup(store_advertise);
	return psprintf("host=%s port=%d dbname=%s", own_host(), PostPortNumber,
					conninfo_value(store_database));
}

bool
settings_in_store_database(void)
{
	static int	here = -1;		/* none is renamed under a session */

	if (here < 0)
	{
		const char *database = get_database_name(MyDatabaseId);

		here = (database != NULL && strcmp(database, store_database) == 0);
	}
	return here == 1;
}
