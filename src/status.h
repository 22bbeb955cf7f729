/*-------------------------------------------------------------------------
 *
 * status.h
 *	  What the processes of this node know of each other.
 *
 * Progress is published in atomics: each has one writer.  The rest is a copy
 * of what the raft worker knows, for display and for error messages, under a
 * lock that nobody holds for longer than it takes to copy it.
 *
 * Nothing here is durable, and nothing consensus needs is only here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_STATUS_H
#define STORE_STATUS_H

#include "store.h"
#include "membership.h"
#include "port/atomics.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

typedef enum WorkerKind
{
	WORKER_LAUNCHER,
	WORKER_RAFT,
	WORKER_APPLY,
	WORKER_NOTIFY,
	WORKER_SNAPSHOT,
	N_WORKERS
} WorkerKind;

typedef struct MemberStatus
{
	Member		member;
	uint64		match_index;	/* leader only, else 0 */
	uint64		next_index;		/* leader only, else 0 */
	int64		lag_bytes;		/* leader only; -1: not known */
	int64		round_trip_us;	/* of our link to it; -1: not known */
	uint64		sent_messages;
	uint64		sent_bytes;
	uint64		dropped_messages;
	bool		copying;		/* leader only: it fetches a copy */
	uint8		understands;	/* version of commands; 0: not heard yet */
	bool		low_on_disk;	/* as far as it was heard; see disk_space.h */
	TimestampTz last_contact;	/* leader only; 0: none */
	bool		connected;		/* our link to it */
	uint64		queued_bytes;
	char		last_error[256];
} MemberStatus;

typedef struct NodeStatus
{
	bool		running;		/* the raft worker has its state loaded */
	pg_uuid_t	cluster_id;
	uint64		node_id;
	char		name[STORE_NAME_SIZE];
	enum raft_state state;
	bool		learner;
	bool		detached;		/* takes no part in consensus; see recovery.h */
	bool		removed;		/* for good: this node is no member any more */
	uint64		term;
	uint64		leader;			/* 0: nobody known */
	char		last_leader[STORE_NAME_SIZE];	/* the last one known */
	uint64		first_index;	/* of the log */
	char		problem[256];	/* of the raft worker; empty: none */
	char		apply_problem[256]; /* of the apply worker */
	char		notify_problem[256];	/* of the notify worker */
	char		queue_problem[256]; /* of the notification queue; notify worker */
	char		snapshot_problem[256];	/* of the snapshot worker */
	char		disk_problem[256];	/* of the disks; raft worker */
	char		divergence[256];	/* members whose state differs; raft worker */
	bool		undecided;		/* and no majority says who is right */
	uint64		next_id;		/* of the membership; 0: not committed */
	uint32		n_members;
	MemberStatus members[RAFT_MAX_MEMBERS];
} NodeStatus;

/* See disk_space.h. */
typedef enum RoomVerdict
{
	ROOM_ENOUGH,
	ROOM_LOW,					/* this node is short of disk space */
	ROOM_CLOSED					/* the leader says that too few have some */
} RoomVerdict;

/*
 * Does the state of this node differ from that of a majority of the members?
 * UNKNOWN: nobody has looked yet, the tables know (recovery.h).
 */
typedef enum Divergence
{
	DIVERGENCE_UNKNOWN,
	DIVERGENCE_NONE,
	DIVERGENCE_FOUND
} Divergence;

typedef struct SharedProgress
{
	/* the log, and its committed and locally durable part; raft worker */
	pg_atomic_uint64 last_index;
	pg_atomic_uint64 commit_index;

	/*
	 * The leader's lease, by monotonic_ms(), and the commit index that covers
	 * every write acknowledged before it ends; raft worker.  See
	 * status_read_lease().
	 */
	pg_atomic_uint64 lease_until_ms;	/* 0: none */
	pg_atomic_uint64 lease_index;

	/* what the state machine has made of it; apply worker */
	pg_atomic_uint64 applied_index;
	pg_atomic_uint64 applied_term;	/* of that entry */
	pg_atomic_uint64 last_event;	/* newest index with an event */

	/*
	 * The history; apply worker.  The past can be read from the floor on.
	 * Events up to history_gone may not be there any more, never above the
	 * floor.  wanted_floor is what the settings of this node ask for.
	 */
	pg_atomic_uint64 floor;
	pg_atomic_uint64 history_gone;
	pg_atomic_uint64 wanted_floor;

	/*
	 * Whoever waited for an entry up to answered_index has been told; apply
	 * worker.  One that ended between applying and answering leaves writes
	 * unanswered that are not lost; apply_lives counts how often that was so,
	 * the start of the server included.
	 */
	pg_atomic_uint64 answered_index;
	pg_atomic_uint64 apply_lives;

	/*
	 * The version of commands that the cluster uses, as the committed membership
	 * says; 0 until this node knows; raft worker.  See status_version().
	 */
	pg_atomic_uint32 version;

	/* may backends let the store grow?  RoomVerdict; raft worker */
	pg_atomic_uint32 room;

	/* whether this node may serve, a Divergence; raft worker */
	pg_atomic_uint32 divergence;

	/* how far events were published; notify worker */
	pg_atomic_uint64 notified_index;

	/*
	 * Counts the lives of this node's tables: founding, dropping, joining.  A
	 * worker that sees it change starts anew.
	 */
	pg_atomic_uint64 epoch;
} SharedProgress;

extern SharedProgress *progress;

extern Size status_shmem_size(void);
extern void status_shmem_init(void);
extern void status_request_locks(void);

/* A new epoch begins: nothing is in the log, nothing was applied. */
extern void status_reset_progress(void);

/*
 * Make the calling process reachable as this worker, until it exits.  False if
 * there is one already: of each kind there is never more than one.
 */
extern bool status_register(WorkerKind kind);

/* Set a worker's latch, if it is there. */
extern void status_wake(WorkerKind kind);

/* Its process id, or 0. */
extern int	status_worker_pid(WorkerKind kind);

/*
 * The leader's lease (raft/lease.c): as long as it lasts, this node's backends
 * read linearizably without asking the raft worker, even while that hangs.
 *
 * The raft worker publishes after every step, before any message of that step
 * leaves.  A backend takes both numbers, and then looks at the clock:
 *
 *		raft worker					backend
 *		step						load until
 *		store index					read barrier
 *		write barrier				load index
 *		store until					look at the clock
 *		full barrier
 *		send messages
 *
 * Let x be the time of "load until", which is after the read was requested.  If
 * the clock afterwards is still before until, it was at x.
 *
 * - The lease had not been revoked at x; so this node had sent nothing that
 *	 helps somebody else to an office, and by the lease nobody had one.
 *	 Everything acknowledged before x was thus committed by this leader, or by
 *	 earlier ones, which is covered by every index that comes with a lease.
 *
 * - Nobody acknowledges what this leader commits before it says so: to other
 *	 members in a message, to its own apply worker by commit_index.  Both come
 *	 after the full barrier, so the acknowledgement, the request that followed
 *	 it, and "load index" come after "store index".  If a backend sees an until
 *	 at all, the pair of the other two barriers lets it see the index that goes
 *	 with it or a later one, and indexes only grow.
 *
 * lease_index is what the core calls committed.  It may be ahead of
 * commit_index, which also waits for this node's own disk.
 */
extern void status_publish_lease(uint64 until_ms, uint64 index);
extern uint64 status_read_lease(uint64 *index);

/* The raft worker publishes; the rest is left alone. */
extern void status_publish(const NodeStatus *node);
extern void status_set_stopped(void);

/* NULL or empty: no problem (any more). */
extern void status_set_problem(WorkerKind kind, const char *problem);

/* Members that differ, as of comparison_problem(); the raft worker. */
extern void status_set_divergence(const char *problem, bool undecided);

/*
 * The same for what keeps the notify worker from publishing.  It stands beside
 * the worker's own problem: a server where publishing fails may have a full
 * queue, too.
 */
extern void status_set_queue_problem(const char *problem);

/* And for the disks, which stand beside whatever the raft worker has. */
extern void status_set_disk_problem(const char *problem);

/*
 * The version of commands in which this node may propose, 0 if it does not
 * know yet.  status_await_version() sleeps until it does, at most timeout_ms.
 */
extern uint8 status_version(void);
extern uint8 status_await_version(long timeout_ms);
extern void status_set_version(uint8 version);

/* A copy; n_members entries of members are filled. */
extern void status_read(NodeStatus *node);

/* Is this node the leader, as far as it knows? */
extern bool status_is_leader(void);

/* Is this node that member of that cluster? */
extern bool status_is_addressee(const pg_uuid_t *cluster_id, uint64 node_id);

/*
 * Was that a member that has been removed, as a committed membership says?
 */
extern bool status_is_former(uint64 node_id);

/* Has this node itself been removed from its cluster? */
extern bool status_is_removed(void);

/* Just what a waiting backend needs for an error message. */
extern void status_read_leader(char *last_leader, bool *known, uint64 *node_id);

extern const char *status_state_name(const NodeStatus *node);

#endif							/* STORE_STATUS_H */
