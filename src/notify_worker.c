/*-------------------------------------------------------------------------
 *
 * notify_worker.c
 *	  The notify worker: events become notifications.
 *
 * It follows the apply worker through store.events and publishes each event on
 * the channels "store" and "store.KIND".  It is a process of its own because
 * NOTIFY can be held up by things that must not hold up the state machine: its
 * instance-wide lock, and a queue that one idle listener keeps full.
 *
 * How far it is, it keeps in shared memory, which lives as long as the sessions
 * that listen.  So a notify worker that starts again goes on where the last
 * one stopped, and nothing is left out or said twice.
 *
 * "previous" in each payload is the index of the event before it on that
 * channel, by which a listener notices that it missed something.  The events
 * of one transaction have one index: they are published together, in the order
 * of its operations, and from the second one on "previous" is that same index.
 * Those behind the first operation carry their position as "ordinal", so that
 * no two payloads are equal (PostgreSQL would fold them into one).
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "worker.h"

#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "machine.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

/* Events in one transaction, and the rest of what the last index has. */
#define BATCH_EVENTS	256

/* async.c's limit on a payload, which it does not export: fewer bytes than. */
#define PAYLOAD_LIMIT	(BLCKSZ - NAMEDATALEN - 128)

#define CHANNEL "store"

/* The newest event published for a kind. */
typedef struct KindEntry
{
	char		kind[NAMEDATALEN];	/* hash key */
	uint64		previous;
} KindEntry;

static struct
{
	uint64		notified;		/* the newest event published on "store" */
	HTAB	   *kinds;
	SPIPlanPtr	events_plan;
	SPIPlanPtr	previous_plan;
	StringInfoData head;		/* of a payload, up to "previous" */
	StringInfoData rest;		/* what follows */
	StringInfoData payload;
}			worker;

static void
prepare_plans(void)
{
	Oid			range_types[] = {INT8OID, INT8OID, INT4OID};
	Oid			kind_types[] = {TEXTOID, INT8OID};

	if (worker.events_plan != NULL)
		return;
	worker.events_plan =
		SPI_prepare("SELECT resource_version, type, api_group, version, kind, namespace, name, object,"
					" ordinal FROM store.events WHERE resource_version > $1 AND resource_version <="
					" (SELECT max(resource_version) FROM"
					" (SELECT resource_version FROM store.events"
					" WHERE resource_version > $1 AND resource_version <= $2"
					" ORDER BY resource_version LIMIT $3) AS batch)"
					" ORDER BY resource_version, ordinal", 3, range_types);
	worker.previous_plan =
		SPI_prepare("SELECT resource_version FROM store.events"
					" WHERE kind = $1 AND resource_version <= $2"
					" ORDER BY resource_version DESC LIMIT 1", 2, kind_types);
	if (worker.events_plan == NULL || worker.previous_plan == NULL ||
		SPI_keepplan(worker.events_plan) != 0 || SPI_keepplan(worker.previous_plan) != 0)
		elog(ERROR, "could not prepare the queries of the notify worker");
}

static void
append_field(StringInfo to, const char *name, const char *value)
{
	appendStringInfo(to, "\"%s\":", name);
	if (value == NULL)
		appendStringInfoString(to, "null");
	else
		escape_json(to, value);
}

/*
 * The parts of the payload that all channels share.
 */
static void
format_event(HeapTuple row, TupleDesc desc, uint64 index)
{
	Jsonb	   *object;
	bool		isnull;
	int			length;
	int32		ordinal = DatumGetInt32(SPI_getbinval(row, desc, 9, &isnull));

	resetStringInfo(&worker.head);
	appendStringInfo(&worker.head, "{\"type\":\"%s\",\"resourceVersion\":\"" UINT64_FORMAT "\",",
					 SPI_getvalue(row, desc, 2), index);
	if (ordinal > 0)
		appendStringInfo(&worker.head, "\"ordinal\":%d,", ordinal);
	appendStringInfoString(&worker.head, "\"previous\":\"");

	resetStringInfo(&worker.rest);
	appendStringInfoString(&worker.rest, "\",\"key\":{");
	append_field(&worker.rest, "group", SPI_getvalue(row, desc, 3));
	appendStringInfoChar(&worker.rest, ',');
	append_field(&worker.rest, "version", SPI_getvalue(row, desc, 4));
	appendStringInfoChar(&worker.rest, ',');
	append_field(&worker.rest, "kind", SPI_getvalue(row, desc, 5));
	appendStringInfoChar(&worker.rest, ',');
	append_field(&worker.rest, "namespace", SPI_getvalue(row, desc, 6));
	appendStringInfoChar(&worker.rest, ',');
	append_field(&worker.rest, "name", SPI_getvalue(row, desc, 7));
	appendStringInfoChar(&worker.rest, '}');

	/* 20: the longest value of "previous"; 1: the closing brace */
	object = DatumGetJsonbP(SPI_getbinval(row, desc, 8, &isnull));
	length = worker.rest.len;
	if (VARSIZE(object) < 2 * PAYLOAD_LIMIT)
	{
		appendStringInfoString(&worker.rest, ",\"object\":");
		(void) JsonbToCString(&worker.rest, &object->root, VARSIZE(object));
	}
	if (worker.head.len + 20 + worker.rest.len + 1 >= PAYLOAD_LIMIT)
	{
		worker.rest.len = length;
		worker.rest.data[length] = '\0';
	}
	appendStringInfoChar(&worker.rest, '}');
}

static void
publish(const char *channel, uint64 previous)
{
	resetStringInfo(&worker.payload);
	appendBinaryStringInfo(&worker.payload, worker.head.data, worker.head.len);
	appendStringInfo(&worker.payload, UINT64_FORMAT, previous);
	appendBinaryStringInfo(&worker.payload, worker.rest.data, worker.rest.len);
	Async_Notify(channel, worker.payload.data);
}

/*
 * The event before "index" of this kind; looked up once in a worker's life.
 */
static KindEntry *
find_kind(const char *kind, uint64 index)
{
	bool		found;
	KindEntry  *entry = hash_search(worker.kinds, kind, HASH_ENTER, &found);

	if (!found)
	{
		Datum		args[] = {CStringGetTextDatum(kind), Int64GetDatum((int64) index - 1)};
		bool		isnull;

		entry->previous = 0;
		if (SPI_execute_plan(worker.previous_plan, args, NULL, true, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not read the history of kind \"%s\"", kind);
		if (SPI_processed == 1)
			entry->previous = (uint64) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
																   SPI_tuptable->tupdesc,
																   1, &isnull));
	}
	return entry;
}

static void
publish_event(HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	uint64		index = (uint64) DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	char	   *kind = SPI_getvalue(row, desc, 5);
	char		channel[NAMEDATALEN];
	KindEntry  *entry = find_kind(kind, index);

	format_event(row, desc, index);
	publish(CHANNEL, worker.notified);

	/* A channel name is cut as LISTEN cuts it. */
	snprintf(channel, sizeof(channel), CHANNEL ".%s", kind);
	publish(channel, entry->previous);

	worker.notified = index;
	entry->previous = index;
}

/*
 * If events that were not published may have been compacted away, go on behind
 * them.  What comes next then has a "previous" that no listener has seen, so
 * each of them notices.
 */
static bool
skip_gone(void)
{
	uint64		gone = pg_atomic_read_u64(&progress->history_gone);
	HASH_SEQ_STATUS scan;
	KindEntry  *entry;

	if (worker.notified >= gone)
		return false;
	worker.notified = gone;
	hash_seq_init(&scan, worker.kinds);
	while ((entry = hash_seq_search(&scan)) != NULL)
		entry->previous = gone;
	pg_atomic_write_u64(&progress->notified_index, gone);
	return true;
}

/*
 * Publish what there is, up to a batch.  The position in shared memory moves
 * after the commit; an ERROR ends the worker, and with it what it believed.
 */
static bool
publish_batch(void)
{
	uint64		last_event = pg_atomic_read_u64(&progress->last_event);
	Datum		args[3];
	uint64		n;

	(void) skip_gone();
	if (worker.notified >= last_event)
		return false;

	worker_begin("publishing events");
	SPI_connect();
	prepare_plans();
	args[0] = Int64GetDatum((int64) worker.notified);
	args[1] = Int64GetDatum((int64) last_event);
	args[2] = Int32GetDatum(BATCH_EVENTS);
	if (SPI_execute_plan(worker.events_plan, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the history");
	n = SPI_processed;

	/* A segment that was emptied meanwhile looks empty to our snapshot, too. */
	if (skip_gone())
	{
		SPI_finish();
		worker_commit();
		return true;
	}
	if (n > 0)
	{
		SPITupleTable *rows = SPI_tuptable;

		for (uint64 i = 0; i < n; i++)
			publish_event(rows->vals[i], rows->tupdesc);
	}
	SPI_finish();
	worker_commit();

	/* What is not there any more was compacted: nobody can be told. */
	if (n == 0)
		worker.notified = last_event;
	pg_atomic_write_u64(&progress->notified_index, worker.notified);
	status_set_problem(WORKER_NOTIFY, NULL);
	return true;
}

static void
open_notifier(void)
{
	HASHCTL		control = {.keysize = NAMEDATALEN, .entrysize = sizeof(KindEntry)};

	worker.kinds = hash_create("store kinds", 64, &control, HASH_ELEM | HASH_STRINGS);
	initStringInfo(&worker.head);
	initStringInfo(&worker.rest);
	initStringInfo(&worker.payload);

	worker.notified = pg_atomic_read_u64(&progress->notified_index);
	if (worker.notified == 0)
	{
		/* Nobody has listened for longer than this server runs. */
		worker_begin("opening the history");
		worker.notified = machine_last_event();
		worker_commit();
		pg_atomic_write_u64(&progress->notified_index, worker.notified);
	}
}

static void
report_failure(int code, Datum arg)
{
	if (code != 0 && !ProcDiePending)
		status_set_problem(WORKER_NOTIFY,
						   "notifications are delayed: the notify worker failed and tries again; see the server log");
}

void
store_notify_main(Datum arg)
{
	worker_start(WORKER_NOTIFY, "off");
	before_shmem_exit(report_failure, (Datum) 0);

	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "store notify worker",
												ALLOCSET_DEFAULT_SIZES));
	open_notifier();
	for (;;)
	{
		worker_check();
		if (!publish_batch())
			worker_sleep(-1);
	}
}
