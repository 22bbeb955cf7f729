/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  What the background workers have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_WORKER_H
#define STORE_WORKER_H

#include "store.h"
#include "status.h"
#include "fmgr.h"

/* Entry points, found by name by the postmaster. */
extern PGDLLEXPORT void store_launcher_main(Datum arg);
extern PGDLLEXPORT void store_raft_main(Datum arg);
extern PGDLLEXPORT void store_apply_main(Datum arg);
extern PGDLLEXPORT void store_notify_main(Datum arg);
extern PGDLLEXPORT void store_snapshot_main(Datum arg);

/* Register the launcher with the postmaster (_PG_init). */
extern void launcher_register(void);

/*
 * Signals, database connection, session settings; then wait until the
 * extension is there.  synchronous_commit is the value to run with.
 */
extern void worker_start(WorkerKind kind, const char *synchronous_commit);

/*
 * Once a turn: serve interrupts, reload the configuration, and end the process
 * if the tables it was started for are gone or have been replaced.
 */
extern void worker_check(void);

/*
 * A transaction of a worker, with an active snapshot.  In between, the current
 * memory context is the transaction's; after that it is the caller's again.
 */
extern void worker_begin(const char *activity);
extern void worker_commit(void);

/* Sleep until the latch is set or timeout_ms have passed (-1: no limit). */
extern void worker_sleep(long timeout_ms);

/* Is the calling process one of the store's workers? */
extern bool worker_is_me(void);

#endif							/* STORE_WORKER_H */
