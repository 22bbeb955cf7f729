/*-------------------------------------------------------------------------
 *
 * raft.h
 *	  The consensus core: Raft as a pure step function.
 *
 * One "struct raft" is one member's view of the consensus group.  The shell
 * around it (the raft worker, or the simulator) tells it what happened, as an
 * event, and gets back an update: the list of duties that follow from it.
 *
 *		raft_step(node, event) -> update
 *
 * The core does no I/O, allocates nothing, reads no clock and draws no random
 * numbers: monotonic time and a random word come in with every event.  It
 * never sees payloads.  What it keeps of the log is where each term begins,
 * the newest configurations, and how far the log is durable, committed and
 * applied; entries travel as index ranges that the shell resolves in its own
 * log.  There are no callbacks, so no foreign code (and no longjmp) ever runs
 * while this state is half changed.
 *
 * The order of duties
 * -------------------
 * The shell carries out the duties of an update in this order.  It may gather
 * the updates of several steps into one turn, as long as the order holds for
 * each of them.
 *
 *	1. Send the messages that are not marked after_flush.  They promise
 *	   nothing about this member's disk.  This is how a leader's entries reach
 *	   its followers while its own disk is still at work.
 *	2. Make durable, in one atomic step: the term and vote (if save_vote),
 *	   the removal of every entry from truncate_from on (if not 0), and the
 *	   appended entries append_first .. append_last (if append is not NONE).
 *	3. Send the messages marked after_flush.
 *	4. Tell the core what is durable with a RAFT_DURABLE event.  A follower
 *	   acknowledges, and a leader counts itself, only on that event.  One that
 *	   a later truncation has overtaken before it is delivered is left out:
 *	   its term tells most of them, but not an entry that was removed and came
 *	   again.
 *	5. Hand entries up to commit_index over to the state machine, but never
 *	   one that is not durable on this member.
 *
 * If step 2 fails, the shell delivers RAFT_DISK_FAILED and never tries the
 * same write again: what a failed fsync left behind is unknown.
 *
 * Sources: "Paper" is Ongaro and Ousterhout, In Search of an Understandable
 * Consensus Algorithm (extended version); "Thesis" is Ongaro's dissertation,
 * Consensus: Bridging Theory and Practice.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef RAFT_H
#define RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Members of one group, voters and learners together. */
#define RAFT_MAX_MEMBERS		32

/* Entries that one APPEND message may cover. */
#define RAFT_MAX_BATCH			1024

/* APPEND messages on their way to one follower, not yet acknowledged. */
#define RAFT_MAX_INFLIGHT		64

/*
 * Entries a leader accepts beyond its commit index.  Past it, proposals are
 * refused with RAFT_BUSY until something commits.
 */
#define RAFT_MAX_UNCOMMITTED	16384

/* Batches of linearizable reads that wait for their quorum on one member. */
#define RAFT_MAX_READS			256

/* Changes of term in the part of the log the core remembers. */
#define RAFT_MAX_TERM_RUNS		1024

/* Changes of term inside one APPEND message. */
#define RAFT_MAX_MESSAGE_RUNS	8

/* Messages that one step can ask for. */
#define RAFT_MAX_MESSAGES		(4 * RAFT_MAX_MEMBERS)

typedef uint64_t raft_index;	/* position in the log; the first entry is 1 */
typedef uint64_t raft_term;		/* 0 before the first election */
typedef uint64_t raft_id;		/* a member; never 0, never used again */

enum raft_role
{
	RAFT_LEARNER,				/* receives the log, does not vote or count */
	RAFT_VOTER
};

enum raft_state
{
	RAFT_DETACHED,				/* not in its own configuration: only listens,
								 * and campaigns only until its removal is
								 * known to be committed */
	RAFT_FOLLOWER,
	RAFT_PRE_CANDIDATE,
	RAFT_CANDIDATE,
	RAFT_LEADER
};

struct raft_member
{
	raft_id		id;
	enum raft_role role;
};

/* Who belongs to the group.  Members are in ascending order of id. */
struct raft_config
{
	uint32_t	n_members;		/* 0 .. RAFT_MAX_MEMBERS */
	struct raft_member members[RAFT_MAX_MEMBERS];
};

/*
 * A configuration and the log entry that carries it.  index 0 means that it
 * is the configuration at the base of the log (from a snapshot, from the
 * founding of the cluster, or none at all).
 */
struct raft_config_entry
{
	raft_index	index;
	struct raft_config config;
};

/* A stretch of the log, from "first" on, in which every entry has this term. */
struct raft_run
{
	raft_index	first;
	raft_term	term;
};

enum raft_message_type
{
	RAFT_MSG_PREVOTE,			/* Thesis 9.6 */
	RAFT_MSG_PREVOTE_REPLY,
	RAFT_MSG_VOTE,				/* Paper 5.2, 5.4.1 */
	RAFT_MSG_VOTE_REPLY,
	RAFT_MSG_APPEND,			/* Paper 5.3; empty: heartbeat */
	RAFT_MSG_APPEND_REPLY,
	RAFT_MSG_READ,				/* a follower asks for a read index; Thesis 6.4 */
	RAFT_MSG_READ_REPLY,
	RAFT_MSG_TIMEOUT_NOW,		/* leadership transfer; Thesis 3.10 */
	RAFT_MSG_SNAPSHOT,			/* the log you need is gone: pull a copy */
	RAFT_MSG_SNAPSHOT_REPLY		/* the copy is installed, or was refused */
};

#define RAFT_MSG_LAST RAFT_MSG_SNAPSHOT_REPLY

/*
 * A message between two members.  Flat, and without payloads: the shell adds
 * the entries prev_index + 1 .. prev_index + n_entries to an APPEND.  It may
 * also split an APPEND into several that cover the same range in order.
 */
struct raft_message
{
	enum raft_message_type type;
	raft_id		from;
	raft_id		to;
	raft_term	term;			/* the sender's; for PREVOTE, and for the reply
								 * that grants it, the term it would stand for */
	bool		after_flush;	/* duty 3, not duty 1; never on the wire */

	/*
	 * PREVOTE, VOTE: the candidate's last entry.  APPEND: the entry before
	 * the first one sent.  SNAPSHOT: the last entry the copy will contain at
	 * the least.  APPEND_REPLY that does not accept: the prev_index it
	 * refuses, so that the leader can tell an answer to its last probe from
	 * the echo of an earlier one; 0 if all it refuses is the term.
	 */
	raft_index	prev_index;
	raft_term	prev_term;

	/* APPEND */
	uint32_t	n_entries;		/* 0 .. RAFT_MAX_BATCH */
	uint32_t	n_runs;			/* terms of these entries; 0 if no entries */
	struct raft_run runs[RAFT_MAX_MESSAGE_RUNS];

	/*
	 * APPEND: the leader's commit index.  READ_REPLY: the read index.
	 * APPEND_REPLY, SNAPSHOT_REPLY: the sender's commit index, for display.
	 */
	raft_index	commit;

	/*
	 * APPEND carries the number of the leader's newest round of read
	 * confirmation, and APPEND_REPLY returns it.  READ and READ_REPLY: the
	 * asking member's id of the batch of reads.
	 */
	uint64_t	context;

	/*
	 * Replies.  Votes: granted.  APPEND_REPLY: accepted means that the log of
	 * the sender agrees with the leader's up to "match" and is durable there.
	 * Not accepted: the entry before the first one sent is not there, or has
	 * another term; the logs may still agree at hint_index, whose term here
	 * is hint_term (fast back-off by term, Paper 5.3).
	 */
	bool		accepted;

	/*
	 * APPEND_REPLY: for how long, from when it heard the round it answers, the
	 * sender neither votes nor stands for election.
	 */
	uint32_t	promise_ms;

	bool		transfer;		/* VOTE: by order of the leader, so stickiness
								 * does not apply */
	raft_index	match;
	raft_index	hint_index;
	raft_term	hint_term;
};

enum raft_event_type
{
	RAFT_TIMER,					/* raft_deadline() has come */
	RAFT_RECEIVED,				/* a message arrived */
	RAFT_DURABLE,				/* the log is flushed up to (index, term) */
	RAFT_APPLIED,				/* the state machine has applied up to index */
	RAFT_PROPOSED,				/* clients propose "count" commands */
	RAFT_READ_REQUESTED,		/* clients ask for a read index */
	RAFT_CONFIG_PROPOSED,		/* an operator proposes a configuration */
	RAFT_TRANSFER_REQUESTED,	/* an operator moves leadership to "target" */
	RAFT_LINK_DOWN,				/* what was sent to "peer" may be lost */
	RAFT_COMPACTED,				/* the log now begins after (index, term) */
	RAFT_SNAPSHOT_INSTALLED,	/* a copy replaced log and state; install only
								 * what raft_wants_snapshot() agrees to */
	RAFT_DISK_FAILED			/* a durable write failed; the member is mute
								 * from here until it starts anew */
};

/* What happened.  Borrowed by raft_step() for the length of the call. */
struct raft_event
{
	enum raft_event_type type;
	uint64_t	now_ms;			/* monotonic; never goes back */
	uint64_t	random;			/* a fresh random word */

	union
	{
		struct
		{
			struct raft_message message;

			/*
			 * The newest configuration entries among the entries of an
			 * APPEND, oldest first: at most two, because a log never holds
			 * more than one that could still be rolled back.
			 */
			uint32_t	n_configs;
			struct raft_config_entry configs[2];
		}			received;

		/* DURABLE, COMPACTED.  APPLIED: index only. */
		struct
		{
			raft_index	index;
			raft_term	term;
		}			position;

		/*
		 * A term of 0 means: whatever the current one is.  Otherwise the
		 * proposal (forwarded by a member that believed in that term) is
		 * accepted in just that term, so that it can never enter the log
		 * after the forwarding member saw a newer term commit.
		 */
		struct
		{
			uint32_t	count;
			raft_term	term;
		}			proposed;

		/* id: chosen by the shell, unique since the start of the process */
		struct
		{
			uint64_t	id;
		}			read;

		struct raft_config config;	/* CONFIG_PROPOSED */

		struct
		{
			raft_id		peer;	/* 0 with TRANSFER: whoever is best */
		}			peer;

		struct
		{
			raft_index	index;
			raft_term	term;
			struct raft_config_entry config;
		}			snapshot;
	}			u;
};

/* Why an event that asks for something was not granted. */
enum raft_status
{
	RAFT_OK,
	RAFT_NOT_LEADER,			/* see update.leader; 0: nobody known */
	RAFT_BUSY,					/* a cap is reached: try again later */
	RAFT_NOT_READY,				/* no entry of this term has committed yet */
	RAFT_IN_PROGRESS,			/* another change or transfer is under way */
	RAFT_INVALID,				/* an unknown or unfit member, or not a legal
								 * change of configuration: at most one member
								 * at a time; who joins is a learner until it has
								 * caught up (see promotable) */
	RAFT_STALE,					/* the event is of the past: ignored */
	RAFT_BROKEN					/* an invariant does not hold: see violation */
};

enum raft_append
{
	RAFT_APPEND_NONE,
	RAFT_APPEND_RECEIVED,		/* entries of the message just stepped */
	RAFT_APPEND_PROPOSED,		/* the proposed commands, in order */
	RAFT_APPEND_CONFIG,			/* one entry: the proposed configuration */
	RAFT_APPEND_NOOP			/* one empty entry: a leader's first */
};

struct raft_read_result
{
	uint64_t	id;
	raft_index	index;			/* read once this is applied; 0: refused, ask
								 * again */
};

/* A broken invariant, with the numbers that show it. */
struct raft_violation
{
	const char *rule;			/* static text */
	uint64_t	expected;
	uint64_t	found;
};

/* What to do now.  Filled by raft_step(); valid until the next step. */
struct raft_update
{
	enum raft_status status;
	struct raft_violation violation;	/* when status is RAFT_BROKEN */

	/* duty 2 */
	bool		save_vote;
	raft_term	term;			/* the current term, always filled */
	raft_id		vote;			/* 0: none in this term */
	raft_index	truncate_from;	/* 0: nothing */
	enum raft_append append;
	raft_index	append_first;
	raft_index	append_last;
	raft_term	append_term;	/* of own entries; received ones have theirs
								 * in the message's runs */

	/* duties 1 and 3 */
	uint32_t	n_messages;
	struct raft_message messages[RAFT_MAX_MESSAGES];

	/* duty 5; always filled, never goes back */
	raft_index	commit_index;

	/*
	 * Answers to RAFT_READ_REQUESTED, of this or of earlier events.  Each
	 * request that got RAFT_OK is answered once; one refused by its status
	 * is not answered here.
	 */
	uint32_t	n_reads;
	struct raft_read_result reads[RAFT_MAX_READS];

	/* what changed, for the shell's own bookkeeping; state always filled */
	enum raft_state state;
	raft_id		leader;			/* 0: nobody known */
	bool		config_changed; /* raft_config() differs from before */

	/*
	 * Leader only: a learner that has caught up and may be proposed as a
	 * voter; 0: none.
	 */
	raft_id		promotable;

	/*
	 * Leader only: a member that proved in this step to have lost what it
	 * once acknowledged as durable (a disk restored or cloned).  It counts for
	 * nothing that it does not acknowledge anew; take it out of the group and
	 * let it join under a new id.  0: none.
	 */
	raft_id		lost_data;

	/* A follower needs what the log no longer has: pull a copy from here. */
	raft_id		snapshot_from;	/* 0: no */
};

/* What raft_init() starts from: the durable state of the member. */
struct raft_restored
{
	raft_id		id;
	raft_term	term;
	raft_id		vote;
	raft_index	base_index;		/* the entry before the first in the log */
	raft_term	base_term;
	raft_index	last_index;		/* base_index when the log is empty */
	raft_index	applied_index;	/* base_index .. last_index */
	uint32_t	n_runs;			/* terms of base_index + 1 .. last_index */
	const struct raft_run *runs;	/* the newest RAFT_MAX_TERM_RUNS are kept */

	/*
	 * The newest configuration in the log or at its base, and the one before
	 * it (the same if there is none), to which a truncation would return.
	 */
	struct raft_config_entry config;
	struct raft_config_entry previous_config;
};

/*
 * Timing, in milliseconds.  The time after which a member stands is drawn from
 * [election_timeout, 2 * election_timeout).
 *
 * Members may differ.  But one that starts relies on its own election timeout
 * not being shorter than it was before: see lease.c.
 */
struct raft_options
{
	uint32_t	heartbeat_interval_ms;	/* > 0 */
	uint32_t	election_timeout_ms;	/* > 2 * heartbeat_interval_ms */
	bool		leader_lease;	/* as leader, serve reads under a lease */
};

/* What a leader knows of one member, for display. */
struct raft_peer_progress
{
	raft_id		id;
	raft_index	match_index;
	raft_index	next_index;
	uint64_t	last_contact_ms;	/* 0: never in this term */
	bool		snapshotting;
};

#include "raft_private.h"		/* struct raft: complete, so that it can be
								 * embedded and copied, but nobody's business */

/*
 * Set up a member from its durable state.  Returns RAFT_OK, or RAFT_INVALID
 * if what was restored contradicts itself (see *violation).
 */
extern enum raft_status raft_init(struct raft *node,
								  const struct raft_restored *restored,
								  const struct raft_options *options,
								  uint64_t now_ms, uint64_t random,
								  struct raft_violation *violation);

/* Change the timing of a running member. */
extern void raft_set_options(struct raft *node, const struct raft_options *options);

/* The one way to change a member's state.  Returns update->status. */
extern enum raft_status raft_step(struct raft *node,
								  const struct raft_event *event,
								  struct raft_update *update);

/* When the next RAFT_TIMER is due, in the time of now_ms. */
extern uint64_t raft_deadline(const struct raft *node);

/*
 * A leader's lease: before this time, by the clock of now_ms, nobody else can
 * have become the leader, and so the commit index of the last update covers all
 * that was acknowledged to anybody.  0: there is none.  What the last step said
 * holds until the next one, but for nobody who sees messages of that next step:
 * the shell revokes what it told others before it sends them.
 */
extern uint64_t raft_lease_until(const struct raft *node);

/* The term of an entry, or 0 if the core no longer or not yet knows it. */
extern raft_term raft_term_at(const struct raft *node, raft_index index);

extern raft_index raft_first_index(const struct raft *node);	/* base + 1 */
extern raft_index raft_last_index(const struct raft *node);
extern raft_index raft_durable_index(const struct raft *node);

/* The configuration in force: the newest in the log, committed or not. */
extern const struct raft_config_entry *raft_config(const struct raft *node);

/* The newest configuration known to be committed: what a snapshot stores. */
extern const struct raft_config_entry *raft_committed_config(const struct raft *node);

/* Leader only: what is known of a member; false if it is none. */
extern bool raft_progress(const struct raft *node, raft_id id,
						  struct raft_peer_progress *progress);

/*
 * Whether a copy of the state machine up to (index, term) is worth installing.
 * The shell asks in the same turn in which it installs, before it does: if the
 * log holds that entry, the copy would only take away what follows it, which
 * may be acknowledged.
 */
extern bool raft_wants_snapshot(const struct raft *node,
								raft_index index, raft_term term);

/*
 * The lowest index any current member still has to receive: below it the log
 * serves only members that are yet to join.  Leader only; otherwise the
 * member's own applied index.
 */
extern raft_index raft_needed_index(const struct raft *node);

#endif							/* RAFT_H */
