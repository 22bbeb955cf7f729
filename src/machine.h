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
#include "command.h"
#include "rules.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"
#include "watch_filter.h"

/*
 * Where the tables are as a snapshot sees them: the applied position of the
 * log, 0 if nothing was applied yet, and the floor of the history there.
 */
typedef struct MachinePosition
{
	uint64		index;
	uint64		floor;
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

/* The rows have been replaced by those of a later index. */
extern void machine_move_to(uint64 index, uint64 floor);

/* Start from the beginning of another log; the machine must be empty. */
extern void machine_forget_applied(void);

/*
 * The state as it is becomes that of a later index, with no history before it.
 * For the raft worker, while everything is applied and the apply worker is
 * about to start anew.
 */
extern void machine_jump(uint64 index);

#endif							/* STORE_MACHINE_H */
