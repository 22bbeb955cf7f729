/*-------------------------------------------------------------------------
 *
 * lifecycle.c
 *	  CREATE EXTENSION and DROP EXTENSION, as the workers see them.
 *
 * The workers need no polling to learn that their tables have come or gone:
 * the object access hook sees the extension being created or dropped, however
 * that came about (DROP SCHEMA CASCADE, DROP OWNED), and the commit of that
 * transaction starts a new epoch and wakes them.
 *
 * A utility hook refuses CREATE EXTENSION where it could not work, before
 * anything is made.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "store.h"

#include "lifecycle.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "listeners.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "status.h"
#include "tcop/utility.h"
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
			lifecycle_new_epoch_at_commit();
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
	if (strcmp(get_database_name(MyDatabaseId), store_database) != 0)
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
