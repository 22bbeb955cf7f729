/*-------------------------------------------------------------------------
 *
 * table.c
 *	  Rows in and out of the store's own tables, below the executor.
 *
 * The store writes the same few tables all day, in shapes it knows at compile
 * time.  Parsing, planning and starting an executor per row would cost more
 * than the rows.  So rows go straight to the table access method and the
 * indexes: as COPY does for inserts (copyfrom.c), as the apply worker of
 * logical replication does for changes by key (execReplication.c).
 *
 * What this leaves out of an INSERT or UPDATE:
 *
 * - Constraints.  NOT NULL and CHECK are not evaluated; the writer is trusted
 *	 to know its tables.  Unique indexes do their work.
 * - Triggers, ours that keep users away among them.  A replicated table must
 *	 be the same on every member, so a local trigger has no say in it.
 * - Rules, row security, privileges.  Users have none of them to offer here.
 *
 * Indexes that an operator added, partial or on expressions, are maintained
 * like ours; hence the executor's own routine for it and the EState it wants.
 * The table is in no range table, so an update cannot say which columns it
 * changed, and every index is given the hint that its key did not: which is
 * true of ours (nothing updates a key), and for others costs at most a look
 * for duplicates when a leaf page is full.
 *
 * No BulkInsertState: its ring of buffers is there to keep bulk loads from
 * flooding the buffer pool, but what we write is read again at once.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "table.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "compat.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* As many rows, or bytes, as COPY gathers. */
#define MAX_GATHERED_ROWS	1000
#define MAX_GATHERED_BYTES	65535

/* Pages added at once to a table that only grows, and how much of it that may be. */
#define RESERVED_PAGES		32
#define RESERVED_PART		16

/* How much longer a row's next version may be and still find room in its page. */
#define ROOM_TO_GROW		128

struct TableWriter
{
	Relation	rel;
	EState	   *estate;			/* its query context holds all of this */
	ResultRelInfo *info;		/* with the open indexes */

	/* rows gathered: the first n_rows of the slots made so far */
	TupleTableSlot *slots[MAX_GATHERED_ROWS];
	int			n_slots;
	int			n_rows;
	Size		n_bytes;
	bool		appends;		/* only inserts into this table */

	TupleTableSlot *changed;	/* for update; NULL until needed */

	/* find: a scan of the index it was last used with, or NULL */
	TupleTableSlot *found;
	ItemPointerData root;		/* where the index said that "found" is */
	BlockNumber n_blocks;		/* at the first fetch; invalid before */
	IndexScanDesc scan;
	ScanKeyData keys[INDEX_MAX_KEYS];	/* without arguments */
};

static void
report_dropped(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the extension was dropped")));
}

Oid
table_oid(const char *name)
{
	Oid			namespace = get_namespace_oid(STORE_SCHEMA, true);
	Oid			table = InvalidOid;

	if (OidIsValid(namespace))
		table = get_relname_relid(name, namespace);
	if (!OidIsValid(table))
		report_dropped();
	return table;
}

Relation
table_open_existing(Oid table, LOCKMODE lockmode)
{
	Relation	rel = try_table_open(table, lockmode);

	if (rel == NULL)
		report_dropped();
	return rel;
}

/*
 * The relcache knows it, once it has looked at the indexes.  (Its function for
 * this has changed its arguments between versions.)
 */
Oid
table_primary_key(Relation table)
{
	if (!table->rd_indexvalid)
		list_free(RelationGetIndexList(table));
	return table->rd_pkindex;
}

TableWriter *
table_writer_open(Oid table, LOCKMODE lockmode)
{
	Relation	rel = table_open_existing(table, lockmode);
	EState	   *estate = CreateExecutorState();
	MemoryContext oldcontext = MemoryContextSwitchTo(estate->es_query_cxt);
	TableWriter *writer;

	/* Not zeroed as a whole: most of it is the array of slots. */
	writer = palloc(sizeof(TableWriter));
	writer->rel = rel;
	writer->estate = estate;
	writer->info = makeNode(ResultRelInfo);
	writer->n_slots = 0;
	writer->n_rows = 0;
	writer->n_bytes = 0;
	writer->appends = false;
	writer->changed = NULL;
	writer->found = NULL;
	writer->n_blocks = InvalidBlockNumber;
	writer->scan = NULL;

	InitResultRelInfo(writer->info, rel, 0, NULL, 0);
	ExecOpenIndices(writer->info, false);

	MemoryContextSwitchTo(oldcontext);
	return writer;
}

void
table_writer_close(TableWriter *writer)
{
	Relation	rel = writer->rel;
	EState	   *estate = writer->estate;

	table_writer_flush(writer);
	if (writer->scan != NULL)
		index_endscan(writer->scan);
	ExecCloseIndices(writer->info);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
}

Relation
table_writer_relation(TableWriter *writer)
{
	return writer->rel;
}

static TupleTableSlot *
make_slot(TableWriter *writer)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(writer->estate->es_query_cxt);
	TupleTableSlot *slot;

	slot = table_slot_create(writer->rel, &writer->estate->es_tupleTable);
	MemoryContextSwitchTo(oldcontext);
	return slot;
}

/* Make the slot hold a copy of the row. */
static void
fill_slot(TupleTableSlot *slot, Datum *values, bool *isnull)
{
	int			n_columns = slot->tts_tupleDescriptor->natts;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, n_columns * sizeof(Datum));
	memcpy(slot->tts_isnull, isnull, n_columns * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	ExecMaterializeSlot(slot);
}

/* Runs in the per-tuple context, which the caller resets. */
static void
insert_index_entries(TableWriter *writer, TupleTableSlot *slot,
					 bool update, bool only_summarizing)
{
	List	   *deferred;

	if (writer->info->ri_NumIndices == 0)
		return;
	deferred = ExecInsertIndexTuples(writer->info, slot, writer->estate,
									 update, false, NULL, NIL, only_summarizing);

	/* Somebody added a deferrable constraint; there is no one to check it. */
	list_free(deferred);
}

void
table_writer_insert(TableWriter *writer, Datum *values, bool *isnull)
{
	if (writer->n_rows == writer->n_slots)
		writer->slots[writer->n_slots++] = make_slot(writer);
	fill_slot(writer->slots[writer->n_rows++], values, isnull);
	writer->n_bytes += heap_compute_data_size(RelationGetDescr(writer->rel),
											  values, isnull);

	if (writer->n_rows == MAX_GATHERED_ROWS ||
		writer->n_bytes >= MAX_GATHERED_BYTES)
		table_writer_flush(writer);
}

void
table_writer_appends(TableWriter *writer)
{
	writer->appends = true;
}

/*
 * Before version 16, PostgreSQL adds a page to a table by writing zeros to its
 * file, one page at a time, and once more when it is evicted: a fifth of the
 * work of inserting events.  So where the rows gathered would need a new page,
 * we add many, as an index of hashes does: only the last one is written, and
 * what is before it is a hole in the file until it is.  The pages are made in
 * the buffers, and the free space map leads there.
 */
static void
reserve_pages(TableWriter *writer)
{
#if PG_VERSION_NUM < 160000
	Relation	rel = writer->rel;
	BlockNumber target = RelationGetTargetBlock(rel);
	BlockNumber n_blocks;
	BlockNumber n_more;
	PGAlignedBlock zeros;

	if (!writer->appends || rel->rd_tableam != GetHeapamTableAmRoutine() ||
		target == InvalidBlockNumber)
		return;
	n_blocks = RelationGetNumberOfBlocks(rel);
	n_more = Min(RESERVED_PAGES, n_blocks / RESERVED_PART);
	if (n_more == 0 || target + 1 + writer->n_bytes / BLCKSZ < n_blocks)
		return;

	LockRelationForExtension(rel, ExclusiveLock);
	n_blocks = RelationGetNumberOfBlocks(rel);
	memset(zeros.data, 0, BLCKSZ);
	smgrextend(RelationGetSmgr(rel), MAIN_FORKNUM, n_blocks + n_more - 1, zeros.data, false);
	UnlockRelationForExtension(rel, ExclusiveLock);

	for (BlockNumber block = n_blocks; block < n_blocks + n_more; block++)
	{
		Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK,
												NULL);

		PageInit(BufferGetPage(buffer), BLCKSZ, 0);
		MarkBufferDirty(buffer);
		UnlockReleaseBuffer(buffer);
		RecordPageWithFreeSpace(rel, block, BLCKSZ - SizeOfPageHeaderData);
	}
	FreeSpaceMapVacuumRange(rel, n_blocks, n_blocks + n_more);
#endif
}

void
table_writer_flush(TableWriter *writer)
{
	EState	   *estate = writer->estate;
	MemoryContext oldcontext;

	if (writer->n_rows == 0)
		return;

	/* The table access method may leave things in the current context. */
	oldcontext = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
	reserve_pages(writer);
	table_multi_insert(writer->rel, writer->slots, writer->n_rows,
					   GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < writer->n_rows; i++)
	{
		insert_index_entries(writer, writer->slots[i], false, false);
		ExecClearTuple(writer->slots[i]);
	}
	MemoryContextSwitchTo(oldcontext);
	ResetPerTupleExprContext(estate);

	writer->n_rows = 0;
	writer->n_bytes = 0;
}

bool
table_writer_update(TableWriter *writer, ItemPointer tid,
					Datum *values, bool *isnull)
{
	EState	   *estate = writer->estate;
	MemoryContext oldcontext;
	TU_UpdateIndexes update_indexes;

	table_writer_flush(writer);
	if (writer->changed == NULL)
		writer->changed = make_slot(writer);
	fill_slot(writer->changed, values, isnull);

	oldcontext = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
	simple_table_tuple_update(writer->rel, tid, writer->changed,
							  GetActiveSnapshot(), &update_indexes);
	if (update_indexes != TU_None)
		insert_index_entries(writer, writer->changed, true,
							 UPDATE_ONLY_SUMMARIZING(update_indexes));
	MemoryContextSwitchTo(oldcontext);
	ResetPerTupleExprContext(estate);
	ExecClearTuple(writer->changed);
	return update_indexes == TU_None;
}

void
table_writer_delete(TableWriter *writer, ItemPointer tid)
{
	table_writer_flush(writer);
	simple_table_tuple_delete(writer->rel, tid, GetActiveSnapshot());
}

Relation
table_writer_index(TableWriter *writer, const char *name)
{
	for (int i = 0; i < writer->info->ri_NumIndices; i++)
	{
		Relation	index = writer->info->ri_IndexRelationDescs[i];

		if (index->rd_index->indisvalid &&
			strcmp(RelationGetRelationName(index), name) == 0)
			return index;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("index \"%s\" of table \"%s.%s\" does not exist",
					name, STORE_SCHEMA, RelationGetRelationName(writer->rel))));
}

Relation
table_writer_primary_key(TableWriter *writer)
{
	Oid			primary_key = table_primary_key(writer->rel);

	for (int i = 0; i < writer->info->ri_NumIndices; i++)
	{
		Relation	index = writer->info->ri_IndexRelationDescs[i];

		if (RelationGetRelid(index) == primary_key)
			return index;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table \"%s.%s\" has no primary key",
					STORE_SCHEMA, RelationGetRelationName(writer->rel))));
}

/* Begin a scan for equality in every key column; see table_writer_find(). */
static void
begin_scan(TableWriter *writer, Relation index)
{
	int			n_keys = IndexRelationGetNumberOfKeyAttributes(index);

	for (int i = 0; i < n_keys; i++)
	{
		Oid			type = index->rd_opcintype[i];
		Oid			equal;

		equal = get_opfamily_member(index->rd_opfamily[i], type, type,
									BTEqualStrategyNumber);
		if (!OidIsValid(equal))
			elog(ERROR, "missing equality operator for column %d of index \"%s\"",
				 i + 1, RelationGetRelationName(index));
		ScanKeyEntryInitialize(&writer->keys[i], 0, i + 1, BTEqualStrategyNumber,
							   InvalidOid, index->rd_indcollation[i],
							   get_opcode(equal), (Datum) 0);
	}

	writer->scan = index_beginscan(writer->rel, index, SnapshotSelf, NULL,
								   n_keys, 0);
}

/*
 * Empty the slot for the row to find.  That also lets go of the page of the
 * last one: while it is pinned twice, nothing can prune it, and HOT updates
 * would run out of room.
 */
static void
clear_found(TableWriter *writer)
{
	if (writer->found == NULL)
		writer->found = make_slot(writer);
	ExecClearTuple(writer->found);
}

TupleTableSlot *
table_writer_find(TableWriter *writer, Relation index, Datum *keys, bool *isnull)
{
	ScanKeyData arguments[INDEX_MAX_KEYS];
	int			n_keys = IndexRelationGetNumberOfKeyAttributes(index);
	MemoryContext oldcontext;
	ItemPointer tid;
	bool		found = false;

	table_writer_flush(writer);
	clear_found(writer);

	/*
	 * The scan is kept because making one costs as much as a lookup.  It
	 * allocates what it needs when it first needs it, wherever that is, so
	 * that must be where the scan itself is.
	 */
	oldcontext = MemoryContextSwitchTo(writer->estate->es_query_cxt);
	if (writer->scan != NULL && writer->scan->indexRelation != index)
	{
		index_endscan(writer->scan);
		writer->scan = NULL;
	}
	if (writer->scan == NULL)
		begin_scan(writer, index);

	for (int i = 0; i < n_keys; i++)
	{
		if (isnull[i])
			ScanKeyEntryInitialize(&arguments[i], SK_ISNULL | SK_SEARCHNULL, i + 1,
								   InvalidStrategy, InvalidOid, InvalidOid,
								   InvalidOid, (Datum) 0);
		else
		{
			arguments[i] = writer->keys[i];
			arguments[i].sk_argument = keys[i];
		}
	}

	/* What the index says is overwritten by where in the chain the row is. */
	index_rescan(writer->scan, arguments, n_keys, NULL, 0);
	while (!found && (tid = index_getnext_tid(writer->scan, ForwardScanDirection)) != NULL)
	{
		writer->root = *tid;
		found = index_fetch_heap(writer->scan, writer->found);
	}
	MemoryContextSwitchTo(oldcontext);
	return found ? writer->found : NULL;
}

ItemPointerData
table_writer_found_at(TableWriter *writer)
{
	return writer->root;
}

/*
 * The access method's own way to follow the index to a heap page prunes the page
 * whenever less of it is free than fillfactor leaves: with HOT updates, at every
 * visit, for one dead row.  We prune when there is no room for the next version
 * of this one, which comes to the same with a third of the work.
 */
static bool
fetch_from_heap(TableWriter *writer, ItemPointerData root)
{
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) writer->found;
	HeapTuple	tuple = &slot->base.tupdata;
	Buffer		buffer = ReadBuffer(writer->rel, ItemPointerGetBlockNumber(&root));
	ItemPointerData place = root;
	Size		room;
	bool		found;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&place, writer->rel, buffer, SnapshotSelf, tuple, NULL, true);
	room = PageGetHeapFreeSpace(BufferGetPage(buffer));
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);

	if (found && room < MAXALIGN(tuple->t_len) + ROOM_TO_GROW)
	{
		heap_page_prune_opt(writer->rel, buffer);

		/* the row may have moved within the page */
		place = root;
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		found = heap_hot_search_buffer(&place, writer->rel, buffer, SnapshotSelf, tuple, NULL,
									   true);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	}
	if (found)
		ExecStorePinnedBufferHeapTuple(tuple, writer->found, buffer);
	else
		ReleaseBuffer(buffer);
	return found;
}

TupleTableSlot *
table_writer_fetch(TableWriter *writer, ItemPointerData root)
{
	table_writer_flush(writer);
	clear_found(writer);
	if (writer->n_blocks == InvalidBlockNumber)
		writer->n_blocks = RelationGetNumberOfBlocks(writer->rel);
	if (writer->rel->rd_tableam != GetHeapamTableAmRoutine() ||
		ItemPointerGetBlockNumber(&root) >= writer->n_blocks)
		return NULL;
	writer->root = root;
	return fetch_from_heap(writer, root) ? writer->found : NULL;
}
