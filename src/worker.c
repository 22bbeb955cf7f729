/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  What the background workers have in common.
 *
 * An ERROR in a worker ends the process with exit code 1, and the launcher
 * starts it again: recovery from an error is recovery from a crash, always.
 * No worker ever exits in a way that would make the postmaster restart the
 * other sessions.
 *
 * Whatever the server's configuration says, a worker runs with the settings
 * its correctness depends on: no timeouts, no user's search_path, no row
 * security, and the durability it asks for itself.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "worker.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "log_tables.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

static bool is_worker = false;
static uint64 my_epoch;
static MemoryContext outer_context; /* of the caller of worker_begin() */

static void
override(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

static void
apply_session_settings(const char *synchronous_commit)
{
	override("synchronous_commit", synchronous_commit);
	override("search_path", "pg_catalog, pg_temp");
	override("session_replication_role", "replica");
	override("row_security", "off");
	override("statement_timeout", "0");
	override("lock_timeout", "0");
	override("idle_in_transaction_session_timeout", "0");
#if PG_VERSION_NUM >= 170000
	override("transaction_timeout", "0");
#endif
	override("default_transaction_isolation", "read committed");
	override("default_transaction_read_only", "off");
}

/*
 * Sleep until CREATE EXTENSION has committed; its transaction wakes us.  The
 * timeout is for what cannot wake us, such as a restored database.
 */
static void
wait_for_extension(void)
{
	for (;;)
	{
		bool		exists;

		my_epoch = pg_atomic_read_u64(&progress->epoch);
		worker_begin("looking for the extension");
		exists = log_tables_exists();
		worker_commit();
		if (exists)
			return;

		worker_sleep(10000);
		CHECK_FOR_INTERRUPTS();
	}
}

void
worker_start(WorkerKind kind, const char *synchronous_commit)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	BackgroundWorkerInitializeConnection(store_database, NULL, 0);
	is_worker = true;
	apply_session_settings(synchronous_commit);
	if (!status_register(kind))
	{
		/* Two that write the same tables would be the end of consensus. */
		ereport(LOG, (errmsg("there is another %s already", MyBgworkerEntry->bgw_type)));
		proc_exit(1);
	}
	wait_for_extension();
	pgstat_report_activity(STATE_IDLE, NULL);
}

void
worker_check(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	if (pg_atomic_read_u64(&progress->epoch) != my_epoch)
	{
		ereport(LOG,
				(errmsg("%s is starting anew because its tables were created, dropped or replaced",
						MyBgworkerEntry->bgw_type)));
		proc_exit(0);
	}
}

void
worker_begin(const char *activity)
{
	outer_context = CurrentMemoryContext;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, activity);
}

void
worker_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(outer_context);
}

void
worker_sleep(long timeout_ms)
{
	int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

	if (timeout_ms >= 0)
		events |= WL_TIMEOUT;
	(void) WaitLatch(MyLatch, events, timeout_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

bool
worker_is_me(void)
{
	return is_worker;
}
