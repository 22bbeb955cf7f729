/*-------------------------------------------------------------------------
 *
 * history.h
 *	  The retained history: store.events, in segments used in rotation.
 *
 * store.events is a parent table without rows of its own.  Its children
 * store.events_0 .. _7 are filled one after the other: events are inserted
 * into one until it is large or old enough, then into the next, which must be
 * empty.  A segment that lies wholly at or below the floor is emptied by
 * TRUNCATE, so the history needs no vacuum and leaves no bloat.
 *
 * The floor is the lowest index at which the past can be read: state at index
 * X is known for every X >= floor.  It moves by a replicated command, so it is
 * the same on every member at the same index.  When a segment is emptied is
 * each member's own affair; rows below the floor may or may not be there.
 *
 * Only the apply worker writes, inside its own transactions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "store.h"
#include "utils/timestamp.h"

#define HISTORY_SEGMENTS 8

/* Columns of store.events and its children, counted from 0. */
enum
{
	EVENTS_RESOURCE_VERSION,
	EVENTS_TYPE,
	EVENTS_KEY,					/* five columns */
	EVENTS_OBJECT = EVENTS_KEY + 5,
	EVENTS_REASON,
	EVENTS_AT,
	EVENTS_ORDINAL,
	EVENTS_PREVIOUS,
	EVENTS_PREVIOUS_VERSION,
	EVENTS_COLUMNS
};

/* The name of a child; static. */
extern const char *history_segment_name(int segment);

/* Look what the segments hold; the first call of all, in a transaction. */
extern void history_open(void);

/*
 * Events of one batch.  Values as for table_writer_insert(); they are copied.
 */
extern void history_begin(void);
extern void history_add(Datum *values, bool *isnull);
extern void history_end(void);

/*
 * Empty the segments at or below the floor that nobody is reading; their
 * indexes are published (progress->history_gone) before the rows go.  Says
 * with history_is_waste() whether there are any.
 */
extern bool history_is_waste(uint64 floor);
extern void history_sweep(uint64 floor);

/*
 * The floor that store.history_retention and store.history_size would have:
 * nothing above it is older than the one, nor is there more of it than the
 * other.  Not lower than "floor".
 */
extern uint64 history_wanted_floor(uint64 floor, TimestampTz now);

#endif							/* STORE_HISTORY_H */
