/*-------------------------------------------------------------------------
 *
 * watchers.h
 *	  Who sleeps in store.watch(), and what for.
 *
 * A watcher says what it waits for before it looks for the last time.  The
 * apply worker, once a batch is visible, marks those watchers with its index
 * that it may concern, and sets the latches of just these.  So thousands may
 * sleep without costing a write more than a look at their marks.
 *
 * Marks are set before progress->applied_index moves.  Whoever reads that
 * index first and its own mark afterwards, and finds no mark above N, knows
 * that nothing happened for it between N and the index.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_WATCHERS_H
#define STORE_WATCHERS_H

#include "store.h"
#include "utils/timestamp.h"
#include "watch_filter.h"

extern Size watchers_shmem_size(void);
extern void watchers_shmem_init(void);

/*
 * For backends.
 *
 * What is committed after watchers_begin() leaves a mark.  Call watchers_end()
 * in the end, after an ERROR too; the exit of the process does.
 */
extern void watchers_begin(const WatchSet *set);
extern void watchers_end(void);

/* The newest index that may concern this watcher; 0: none since it began. */
extern uint64 watchers_mark(void);

/*
 * Sleep until there is a mark above *index, or the store's tables begin a new
 * life, and return true; false if the deadline comes first.  *index is what
 * the watcher knows all about; it moves on to the last one before the change.
 */
extern bool watchers_sleep(uint64 *index, uint64 deadline);

/*
 * For the apply worker: the batch after "before", up to index, has changed
 * this set.  First mark, then move progress->applied_index, then wake.
 */
extern void watchers_mark_all(const WatchSet *changes, uint64 before, uint64 index);
extern void watchers_wake_marked(uint64 index);

/* How many sleep, or are about to. */
extern uint32 watchers_count(void);

/* Wake all of them, to see that the tables have begun a new life. */
extern void watchers_wake_all(void);

#endif							/* STORE_WATCHERS_H */
