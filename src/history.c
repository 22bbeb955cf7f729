/*-------------------------------------------------------------------------
 *
 * history.c
 *	  The retained history: store.events, in segments used in rotation.
 *
 * The apply worker is the only writer, so what it once read of the segments
 * stays true until it changes it: which indexes each one holds, when its first
 * event was, and how large its files are.  As in log_tables.c this runs ahead
 * of the transaction and need not be able to go back, because a transaction
 * that fails ends the worker.
 *
 * An event carries the object as it was before ("previous") and since when it
 * was so ("previous_version").  So the state of a key at index X is found
 * without looking below X: it is the previous object of the key's first event
 * after X, or, if there is none, the current row.  That is why a segment can
 * go as soon as its last event is at or below the floor, and why nobody who
 * reads at the floor or above can miss it.
 *
 * TRUNCATE is not kept from older snapshots.  Whoever reads the past therefore
 * looks at progress->history_gone after it has read: the sweep writes it
 * before it empties anything.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "history.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "status.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "table.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/*
 * A segment is full at this part of store.history_size, or when its first
 * event is this part of store.history_retention old.  With fewer parts than
 * segments there is always one being emptied and one to move on to.
 */
#define PARTS	(HISTORY_SEGMENTS - 2)

/* The size of the current segment is looked up once in so many batches. */
#define BATCHES_PER_LOOK	16

typedef struct Segment
{
	Oid			table;
	uint64		first;			/* 0: no events */
	uint64		last;			/* 0: no events */
	TimestampTz first_time;		/* of its first event */
	Size		n_bytes;		/* of its files; 0: clean */
} Segment;

static struct
{
	Segment		segments[HISTORY_SEGMENTS];
	int			current;		/* where events are added */
	uint32		n_batches;		/* since the size of its files was looked up */
	TableWriter *writer;		/* during a batch; NULL until needed */
}			history;

static const char *const segment_names[HISTORY_SEGMENTS] = {
	"events_0", "events_1", "events_2", "events_3",
	"events_4", "events_5", "events_6", "events_7"
};

const char *
history_segment_name(int segment)
{
	return segment_names[segment];
}

/* ------------------------------------------------------------------------
 * What the segments hold
 * ------------------------------------------------------------------------
 */

static Size
files_of(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	Size		blocks = RelationGetNumberOfBlocks(rel);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		blocks += RelationGetNumberOfBlocks(index);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return blocks * BLCKSZ;
}

/*
 * An empty index has a page, so the size of a clean segment is not 0 there;
 * heap and TOAST table decide whether it is clean.
 */
static Size
segment_size(Oid table)
{
	Relation	rel = table_open_existing(table, AccessShareLock);
	Size		size = files_of(rel);
	bool		clean = RelationGetNumberOfBlocks(rel) == 0;

	if (OidIsValid(rel->rd_rel->reltoastrelid))
	{
		Relation	toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);

		size += files_of(toast);
		clean = clean && RelationGetNumberOfBlocks(toast) == 0;
		table_close(toast, AccessShareLock);
	}
	table_close(rel, AccessShareLock);
	return clean ? 0 : size;
}

static void
read_extent(Segment *segment, const char *name)
{
	char	   *query;
	bool		isnull;
	HeapTuple	row;
	TupleDesc	desc;

	query = psprintf("SELECT resource_version, at FROM %s.%s"
					 " ORDER BY resource_version LIMIT 1", STORE_SCHEMA, name);
	segment->first = segment->last = 0;
	SPI_connect();
	if (SPI_execute(query, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read table \"%s\"", name);
	if (SPI_processed == 1)
	{
		row = SPI_tuptable->vals[0];
		desc = SPI_tuptable->tupdesc;
		segment->first = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		segment->first_time = DatumGetTimestampTz(SPI_getbinval(row, desc, 2, &isnull));

		query = psprintf("SELECT max(resource_version) FROM %s.%s", STORE_SCHEMA, name);
		if (SPI_execute(query, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
			elog(ERROR, "could not read table \"%s\"", name);
		segment->last = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
													SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
}

void
history_open(void)
{
	uint64		newest = 0;

	memset(&history, 0, sizeof(history));
	for (int i = 0; i < HISTORY_SEGMENTS; i++)
	{
		Segment    *segment = &history.segments[i];

		segment->table = table_oid(segment_names[i]);
		segment->n_bytes = segment_size(segment->table);
		if (segment->n_bytes > 0)
			read_extent(segment, segment_names[i]);
		if (segment->last > newest)
		{
			newest = segment->last;
			history.current = i;
		}
	}
}

/* The segment with the oldest events above "after", or NULL. */
static Segment *
next_segment(uint64 after)
{
	Segment    *next = NULL;

	for (int i = 0; i < HISTORY_SEGMENTS; i++)
	{
		Segment    *segment = &history.segments[i];

		if (segment->first > after && (next == NULL || segment->first < next->first))
			next = segment;
	}
	return next;
}

/* ------------------------------------------------------------------------
 * Adding events
 * ------------------------------------------------------------------------
 */

static bool
is_full(const Segment *segment, TimestampTz time)
{
	if (segment->first == 0)
		return false;
	if (segment->n_bytes >= (Size) store_history_size * 1024 / PARTS)
		return true;
	return store_history_retention >= 0 &&
		time - segment->first_time >= (int64) store_history_retention * USECS_PER_SEC / PARTS;
}

/* Move on to the next segment if it is time and there is a clean one. */
static void
move_on(TimestampTz time)
{
	if (!is_full(&history.segments[history.current], time))
		return;
	for (int i = 1; i < HISTORY_SEGMENTS; i++)
	{
		int			next = (history.current + i) % HISTORY_SEGMENTS;

		if (history.segments[next].n_bytes == 0)
		{
			history.current = next;
			return;
		}
	}
}

void
history_begin(void)
{
	history.writer = NULL;
}

void
history_add(Datum *values, bool *isnull)
{
	uint64		index = DatumGetInt64(values[EVENTS_RESOURCE_VERSION]);
	TimestampTz time = DatumGetTimestampTz(values[EVENTS_AT]);
	Segment    *segment;

	if (history.writer == NULL)
	{
		move_on(time);
		history.writer = table_writer_open(history.segments[history.current].table,
										   RowExclusiveLock);
		table_writer_appends(history.writer);
	}
	segment = &history.segments[history.current];
	if (segment->first == 0)
	{
		segment->first = index;
		segment->first_time = time;
	}
	segment->last = index;
	table_writer_insert(history.writer, values, isnull);
}

void
history_end(void)
{
	Segment    *segment = &history.segments[history.current];

	if (history.writer == NULL)
		return;
	table_writer_close(history.writer);
	history.writer = NULL;
	if (segment->n_bytes == 0 || ++history.n_batches >= BATCHES_PER_LOOK)
	{
		segment->n_bytes = Max(segment_size(segment->table), BLCKSZ);
		history.n_batches = 0;
	}
}

/* ------------------------------------------------------------------------
 * Emptying segments
 * ------------------------------------------------------------------------
 */

/*
 * Nothing in it is above the floor, and it is not clean.  (It may have no
 * events: what a failed transaction wrote is still in its files.)
 */
static bool
is_waste(int number, uint64 floor)
{
	const Segment *segment = &history.segments[number];

	return number != history.current && segment->n_bytes > 0 && segment->last <= floor;
}

bool
history_is_waste(uint64 floor)
{
	for (int i = 0; i < HISTORY_SEGMENTS; i++)
	{
		if (is_waste(i, floor))
			return true;
	}
	return false;
}

/*
 * Lock everything that TRUNCATE locks beside the TOAST table, which nobody
 * reaches but through its table; or nothing: the state machine must not wait
 * for a reader.
 */
static bool
lock_at_once(Oid table)
{
	Relation	rel;
	List	   *indexes;
	ListCell   *lc;
	bool		locked = true;

	if (!ConditionalLockRelationOid(table, AccessExclusiveLock))
		return false;
	rel = table_open_existing(table, NoLock);
	indexes = RelationGetIndexList(rel);
	table_close(rel, NoLock);

	/* What is locked by then stays so until the end of this short transaction. */
	foreach(lc, indexes)
		locked = locked && ConditionalLockRelationOid(lfirst_oid(lc), AccessExclusiveLock);
	return locked;
}

static void
empty_segment(int number)
{
	Segment    *segment = &history.segments[number];
	char	   *command = psprintf("TRUNCATE %s.%s", STORE_SCHEMA, segment_names[number]);

	SPI_connect();
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not empty a segment of the history");
	SPI_finish();

	segment->first = segment->last = 0;
	segment->n_bytes = 0;
}

void
history_sweep(uint64 floor)
{
	for (int i = 0; i < HISTORY_SEGMENTS; i++)
	{
		Segment    *segment = &history.segments[i];

		if (!is_waste(i, floor) || !lock_at_once(segment->table))
			continue;
		if (segment->last > pg_atomic_read_u64(&progress->history_gone))
			pg_atomic_write_u64(&progress->history_gone, segment->last);
		empty_segment(i);
	}
}

/* ------------------------------------------------------------------------
 * How much to keep
 * ------------------------------------------------------------------------
 */

/*
 * Up to where the history must go for the rest to fit into the limit.  The
 * bytes of a segment are taken as spread evenly over its indexes.
 */
static uint64
floor_by_size(void)
{
	Size		limit = (Size) store_history_size * 1024;
	Size		total = 0;
	Size		excess;
	uint64		floor = 0;
	Segment    *segment;

	for (int i = 0; i < HISTORY_SEGMENTS; i++)
		total += history.segments[i].n_bytes;
	excess = total > limit ? total - limit : 0;

	while (excess > 0 && (segment = next_segment(floor)) != NULL)
	{
		if (segment->n_bytes > excess)
			return segment->first +
				(uint64) ((segment->last - segment->first) *
						  ((double) excess / segment->n_bytes));
		excess -= segment->n_bytes;
		floor = segment->last;
	}
	return floor;
}

/*
 * The first event after an index: its own index, 0 if there is none, and its
 * time.
 */
static uint64
event_after(SPIPlanPtr plan, uint64 index, TimestampTz *time)
{
	Datum		arg = Int64GetDatum((int64) index);
	HeapTuple	row;
	TupleDesc	desc;
	uint64		result;
	bool		isnull;

	if (SPI_execute_plan(plan, &arg, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the history");
	if (SPI_processed == 0)
		return 0;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	result = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	*time = DatumGetTimestampTz(SPI_getbinval(row, desc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return result;
}

/*
 * The newest index above "floor" whose event is older than the cutoff.  Times
 * come from the proposers' clocks and so are in order only about; a search
 * that halves the range finds a place where they pass the cutoff.
 */
static uint64
floor_by_time(uint64 floor, TimestampTz cutoff)
{
	Oid			type = INT8OID;
	SPIPlanPtr	plan;
	uint64		low = floor;	/* the answer is here or above */
	uint64		high = history.segments[history.current].last;	/* or here, or below */

	SPI_connect();
	plan = SPI_prepare("SELECT resource_version, at FROM store.events"
					   " WHERE resource_version > $1 ORDER BY resource_version LIMIT 1",
					   1, &type);
	if (plan == NULL)
		elog(ERROR, "could not prepare a query on the history");
	while (low < high)
	{
		uint64		middle = low + (high - low) / 2;
		TimestampTz time = 0;
		uint64		found = event_after(plan, middle, &time);

		if (found != 0 && found <= high && time <= cutoff)
			low = found;
		else
			high = middle;
	}
	SPI_finish();
	return low;
}

uint64
history_wanted_floor(uint64 floor, TimestampTz now)
{
	uint64		wanted = Max(floor, floor_by_size());

	if (store_history_retention >= 0)
		wanted = floor_by_time(wanted,
							   now - (int64) store_history_retention * USECS_PER_SEC);
	return wanted;
}
