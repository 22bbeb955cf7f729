/*-------------------------------------------------------------------------
 *
 * machine.h
 *	  The state machine's tables: resources, events, and how far they are.
 *
 * Only the apply worker writes, a batch of log entries in one transaction:
 * rows, events and the applied position change together or not at all.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_MACHINE_H
#define STORE_MACHINE_H

#include "store.h"
#include "chain.h"
#include "command.h"
#include "message.h"
#include "rules.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"
#include "watch_filter.h"

/*
 * Where the tables are as a snapshot sees them: the applied position of the
 * log, 0 if nothing was applied yet, and the floor of the history there; the
 * chain over all that was applied, and the digest of all resources.
 *
 * The chain is a digest of the chain before an entry, the entry, and what it
 * did: the resources before and after each change, or the code of a refusal.  It
 * does not depend on how entries came together in batches.
 *
 * The digest is the sum, modulo 2^64, of those of the rows.  It is kept up by
 * what goes in and what comes out, so it says what store.resources should add up
 * to, without looking there.
 */
typedef struct MachinePosition
{
	uint64		index;
	uint64		floor;
	uint64		chain;
	uint64		digest;
} MachinePosition;

extern MachinePosition machine_position(Snapshot snapshot);

/* The same as of now; the writer begins with this, and then writes on. */
extern MachinePosition machine_open(void);

/* The floor, with what the current batch has done to it. */
extern uint64 machine_floor(void);

/* The newest index with an event, 0 if there is none. */
extern uint64 machine_last_event(void);

/* Open and close the tables for a batch, inside the caller's transaction. */
extern void machine_begin(const pg_uuid_t *cluster_id);
extern void machine_end(uint64 applied_index);

/*
 * Around whatever an entry of a batch does, even if that is nothing: it becomes
 * a link of the chain, and the link is published (chain.h).
 */
extern void machine_begin_entry(const LogEntry *entry);
extern void machine_end_entry(const LogEntry *entry);

/* The kinds and namespaces that this batch, or the last one, has changed. */
extern const WatchSet *machine_changes(void);

/*
 * Apply one command at a log index.  The outcome is palloc'd in the current
 * memory context.  Refusals are outcomes; an ERROR is trouble of this server,
 * and the batch is to be tried again.
 */
extern void machine_apply(const Command *command, uint64 index, Outcome *outcome);

/*
 * The earliest expires_at of all resources; not later than that, but it may be
 * earlier.  DT_NOEND if there is none.  The writer learns of what it writes;
 * of the rest it is told.
 */
extern TimestampTz machine_first_expiry(void);
extern void machine_set_first_expiry(TimestampTz time);

/* Is there neither a resource nor an event? */
extern bool machine_is_empty(void);

/*
 * The digest of a row of store.resources, by which it counts in the sum.  The
 * values may be toasted; what is needed on the way is left in the current memory
 * context.
 */
extern uint64 machine_row_digest(const Datum *values, const bool *isnull);

/* The rows have been replaced by those of a later index. */
extern void machine_move_to(const MachinePosition *position);

/* Start from the beginning of another log; the machine must be empty. */
extern void machine_forget_applied(void);

/*
 * The state as it is becomes that of a later index, with no history before it.
 * For the raft worker, while everything is applied and the apply worker is
 * about to start anew.
 */
extern void machine_jump(uint64 index);

#endif							/* STORE_MACHINE_H */
