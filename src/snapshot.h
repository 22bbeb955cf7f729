/*-------------------------------------------------------------------------
 *
 * snapshot.h
 *	  What the processes of this node know of copies of the state machine.
 *
 * A member whose leader no longer has the log it needs is brought up to date
 * by a copy.  On the node that receives it three processes have a part: the
 * raft worker hears from its leader that a copy is wanted, the launcher starts
 * the snapshot worker, and that one, when it has the copy, borrows the log
 * from the raft worker for the moment in which both are replaced.  On the node
 * that sends it each copy is an ordinary session.
 *
 * Nothing here is durable.  If the server goes down, the leader asks again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "store.h"
#include "membership.h"
#include "utils/timestamp.h"

/* Of what a copy consists; raised when an older receiver could not digest it. */
#define SNAPSHOT_FORMAT		1

/* Copies that one node sends at the same time. */
#define SNAPSHOT_MAX_SENDERS	4

/* How long the leader's word that a copy is needed holds, in heartbeats. */
#define SNAPSHOT_REQUEST_BEATS	20

/* In the order in which a copy goes through them. */
typedef enum SnapshotPhase
{
	SNAPSHOT_IDLE,
	SNAPSHOT_CONNECTING,
	SNAPSHOT_COPYING_RESOURCES,
	SNAPSHOT_COPYING_EVENTS,
	SNAPSHOT_REPLACING_STATE,	/* in one transaction with the next */
	SNAPSHOT_REPLACING_LOG		/* the raft worker waits */
} SnapshotPhase;

/* The copy that this node receives; written by the snapshot worker. */
typedef struct SnapshotReceived
{
	SnapshotPhase phase;
	int			pid;
	char		peer[STORE_NAME_SIZE];	/* where it comes from */
	uint64		index;			/* as of which; 0: not known yet */
	uint64		resources_total;
	uint64		resources_done;
	uint64		events_total;
	uint64		events_done;
	uint64		bytes_done;		/* from the network */
	TimestampTz started_at;
} SnapshotReceived;

/* A copy that this node sends; written by the session that does. */
typedef struct SnapshotSent
{
	int			pid;			/* 0: none */
	uint64		member;			/* to whom */
	uint64		index;
	uint64		resources_total;
	uint64		events_total;
	TimestampTz started_at;
} SnapshotSent;

extern Size snapshot_shmem_size(void);
extern void snapshot_shmem_init(void);
extern void snapshot_request_locks(void);

/* ------------------------------------------------------------------------
 * Asking for a copy
 * ------------------------------------------------------------------------
 */

typedef struct SnapshotRequest
{
	uint64		leader;			/* who asked us to */
	uint64		at_least;		/* the copy is of no use below this index */
	uint32		n_failures;		/* since it was asked for first */
} SnapshotRequest;

/*
 * The raft worker: the leader told us to pull a copy.  It repeats that with
 * every heartbeat for as long as it holds.  Right after a copy was installed
 * it may still say so once, so it must have said it for "patience_ms" to be
 * believed.  Returns true when it is believed and nobody is at work on it.
 */
extern bool snapshot_want(uint64 leader, uint64 at_least, uint64 now_ms,
						  uint64 patience_ms);

/*
 * Is a copy wanted, that is, was it asked for and believed within the last "memory_ms"?
 * If so, *delay_ms is how long to wait before the next attempt.
 */
extern bool snapshot_is_wanted(SnapshotRequest *request, uint64 now_ms,
							   uint64 memory_ms, uint64 *delay_ms);

/* The snapshot worker: an attempt failed, or the request is fulfilled. */
extern void snapshot_failed(uint64 now_ms);
extern void snapshot_fulfilled(void);

/* ------------------------------------------------------------------------
 * Borrowing the log
 * ------------------------------------------------------------------------
 */

typedef enum SnapshotLoan
{
	SNAPSHOT_LOAN_NONE,
	SNAPSHOT_LOAN_ASKED,		/* by the snapshot worker */
	SNAPSHOT_LOAN_GRANTED,		/* by the raft worker, which waits */
	SNAPSHOT_LOAN_REFUSED		/* the copy is not wanted any more */
} SnapshotLoan;

/*
 * The log tables have one writer.  It is the raft worker, except while the
 * loan is GRANTED: then it is the snapshot worker, and no raft worker touches
 * them, not even one that is just starting.
 */
extern void snapshot_ask_loan(uint64 index, uint64 term);
extern void snapshot_end_loan(void);	/* does nothing if there is none */
extern SnapshotLoan snapshot_loan(uint64 *index, uint64 *term);
extern void snapshot_answer_loan(bool grant);	/* if it is still asked for */

/* ------------------------------------------------------------------------
 * The membership that goes with a copy
 * ------------------------------------------------------------------------
 */

/*
 * The newest membership that is committed, and its index.  The raft worker
 * publishes it before it lets the index be applied.  So whoever sees index N
 * applied, and then here a membership of index M <= N, knows that it is the
 * one in force at N.
 */
extern void snapshot_publish_membership(uint64 index, const Membership *membership);
extern uint64 snapshot_membership(Membership *membership);

/* ------------------------------------------------------------------------
 * Progress
 * ------------------------------------------------------------------------
 */

extern void snapshot_set_received(const SnapshotReceived *received);
extern void snapshot_received(SnapshotReceived *received);

/* Is there a snapshot worker that may wait for a user's lock? */
extern bool snapshot_is_replacing(void);

/*
 * The sending session; it is listed until it ends.  False if there are too
 * many of them already.
 */
extern bool snapshot_set_sent(const SnapshotSent *sent);

/* All SNAPSHOT_MAX_SENDERS places; pid 0: empty. */
extern void snapshot_sent(SnapshotSent *sent);

/* The lowest index of a copy being sent, 0 if there is none. */
extern uint64 snapshot_held_index(void);

#endif							/* STORE_SNAPSHOT_H */
