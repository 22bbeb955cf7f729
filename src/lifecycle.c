/*-------------------------------------------------------------------------
 *
 * lifecycle.c
 *	  CREATE and DROP of the extension and of its database, as the workers see
 *	  them.
 *
 * The workers need no polling to learn that their tables have come or gone:
 * the object access hook sees the extension being created or dropped, however
 * that came about (DROP SCHEMA CASCADE, DROP OWNED), and the commit of that
 * transaction starts a new epoch and wakes them.
 *
 * A utility hook refuses CREATE EXTENSION where it could not work, before
 * anything is made.  It also stands between a database and the workers that
 * are connected to it: as long as there is a store in it, dropping or renaming
 * it is refused with words that say what to do instead of "other users"; when
 * there is none, the workers are only waiting for one, and are sent away.  So
 * are the links of other members from one that the store is not in any more.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "store.h"

#include <signal.h>

#include "lifecycle.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "compat.h"
#include "mb/pg_wchar.h"
#include "listeners.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "status.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "watchers.h"

static object_access_hook_type prev_object_access_hook = NULL;
static ProcessUtility_hook_type prev_ProcessUtility_hook = NULL;

static bool new_epoch_pending = false;

static void
end_of_transaction(XactEvent event, void *arg)
{
	bool		pending = new_epoch_pending;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	new_epoch_pending = false;
	if (!pending || event != XACT_EVENT_COMMIT)
		return;

	status_reset_progress();
	listeners_new_epoch();
	pg_atomic_fetch_add_u64(&progress->epoch, 1);
	for (int i = 0; i < N_WORKERS; i++)
		status_wake((WorkerKind) i);
	watchers_wake_all();
}

void
lifecycle_new_epoch_at_commit(void)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(end_of_transaction, NULL);
	registered = true;
	new_epoch_pending = true;
}

/*
 * A member that goes without leaving still counts when the others look for a
 * majority.
 */
static void
warn_member(void)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));

	status_read(node);
	if (node->running && !node->removed && node->n_members > 1)
		ereport(WARNING,
				(errmsg("this node is still a member of its cluster"),
				 errdetail("The others count it as a member that is down."),
				 errhint("Next time, call store.leave() first. Now, call store.remove_member('%s') on another member.",
						 node->name)));
	pfree(node);
}

static void
on_object_access(ObjectAccessType access, Oid classId, Oid objectId,
				 int subId, void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, classId, objectId, subId, arg);

	if (classId == ExtensionRelationId && access == OAT_DROP)
	{
		char	   *name = get_extension_name(objectId);

		if (name != NULL && strcmp(name, "store") == 0)
		{
			warn_member();
			lifecycle_new_epoch_at_commit();
		}
	}
}

static void
check_create_extension(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot create extension \"store\" on a standby"),
				 errdetail("A physical standby replays what its primary does, and never runs Raft itself."),
				 errhint("Create the extension on the primary, or make this server a member of its own with store.join().")));
	if (!settings_in_store_database())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot create extension \"store\" in database \"%s\"",
						get_database_name(MyDatabaseId)),
				 errdetail("The store of this server lives in database \"%s\".", store_database),
				 errhint("Connect to that database, or set store.database in postgresql.conf and restart the server.")));
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot create extension \"store\" in a database with encoding \"%s\"",
						GetDatabaseEncodingName()),
				 errdetail("Every member must store the same bytes for the same text."),
				 errhint("Use a database with encoding UTF8.")));
}

/*
 * With the database locked no new worker gets in, so those that are in can be
 * sent away, and the launcher's next ones wait until the statement is through.
 */
static void
send_workers_away(Oid database)
{
	LockSharedObject(DatabaseRelationId, database, 0, AccessExclusiveLock);
	for (int i = 0; i < N_WORKERS; i++)
	{
		int			pid = i == WORKER_LAUNCHER ? 0 : status_worker_pid((WorkerKind) i);

		if (pid != 0)
			(void) kill(pid, SIGTERM);
	}
}

static bool
store_is_running(void)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	bool		running;

	status_read(node);
	running = node->running;
	pfree(node);
	return running;
}

/*
 * Is it the database of the store, and of whoever asks?  If not, the server has
 * its own words for what it refuses.
 */
static bool
is_store_of_user(const char *name)
{
	Oid			database;

	if (name == NULL || strcmp(name, store_database) != 0 || RecoveryInProgress())
		return false;
	database = get_database_oid(name, true);
	return OidIsValid(database) && store_owns_database(database, GetUserId());
}

/*
 * The statement needs a database without other sessions; hint: what to do about
 * a store.
 */
static void
clear_database(const char *name, const char *hint)
{
	if (store_is_running())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("database \"%s\" holds the store of this server", name),
				 errdetail("The workers of the store are connected to it."),
				 errhint("%s", hint)));
	send_workers_away(get_database_oid(name, false));
}

/*
 * Members that still know the store by a database that was taken out of use have
 * links there, which end by themselves only when they have something to say.  They
 * come back later than the server, which is about to lock the database, has
 * looked for others in it.
 */
static void
send_links_away(const char *name)
{
	Oid			database = name ? get_database_oid(name, true) : InvalidOid;

	if (!OidIsValid(database) || !store_owns_database(database, GetUserId()))
		return;
	pgstat_clear_backend_activity_snapshot();
	for (int i = 1; i <= pgstat_fetch_stat_numbackends(); i++)
	{
		PgBackendStatus *session = &store_local_beentry(i)->backendStatus;

		if (session->st_databaseid == database &&
			session->st_backendType == B_BACKEND &&
			strncmp(session->st_appname, STORE_LINK_NAME, strlen(STORE_LINK_NAME)) == 0)
			(void) kill(session->st_procpid, SIGTERM);
	}
}

/* The value of an option of a statement about databases, or NULL. */
static DefElem *
find_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = (DefElem *) lfirst(cell);

		if (strcmp(option->defname, name) == 0)
			return option;
	}
	return NULL;
}

static void
check_drop(const DropdbStmt *stmt)
{
	if (!is_store_of_user(stmt->dbname))
		send_links_away(stmt->dbname);
	else if (find_option(stmt->options, "force") != NULL)
		warn_member();
	else
		clear_database(stmt->dbname,
					   "Connect to it, call store.leave() if it is a member of a cluster, and drop the extension; or use WITH (FORCE).");
}

static void
check_create(const CreatedbStmt *stmt)
{
	DefElem    *option = find_option(stmt->options, "template");
	const char *template = option && option->arg ? defGetString(option) : "template1";

	if (is_store_of_user(template))
		clear_database(template,
					   "Copy resources with store.export(); or set store.database to another name and restart the server for as long as it takes to copy the database.");
	else
		send_links_away(template);
}

static void
check_database_statement(Node *stmt)
{
	const char *name;

	if (IsA(stmt, CreatedbStmt))
	{
		check_create((CreatedbStmt *) stmt);
		return;
	}

	/* The server does none of these to the database that one is in. */
	if (settings_in_store_database())
		return;
	if (IsA(stmt, DropdbStmt))
		check_drop((DropdbStmt *) stmt);
	else if (IsA(stmt, RenameStmt) && ((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
	{
		name = ((RenameStmt *) stmt)->subname;
		if (is_store_of_user(name))
			clear_database(name,
						   "Set store.database to the new name, restart the server, and rename the database then.");
		else
			send_links_away(name);
	}
	else if (IsA(stmt, AlterDatabaseStmt) &&
			 find_option(((AlterDatabaseStmt *) stmt)->options, "tablespace") != NULL)
	{
		name = ((AlterDatabaseStmt *) stmt)->dbname;
		if (is_store_of_user(name))
			clear_database(name,
						   "Set store.database to another name, restart the server, move the database, and then set it back and restart again.");
		else
			send_links_away(name);
	}
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest,
				QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;

	if (IsA(stmt, CreateExtensionStmt) &&
		strcmp(((CreateExtensionStmt *) stmt)->extname, "store") == 0)
		check_create_extension();
	check_database_statement(stmt);

	if (prev_ProcessUtility_hook)
		prev_ProcessUtility_hook(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

void
lifecycle_init(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = on_object_access;
	prev_ProcessUtility_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
