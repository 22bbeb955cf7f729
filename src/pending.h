/*-------------------------------------------------------------------------
 *
 * pending.h
 *	  Requests that the raft worker has taken on and not yet got rid of.
 *
 * A write waits until there is a leader, is then proposed (by the leader
 * itself) or forwarded (to the leader), and is done when the apply worker has
 * answered it.  The leader may die in between.  Then this holds:
 *
 *		A proposal made or forwarded in term T can enter the log only in term
 *		T (see u.proposed.term in raft.h).  Log entries of term T come before
 *		those of any later term.  So once this node has applied an entry of a
 *		later term, and the write has not been answered, it is in no committed
 *		log and never will be.
 *
 * Such a write goes back to waiting and is proposed again, under the same
 * request id.  So it is applied exactly once, however often leaders die.
 *
 * The proof needs an apply worker that answers whatever it applies.  One that
 * dies between the two breaks it, and the next one notices (apply_lives); what
 * was proposed before is then left alone: its outcome is unknown.
 *
 * A raft worker that dies forgets all this, but its backends do not: the next
 * one lets them ask again, by the same proof (request_ask_again()).
 *
 * Reads wait in batches.  One batch is under way at a time; what comes meanwhile
 * is the next one, so the more readers there are the less each costs.  They
 * change nothing, so they are simply asked again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_PENDING_H
#define STORE_PENDING_H

#include "store.h"
#include "inbox.h"
#include "message.h"

/* Bytes of writes that one node keeps pending; past it they are refused. */
#define PENDING_LIMIT	(64 * 1024 * 1024)

/* "term": the highest that an earlier raft worker can have proposed in. */
extern void pending_init(uint64 term);

/*
 * Take on a write of a backend of this node.  Its bytes are copied, and get
 * this node's id as the origin.
 */
extern void pending_add_write(const InboxRecord *record, uint64 node_id);

/*
 * Take on a command that another member forwarded to us as the leader of
 * "term", if there is room: it may wait, but not for another term.
 */
extern void pending_add_forwarded(const LogEntry *entry, uint64 term);
extern bool pending_has_room(Size length);

/* What waits. */
extern uint32 pending_n_writes(void);
extern Size pending_n_bytes(void);

/* Writes of this node that were proposed or forwarded, and may be unanswered. */
extern uint32 pending_n_proposed(void);

/* Bytes of all writes that were taken on, and reads that wait for an answer. */
extern Size pending_bytes(void);
extern uint32 pending_n_reads(void);

/*
 * The writes to propose now: those that wait, in order, claimed, and cut to
 * max_entries and max_bytes (but at least one).  Forwarded writes of another
 * term than "term" are dropped.  Borrowed until the next call.
 */
extern uint32 pending_writes(uint64 term, uint32 max_entries, Size max_bytes,
							 LogEntry *entries);

/*
 * The first n of them were proposed in "term", forwarded to its leader, or
 * neither.
 */
extern void pending_proposed(uint32 n, uint64 term);
extern void pending_forwarded(uint32 n, uint64 term, uint64 now_ms);
extern void pending_refused(uint32 n);

/* Is anything to be forwarded, for the first time or again? */
extern bool pending_is_due(uint64 now_ms);

/*
 * Writes that were forwarded in "term" and are not answered, to be sent again,
 * cut like pending_writes(): first after an election timeout, then after twice
 * as long, and so on.
 */
extern uint32 pending_repeat(uint64 term, uint64 now_ms, uint32 max_entries,
							 Size max_bytes, LogEntry *entries);

/*
 * An entry of applied_term has been applied: what was proposed in an earlier
 * term and not answered waits again.  Forgets what was answered or given up.
 */
extern void pending_sweep(uint64 applied_term);

/* Reads. */
extern void pending_add_read(uint32 slot, uint64 sequence);

/* Was a batch asked that has no answer yet?  If not, does one wait to be? */
extern bool pending_reads_under_way(void);
extern bool pending_reads_are_due(void);

/*
 * Close the batch of reads that wait, unless one is under way; one that was
 * asked before retry_before_ms and got no answer is given up and made part of
 * it.  Returns its id, or 0 if there is none to ask.
 */
extern uint64 pending_read_batch(uint64 now_ms, uint64 retry_before_ms);

/* Answer a batch; index 0: it must be asked again. */
extern void pending_read_result(uint64 id, uint64 index);

/* When the batch under way is due for a retry, given the time to wait; 0: none. */
extern uint64 pending_read_deadline(uint64 retry_ms);

#endif							/* STORE_PENDING_H */
