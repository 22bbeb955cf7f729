/*-------------------------------------------------------------------------
 *
 * listeners.h
 *	  Which channels the sessions of this server listen to.
 *
 * PostgreSQL knows that of each session by itself only, so that a notifier must
 * write every notification into the queue and wake every listener, whether
 * anybody wants to hear it or not.  Here sessions count what they listen to in
 * shared memory.
 *
 * A channel counts from before the commit of LISTEN until the commit of
 * UNLISTEN or the end of the session.  So whoever looks after an event became
 * visible finds every session that was listening by then.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_LISTENERS_H
#define STORE_LISTENERS_H

#include "store.h"

/* All channels of the store begin with this, followed by nothing, "." or "/". */
#define LISTENERS_PREFIX "store"

extern Size listeners_shmem_size(void);
extern void listeners_shmem_init(void);

/* Begin to follow LISTEN and UNLISTEN (_PG_init). */
extern void listeners_init(void);

/* Does any session listen to a channel of the store, in its database? */
extern bool listeners_any(void);

/*
 * The newest index with an event at the time when the first of those that
 * listen now began.  What is not newer nobody has to be told.
 */
extern uint64 listeners_since(void);

/*
 * Does any session listen to this channel of the store?  Channels may share a
 * counter, so "yes" may be wrong; "no" is not.
 */
extern bool listeners_has(const char *channel);

/*
 * The sessions that listen to anything in any database: their process ids,
 * palloc'd, and how many they are.
 */
extern int *listeners_pids(int *n);

/* Channels of the store that are listened to, once for each session. */
extern uint32 listeners_count(void);

/* The store's tables begin another life, with other indexes. */
extern void listeners_new_epoch(void);

#endif							/* STORE_LISTENERS_H */
