/*-------------------------------------------------------------------------
 *
 * log_tables.c
 *	  Writing the Raft log, and the bookkeeping of its segments.
 *
 * The raft worker is the only writer, so what it once read of the segments
 * stays true until it changes it: which entries each one holds, how large its
 * files are, and where the membership entries are.  That is all that is kept
 * in memory here, for it is all that appending, truncating and compacting need
 * in order not to read the log again.
 *
 * The bookkeeping runs ahead of the transaction.  It need not be able to go
 * back: when a transaction fails, the worker ends, and the next one begins
 * with log_tables_open().
 *
 * What a crash may leave behind is what a transaction may leave behind, that
 * is: nothing by halves.  log_tables_open() checks nevertheless that the entries
 * of all segments, put in order, follow one another and the base without a gap
 * and with terms that never decrease.  A log that does not is worse than none:
 * this member would vote and acknowledge on the strength of it.
 *
 * A segment is "clean" when its files are empty, not only when it has no
 * entries: the one DELETE leaves dead rows, and no vacuum comes.  Only a clean
 * segment is moved on to, and compaction cleans those that are merely empty.
 *
 * Every function that writes ends its command, so that the next one sees, and
 * may change, what it wrote.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log_tables_private.h"

#include "access/table.h"
#include "access/xact.h"
#include "compat.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "table.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* What a row takes on its page beside its data, about. */
#define ROW_OVERHEAD	64

typedef struct Segment
{
	Oid			table;
	uint64		first;			/* 0: no entries */
	uint64		last;			/* 0: no entries */
	Size		n_bytes;		/* of its files, about; 0: clean */
} Segment;

static struct
{
	bool		is_open;
	Segment		segments[RAFT_LOG_SEGMENTS];
	int			current;		/* where entries are appended */
	uint64		base_index;
	uint64		last_index;		/* base_index <= last_index */

	/* indexes of the membership entries in the log, ascending */
	uint64	   *memberships;
	uint32		n_memberships;
	uint32		max_memberships;
} raft_log;

static void
check_open(void)
{
	if (!raft_log.is_open)
		elog(ERROR, "the Raft log is not open");
}

void
log_tables_close(void)
{
	if (raft_log.memberships != NULL)
		pfree(raft_log.memberships);
	memset(&raft_log, 0, sizeof(raft_log));
}

uint64
log_tables_last_index(void)
{
	check_open();
	return raft_log.last_index;
}

static void
remember_membership(uint64 index)
{
	if (raft_log.n_memberships == raft_log.max_memberships)
	{
		uint32		n = Max(16, raft_log.max_memberships * 2);

		/* For the life of the process, or until log_tables_close(). */
		if (raft_log.memberships == NULL)
			raft_log.memberships = MemoryContextAlloc(TopMemoryContext,
													  n * sizeof(uint64));
		else
			raft_log.memberships = repalloc(raft_log.memberships,
											n * sizeof(uint64));
		raft_log.max_memberships = n;
	}
	raft_log.memberships[raft_log.n_memberships++] = index;
}

/* The newest membership entry at or before index; 0: it is at the base. */
static uint64
membership_at(uint64 index)
{
	for (uint32 i = raft_log.n_memberships; i > 0; i--)
		if (raft_log.memberships[i - 1] <= index)
			return raft_log.memberships[i - 1];
	return 0;
}

/*
 * The current segment is the one with the newest entry.  If there is no entry
 * at all it stays where it is.
 */
static void
choose_current(void)
{
	for (int i = 0; i < RAFT_LOG_SEGMENTS; i++)
		if (raft_log.segments[i].last != 0 &&
			raft_log.segments[i].last == raft_log.last_index)
			raft_log.current = i;
}

/* The next clean segment in rotation, or -1. */
static int
next_clean_segment(void)
{
	for (int i = 1; i < RAFT_LOG_SEGMENTS; i++)
	{
		int			segment = (raft_log.current + i) % RAFT_LOG_SEGMENTS;

		if (raft_log.segments[segment].n_bytes == 0)
			return segment;
	}
	return -1;
}

bool
log_tables_is_crowded(void)
{
	check_open();
	return next_clean_segment() < 0;
}

/*
 * Opening
 */

static Size
file_size(Oid table)
{
	Relation	rel = table_open_existing(table, AccessShareLock);
	Size		size = (Size) RelationGetNumberOfBlocks(rel) * BLCKSZ;

	if (OidIsValid(rel->rd_rel->reltoastrelid))
	{
		Relation	toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);

		size += (Size) RelationGetNumberOfBlocks(toast) * BLCKSZ;
		table_close(toast, AccessShareLock);
	}
	table_close(rel, AccessShareLock);
	return size;
}

static void
locate_segments(void)
{
	for (int i = 0; i < RAFT_LOG_SEGMENTS; i++)
	{
		Segment    *segment = &raft_log.segments[i];

		segment->table = log_tables_segment_oid(i);
		segment->n_bytes = file_size(segment->table);
	}
}

static void
report_damage(uint64 previous, uint64 previous_term, const LogEntry *entry)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the Raft log is damaged"),
			 errdetail("Entry " UINT64_FORMAT " of term " UINT64_FORMAT
					   " is followed by entry " UINT64_FORMAT
					   " of term " UINT64_FORMAT ".",
					   previous, previous_term, entry->index, entry->term),
			 errhint("Remove this member from its cluster and let it join again.")));
}

static void
note_term(RaftLogContents *contents, uint32 *max_runs, const LogEntry *entry)
{
	struct raft_run *run;

	if (contents->n_runs > 0 &&
		contents->runs[contents->n_runs - 1].term == entry->term)
		return;
	if (contents->n_runs == *max_runs)
	{
		*max_runs *= 2;
		contents->runs = repalloc(contents->runs, *max_runs * sizeof(struct raft_run));
	}
	run = &contents->runs[contents->n_runs++];
	run->first = entry->index;
	run->term = entry->term;
}

static void
note_membership(RaftLogContents *contents, LogEntry *entry, Datum data)
{
	const char *problem;

	contents->previous_membership = contents->membership;
	contents->previous_membership_index = contents->membership_index;

	log_tables_fetch_payload(entry, data);
	problem = membership_decode(entry->data, entry->length, &contents->membership);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the membership in entry " UINT64_FORMAT " of the Raft log is damaged",
						entry->index),
				 errdetail_internal("%s", problem)));
	contents->membership_index = entry->index;
	remember_membership(entry->index);
}

/* Read a segment through; its entries must follow contents->last_index. */
static void
read_structure(Segment *segment, Snapshot snapshot,
			   RaftLogContents *contents, uint32 *max_runs)
{
	SegmentScan scan;
	LogEntry	entry;
	Datum		data;
	uint64		previous = contents->last_index;
	uint64		previous_term = contents->state.base_term;

	if (contents->n_runs > 0)
		previous_term = contents->runs[contents->n_runs - 1].term;

	log_tables_scan_begin(&scan, segment->table, snapshot, 0);
	while (log_tables_scan_next(&scan, &entry, &data))
	{
		if (entry.index != previous + 1 || entry.term < previous_term)
			report_damage(previous, previous_term, &entry);
		note_term(contents, max_runs, &entry);
		if (entry.kind == ENTRY_MEMBERSHIP)
			note_membership(contents, &entry, data);
		previous = entry.index;
		previous_term = entry.term;
	}
	log_tables_scan_end(&scan);

	segment->first = contents->last_index + 1;
	segment->last = previous;
	contents->last_index = previous;
}

/* The first entry of a segment, or 0. */
static uint64
first_entry(Oid table, Snapshot snapshot)
{
	SegmentScan scan;
	LogEntry	entry;
	Datum		data;
	bool		found;

	log_tables_scan_begin(&scan, table, snapshot, 0);
	found = log_tables_scan_next(&scan, &entry, &data);
	log_tables_scan_end(&scan);
	return found ? entry.index : 0;
}

void
log_tables_open(RaftLogContents *contents)
{
	uint32		max_runs = 16;
	uint64		first[RAFT_LOG_SEGMENTS];
	Snapshot	snapshot;

	log_tables_close();
	memset(contents, 0, sizeof(*contents));
	log_tables_read_state(&contents->state);
	contents->last_index = contents->state.base_index;
	contents->runs = palloc(max_runs * sizeof(struct raft_run));
	contents->membership = contents->state.base_membership;
	contents->previous_membership = contents->state.base_membership;

	locate_segments();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int i = 0; i < RAFT_LOG_SEGMENTS; i++)
		first[i] = first_entry(raft_log.segments[i].table, snapshot);

	/* Read them in the order of what they hold. */
	for (;;)
	{
		int			next = -1;

		for (int i = 0; i < RAFT_LOG_SEGMENTS; i++)
			if (first[i] != 0 && (next < 0 || first[i] < first[next]))
				next = i;
		if (next < 0)
			break;
		first[next] = 0;
		read_structure(&raft_log.segments[next], snapshot, contents, &max_runs);
	}
	UnregisterSnapshot(snapshot);

	raft_log.base_index = contents->state.base_index;
	raft_log.last_index = contents->last_index;
	choose_current();
	raft_log.is_open = true;
}

/*
 * Appending
 */

/* Move on to the next segment if it is time and there is one. */
static bool
move_on(void)
{
	Size		limit = (Size) store_log_segment_size * 1024;
	int			next;

	if (raft_log.segments[raft_log.current].n_bytes < limit)
		return false;
	next = next_clean_segment();
	if (next < 0)
		return false;
	raft_log.current = next;
	return true;
}

static void
note_appended(const LogEntry *entry)
{
	Segment    *segment = &raft_log.segments[raft_log.current];

	if (segment->first == 0)
		segment->first = entry->index;
	segment->last = entry->index;
	segment->n_bytes += entry->length + ROW_OVERHEAD;
	raft_log.last_index = entry->index;
	if (entry->kind == ENTRY_MEMBERSHIP)
		remember_membership(entry->index);
}

/* buffer: room for the largest payload and its header. */
static void
append_entry(TableWriter *writer, const LogEntry *entry, bytea *buffer)
{
	Datum		values[LOG_COLUMNS];
	bool		isnull[LOG_COLUMNS] = {false};

	SET_VARSIZE(buffer, VARHDRSZ + entry->length);
	if (entry->length > 0)		/* an empty entry has no data */
		memcpy(VARDATA(buffer), entry->data, entry->length);
	values[LOG_INDEX] = Int64GetDatum((int64) entry->index);
	values[LOG_TERM] = Int64GetDatum((int64) entry->term);
	values[LOG_KIND] = Int16GetDatum((int16) entry->kind);
	values[LOG_DATA] = PointerGetDatum(buffer);
	table_writer_insert(writer, values, isnull);
}

void
log_tables_append(const LogEntry *entries, uint32 n_entries)
{
	TableWriter *writer = NULL;
	bytea	   *buffer;
	uint32		max_length = 0;

	check_open();
	for (uint32 i = 0; i < n_entries; i++)
	{
		if (entries[i].index != raft_log.last_index + 1 + i)
			elog(ERROR, "cannot append entry " UINT64_FORMAT " to a Raft log that ends at "
				 UINT64_FORMAT, entries[i].index, raft_log.last_index + i);
		max_length = Max(max_length, entries[i].length);
	}
	buffer = palloc(VARHDRSZ + max_length);

	for (uint32 i = 0; i < n_entries; i++)
	{
		if (move_on() && writer != NULL)
		{
			table_writer_close(writer);
			writer = NULL;
		}
		if (writer == NULL)
		{
			writer = table_writer_open(raft_log.segments[raft_log.current].table,
									   RowExclusiveLock);
			table_writer_appends(writer);
		}
		append_entry(writer, &entries[i], buffer);
		note_appended(&entries[i]);
	}

	if (writer != NULL)
		table_writer_close(writer);
	pfree(buffer);
	CommandCounterIncrement();
}

/*
 * Truncating
 */

static void
delete_entries(Segment *segment, uint64 from)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableWriter *writer = table_writer_open(segment->table, RowExclusiveLock);
	SegmentScan scan;
	LogEntry	entry;
	Datum		data;

	log_tables_scan_begin(&scan, segment->table, snapshot, from);
	while (log_tables_scan_next(&scan, &entry, &data))
		table_writer_delete(writer, &scan.slot->tts_tid);
	log_tables_scan_end(&scan);
	table_writer_close(writer);
	UnregisterSnapshot(snapshot);
}

void
log_tables_truncate(uint64 from)
{
	check_open();
	if (from <= raft_log.base_index)
		elog(ERROR, "cannot truncate a Raft log that begins after entry " UINT64_FORMAT
			 " from entry " UINT64_FORMAT " on", raft_log.base_index, from);
	if (from > raft_log.last_index)
		return;

	for (int i = 0; i < RAFT_LOG_SEGMENTS; i++)
	{
		Segment    *segment = &raft_log.segments[i];

		if (segment->last < from)
			continue;
		delete_entries(segment, from);
		segment->last = from - 1;
		if (segment->first >= from)
			segment->first = segment->last = 0;
	}
	while (raft_log.n_memberships > 0 &&
		   raft_log.memberships[raft_log.n_memberships - 1] >= from)
		raft_log.n_memberships--;
	raft_log.last_index = from - 1;
	choose_current();
	CommandCounterIncrement();
}

/*
 * Compacting
 */

/*
 * Lock a table and its indexes, adding each to *locked, unless somebody is
 * using one of them.
 */
static bool
lock_with_indexes(Oid table, List **locked, Oid *toast_table)
{
	Relation	rel;
	List	   *indexes;
	ListCell   *lc;

	if (!ConditionalLockRelationOid(table, AccessExclusiveLock))
		return false;
	*locked = lappend_oid(*locked, table);

	rel = table_open_existing(table, NoLock);
	*toast_table = rel->rd_rel->reltoastrelid;
	indexes = RelationGetIndexList(rel);
	table_close(rel, NoLock);

	foreach(lc, indexes)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessExclusiveLock))
			return false;
		*locked = lappend_oid(*locked, lfirst_oid(lc));
	}
	return true;
}

/*
 * Lock everything that TRUNCATE of this table locks, or nothing: a reader in
 * the middle of a query is no reason to keep a leader from sending heartbeats.
 */
static bool
lock_at_once(Oid table)
{
	List	   *locked = NIL;
	Oid			toast_table;
	Oid			none;
	ListCell   *lc;

	if (lock_with_indexes(table, &locked, &toast_table) &&
		(!OidIsValid(toast_table) ||
		 lock_with_indexes(toast_table, &locked, &none)))
		return true;

	foreach(lc, locked)
		UnlockRelationOid(lfirst_oid(lc), AccessExclusiveLock);
	return false;
}

/* The caller holds the lock. */
static void
empty_segment(int number)
{
	Segment    *segment = &raft_log.segments[number];
	char		command[64];

	snprintf(command, sizeof(command), "TRUNCATE %s.raft_log_%d", STORE_SCHEMA, number);
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not empty a segment of the Raft log");
	SPI_finish();

	segment->first = segment->last = 0;
	segment->n_bytes = 0;
}

/* Segments without entries, but with what a truncation left in their files. */
static void
clean_empty_segments(void)
{
	for (int i = 0; i < RAFT_LOG_SEGMENTS; i++)
	{
		Segment    *segment = &raft_log.segments[i];

		if (i != raft_log.current && segment->first == 0 &&
			segment->n_bytes > 0 && lock_at_once(segment->table))
			empty_segment(i);
	}
}

/*
 * The segment that begins after entry "base", if it can be emptied; -1 if not.
 */
static int
oldest_segment(uint64 base, uint64 up_to)
{
	for (int i = 0; i < RAFT_LOG_SEGMENTS; i++)
	{
		Segment    *segment = &raft_log.segments[i];

		if (segment->first == base + 1)
			return (i != raft_log.current && segment->last <= up_to &&
					lock_at_once(segment->table)) ? i : -1;
	}
	return -1;
}

static void
read_one(uint64 index, LogEntry *entry)
{
	RaftLogReader *reader = log_tables_reader_create();
	uint32		n;

	PushActiveSnapshot(GetLatestSnapshot());
	n = log_tables_read(reader, index, index, 1, MaxAllocSize, entry);
	PopActiveSnapshot();
	pfree(reader);
	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the Raft log is damaged"),
				 errdetail("Entry " UINT64_FORMAT " is missing.", index)));
}

/* Make base_index, which is still in the log, its base. */
static void
move_base(uint64 base_index, uint64 base_term)
{
	uint64		membership_index = membership_at(base_index);
	uint32		n_gone = 0;
	LogEntry	membership;

	if (membership_index != 0)
		read_one(membership_index, &membership);
	log_tables_save_base(base_index, base_term,
					   membership_index != 0 ? &membership : NULL);

	while (n_gone < raft_log.n_memberships &&
		   raft_log.memberships[n_gone] <= base_index)
		n_gone++;
	raft_log.n_memberships -= n_gone;
	if (n_gone > 0)
		memmove(raft_log.memberships, raft_log.memberships + n_gone,
				raft_log.n_memberships * sizeof(uint64));
	raft_log.base_index = base_index;
}

uint64
log_tables_compact(uint64 up_to, uint64 *base_term)
{
	int			emptied[RAFT_LOG_SEGMENTS];
	int			n_emptied = 0;
	uint64		base_index = raft_log.base_index;
	LogEntry	base;
	int			oldest;

	check_open();
	clean_empty_segments();
	while ((oldest = oldest_segment(base_index, up_to)) >= 0)
	{
		emptied[n_emptied++] = oldest;
		base_index = raft_log.segments[oldest].last;
	}
	if (n_emptied == 0)
		return 0;

	read_one(base_index, &base);
	move_base(base_index, base.term);
	for (int i = 0; i < n_emptied; i++)
		empty_segment(emptied[i]);
	CommandCounterIncrement();

	*base_term = base.term;
	return base_index;
}

uint64
log_tables_overflow(int times)
{
	Size		limit = (Size) store_log_segment_size * 1024 * times;

	check_open();
	if (raft_log.segments[raft_log.current].n_bytes < limit || !log_tables_is_crowded())
		return 0;
	for (int i = 0; i < RAFT_LOG_SEGMENTS; i++)
	{
		if (raft_log.segments[i].first == raft_log.base_index + 1)
			return raft_log.segments[i].last;
	}
	return 0;
}

/*
 * Waits for no reader: where one is in the way of TRUNCATE, the rows are
 * deleted one by one.
 */
static void
empty_all_segments(void)
{
	log_tables_close();
	locate_segments();
	for (int i = 0; i < RAFT_LOG_SEGMENTS; i++)
	{
		if (raft_log.segments[i].n_bytes == 0)
			continue;
		if (lock_at_once(raft_log.segments[i].table))
			empty_segment(i);
		else
			delete_entries(&raft_log.segments[i], 0);
	}
	CommandCounterIncrement();
}

void
log_tables_replace(uint64 base_index, uint64 base_term,
				   const char *membership, uint32 length)
{
	LogEntry	entry = {.data = membership, .length = length};

	empty_all_segments();
	log_tables_save_base(base_index, base_term, &entry);
	log_tables_close();
}

void
log_tables_reset(const RaftState *state)
{
	empty_all_segments();
	log_tables_save_state(state);

	raft_log.base_index = state->base_index;
	raft_log.last_index = state->base_index;
	raft_log.is_open = true;
}
