/*-------------------------------------------------------------------------
 *
 * expiry.h
 *	  Resources whose time to live is over.
 *
 * When a resource expires is part of the replicated state (expires_at), but
 * that its time has come is not: clocks differ.  So expiring is a deletion like
 * any other, proposed by the leader when its own clock says so.  It names the
 * resourceVersion it means: whoever renewed the resource in the meantime keeps
 * it, because a new time to live is a new resourceVersion (rules.c).
 *
 * The apply worker looks for what is due, since it may wait for locks and the
 * raft worker may not.  It knows the earliest expires_at from the rows it
 * writes, and at its start from an index, so it sleeps until then.  Nothing has
 * to survive a change of the leader or a restart but the rows: whatever was
 * not deleted is still due, and the next leader finds it.  Proposing a deletion
 * twice does nothing the second time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_EXPIRY_H
#define STORE_EXPIRY_H

#include "store.h"

/* The apply worker, in a transaction: look for what expires first. */
extern void expiry_open(void);

/* Between two batches, outside of a transaction. */
extern void expiry_tend(void);

/* How long it may sleep until the next call, in ms; -1: until it is woken. */
extern long expiry_nap(void);

#endif							/* STORE_EXPIRY_H */
