/*-------------------------------------------------------------------------
 *
 * pacing.h
 *	  Group commit: when the leader proposes what has gathered.
 *
 * A batch costs each member a flush, a message and an answer, however much is
 * in it.  So what arrives while a batch is on its way gathers, and is the next
 * batch once that one is committed.  A lone client never waits
 * for it, and the more clients there are, the larger the batches.  What fills
 * a batch is not held back.
 *
 * This is what a database's group commit does (DeWitt et al., "Implementation
 * Techniques for Main Memory Database Systems", 1984), with the quorum's
 * answer as its clock instead of a delay.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_PACING_H
#define STORE_PACING_H

#include "store.h"

/*
 * For the leader of a term, whose log is committed up to commit_index: does it
 * wait for a batch?  Is it time to propose what waits?
 */
extern bool pacing_is_waiting(uint64 term, uint64 commit_index);
extern bool pacing_is_due(uint64 term, uint64 commit_index);

/* A batch was proposed in term, and ends with last_index. */
extern void pacing_proposed(uint64 term, uint64 last_index);

/* A full batch: one of so many writes, or of so many bytes. */
#define PACING_WRITES	RAFT_MAX_BATCH
#define PACING_BYTES	(512 * 1024)

#endif							/* STORE_PACING_H */
