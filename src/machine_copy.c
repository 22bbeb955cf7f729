/*-------------------------------------------------------------------------
 *
 * machine_copy.c
 *	  A copy of the state machine, as it comes in and takes the tables' place.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "machine_copy.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "history.h"
#include "jsonb_bytes.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "storage/lmgr.h"
#include "table.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Events that go into one segment before the next is thought of. */
#define BATCH_ROWS	1000

/*
 * jsonb travels and is staged as bytea, that is, as its own bytes: going
 * through text would cost more than everything else, and might not come out
 * as the same bytes.
 */
typedef struct Part
{
	const char *staging;
	const char *target;
	const char *query;
} Part;

static const Part parts[] = {
	[MACHINE_RESOURCES] = {
		"raft_copied_resources", "resources",
		"COPY (SELECT * FROM store.raft_resources) TO STDOUT (FORMAT binary)"
	},
	[MACHINE_EVENTS] = {
		"raft_copied_events", "events",
		"COPY (SELECT * FROM store.raft_events"
		" ORDER BY resource_version, ordinal) TO STDOUT (FORMAT binary)"
	}
};

const char *
machine_copy_query(MachinePart part)
{
	return parts[part].query;
}

static void
execute(const char *statement)
{
	SPI_connect();
	if (SPI_execute(statement, false, 0) < 0)
		elog(ERROR, "could not execute: %s", statement);
	SPI_finish();
}

void
machine_copy_clear(void)
{
	execute("TRUNCATE store.raft_copied_resources, store.raft_copied_events");
}

uint64
machine_copy_load(MachinePart part, copy_data_source_cb source)
{
	Relation	table = table_open_existing(table_oid(parts[part].staging), RowExclusiveLock);
	TupleDesc	desc = RelationGetDescr(table);
	ParseState *pstate = make_parsestate(NULL);
	List	   *columns = NIL;
	List	   *options;
	CopyFromState copy;
	uint64		n_rows;

	for (int i = 0; i < desc->natts; i++)
		columns = lappend(columns, makeString(NameStr(TupleDescAttr(desc, i)->attname)));
	options = list_make1(makeDefElem("format", (Node *) makeString("binary"), -1));
	(void) addRangeTableEntryForRelation(pstate, table, RowExclusiveLock, NULL, false, false);

	copy = BeginCopyFrom(pstate, table, NULL, NULL, false, source, columns, options);
	n_rows = CopyFrom(copy);
	EndCopyFrom(copy);
	free_parsestate(pstate);
	table_close(table, NoLock);
	return n_rows;
}

/*
 * Conflicts with the lock of those who change rows, not with that of readers.
 */
void
machine_copy_lock(void)
{
	LockRelationOid(table_oid("resources"), ShareRowExclusiveLock);
}

/*
 * Take over a row: what is jsonb in the target comes as bytes, from a member
 * that we trust to be ours but not to be free of errors.
 */
static void
check_row(TupleDesc target, Datum *values, const bool *isnull)
{
	for (int i = 0; i < target->natts; i++)
	{
		struct varlena *bytes;
		const char *problem;

		if (TupleDescAttr(target, i)->atttypid != JSONBOID || isnull[i])
			continue;
		bytes = pg_detoast_datum((struct varlena *) DatumGetPointer(values[i]));
		problem = jsonb_bytes_check((char *) bytes, VARSIZE(bytes));
		if (problem != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("the copy of the state is malformed: %s", problem)));
		values[i] = PointerGetDatum(bytes);
	}
}

typedef void (*RowSink) (void *to, Datum *values, bool *isnull);

typedef struct ResourceSink
{
	TableWriter *writer;
	MemoryContext scratch;
	uint64		digest;			/* of what has come so far */
} ResourceSink;

static void
insert_resource(void *to, Datum *values, bool *isnull)
{
	ResourceSink *sink = (ResourceSink *) to;

	MemoryContext caller = MemoryContextSwitchTo(sink->scratch);

	sink->digest += machine_row_digest(values, isnull);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(sink->scratch);
	table_writer_insert(sink->writer, values, isnull);
}

static void
insert_event(void *to, Datum *values, bool *isnull)
{
	uint64	   *n_rows = (uint64 *) to;

	if (++*n_rows % BATCH_ROWS == 0)
	{
		history_end();
		history_begin();
	}
	history_add(values, isnull);
}

/* Move the rows of a staging table, in the order in which they came. */
static void
move_rows(MachinePart part, RowSink sink, void *to)
{
	Relation	staging = table_open_existing(table_oid(parts[part].staging), AccessShareLock);
	Relation	target = table_open_existing(table_oid(parts[part].target), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(staging, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan_strat(staging, snapshot, 0, NULL, true, false);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "store copied row",
													  ALLOCSET_DEFAULT_SIZES);

	if (RelationGetNumberOfAttributes(staging) != RelationGetNumberOfAttributes(target))
		elog(ERROR, "table \"%s\" does not fit \"%s\"",
			 parts[part].staging, parts[part].target);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		MemoryContext caller = MemoryContextSwitchTo(row_context);

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		check_row(RelationGetDescr(target), slot->tts_values, slot->tts_isnull);
		MemoryContextSwitchTo(caller);
		sink(to, slot->tts_values, slot->tts_isnull);
		MemoryContextReset(row_context);
	}

	MemoryContextDelete(row_context);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(target, NoLock);
	table_close(staging, AccessShareLock);
}

/*
 * What was there is deleted row by row, for the sake of those who still read
 * it.  A node that has just joined has nothing; on one that was away for long
 * autovacuum has some work afterwards.
 */
void
machine_copy_install(const MachinePosition *position)
{
	ResourceSink resources = {0};
	uint64		n_rows = 0;

	execute("DELETE FROM store.resources");
	execute("DELETE FROM store.events");
	CommandCounterIncrement();

	resources.writer = table_writer_open(table_oid(parts[MACHINE_RESOURCES].target),
										 RowExclusiveLock);
	resources.scratch = AllocSetContextCreate(CurrentMemoryContext, "store digest of a row",
											  ALLOCSET_DEFAULT_SIZES);
	move_rows(MACHINE_RESOURCES, insert_resource, &resources);
	table_writer_close(resources.writer);
	MemoryContextDelete(resources.scratch);
	if (resources.digest != position->digest)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the copy of the state is not what its sender has applied"),
				 errdetail("The digest of its resources is %016llx, and %016llx was expected.",
						   (unsigned long long) resources.digest,
						   (unsigned long long) position->digest),
				 errhint("Call store.verify() to see which members are damaged.")));

	history_open();
	history_begin();
	move_rows(MACHINE_EVENTS, insert_event, &n_rows);
	history_end();

	machine_move_to(position);
	CommandCounterIncrement();
}
