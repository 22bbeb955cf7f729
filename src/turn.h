/*-------------------------------------------------------------------------
 *
 * turn.h
 *	  The duties of one turn of the raft worker, gathered and carried out.
 *
 * However many events a turn steps through the core, it costs one flush of the
 * log at the most.  The order of duties is the one that raft.h prescribes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TURN_H
#define STORE_TURN_H

#include "store.h"
#include "message.h"
#include "raft/raft.h"
#include "log_tables.h"

/* Start with a log that ends at last_index, all of it durable. */
extern void turn_init(uint64 last_index);

/* Start the core from what the tables have; FATAL if that contradicts itself. */
extern void turn_restore(struct raft *node, const RaftLogContents *contents,
						 uint64 applied_index, const struct raft_options *options);

/*
 * Take on the duties of an update.  entries are what it appends, from
 * append_first on (a NOOP has none): their index and term are filled in here;
 * their data is copied.
 */
extern void turn_absorb(const struct raft_update *update, const LogEntry *entries);

/*
 * Carry the duties out, up to and including the messages that promise
 * durability.  Returns true if the log is durable further than before, to
 * (*index, *term), which the core must be told.
 */
extern bool turn_flush(const struct raft *node, raft_index *index, raft_term *term);

/* How long the last write to the log took, with its flush, in milliseconds. */
extern uint64 turn_write_ms(void);

/* What is committed and durable here: the part that may be applied. */
extern uint64 turn_committed(void);

/* The last entry that is durable here. */
extern uint64 turn_written(void);

#endif							/* STORE_TURN_H */
