/*-------------------------------------------------------------------------
 *
 * api.c
 *	  What the SQL functions share.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"

#include "access/xlog.h"
#include "clock.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "history.h"
#include "miscadmin.h"
#include "recovery.h"
#include "request.h"
#include "stats.h"
#include "status.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "table.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "worker.h"

/* The tables that the apply worker writes: resources, events, its segments. */
#define N_WRITTEN_TABLES	(2 + HISTORY_SEGMENTS)

static Oid	written_tables[N_WRITTEN_TABLES];
static uint64 written_tables_looked_up = 0; /* when invalidations were so many */
static uint64 invalidations = 1;

static void
count_invalidation(Datum arg, Oid relation)
{
	invalidations++;
}

static const char *
written_table_name(int n)
{
	return n == 0 ? "resources" : n == 1 ? "events" : history_segment_name(n - 2);
}

/*
 * Look the tables up, once and again after any of them may have changed.
 */
static void
find_written_tables(void)
{
	static bool registered = false;
	uint64		before = invalidations;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(count_invalidation, (Datum) 0);
		registered = true;
	}
	for (int n = 0; n < N_WRITTEN_TABLES; n++)
		written_tables[n] = table_oid(written_table_name(n));
	written_tables_looked_up = before;
}

/*
 * A lock that keeps writers away is in the server's lock table, and so in one of
 * these lists; those of readers and writers usually are not.  (Another session
 * may just be moving one of ours there.  That is none we look for.)
 */
static bool
has_no_strong_lock(void)
{
	for (int i = 0; i < NUM_LOCK_PARTITIONS; i++)
	{
		if (!shared_list_is_empty(&MyProc->myProcLocks[i]))
			return false;
	}
	return true;
}

/*
 * A session that holds a lock against writers and then waits for the apply
 * worker waits for itself; the server's deadlock detector cannot see that.
 */
static void
check_own_locks(const char *function)
{
	static const LOCKMODE modes[] = {
		ShareLock, ShareRowExclusiveLock, ExclusiveLock, AccessExclusiveLock
	};

	if (has_no_strong_lock())
		return;
	if (written_tables_looked_up != invalidations)
		find_written_tables();
	for (int n = 0; n < N_WRITTEN_TABLES; n++)
	{
		LOCKTAG		tag;

		SET_LOCKTAG_RELATION(tag, MyDatabaseId, written_tables[n]);
		for (int m = 0; m < lengthof(modes); m++)
		{
			if (LockHeldByMe(&tag, modes[m], false))
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_IN_USE),
						 errmsg("cannot call %s while this transaction holds a lock on store.%s",
								function, written_table_name(n)),
						 errdetail("The lock keeps the apply worker from making the change this call would wait for."),
						 errhint("End the transaction first.")));
		}
	}
}

/*
 * The workers of this server serve one database, whichever asks; and one that
 * was removed has nobody to ask.
 */
static void
check_place(const char *function)
{
	if (!settings_in_store_database())
	{
		const char *database = get_database_name(MyDatabaseId);

		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot call %s in database \"%s\"", function,
						database ? database : ""),
				 errdetail("The store of this server lives in database \"%s\".",
						   store_database),
				 errhint("Connect to that database; to make this one the store, set store.database and restart the server.")));
	}
	if (status_is_removed())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot call %s: this node was removed from its cluster", function),
				 errdetail("It has what the cluster had when it was removed."),
				 errhint("Use a member; or read here what was with store.read_consistency set to local. To enter again, drop and create the extension and call store.join().")));
}

void
api_check_member(const char *function)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot call %s on a standby", function),
				 errdetail("A physical standby is no member of the cluster; only its primary is."),
				 errhint("Call it on any member.")));
	check_place(function);
	check_own_locks(function);
}

void
api_check_write(const char *function)
{
	api_check_member(function);
	PreventCommandIfReadOnly(function);
}

/*
 * Until the raft worker has looked, as after the start of the server, and on a
 * standby, where there is none, the tables are asked.
 */
static bool
has_diverged(void)
{
	switch ((Divergence) pg_atomic_read_u32(&progress->divergence))
	{
		case DIVERGENCE_NONE:
			return false;
		case DIVERGENCE_FOUND:
			return true;
		case DIVERGENCE_UNKNOWN:
			break;
	}
	return recovery_has_diverged();
}

void
api_check_serving(void)
{
	if (has_diverged())
		ereport(ERROR,
				(errcode(ERRCODE_STORE_UNAVAILABLE),
				 errmsg("this node has stopped serving, because its state differs from that of the other members"),
				 errdetail("Nothing was written, and what this node has may be wrong."),
				 errhint("Use another member. To mend this one, remove it from the cluster, drop and create the extension here, and call store.join().")));
}

/*
 * An index that covers every write acknowledged before now.
 */
static uint64
read_index(void)
{
	RequestId	id;
	Answer		answer;
	uint64		index;
	uint64		until_ms = status_read_lease(&index);

	if (until_ms != 0 && monotonic_ms() < until_ms)
	{
		stats_count_request(STAT_READ, 0, 0);
		return index;
	}
	request_begin(&id);
	request_call(INBOX_READ, &id, NULL, 0, &answer);
	return answer.index;
}

uint64
api_barrier(void)
{
	uint64		index;

	api_check_serving();
	index = read_index();
	if (!request_wait_applied(index, store_request_timeout))
		ereport(ERROR,
				(errcode(ERRCODE_STORE_UNAVAILABLE),
				 errmsg("this node did not catch up in time"),
				 errdetail("The cluster is at index " UINT64_FORMAT ", this node has applied up to " UINT64_FORMAT ".",
						   index, pg_atomic_read_u64(&progress->applied_index)),
				 errhint("Try again, read from another node, or set store.read_consistency to local.")));
	return index;
}

void
api_begin_read(void)
{
	if (store_read_consistency == READ_LOCAL)
	{
		api_check_serving();
		return;
	}
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot read linearizably on a standby"),
				 errdetail("A physical standby is no member of the cluster; only its primary is."),
				 errhint("Set store.read_consistency to local, or read on a member.")));
	check_place("a linearizable read");
	check_own_locks("a linearizable read");
	(void) api_barrier();
}

void
api_wait_applied(int64 index, long timeout_ms)
{
	if (!request_wait_applied((uint64) index, timeout_ms))
		ereport(ERROR,
				(errcode(ERRCODE_STORE_TOO_NEW),
				 errmsg("this node has not reached resource version " INT64_FORMAT, index),
				 errdetail("It has applied up to " UINT64_FORMAT ".",
						   pg_atomic_read_u64(&progress->applied_index)),
				 errhint("Try again, or wait longer.")));
}

/*
 * A standby has no progress of its own to wait for, but its tables say how far
 * they are; so they are asked first.
 */
Snapshot
api_snapshot_at(int64 index, MachinePosition *position)
{
	Snapshot	snapshot;

	api_begin_read();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	*position = machine_position(snapshot);
	if (position->index >= (uint64) index)
		return snapshot;

	UnregisterSnapshot(snapshot);
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_STORE_TOO_NEW),
				 errmsg("this standby has not reached resource version " INT64_FORMAT, index),
				 errdetail("It has replayed up to " UINT64_FORMAT ".", position->index),
				 errhint("Try again later.")));
	check_own_locks("a read at a later resource version");
	api_wait_applied(index, store_request_timeout);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	*position = machine_position(snapshot);
	return snapshot;
}

uint64
api_floor(void)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	MachinePosition position = machine_position(snapshot);

	UnregisterSnapshot(snapshot);
	return position.floor;
}

void
api_check_floor(int64 index, uint64 floor)
{
	if ((uint64) index < floor)
		ereport(ERROR,
				(errcode(ERRCODE_STORE_GONE),
				 errmsg("resource version " INT64_FORMAT " is too old", index),
				 errdetail("The history begins at " UINT64_FORMAT ".", floor),
				 errhint("Read the newest state.")));
}

char *
api_text_argument(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

char *
api_optional_text(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

long
api_interval_ms(Interval *interval, const char *name)
{
	double		ms = interval->time / 1000.0 +
		((double) interval->day + 30.0 * interval->month) * (SECS_PER_DAY * 1000.0);

	if (ms < 0 || ms > INT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" is out of range", name),
				 errdetail("It must be from 0 to %d milliseconds.", INT_MAX)));
	return (long) ms;
}
