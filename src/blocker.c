/*-------------------------------------------------------------------------
 *
 * blocker.c
 *	  Keep sessions from holding up the apply worker for ever.
 *
 * The apply worker waits for locks as any session does, and the sessions that
 * hold them may be slow or forgotten.  As recovery does on a hot standby, the
 * store lets them finish for a while (store.max_apply_delay), then cancels
 * what they are running, and if that does not help (a session that is idle in
 * a transaction has nothing to cancel), ends the session.
 *
 * The raft worker does this, because it is the one that never waits for a
 * lock, and pg_blocking_pids() tells it who is in the way, whatever kind of
 * lock it is.  It does the same for the snapshot worker while that replaces
 * the tables.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "blocker.h"

#include <signal.h>

#include "miscadmin.h"
#include "snapshot.h"
#include "stats.h"
#include "status.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* From canceling a statement to ending the session. */
#define GRACE_MS	500

static uint64 stuck_index;
static uint64 stuck_since_ms;	/* 0: not stuck */
static uint64 next_look_ms;

/* Those whose statement was canceled since; when full, the oldest is forgotten. */
static int	canceled_pids[16];
static uint32 n_canceled;

static bool
was_canceled(int pid)
{
	for (uint32 i = 0; i < Min(n_canceled, lengthof(canceled_pids)); i++)
	{
		if (canceled_pids[i] == pid)
			return true;
	}
	return false;
}

static void
stop_blocker(int pid)
{
	bool		again = was_canceled(pid);

	/* What it does is what the apply worker has to wait for. */
	if (pid != 0 && pid == status_worker_pid(WORKER_SNAPSHOT))
		return;

	if (pid == 0)
	{
		status_set_problem(WORKER_APPLY,
						   "a prepared transaction holds a lock on the store's tables");
		return;
	}
	ereport(LOG,
			(errmsg(again ? "terminating process %d" : "canceling statement of process %d", pid),
			 errdetail("It holds a lock that a worker of the store has been waiting for longer than store.max_apply_delay (%d ms).",
					   store_max_apply_delay)));
	if (!again)
		canceled_pids[n_canceled++ % lengthof(canceled_pids)] = pid;
	stats_add(again ? STAT_BLOCKERS_TERMINATED : STAT_BLOCKERS_CANCELED, 1);
	stats_set(STAT_LAST_BLOCKER_TIME, (uint64) GetCurrentTimestamp());
	stats_set(STAT_LAST_BLOCKER_PID, (uint64) pid);

	/* The process may be gone by now; that is what we want. */
	(void) kill(pid, again ? SIGTERM : SIGINT);
}

static void
stop_blockers(int worker_pid)
{
	ArrayType  *pids;
	int		   *values;
	int			n;

	if (worker_pid == 0)
		return;
	pids = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids,
												  Int32GetDatum(worker_pid)));
	values = (int *) ARR_DATA_PTR(pids);
	n = ArrayGetNItems(ARR_NDIM(pids), ARR_DIMS(pids));
	for (int i = 0; i < n; i++)
		stop_blocker(values[i]);
}

uint64
blocker_watch(uint64 now_ms, bool behind, uint64 applied_index)
{
	bool		replacing = snapshot_is_replacing();

	behind = behind || replacing;
	if (!behind || applied_index != stuck_index || stuck_since_ms == 0)
	{
		stuck_index = applied_index;
		stuck_since_ms = behind ? now_ms : 0;
		next_look_ms = now_ms + store_max_apply_delay;
		n_canceled = 0;
		return behind ? next_look_ms : 0;
	}
	if (now_ms < next_look_ms)
		return next_look_ms;

	stop_blockers(status_worker_pid(WORKER_APPLY));
	if (replacing)
		stop_blockers(status_worker_pid(WORKER_SNAPSHOT));
	next_look_ms = now_ms + GRACE_MS;
	return next_look_ms;
}
