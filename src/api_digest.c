/*-------------------------------------------------------------------------
 *
 * api_digest.c
 *	  What this node's tables come to, for store.verify().
 *
 * The tables are read from their first page to the last, not by an index, and
 * below the executor, where no policy hides a row.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_digest.h"

#include "access/table.h"
#include "access/tableam.h"
#include "api_row.h"
#include "chain.h"
#include "clock.h"
#include "compat.h"
#include "digest.h"
#include "history.h"
#include "miscadmin.h"
#include "object.h"
#include "status.h"
#include "storage/lmgr.h"
#include "table.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

STORE_FUNCTION(store_raft_digest);

/* How often it is told how far it is. */
#define TELL_MS		2000

/* Columns of store.resources. */
#define KEY_COLUMNS			5
#define RESOURCES_OBJECT	5
#define RESOURCES_LABELS	10

typedef struct Reading
{
	Snapshot	snapshot;
	uint64		index;
	uint64		floor;
	uint64		told_ms;
	TableDigests *digests;
} Reading;

typedef void (*RowReader) (Reading *reading, TupleDesc desc, Datum *values, bool *isnull);

static void
tell(Reading *reading)
{
	uint64		now_ms = monotonic_ms();

	if (now_ms - reading->told_ms < TELL_MS)
		return;
	reading->told_ms = now_ms;
	ereport(NOTICE,
			(errmsg("member \"%s\" has read " UINT64_FORMAT " resources and " UINT64_FORMAT " events",
					settings_node_name(), reading->digests->n_resources,
					reading->digests->n_events)));
}

/* All rows that the snapshot sees. */
static void
read_table(const char *name, Reading *reading, RowReader reader)
{
	Relation	table = table_open_existing(table_oid(name), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TableScanDesc scan = table_beginscan_strat(table, reading->snapshot, 0, NULL, true, false);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "store digest of a row",
													  ALLOCSET_DEFAULT_SIZES);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		MemoryContext caller = MemoryContextSwitchTo(row_context);

		CHECK_FOR_INTERRUPTS();
		tell(reading);
		slot_getallattrs(slot);
		reader(reading, RelationGetDescr(table), slot->tts_values, slot->tts_isnull);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_context);
	}

	MemoryContextDelete(row_context);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(table, NoLock);
}

static bool
is_equal(Datum value, bool isnull, const char *string)
{
	if (isnull || string == NULL)
		return isnull && string == NULL;
	return strcmp(TextDatumGetCString(value), string) == 0;
}

/* Key and labels are columns as well as parts of the object. */
static bool
fits_object(const Datum *values, const bool *isnull)
{
	Jsonb	   *object = DatumGetJsonbP(values[RESOURCES_OBJECT]);
	Jsonb	   *labels;
	Jsonb	   *stored;
	ResourceKey key;
	ObjectError error;

	if (!object_identify(object, &key, &error))
		return false;
	if (!is_equal(values[0], isnull[0], key.api_group) ||
		!is_equal(values[1], isnull[1], key.version) ||
		!is_equal(values[2], isnull[2], key.kind) ||
		!is_equal(values[3], isnull[3], key.namespace) ||
		!is_equal(values[4], isnull[4], key.name))
		return false;
	labels = object_labels(object);
	if (labels == NULL || isnull[RESOURCES_LABELS])
		return labels == NULL && isnull[RESOURCES_LABELS];
	stored = DatumGetJsonbP(values[RESOURCES_LABELS]);
	return VARSIZE(stored) == VARSIZE(labels) &&
		memcmp(stored, labels, VARSIZE(labels)) == 0;
}

static void
read_resource(Reading *reading, TupleDesc desc, Datum *values, bool *isnull)
{
	reading->digests->n_resources++;
	reading->digests->resources += machine_row_digest(values, isnull);
	if (!fits_object(values, isnull))
		reading->digests->n_misfits++;
}

/* Every column, as the bytes that it has. */
static uint64
digest_row(TupleDesc desc, const Datum *values, const bool *isnull)
{
	uint64		digest = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (isnull[i])
			digest = digest_bytes(digest, "", 0);
		else if (column->attbyval)
			digest = digest_bytes(digest, &values[i], sizeof(Datum));
		else if (column->attlen > 0)
			digest = digest_bytes(digest, DatumGetPointer(values[i]), column->attlen);
		else
		{
			struct varlena *value = PG_DETOAST_DATUM_PACKED(values[i]);

			digest = digest_bytes(digest, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
		}
	}
	return digest;
}

static void
read_event(Reading *reading, TupleDesc desc, Datum *values, bool *isnull)
{
	uint64		index = DatumGetInt64(values[EVENTS_RESOURCE_VERSION]);

	if (index <= reading->floor || index > reading->index)
		return;
	reading->digests->n_events++;
	reading->digests->events += digest_row(desc, values, isnull);
}

static void
report_too_late(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("cannot verify the tables of member \"%s\"", settings_node_name()),
			 errdetail("%s", detail),
			 errhint("Try again.")));
}

/* Segments that are emptied look empty to every snapshot. */
static void
hold_history(uint64 floor)
{
	for (int i = 0; i < HISTORY_SEGMENTS; i++)
		LockRelationOid(table_oid(history_segment_name(i)), AccessShareLock);
	if (pg_atomic_read_u64(&progress->history_gone) > floor)
		report_too_late("Its history was compacted meanwhile.");
}

void
digest_tables(uint64 index, uint64 floor, TableDigests *digests)
{
	Reading		reading = {.index = index, .floor = floor, .digests = digests};
	MachinePosition position;
	ChainLink	link = {0};

	memset(digests, 0, sizeof(*digests));
	reading.told_ms = monotonic_ms();
	reading.snapshot = RegisterSnapshot(GetLatestSnapshot());
	position = machine_position(reading.snapshot);
	if (position.index == index)
		link = (ChainLink) {index, position.chain, position.digest};
	else if (position.index < index || !chain_at(index, &link))
		report_too_late("It has applied too much since, or not enough.");
	hold_history(floor);

	read_table("resources", &reading, read_resource);
	for (int i = 0; i < HISTORY_SEGMENTS; i++)
		read_table(history_segment_name(i), &reading, read_event);
	UnregisterSnapshot(reading.snapshot);

	digests->chain = link.chain;
	digests->adds_up = (digests->resources == position.digest);
	digests->resources += link.digest - position.digest;
}

/*
 * For another member: wait until this one has applied the index, and compute.
 */
Datum
store_raft_digest(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	TableDigests digests;
	Row			row = {0};

	status_read(node);
	if (!node->running || node->detached || node->removed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", node->problem[0] != '\0' ? node->problem :
						"the store is not running on this server")));
	api_wait_applied(PG_GETARG_INT64(0), store_request_timeout);
	digest_tables((uint64) PG_GETARG_INT64(0), (uint64) PG_GETARG_INT64(1), &digests);

	row_put_bigint(&row, digests.chain);
	row_put_bigint(&row, digests.resources);
	row_put_bigint(&row, digests.events);
	row_put_bigint(&row, digests.n_resources);
	row_put_bigint(&row, digests.n_events);
	row_put_bigint(&row, digests.n_misfits);
	row_put_bool(&row, digests.adds_up);
	return row_return(fcinfo, &row);
}
