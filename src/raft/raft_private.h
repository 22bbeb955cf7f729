/*-------------------------------------------------------------------------
 *
 * raft_private.h
 *	  What one member remembers.
 *
 * "struct raft" is complete so that the shell can embed it in its own state
 * and the simulator can copy it, but only the files of this directory read or
 * write its fields.  It holds no pointer and owns no memory: copying it is
 * copying the member.
 *
 * Included by raft.h, after the public types.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef RAFT_PRIVATE_H
#define RAFT_PRIVATE_H

/*
 * Slots are places in the configuration in force.  After them comes that of a
 * member on its way out, and a value for no slot at all.
 */
#define RAFT_LEAVING_SLOT		RAFT_MAX_MEMBERS
#define RAFT_NO_SLOT			(RAFT_MAX_MEMBERS + 1)

/* Of so many rounds, the newest, a leader knows when they began. */
#define RAFT_KNOWN_ROUNDS		16

/*
 * The shape of the log: where it begins and ends, and where each term begins.
 * Terms only grow along a log, and rarely, so a few runs describe millions of
 * entries.
 *
 * base_index <= durable_index <= last_index.  Runs ascend in both first and
 * term; the last one ends at last_index.  The first run begins at
 * base_index + 1, unless older runs had to be forgotten for want of room: then
 * the terms before it (except that of base_index) are unknown.
 */
struct raft_log
{
	raft_index	base_index;
	raft_term	base_term;
	raft_index	last_index;
	raft_index	durable_index;
	uint32_t	n_runs;
	struct raft_run runs[RAFT_MAX_TERM_RUNS];
};

enum raft_peer_mode
{
	RAFT_PROBE,					/* looking for the point where logs agree: one
								 * message at a time */
	RAFT_REPLICATE,				/* the point is known: a pipeline of messages */
	RAFT_COPY					/* needs what the log no longer has */
};

/*
 * What a leader knows of another member.  Void on any other member, except
 * "granted" while it is a candidate.
 */
struct raft_peer
{
	enum raft_peer_mode mode;
	raft_index	match_index;	/* agrees and is durable there up to here;
								 * 0 <= match_index < next_index */
	raft_index	next_index;		/* the next entry to send */
	raft_index	commit_sent;	/* the highest commit index it was told */
	bool		probe_sent;		/* PROBE: waiting for the answer, or for the
								 * next heartbeat to ask again */
	bool		granted;		/* candidate: it gave its (pre-)vote */

	/* Contact: any answer of this term.  Starts as the time it became a peer. */
	bool		heard;
	uint64_t	contact_ms;

	/*
	 * The newest round it answered, and the newest round there was when
	 * match_index last grew.  A refusal of match_index in a round after
	 * match_round was sent by a disk that went back.
	 */
	uint64_t	round;
	uint64_t	match_round;
	bool		lost_data;		/* it did, and has not acknowledged since */

	uint64_t	stays_until_ms; /* it votes for nobody else; see lease.c */

	/*
	 * Catching up (Thesis 4.2.1) goes in rounds, each to what was the end of
	 * the log when it began.  caught_up: the last one took less than an
	 * election timeout.
	 */
	bool		caught_up;
	raft_index	goal_index;
	uint64_t	goal_since_ms;

	/* REPLICATE: last entries of the messages on their way, a ring */
	uint32_t	inflight_first;
	uint32_t	n_inflight;
	raft_index	inflight[RAFT_MAX_INFLIGHT];
};

/* A batch of linearizable reads that waits for its index. */
struct raft_read
{
	uint64_t	id;				/* the asker's own */
	raft_id		from;			/* leader: who asked; 0: this member itself */
	uint64_t	context;		/* follower: its id on the wire */
	uint64_t	since_ms;
};

struct raft
{
	raft_id		id;
	struct raft_options options;

	/* Time and chance of the step under way, or of the last one. */
	uint64_t	now_ms;
	uint64_t	random;

	/*
	 * Paper, Figure 2: persistent state.  term_durable means that the disk is
	 * known to hold this term, so that a message stamped with it may leave
	 * before the next flush; see raft_message_new().
	 */
	raft_term	term;
	raft_id		vote;
	bool		term_durable;
	struct raft_log log;

	/* Paper, Figure 2: volatile state.  applied <= commit <= last */
	raft_index	commit_index;
	raft_index	applied_index;

	enum raft_state state;
	raft_id		leader;			/* of this term; 0: nobody known */
	bool		disk_failed;	/* mute until the process starts anew */

	/*
	 * The configuration in force and the one that a truncation would bring
	 * back.  self: this member's slot in it, or RAFT_NO_SLOT.  peers[i] is
	 * about config.config.members[i]; peers[self] is not used, and
	 * peers[RAFT_LEAVING_SLOT] is about "leaving".
	 */
	struct raft_config_entry config;
	struct raft_config_entry previous_config;
	uint32_t	self;
	struct raft_peer peers[RAFT_LEAVING_SLOT + 1];

	/*
	 * Not a leader.  matched_index: the log is known to agree with that leader's up
	 * to here; never below commit_index.  acked_index: what it was told last,
	 * in answer to acked_round.
	 */
	uint64_t	election_deadline_ms;	/* UINT64_MAX: never */
	raft_index	matched_index;
	raft_index	acked_index;
	uint64_t	acked_round;
	uint64_t	leader_round;	/* the newest round the leader asked about */
	bool		by_transfer;	/* candidate: by order of the leader */

	/*
	 * Until then this member neither votes nor stands, save by order of the
	 * leader; and what it promised when it last heard one.  See lease.c.
	 */
	uint64_t	promised_until_ms;
	uint32_t	promise_ms;

	/*
	 * Leader.  term_start: its no-op; the term has committed something once
	 * term_start <= commit_index.
	 */
	raft_index	term_start;
	uint64_t	heartbeat_deadline_ms;
	uint64_t	quorum_deadline_ms; /* check-quorum, Thesis 6.2 */
	raft_id		leaving;		/* removed, but still to hear of it; 0: nobody */
	raft_index	leaving_index;	/* the configuration without it */
	uint32_t	n_farewells;	/* heartbeats it still gets when committed */
	raft_id		transfer_target;	/* 0: no transfer under way */
	uint64_t	transfer_deadline_ms;
	bool		lease_forfeited;	/* the order to succeed it has left */

	/*
	 * Linearizable reads, oldest first.  Leader: the first n_confirming wait
	 * for a quorum to answer read_round, and will be told read_index; the
	 * others wait for the next round to begin.  Follower: all were forwarded.
	 */
	uint64_t	round;			/* leader: the newest round of this term */
	uint64_t	round_ms[RAFT_KNOWN_ROUNDS];	/* when it began, by its
												 * remainder */
	uint64_t	read_round;
	raft_index	read_index;
	uint32_t	n_confirming;
	uint32_t	n_reads;
	uint64_t	read_context;	/* follower: the last one used */
	struct raft_read reads[RAFT_MAX_READS];
};

#endif							/* RAFT_PRIVATE_H */
