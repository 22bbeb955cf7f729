/*-------------------------------------------------------------------------
 *
 * pacing.h
 *	  Group commit: when the leader proposes what has gathered.
 *
 * A batch costs each member a flush, a message and an answer, however much is
 * in it.  So what arrives while a batch is on its way gathers, and is the next
 * batch once that one is committed.  The clients whose writes have just been
 * committed are about to come back.  So a batch that is smaller than those
 * before it waits for them: about half as long as the last batch took to
 * commit, and never longer than PACING_WAIT_MS.  A lone client never waits for
 * anybody, and the more clients there are, the larger the batches.  What fills
 * a batch is not held back.
 *
 * This is what a database's group commit does (DeWitt et al., "Implementation
 * Techniques for Main Memory Database Systems", 1984), with the quorum's
 * answer as its clock instead of a delay.
 *
 * In the same way, as long as writes follow one another closely, what is
 * committed is told to the followers with the next batch, and not by a message
 * of its own; see outbox_pump().
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_PACING_H
#define STORE_PACING_H

#include "store.h"

#define PACING_WAIT_MS	5

/* A batch that is proposed so soon after the one before is "near". */
#define PACING_NEAR_MS	2

/*
 * This node leads in term, and its log is committed up to commit_index.  To be
 * called before the others.
 */
extern void pacing_note(uint64 now_ms, uint64 term, uint64 commit_index);

/* Is it time to propose what waits? */
extern bool pacing_is_due(uint64 now_ms);

/* A batch of n writes was proposed, and ends with last_index. */
extern void pacing_proposed(uint64 now_ms, uint32 n, uint64 last_index);

/* May the followers wait for the next batch to learn what is committed? */
extern bool pacing_next_is_near(uint64 now_ms);

/*
 * When pacing_is_due() or pacing_next_is_near() may change by itself; 0: it does
 * not.  And how many more writes change it (0: the next one may).
 */
extern uint64 pacing_deadline(uint64 now_ms);
extern uint32 pacing_wants(uint64 now_ms);

/*
 * There are committed entries that the apply worker may not know of: is it to be
 * woken now?  On a follower where nobody waits for them, a few may gather, for
 * PACING_APPLY_MS at the most.  pacing_apply_deadline(): when it must be asked
 * again; 0: it need not.
 */
extern bool pacing_wakes_apply(uint64 now_ms, bool leader);
extern uint64 pacing_apply_deadline(void);

#define PACING_APPLY_MS	10

/* A full batch: one of so many writes, or of so many bytes. */
#define PACING_WRITES	RAFT_MAX_BATCH
#define PACING_BYTES	(512 * 1024)

#endif							/* STORE_PACING_H */
