/*-------------------------------------------------------------------------
 *
 * log_tables_read.c
 *	  Reading entries out of the Raft log.
 *
 * A reader asks a segment for entry N and gets it, and what follows, by the
 * primary key; or the segment does not have it, and the next is asked.  It
 * remembers only which segment answered last.  So nothing it knows can be
 * outdated by what the raft worker does meanwhile, and all it relies on is its
 * snapshot:
 *
 * - Entries appended, or replaced after a conflict, by transactions that the
 *	 snapshot does not see, do not exist for it.
 * - TRUNCATE empties a segment under every snapshot, but only of entries that
 *	 everybody has done with.  What the segment is filled with afterwards is
 *	 newer than the snapshot, so it looks empty, and the next one is asked.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log_tables_private.h"

#include "access/detoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "compat.h"
#include "fmgr.h"
#include "table.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

struct RaftLogReader
{
	Oid			segments[RAFT_LOG_SEGMENTS];	/* looked up when first needed */
	int			segment;		/* which answered last */
};

/* What one call of log_tables_read() has to do and has done. */
typedef struct Batch
{
	uint64		next;			/* the entry wanted next */
	uint64		to;
	uint32		n_entries;
	uint32		max_entries;
	Size		n_bytes;
	Size		max_bytes;
	LogEntry   *entries;
	bool		full;
} Batch;

Oid
log_tables_segment_oid(int segment)
{
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), "raft_log_%d", segment);
	return table_oid(name);
}

void
log_tables_scan_begin(SegmentScan *scan, Oid table, Snapshot snapshot, uint64 from)
{
	ScanKeyData key;

	ScanKeyInit(&key, LOG_INDEX + 1, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum((int64) from));

	scan->table = table_open_existing(table, AccessShareLock);
	scan->primary_key = index_open(table_primary_key(scan->table), AccessShareLock);
	scan->slot = table_slot_create(scan->table, NULL);
	scan->scan = index_beginscan(scan->table, scan->primary_key, snapshot, NULL, 1, 0);
	index_rescan(scan->scan, &key, 1, NULL, 0);
}

bool
log_tables_scan_next(SegmentScan *scan, LogEntry *entry, Datum *data)
{
	TupleTableSlot *slot = scan->slot;

	if (!index_getnext_slot(scan->scan, ForwardScanDirection, slot))
		return false;
	slot_getallattrs(slot);
	entry->index = DatumGetInt64(slot->tts_values[LOG_INDEX]);
	entry->term = DatumGetInt64(slot->tts_values[LOG_TERM]);
	entry->kind = (EntryKind) DatumGetInt16(slot->tts_values[LOG_KIND]);
	*data = slot->tts_values[LOG_DATA];
	entry->length = toast_raw_datum_size(*data) - VARHDRSZ;
	entry->data = NULL;
	return true;
}

void
log_tables_scan_end(SegmentScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->primary_key, AccessShareLock);
	table_close(scan->table, AccessShareLock);
}

/*
 * Fetch a payload that is stored out of line, uncompressed, without the copy
 * that detoast_attr() followed by an aligned one would take: the varlena goes
 * where its contents, behind the header of 4 bytes, are aligned.
 */
static const char *
fetch_external(struct varlena *stored)
{
	struct varatt_external pointer;
	Relation	toast_table;
	struct varlena *result;
	Size		length;

	VARATT_EXTERNAL_GET_POINTER(pointer, stored);
	length = VARATT_EXTERNAL_GET_EXTSIZE(pointer);

	result = (struct varlena *)
		((char *) palloc(MAXALIGN(VARHDRSZ) + length) + MAXALIGN(VARHDRSZ) - VARHDRSZ);
	SET_VARSIZE(result, VARHDRSZ + length);

	toast_table = table_open(pointer.va_toastrelid, AccessShareLock);
	table_relation_fetch_toast_slice(toast_table, pointer.va_valueid,
									 length, 0, length, result);
	table_close(toast_table, AccessShareLock);
	return VARDATA(result);
}

void
log_tables_fetch_payload(LogEntry *entry, Datum data)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(data);
	struct varlena *plain = stored;
	char	   *copy;

	if (VARATT_IS_EXTERNAL_ONDISK(stored))
	{
		struct varatt_external pointer;

		VARATT_EXTERNAL_GET_POINTER(pointer, stored);
		if (!VARATT_EXTERNAL_IS_COMPRESSED(pointer))
		{
			entry->data = fetch_external(stored);
			return;
		}
	}

	/* Compressed only if somebody changed the column's storage. */
	if (VARATT_IS_EXTENDED(stored) && !VARATT_IS_SHORT(stored))
		plain = detoast_attr(stored);
	copy = palloc(entry->length);
	memcpy(copy, VARDATA_ANY(plain), entry->length);
	entry->data = copy;
	if (plain != stored)
		pfree(plain);
}

RaftLogReader *
log_tables_reader_create(void)
{
	return palloc0(sizeof(RaftLogReader));
}

/*
 * Take as much of the batch from this segment as it has, which is nothing if
 * the entry wanted next is not in it.
 */
static void
read_segment(Oid table, Batch *batch)
{
	SegmentScan scan;
	LogEntry	entry;
	Datum		data;

	log_tables_scan_begin(&scan, table, GetActiveSnapshot(), batch->next);
	while (!batch->full && log_tables_scan_next(&scan, &entry, &data))
	{
		if (entry.index != batch->next)
			break;
		if (batch->n_entries > 0 && batch->n_bytes + entry.length > batch->max_bytes)
		{
			batch->full = true;
			break;
		}
		log_tables_fetch_payload(&entry, data);
		batch->entries[batch->n_entries++] = entry;
		batch->n_bytes += entry.length;
		batch->next++;
		batch->full = batch->n_entries == batch->max_entries ||
			batch->next > batch->to;
	}
	log_tables_scan_end(&scan);
}

uint32
log_tables_read(RaftLogReader *reader, uint64 from, uint64 to,
			  uint32 max_entries, Size max_bytes, LogEntry *entries)
{
	Batch		batch = {0};
	int			segment = reader->segment;
	int			n_untried = RAFT_LOG_SEGMENTS;

	batch.next = from;
	batch.to = to;
	batch.max_entries = max_entries;
	batch.max_bytes = max_bytes;
	batch.entries = entries;
	batch.full = max_entries == 0 || from > to;

	if (!OidIsValid(reader->segments[0]))
	{
		for (int i = RAFT_LOG_SEGMENTS - 1; i >= 0; i--)
			reader->segments[i] = log_tables_segment_oid(i);
	}

	while (!batch.full && n_untried > 0)
	{
		uint64		next = batch.next;

		read_segment(reader->segments[segment], &batch);
		n_untried--;
		if (batch.next != next)
		{
			/* The rest, if there is more, is in any of the others. */
			reader->segment = segment;
			n_untried = RAFT_LOG_SEGMENTS - 1;
		}
		segment = (segment + 1) % RAFT_LOG_SEGMENTS;
	}
	return batch.n_entries;
}
