/*-------------------------------------------------------------------------
 *
 * store.c
 *	  Module initialization: settings, shared memory, hooks, the launcher.
 *
 * A write goes from here through the rooms in this order:
 *
 *	api_write.c		a backend checks its arguments and encodes a command,
 *	request.c		takes a request slot
 *	inbox.c			and hands both to
 *	raft_worker.c	the raft worker, which proposes it to
 *	raft/			the consensus core, makes it durable in
 *	log_tables.c		the log, and sends it to the other members by
 *	transport.c		libpq.  Once a majority has it,
 *	apply_worker.c	the apply worker reads it from the log, asks
 *	rules.c			the rules of objects what it does, lets
 *	machine.c		the state machine change the tables, and answers the slot.
 *	notify_worker.c	The notify worker tells those who listen.
 *
 * A member that missed too much of the log takes another way, by copy, on which
 * snapshot_worker.c leads.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "store.h"

#include "api_receive.h"
#include "chain.h"
#include "fmgr.h"
#include "inbox.h"
#include "lifecycle.h"
#include "listeners.h"
#include "miscadmin.h"
#include "request.h"
#include "snapshot.h"
#include "starts.h"
#include "stats.h"
#include "status.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "watchers.h"
#include "worker.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(status_shmem_size());
	RequestAddinShmemSpace(chain_shmem_size());
	RequestAddinShmemSpace(starts_shmem_size());
	RequestAddinShmemSpace(stats_shmem_size());
	RequestAddinShmemSpace(inbox_shmem_size());
	RequestAddinShmemSpace(request_shmem_size());
	RequestAddinShmemSpace(watchers_shmem_size());
	RequestAddinShmemSpace(listeners_shmem_size());
	RequestAddinShmemSpace(snapshot_shmem_size());
	status_request_locks();
	stats_request_locks();
	snapshot_request_locks();
}

static void
startup_shmem(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	status_shmem_init();
	chain_shmem_init();
	starts_shmem_init();
	stats_shmem_init();
	inbox_shmem_init();
	request_shmem_init();
	watchers_shmem_init();
	listeners_shmem_init();
	snapshot_shmem_init();
	LWLockRelease(AddinShmemInitLock);
}

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store must be loaded when the server starts"),
				 errhint("Add \"store\" to shared_preload_libraries in postgresql.conf and restart the server.")));

	settings_define();
	lifecycle_init();
	listeners_init();
	api_receive_init();
	launcher_register();

	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}
