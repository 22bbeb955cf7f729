/*-------------------------------------------------------------------------
 *
 * api_statement.c
 *	  Waiting in the middle of a statement without holding up the server.
 *
 * A statement holds a snapshot while it runs.  For as long, VACUUM keeps every
 * row version that was deleted since, in all tables of the database; a session
 * that does nothing but wait for events would do that all day.
 *
 * A statement that reads no table, as "SELECT * FROM store.watch(...)", has
 * not used its snapshot yet and does not care which one it has.  So it is
 * taken away from the portal for as long as the function waits, and replaced
 * by a new one: to the statement that is as if it had come later.  That is
 * done with what snapmgr.c offers; whoever else holds a snapshot (a cursor, an
 * outer query) keeps it, and then only does not gain.
 *
 * A statement that joins tables, or that runs inside another function, keeps
 * its snapshot, since it must not see half of its rows before and half after
 * the wait.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api_statement.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

/* The statement that the client sent, if it can do without its snapshot. */
static QueryDesc *
replaceable(const ReturnSetInfo *result)
{
	QueryDesc  *query;

	if (IsolationUsesXactSnapshot() || ActivePortal == NULL ||
		ActivePortal->strategy != PORTAL_ONE_SELECT)
		return NULL;
	query = ActivePortal->queryDesc;
	if (query == NULL || query->estate == NULL || query->snapshot == NULL ||
		result->econtext->ecxt_estate != query->estate ||
		query->plannedstmt->relationOids != NIL)
		return NULL;
	if (!ActiveSnapshotSet() || GetActiveSnapshot() != query->snapshot ||
		query->estate->es_snapshot != query->snapshot)
		return NULL;
	return query;
}

void
statement_pause(const ReturnSetInfo *result, StatementPause *pause)
{
	Snapshot	snapshot;

	InvalidateCatalogSnapshot();
	pause->query = replaceable(result);
	if (pause->query == NULL)
		return;
	pause->owner = ActivePortal->resowner;
	snapshot = pause->query->snapshot;
	pause->query->snapshot = InvalidSnapshot;
	pause->query->estate->es_snapshot = InvalidSnapshot;

	/* The portal's, the executor's, and the one on the stack. */
	UnregisterSnapshotFromOwner(snapshot, pause->owner);
	UnregisterSnapshotFromOwner(snapshot, pause->owner);
	PopActiveSnapshot();
}

void
statement_resume(StatementPause *pause)
{
	QueryDesc  *query = pause->query;

	if (query == NULL)
		return;
	query->snapshot = RegisterSnapshotOnOwner(GetTransactionSnapshot(), pause->owner);
	query->estate->es_snapshot = RegisterSnapshotOnOwner(query->snapshot, pause->owner);
	PushActiveSnapshot(query->snapshot);
}

void
statement_enter(StatementScope *scope)
{
	scope->outer = CurrentResourceOwner;
	scope->owner = ResourceOwnerCreate(scope->outer, "store statement");
	CurrentResourceOwner = scope->owner;
}

void
statement_leave(StatementScope *scope)
{
	CurrentResourceOwner = scope->outer;

	/* As if it had failed: locks of what succeeds go to the outer owner. */
	ResourceOwnerRelease(scope->owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(scope->owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(scope->owner, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(scope->owner);
}
