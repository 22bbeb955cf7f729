/*-------------------------------------------------------------------------
 *
 * listeners.c
 *	  Which channels the sessions of this server listen to.
 *
 * async.c keeps that in each backend and has no hook, so this follows it: a
 * utility hook sees LISTEN, UNLISTEN and DISCARD ALL, wherever they are
 * executed, and keeps them until the transaction ends, with the rules of
 * async.c for subtransactions.  Before the commit everything that the session
 * will listen to is counted, after it everything that it did before is not
 * any more; so nothing that stays is missing in between.  An abort takes the
 * first half back.  The exit of a process takes back whatever it has counted,
 * and after a crash all sessions are gone and shared memory begins anew.
 *
 * The counters are an array found by a hash of the channel's name.  It cannot
 * overflow and needs no lock; that two channels may share a counter costs now
 * and then a notification that nobody hears.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "listeners.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "compat.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "policy.h"
#include "port/atomics.h"
#include "status.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

#define N_COUNTERS	4096

typedef struct ListenersShared
{
	/* channels of the store that are listened to, all sessions together */
	slock_t		mutex;			/* for writing these two */
	pg_atomic_uint32 total;
	pg_atomic_uint64 since;

	pg_atomic_uint32 counters[N_COUNTERS];

	/* by process number: the process id of who listens to anything, or 0 */
	pg_atomic_uint32 pids[FLEXIBLE_ARRAY_MEMBER];
} ListenersShared;

static ListenersShared *shared = NULL;
static ProcessUtility_hook_type prev_ProcessUtility_hook = NULL;

/* LISTEN if there is a channel and listen is set; UNLISTEN * if there is none. */
typedef struct ListenAction
{
	int			level;			/* of the transaction's nesting */
	bool		listen;
	char	   *channel;
} ListenAction;

/* Of the current transaction, in TopTransactionContext. */
static List *actions = NIL;

/*
 * What this session listens to, and, while it commits, what it will listen to
 * afterwards.  Both are counted, and in TopMemoryContext.
 */
static List *current = NIL;
static List *next = NIL;

/* ------------------------------------------------------------------------
 * Counting
 * ------------------------------------------------------------------------
 */

Size
listeners_shmem_size(void)
{
	return add_size(offsetof(ListenersShared, pids),
					mul_size(MaxBackends, sizeof(pg_atomic_uint32)));
}

void
listeners_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("store listeners", listeners_shmem_size(), &found);
	if (found)
		return;
	SpinLockInit(&shared->mutex);
	pg_atomic_init_u32(&shared->total, 0);
	pg_atomic_init_u64(&shared->since, 0);
	for (int i = 0; i < N_COUNTERS; i++)
		pg_atomic_init_u32(&shared->counters[i], 0);
	for (int i = 0; i < MaxBackends; i++)
		pg_atomic_init_u32(&shared->pids[i], 0);
}

static pg_atomic_uint32 *
counter_of(const char *channel)
{
	uint32		hash = hash_bytes((const unsigned char *) channel, strlen(channel));

	return &shared->counters[hash % N_COUNTERS];
}

/* Notifications stay within a database, so elsewhere the name means nothing. */
static bool
is_ours(const char *channel)
{
	char		behind;

	if (strncmp(channel, LISTENERS_PREFIX, strlen(LISTENERS_PREFIX)) != 0)
		return false;
	behind = channel[strlen(LISTENERS_PREFIX)];
	if (behind != '\0' && behind != '.' && behind != '/')
		return false;
	return settings_in_store_database();
}

static void
count(const List *channels, bool up)
{
	ListCell   *lc;
	int			n = 0;

	foreach(lc, channels)
	{
		const char *channel = lfirst(lc);

		if (!is_ours(channel))
			continue;
		n++;
		if (up)
			pg_atomic_fetch_add_u32(counter_of(channel), 1);
		else
			pg_atomic_fetch_sub_u32(counter_of(channel), 1);
	}
	if (n == 0)
		return;

	SpinLockAcquire(&shared->mutex);
	if (up && pg_atomic_read_u32(&shared->total) == 0)
		pg_atomic_write_u64(&shared->since, pg_atomic_read_u64(&progress->last_event));
	if (up)
		pg_atomic_fetch_add_u32(&shared->total, n);
	else
		pg_atomic_fetch_sub_u32(&shared->total, n);
	SpinLockRelease(&shared->mutex);
}

static void
publish_pid(void)
{
	bool		listens = (current != NIL || next != NIL);

	pg_atomic_write_u32(&shared->pids[MyProcNumber], listens ? MyProcPid : 0);
}

/* ------------------------------------------------------------------------
 * Following async.c
 * ------------------------------------------------------------------------
 */

static ListCell *
find(List *channels, const char *channel)
{
	ListCell   *lc;

	foreach(lc, channels)
	{
		if (strcmp(lfirst(lc), channel) == 0)
			return lc;
	}
	return NULL;
}

/* What "current" will be once the actions are done. */
static List *
result_of_actions(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, current)
		result = lappend(result, pstrdup(lfirst(lc)));
	foreach(lc, actions)
	{
		ListenAction *action = lfirst(lc);
		ListCell   *found = action->channel ? find(result, action->channel) : NULL;

		if (action->channel == NULL)
		{
			list_free_deep(result);
			result = NIL;
		}
		else if (action->listen && found == NULL)
			result = lappend(result, pstrdup(action->channel));
		else if (!action->listen && found != NULL)
		{
			pfree(lfirst(found));
			result = list_delete_cell(result, found);
		}
	}
	return result;
}

static void
forget(List **channels)
{
	count(*channels, false);
	list_free_deep(*channels);
	*channels = NIL;
}

static void
before_commit(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	List	   *result = result_of_actions();

	MemoryContextSwitchTo(old);
	count(result, true);
	next = result;
	publish_pid();
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (actions == NIL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			before_commit();
			return;
		case XACT_EVENT_COMMIT:
			forget(&current);
			current = next;
			next = NIL;
			break;
		case XACT_EVENT_ABORT:
			forget(&next);
			break;
		case XACT_EVENT_PREPARE:
			break;				/* refused, unless there was nothing to UNLISTEN */
		default:
			return;
	}
	actions = NIL;				/* gone with its context */
	publish_pid();
}

static void
end_of_subtransaction(SubXactEvent event, SubTransactionId me,
					  SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = list_length(actions) - 1; i >= 0; i--)
	{
		ListenAction *action = list_nth(actions, i);

		if (action->level < level)
			break;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			action->level = level - 1;
		else
			actions = list_delete_last(actions);
	}
}

static void
forget_at_exit(int code, Datum arg)
{
	forget(&current);
	forget(&next);
	actions = NIL;
	publish_pid();
}

static void
add_action(bool listen, const char *channel)
{
	static bool registered = false;
	MemoryContext old;
	ListenAction *action;

	/* Whoever does not listen has nothing to give up. */
	if (!listen && actions == NIL && current == NIL)
		return;
	if (!registered)
	{
		RegisterXactCallback(end_of_transaction, NULL);
		RegisterSubXactCallback(end_of_subtransaction, NULL);
		before_shmem_exit(forget_at_exit, (Datum) 0);
		registered = true;
	}
	if (listen)
		(void) is_ours(channel);	/* which looks into the catalog, while it may */

	old = MemoryContextSwitchTo(TopTransactionContext);
	action = palloc(sizeof(ListenAction));
	action->level = GetCurrentTransactionNestLevel();
	action->listen = listen;
	action->channel = channel ? pstrdup(channel) : NULL;
	actions = lappend(actions, action);
	MemoryContextSwitchTo(old);
}

/*
 * A notification carries objects, and PostgreSQL lets everybody listen who may
 * connect.  The name says which events a channel may tell of; one as long as a
 * name can be was cut, and may stand for many.
 */
static void
check_may_listen(const char *channel)
{
	char	   *kind;
	char	   *namespace = NULL;
	char	   *suffix;

	if (!is_ours(channel))
		return;
	kind = pstrdup(channel + strlen(LISTENERS_PREFIX));
	if (strlen(channel) >= NAMEDATALEN - 1)
		kind[0] = '\0';
	suffix = strchr(kind, '/');
	if (suffix != NULL)
		*suffix = '\0';
	if (kind[0] == '.')
	{
		kind++;
		namespace = strchr(kind, '.');
		if (namespace != NULL)
			*namespace++ = '\0';
	}
	policy_check_channel(channel, kind[0] != '\0' ? kind : NULL, namespace);
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest,
				QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;
	bool		discards_all = IsA(stmt, DiscardStmt) &&
		((DiscardStmt *) stmt)->target == DISCARD_ALL;

	if (IsA(stmt, ListenStmt))
		check_may_listen(((ListenStmt *) stmt)->conditionname);
	if (prev_ProcessUtility_hook)
		prev_ProcessUtility_hook(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);

	/* What failed is not here. */
	if (discards_all)
		add_action(false, NULL);
	else if (IsA(stmt, ListenStmt))
		add_action(true, ((ListenStmt *) stmt)->conditionname);
	else if (IsA(stmt, UnlistenStmt))
		add_action(false, ((UnlistenStmt *) stmt)->conditionname);
}

void
listeners_init(void)
{
	prev_ProcessUtility_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

/* ------------------------------------------------------------------------
 * Asking
 * ------------------------------------------------------------------------
 */

bool
listeners_any(void)
{
	pg_memory_barrier();
	return pg_atomic_read_u32(&shared->total) > 0;
}

uint64
listeners_since(void)
{
	return pg_atomic_read_u64(&shared->since);
}

bool
listeners_has(const char *channel)
{
	return pg_atomic_read_u32(counter_of(channel)) > 0;
}

int *
listeners_pids(int *n)
{
	int		   *pids = palloc(sizeof(int) * MaxBackends);

	*n = 0;
	for (int i = 0; i < MaxBackends; i++)
	{
		int			pid = (int) pg_atomic_read_u32(&shared->pids[i]);

		if (pid != 0)
			pids[(*n)++] = pid;
	}
	return pids;
}

void
listeners_new_epoch(void)
{
	SpinLockAcquire(&shared->mutex);
	pg_atomic_write_u64(&shared->since, 0);
	SpinLockRelease(&shared->mutex);
}

uint32
listeners_count(void)
{
	return pg_atomic_read_u32(&shared->total);
}
