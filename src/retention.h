/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  How long history is kept: who looks, who proposes, who empties.
 *
 * The apply worker of each member knows the history it has written.  Now and
 * then it looks where the floor would be by the settings, and publishes that.
 * The raft worker of the leader proposes what its apply worker found, and once
 * the command is applied, everywhere at the same index, each apply worker
 * empties the segments that lie below the floor.
 *
 * So the raft worker reads no table and waits for no lock, and nobody has to
 * remember when anything happened: the events say it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_RETENTION_H
#define STORE_RETENTION_H

#include "store.h"

/*
 * The apply worker, between two batches, outside of a transaction.  active:
 * something was applied since the last call.
 */
extern void retention_tend(bool active);

/* How long it may sleep until the next call, in ms; -1: until it is woken. */
extern long retention_nap(void);

/* The raft worker of the leader of a term, once a turn. */
extern void retention_propose(uint64 now_ms, uint64 term);

#endif							/* STORE_RETENTION_H */
