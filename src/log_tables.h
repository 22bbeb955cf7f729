/*-------------------------------------------------------------------------
 *
 * log_tables.h
 *	  The Raft log, term and vote as tables.
 *
 * store.raft_log_0 .. _3 are segments used in rotation: entries are inserted
 * into one until it is full, then into the next, which must be empty.  A
 * segment whose entries nobody needs any more is emptied by TRUNCATE, so there
 * is neither vacuum nor bloat, whatever snapshots other sessions hold.  The
 * one DELETE is for a conflicting suffix.
 *
 * store.raft_state is one row: identity, term and vote, and the base of the
 * log, which is the entry before the first one kept.  Besides, where this row
 * was last at home, so that a copy of it is told from the row itself.
 *
 * Only the raft worker writes, or the snapshot worker to which it lends the log
 * (snapshot.h).  The apply worker reads through a reader of its own.  All
 * functions run inside a transaction of the caller, who decides how durable it
 * is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_LOG_TABLES_H
#define STORE_LOG_TABLES_H

#include "store.h"
#include "message.h"
#include "utils/uuid.h"

#define RAFT_LOG_SEGMENTS 4

/*
 * The server that a member's state belongs to; see identity.h.
 */
typedef struct ServerIdentity
{
	uint64		system_identifier;
	uint32		timeline;
	Oid			database;
	char		place[64];		/* of the data folder on its disk */
} ServerIdentity;

/* Room for a reason why a member is shut out. */
#define SHUT_OUT_SIZE 256

/* store.raft_state, the durable state of a member. */
typedef struct RaftState
{
	pg_uuid_t	cluster_id;
	uint64		node_id;
	uint64		term;
	uint64		vote;
	uint64		base_index;
	uint64		base_term;
	Membership	base_membership;

	/* Written by log_tables_found() and log_tables_save_start() alone. */
	ServerIdentity home;
	uint64		start;			/* number of the newest start; see starts.h */
	char		shut_out[SHUT_OUT_SIZE];	/* why the other members refuse this
											 * one; empty: they do not */
} RaftState;

/*
 * Everything raft_init() needs, and the membership in force; palloc'd arrays
 * in the current memory context.
 */
typedef struct RaftLogContents
{
	RaftState	state;
	uint64		last_index;		/* base_index if empty */
	uint32		n_runs;
	struct raft_run *runs;
	uint64		membership_index;	/* 0: at the base */
	Membership	membership;		/* the newest in the log, else at the base */
	uint64		previous_membership_index;
	Membership	previous_membership;	/* the one before it, else the same */
} RaftLogContents;

/*
 * Is the extension (still) installed in this database?  Needs a transaction.
 */
extern bool log_tables_exists(void);

/*
 * Read the state and the whole log's structure, and note which segment holds what.  ERROR
 * (data corrupted) if the segments leave a gap.
 */
extern void log_tables_open(RaftLogContents *contents);

/* Replace home, number of the newest start, and why we are shut out. */
extern void log_tables_save_start(const ServerIdentity *home, uint64 start,
								  const char *shut_out);

/* Replace term and vote. */
extern void log_tables_save_vote(uint64 term, uint64 vote);

/*
 * Append entries, consecutive and following the last one, as COPY does: multi-insert, then
 * the index.  Moves on to the next segment when the current one has reached
 * store.log_segment_size and the next is empty; otherwise goes on in the current one.
 */
extern void log_tables_append(const LogEntry *entries, uint32 n_entries);

/* Delete every entry from index on. */
extern void log_tables_truncate(uint64 from);

/* The last index written (whether or not its transaction has committed). */
extern uint64 log_tables_last_index(void);

/* Forget what an aborted or replaced state left in memory; open again. */
extern void log_tables_close(void);

/* Is the last empty segment in use?  Then it is time to compact. */
extern bool log_tables_is_crowded(void);

/*
 * Empty the segments that hold nothing above "up_to" (never the current one) and move the
 * base of the log there, with the membership in force at the new base.  Does
 * nothing if a lock is not to be had at once.  Returns the new base index, and its term in
 * *base_term, or 0 if nothing was done.
 */
extern uint64 log_tables_compact(uint64 up_to, uint64 *base_term);

/*
 * The last entry of the oldest segment, if there is no room left in the
 * rotation: all segments are in use, and the current one has "times" the size
 * it should have.  0 otherwise.
 */
extern uint64 log_tables_overflow(int times);

/*
 * Make the log an empty one that begins after an entry which came with a copy
 * of the state; term and vote stay.  Run in another process than the raft
 * worker's, which has to open the log anew.
 */
extern void log_tables_replace(uint64 base_index, uint64 base_term,
							   const char *membership, uint32 length);

/*
 * Become a member with another identity and an empty log (join, recovery); home
 * and start stay as they are.
 */
extern void log_tables_reset(const RaftState *state);

/*
 * Write the first row of raft_state: a cluster of one (CREATE EXTENSION).
 */
extern void log_tables_found(const RaftState *state);

/* Just store.raft_state; for processes other than the raft worker. */
extern void log_tables_read_state(RaftState *state);

/* Reading; the raft worker and the apply worker each have readers. */
typedef struct RaftLogReader RaftLogReader;

/* In the current memory context; holds no locks between calls. */
extern RaftLogReader *log_tables_reader_create(void);

/*
 * Read up to max_entries entries from "from" on, stopping after max_bytes of
 * payload (but at least one entry), or at index "to".  Entries and their MAXALIGNed data are
 * palloc'd in the current memory context.  Returns how many were read; fewer
 * than wanted when the log ends.  Uses the active snapshot.
 */
extern uint32 log_tables_read(RaftLogReader *reader, uint64 from, uint64 to,
							uint32 max_entries, Size max_bytes,
							LogEntry *entries);

#endif							/* STORE_LOG_TABLES_H */
