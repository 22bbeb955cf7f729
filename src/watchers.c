/*-------------------------------------------------------------------------
 *
 * watchers.c
 *	  Who sleeps in store.watch(), and what for.
 *
 * One slot for every possible backend, found by its process number.  A slot is
 * smaller than a cache line, so looking at a thousand of them takes a few
 * microseconds, and it is not done while nobody sleeps.
 *
 * A watcher may sleep for long while others change much, and the floor of the
 * history may rise above where it fell asleep.  It has missed nothing: the mark
 * comes with the index before it, up to which there was nothing for it.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "watchers.h"

#include "clock.h"
#include "compat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "status.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"

typedef struct WatcherSlot
{
	/* written by the watcher */
	pg_atomic_uint64 kinds;		/* 0: nobody watches here */
	pg_atomic_uint64 namespaces;
	pg_atomic_uint64 known;		/* it knows all up to here */

	/* written by the apply worker, once the watcher has begun */
	pg_atomic_uint64 mark;
	pg_atomic_uint64 quiet;		/* nothing for it between known and this */
} WatcherSlot;

typedef struct WatchersShared
{
	pg_atomic_uint32 n_watchers;
	WatcherSlot slots[FLEXIBLE_ARRAY_MEMBER];
} WatchersShared;

static WatchersShared *shared = NULL;

/* The life of the tables in which the watcher of this process began. */
static uint64 my_epoch;

Size
watchers_shmem_size(void)
{
	return add_size(offsetof(WatchersShared, slots),
					mul_size(MaxBackends, sizeof(WatcherSlot)));
}

void
watchers_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("store watchers", watchers_shmem_size(), &found);
	if (found)
		return;
	pg_atomic_init_u32(&shared->n_watchers, 0);
	for (int i = 0; i < MaxBackends; i++)
	{
		pg_atomic_init_u64(&shared->slots[i].kinds, 0);
		pg_atomic_init_u64(&shared->slots[i].namespaces, 0);
		pg_atomic_init_u64(&shared->slots[i].known, 0);
		pg_atomic_init_u64(&shared->slots[i].mark, 0);
		pg_atomic_init_u64(&shared->slots[i].quiet, 0);
	}
}

static WatcherSlot *
my_slot(void)
{
	return &shared->slots[MyProcNumber];
}

static void
end_at_exit(int code, Datum arg)
{
	watchers_end();
}

void
watchers_begin(const WatchSet *set)
{
	static bool registered = false;
	WatcherSlot *slot = my_slot();

	if (!registered)
		before_shmem_exit(end_at_exit, (Datum) 0);
	registered = true;

	my_epoch = pg_atomic_read_u64(&progress->epoch);
	pg_atomic_write_u64(&slot->known, 0);
	pg_atomic_write_u64(&slot->mark, 0);
	pg_atomic_write_u64(&slot->quiet, 0);
	pg_atomic_write_u64(&slot->namespaces, set->namespaces);
	if (pg_atomic_exchange_u64(&slot->kinds, set->kinds) == 0)
		pg_atomic_fetch_add_u32(&shared->n_watchers, 1);
}

void
watchers_end(void)
{
	if (pg_atomic_exchange_u64(&my_slot()->kinds, 0) != 0)
		pg_atomic_fetch_sub_u32(&shared->n_watchers, 1);
}

uint64
watchers_mark(void)
{
	return pg_atomic_read_u64(&my_slot()->mark);
}

bool
watchers_sleep(uint64 *index, uint64 deadline)
{
	WatcherSlot *slot = my_slot();

	pg_atomic_write_u64(&slot->known, *index);
	for (;;)
	{
		long		left;

		ResetLatch(MyLatch);
		if (pg_atomic_read_u64(&slot->mark) > *index)
		{
			pg_read_barrier();
			*index = Max(*index, pg_atomic_read_u64(&slot->quiet));
			return true;
		}
		if (pg_atomic_read_u64(&progress->epoch) != my_epoch)
			return true;
		CHECK_FOR_INTERRUPTS();
		left = deadline_left_ms(deadline);
		if (left <= 0)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 left, PG_WAIT_EXTENSION);
	}
}

void
watchers_mark_all(const WatchSet *changes, uint64 before, uint64 index)
{
	/* Who begins after this look sees the batch, which has committed. */
	pg_memory_barrier();
	if (pg_atomic_read_u32(&shared->n_watchers) == 0)
		return;
	for (int i = 0; i < MaxBackends; i++)
	{
		WatcherSlot *slot = &shared->slots[i];
		WatchSet	wanted;

		wanted.kinds = pg_atomic_read_u64(&slot->kinds);
		if ((wanted.kinds & changes->kinds) == 0)
			continue;
		wanted.namespaces = pg_atomic_read_u64(&slot->namespaces);
		if (!watch_sets_meet(&wanted, changes))
			continue;

		/*
		 * The first mark above what is known, and known only grows: so there
		 * was none in between.
		 */
		if (pg_atomic_read_u64(&slot->mark) <= pg_atomic_read_u64(&slot->known))
			pg_atomic_write_u64(&slot->quiet, before);
		pg_write_barrier();
		pg_atomic_write_u64(&slot->mark, index);
	}
	pg_write_barrier();
}

void
watchers_wake_marked(uint64 index)
{
	if (pg_atomic_read_u32(&shared->n_watchers) == 0)
		return;
	for (int i = 0; i < MaxBackends; i++)
	{
		WatcherSlot *slot = &shared->slots[i];

		if (pg_atomic_read_u64(&slot->kinds) != 0 &&
			pg_atomic_read_u64(&slot->mark) == index)
			SetLatch(&ProcGlobal->allProcs[i].procLatch);
	}
}

void
watchers_wake_all(void)
{
	for (int i = 0; i < MaxBackends; i++)
	{
		if (pg_atomic_read_u64(&shared->slots[i].kinds) != 0)
			SetLatch(&ProcGlobal->allProcs[i].procLatch);
	}
}

uint32
watchers_count(void)
{
	return pg_atomic_read_u32(&shared->n_watchers);
}
