/*-------------------------------------------------------------------------
 *
 * notify_worker.c
 *	  The notify worker: events become notifications.
 *
 * It follows the apply worker through store.events and publishes each event on
 * those of its channels that somebody listens to (listeners.h):
 *
 *		store, store.KIND, store.KIND.NAMESPACE
 *		store/key, store.KIND/key, store.KIND.NAMESPACE/key
 *
 * The second three leave the object out, for who wants to know what changed and
 * no more.  While nobody listens it sleeps, and when somebody comes it begins
 * where that one began.  It is a process of its own because NOTIFY can be held
 * up by things that must not hold up the state machine: its instance-wide lock,
 * and a queue that one idle listener keeps full (notify_queue.h).
 *
 * How far it is, it keeps in shared memory, which lives as long as the sessions
 * that listen.  So a notify worker that starts again goes on where the last
 * one stopped, and nothing is left out or said twice.
 *
 * "previous" in each payload is the index of the event before it on that
 * channel, published or not, by which a listener notices that it missed
 * something.  It is remembered for channels that are listened to, and looked up
 * in the history for one that begins to be.  If that does not reach back far
 * enough, it is an index after that event: then a listener that knows less
 * notices, too.  The events
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
#include "listeners.h"
#include "machine.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "notify_queue.h"
#include "stats.h"
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

/* How many indexes to look back for the event before. */
#define LOOK_BACK		10000

/* So many channels may be remembered before those nobody hears are forgotten. */
#define CHANNELS_ROOM	1024

#define KEY_SUFFIX "/key"

/* The newest event of a channel that somebody listens to. */
typedef struct ChannelEntry
{
	char		name[NAMEDATALEN];	/* hash key; without suffix */
	uint64		previous;
} ChannelEntry;

static struct
{
	uint64		notified;		/* done up to this index, which had an event */
	HTAB	   *channels;
	long		room;			/* for entries of channels */
	SPIPlanPtr	events_plan;
	SPIPlanPtr	previous_plan;
	StringInfoData head;		/* of a payload, up to "previous" */
	StringInfoData key;			/* what follows */
	StringInfoData object;		/* what follows that, empty if it does not fit */
	StringInfoData payload;
	uint64		n_published;	/* notifications of this batch, */
	uint64		n_bytes;		/* and the bytes of their payloads */
}			worker;

static void
prepare_plans(void)
{
	Oid			range_types[] = {INT8OID, INT8OID, INT4OID};
	Oid			channel_types[] = {NAMEOID, INT8OID, INT8OID};

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
					" WHERE ($1 = ('store.' || kind)::name"
					" OR $1 = ('store.' || kind || '.' || namespace)::name)"
					" AND resource_version > $2 AND resource_version <= $3"
					" ORDER BY resource_version DESC LIMIT 1", 3, channel_types);
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
	bool		isnull;
	int32		ordinal = DatumGetInt32(SPI_getbinval(row, desc, 9, &isnull));

	resetStringInfo(&worker.head);
	appendStringInfo(&worker.head, "{\"type\":\"%s\",\"resourceVersion\":\"" UINT64_FORMAT "\",",
					 SPI_getvalue(row, desc, 2), index);
	if (ordinal > 0)
		appendStringInfo(&worker.head, "\"ordinal\":%d,", ordinal);
	appendStringInfoString(&worker.head, "\"previous\":\"");

	resetStringInfo(&worker.key);
	appendStringInfoString(&worker.key, "\",\"key\":{");
	append_field(&worker.key, "group", SPI_getvalue(row, desc, 3));
	appendStringInfoChar(&worker.key, ',');
	append_field(&worker.key, "version", SPI_getvalue(row, desc, 4));
	appendStringInfoChar(&worker.key, ',');
	append_field(&worker.key, "kind", SPI_getvalue(row, desc, 5));
	appendStringInfoChar(&worker.key, ',');
	append_field(&worker.key, "namespace", SPI_getvalue(row, desc, 6));
	appendStringInfoChar(&worker.key, ',');
	append_field(&worker.key, "name", SPI_getvalue(row, desc, 7));
	appendStringInfoChar(&worker.key, '}');
	resetStringInfo(&worker.object);
}

static void
format_object(HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	Jsonb	   *object;

	if (worker.object.len > 0)
		return;
	object = DatumGetJsonbP(SPI_getbinval(row, desc, 8, &isnull));
	if (VARSIZE(object) >= 2 * PAYLOAD_LIMIT)
		return;
	appendStringInfoString(&worker.object, ",\"object\":");
	(void) JsonbToCString(&worker.object, &object->root, VARSIZE(object));

	/* 20: the longest value of "previous"; 1: the closing brace */
	if (worker.head.len + 20 + worker.key.len + worker.object.len + 1 >= PAYLOAD_LIMIT)
		resetStringInfo(&worker.object);
}

static void
publish(const char *channel, uint64 previous, const StringInfo object)
{
	resetStringInfo(&worker.payload);
	appendBinaryStringInfo(&worker.payload, worker.head.data, worker.head.len);
	appendStringInfo(&worker.payload, UINT64_FORMAT, previous);
	appendBinaryStringInfo(&worker.payload, worker.key.data, worker.key.len);
	if (object != NULL)
		appendBinaryStringInfo(&worker.payload, object->data, object->len);
	appendStringInfoChar(&worker.payload, '}');
	Async_Notify(channel, worker.payload.data);
	notify_queue_added(worker.payload.len + NAMEDATALEN);
	worker.n_published++;
	worker.n_bytes += worker.payload.len;
}

/* A channel's name, cut as LISTEN cuts it. */
static void
channel_name(char *name, const char *base, const char *separator, const char *rest)
{
	char	   *whole = psprintf("%s%s%s", base, separator, rest);
	int			length = pg_mbcliplen(whole, strlen(whole), NAMEDATALEN - 1);

	memset(name, 0, NAMEDATALEN);
	memcpy(name, whole, length);
	pfree(whole);
}

/* ------------------------------------------------------------------------
 * The event before
 * ------------------------------------------------------------------------
 */

/*
 * Forget the channels that nobody listens to, if there are many.
 */
static void
make_room(void)
{
	HASH_SEQ_STATUS scan;
	ChannelEntry *entry;
	char		with_key[NAMEDATALEN];

	if (hash_get_num_entries(worker.channels) < worker.room)
		return;
	hash_seq_init(&scan, worker.channels);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		channel_name(with_key, entry->name, "", KEY_SUFFIX);
		if (!listeners_has(entry->name) && !listeners_has(with_key))
			(void) hash_search(worker.channels, entry->name, HASH_REMOVE, NULL);
	}
	worker.room = Max(CHANNELS_ROOM, 2 * hash_get_num_entries(worker.channels));
}

/*
 * The index of the event before "index" on this channel, or a later one if
 * that is far away or gone; 0 if there was none.
 */
static uint64
look_up_previous(const char *channel, uint64 index)
{
	NameData	name;
	uint64		floor = pg_atomic_read_u64(&progress->floor);
	uint64		low = index > LOOK_BACK ? index - LOOK_BACK : 0;
	uint64		found = 0;
	Datum		args[3];
	bool		isnull;

	namestrcpy(&name, channel);
	args[0] = NameGetDatum(&name);
	args[1] = Int64GetDatum((int64) low);
	args[2] = Int64GetDatum((int64) index - 1);
	if (SPI_execute_plan(worker.previous_plan, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the history of channel \"%s\"", channel);
	if (SPI_processed == 1)
		found = (uint64) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
													 SPI_tuptable->tupdesc, 1, &isnull));
	if (found == 0)
		found = Max(low, floor);

	/* What was emptied while we looked may have held a later one. */
	found = Max(found, pg_atomic_read_u64(&progress->history_gone));
	return Min(found, index - 1);
}

static ChannelEntry *
find_channel(const char *channel, uint64 index)
{
	bool		found;
	ChannelEntry *entry;

	make_room();
	entry = hash_search(worker.channels, channel, HASH_ENTER, &found);
	if (!found)
	{
		entry->previous = look_up_previous(channel, index);
	}
	return entry;
}

/* All of them: events that they do not know of were passed over. */
static void
forget_channels(void)
{
	HASH_SEQ_STATUS scan;
	ChannelEntry *entry;

	hash_seq_init(&scan, worker.channels);
	while ((entry = hash_seq_search(&scan)) != NULL)
		(void) hash_search(worker.channels, entry->name, HASH_REMOVE, NULL);
}

/* ------------------------------------------------------------------------
 * Publishing
 * ------------------------------------------------------------------------
 */

/*
 * Publish an event on a channel, with and without the object, if somebody
 * listens.
 */
static void
publish_on(const char *channel, HeapTuple row, TupleDesc desc, uint64 index)
{
	bool		is_root = (strcmp(channel, LISTENERS_PREFIX) == 0);
	bool		whole = listeners_has(channel);
	char		with_key[NAMEDATALEN];
	bool		key_only;
	uint64		previous;

	channel_name(with_key, channel, "", KEY_SUFFIX);
	key_only = listeners_has(with_key) && strcmp(with_key, channel) != 0;
	if (!whole && !key_only)
	{
		if (!is_root)
			(void) hash_search(worker.channels, channel, HASH_REMOVE, NULL);
		return;
	}

	if (worker.key.len == 0)
		format_event(row, desc, index);
	if (is_root)
		previous = worker.notified;
	else
	{
		ChannelEntry *entry = find_channel(channel, index);

		previous = entry->previous;
		entry->previous = index;
	}
	if (whole)
	{
		format_object(row, desc);
		publish(channel, previous, &worker.object);
	}
	if (key_only)
		publish(with_key, previous, NULL);
}

static void
publish_event(HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	uint64		index = (uint64) DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	char	   *kind = SPI_getvalue(row, desc, 5);
	char	   *namespace = SPI_getvalue(row, desc, 6);
	char		of_kind[NAMEDATALEN];
	char		of_namespace[NAMEDATALEN];

	worker.key.len = 0;			/* nothing is formatted yet */
	publish_on(LISTENERS_PREFIX, row, desc, index);
	channel_name(of_kind, LISTENERS_PREFIX, ".", kind);
	publish_on(of_kind, row, desc, index);
	if (namespace != NULL)
	{
		channel_name(of_namespace, LISTENERS_PREFIX,
					 ".", psprintf("%s.%s", kind, namespace));
		if (strcmp(of_namespace, of_kind) != 0)
			publish_on(of_namespace, row, desc, index);
	}
	worker.notified = index;
}

static void
go_on_after(uint64 index)
{
	worker.notified = index;
	forget_channels();
	pg_atomic_write_u64(&progress->notified_index, index);
}

/*
 * Pass over what was visible before anybody who listens now did.  last_event
 * was read before we look who does.
 */
static void
skip_unheard(uint64 last_event)
{
	uint64		heard_from = listeners_any() ? listeners_since() : last_event;

	heard_from = Min(heard_from, last_event);
	if (worker.notified < heard_from)
		go_on_after(heard_from);
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

	if (worker.notified >= gone)
		return false;
	if (listeners_any())
		stats_add(STAT_NOTIFY_GAPS, 1);
	go_on_after(gone);
	return true;
}

/*
 * Publish what there is, up to a batch.  The position in shared memory moves
 * after the commit; an ERROR ends the worker, and with it what it believed.
 * Returns how long to sleep then: 0 not at all, -1 until there is more.
 */
static long
publish_batch(void)
{
	uint64		last_event = pg_atomic_read_u64(&progress->last_event);
	Datum		args[3];
	uint64		n;
	long		delay;

	(void) skip_gone();
	skip_unheard(last_event);
	if (worker.notified >= last_event)
	{
		status_set_problem(WORKER_NOTIFY, NULL);
		status_set_queue_problem(NULL);
		return -1;
	}
	delay = notify_queue_delay();
	if (delay > 0)
		return delay;

	worker.n_published = worker.n_bytes = 0;
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
		return 0;
	}
	if (n > 0)
	{
		SPITupleTable *rows = SPI_tuptable;

		for (uint64 i = 0; i < n; i++)
			publish_event(rows->vals[i], rows->tupdesc);
	}
	SPI_finish();
	worker_commit();

	if (worker.n_published > 0)
	{
		stats_add(STAT_NOTIFY_BATCHES, 1);
		stats_add(STAT_NOTIFICATIONS, worker.n_published);
		stats_add(STAT_NOTIFY_BYTES, worker.n_bytes);
	}

	/* What is not there any more was compacted: nobody can be told. */
	if (n == 0)
		worker.notified = last_event;
	pg_atomic_write_u64(&progress->notified_index, worker.notified);
	status_set_problem(WORKER_NOTIFY, NULL);
	return 0;
}

static void
open_notifier(void)
{
	HASHCTL		control = {.keysize = NAMEDATALEN, .entrysize = sizeof(ChannelEntry)};

	worker.channels = hash_create("store channels", 64, &control, HASH_ELEM | HASH_STRINGS);
	worker.room = CHANNELS_ROOM;
	initStringInfo(&worker.head);
	initStringInfo(&worker.key);
	initStringInfo(&worker.object);
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
		long		delay;

		worker_check();
		delay = publish_batch();
		if (delay != 0)
			worker_sleep(delay);
	}
}
