/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  Starts the workers, and starts them again.
 *
 * The launcher is the one process the postmaster knows from the start.  It
 * connects to no database, so it can see that store.database does not exist
 * and wait for it, where a worker could only die trying.  A worker that ends,
 * for whatever reason, is started again, at most once a second.  The snapshot
 * worker is started only when there is something for it to do.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "worker.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "clock.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "snapshot.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "wal_ahead.h"

#define RESTART_MS			1000
#define DATABASE_RETRY_MS	5000

typedef struct WorkerEntry
{
	WorkerKind	kind;
	const char *type;
	const char *function;
	BackgroundWorkerHandle *handle; /* NULL: not running */
	uint64		start_at;		/* not before this time */
} WorkerEntry;

static WorkerEntry workers[] = {
	{WORKER_RAFT, "store raft worker", "store_raft_main", NULL, 0},
	{WORKER_APPLY, "store apply worker", "store_apply_main", NULL, 0},
	{WORKER_NOTIFY, "store notify worker", "store_notify_main", NULL, 0},
	{WORKER_SNAPSHOT, "store snapshot worker", "store_snapshot_main", NULL, 0}
};

static void
describe_worker(BackgroundWorker *worker, const char *type, const char *function)
{
	memset(worker, 0, sizeof(*worker));
	strlcpy(worker->bgw_name, type, BGW_MAXLEN);
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
	strlcpy(worker->bgw_library_name, "store", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, BGW_MAXLEN);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
}

void
launcher_register(void)
{
	BackgroundWorker worker;

	/*
	 * pg_upgrade drops and makes every database, and nobody may write meanwhile.
	 */
	if (IsBinaryUpgrade)
		return;
	describe_worker(&worker, "store launcher", "store_launcher_main");
	worker.bgw_restart_time = RESTART_MS / 1000;
	RegisterBackgroundWorker(&worker);
}

/*
 * A scan of pg_database, as the autovacuum launcher does it: without a
 * database of our own, its indexes are out of reach.
 */
static bool
database_exists(void)
{
	bool		exists = false;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (!exists && (tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		exists = database->datallowconn &&
			strcmp(NameStr(database->datname), store_database) == 0;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	return exists;
}

static bool
start_worker(WorkerEntry *entry)
{
	BackgroundWorker worker;

	describe_worker(&worker, entry->type, entry->function);
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, &entry->handle);
}

/*
 * Is there something to do for this worker?  If so, it does not start before
 * *start_at, which is set later if need be.
 */
static bool
is_needed(WorkerEntry *entry, uint64 now)
{
	SnapshotRequest request;
	uint64		delay_ms;

	if (entry->kind != WORKER_SNAPSHOT)
		return true;
	if (!snapshot_is_wanted(&request, now,
							SNAPSHOT_REQUEST_BEATS * store_heartbeat_interval, &delay_ms))
		return false;
	entry->start_at = Max(entry->start_at, now + delay_ms);
	return true;
}

/*
 * Forget workers that have ended, start those that are due.  Returns how long
 * to sleep at most, or -1.
 */
static long
tend_workers(void)
{
	uint64		now = monotonic_ms();
	long		sleep_ms = -1;

	for (int i = 0; i < lengthof(workers); i++)
	{
		WorkerEntry *entry = &workers[i];
		pid_t		pid;

		if (entry->handle != NULL &&
			GetBackgroundWorkerPid(entry->handle, &pid) == BGWH_STOPPED)
		{
			pfree(entry->handle);
			entry->handle = NULL;
		}
		if (entry->handle != NULL || !is_needed(entry, now))
			continue;

		/*
		 * A worker of an earlier launcher is still there.  When it ends, nobody
		 * tells us.
		 */
		if (status_worker_pid(entry->kind) != 0)
			entry->start_at = now + RESTART_MS;
		if (now >= entry->start_at)
		{
			/* not again within a second, whenever it ends */
			entry->start_at = now + RESTART_MS;
			if (start_worker(entry))
				continue;
			ereport(LOG,
					(errmsg("could not start the %s", entry->type),
					 errhint("You might need to increase max_worker_processes.")));
			status_set_problem(WORKER_LAUNCHER,
							   "no free background worker slot: increase max_worker_processes");
			entry->start_at = now + DATABASE_RETRY_MS;
		}
		if (sleep_ms < 0 || (long) (entry->start_at - now) < sleep_ms)
			sleep_ms = (long) (entry->start_at - now);
	}
	return sleep_ms;
}

static bool
all_running(void)
{
	for (int i = 0; i < lengthof(workers); i++)
	{
		if (workers[i].handle == NULL && workers[i].kind != WORKER_SNAPSHOT)
			return false;
	}
	return true;
}

void
store_launcher_main(Datum arg)
{
	bool		reported = false;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	if (!status_register(WORKER_LAUNCHER))
		proc_exit(1);

	for (;;)
	{
		long		sleep_ms;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}

		if (all_running() || database_exists())
		{
			reported = false;
			sleep_ms = tend_workers();
		}
		else
		{
			if (!reported)
				ereport(LOG,
						(errmsg("store is waiting for database \"%s\"", store_database),
						 errhint("Create the database, or set store.database to another one.")));
			reported = true;
			sleep_ms = DATABASE_RETRY_MS;
		}
		if (status_worker_pid(WORKER_RAFT) != 0)
			wal_ahead_tend();
		worker_sleep(sleep_ms);
	}
}
