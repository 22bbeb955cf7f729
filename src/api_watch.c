/*-------------------------------------------------------------------------
 *
 * api_watch.c
 *	  store.watch(): what changed after an index, or else what changes next.
 *
 * A call reads the retained history after an index and returns what its
 * watcher is to be told of, in order.  If that is nothing, it waits for the
 * first change that may concern it (watchers.h) and reads again.  The last row
 * is a BOOKMARK with the index up to which the answer is complete; the next
 * call goes on from there, on this node or another one.
 *
 * Nothing is kept between calls, so a slow watcher delays nobody and a lost
 * one leaves nothing behind.  While a call waits, it holds neither a lock on
 * the history nor, if it is all of its statement, a snapshot
 * (api_statement.h).
 *
 * The history is one query run with the rights of whoever calls.  Its rows go
 * through a receiver one at a time, which filters them, stops at the limit,
 * and puts the rest into the result, which spills to disk by itself: memory
 * does not grow with the history.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "api_statement.h"
#include "catalog/pg_type.h"
#include "clock.h"
#include "compat.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "nodes/params.h"
#include "object.h"
#include "status.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "watch_filter.h"
#include "watchers.h"

STORE_FUNCTION(store_watch);

/* Columns of the result, counted from 0. */
enum
{
	WATCH_TYPE,
	WATCH_RESOURCE_VERSION,
	WATCH_KEY,					/* five columns */
	WATCH_OBJECT = WATCH_KEY + 5,
	WATCH_COLUMNS
};

/* Of the queries, in addition. */
#define QUERY_PREVIOUS	WATCH_COLUMNS
#define QUERY_COLUMNS	(WATCH_COLUMNS + 1)

typedef struct WatchRequest
{
	uint64		since;
	const char *api_group;		/* NULL: all, in these four */
	const char *version;
	const char *kind;
	const char *namespace;
	Selector   *selector;
	int			limit;			/* 0: none */
	long		timeout_ms;
} WatchRequest;

/* Takes the rows of a query; see dest.h. */
typedef struct WatchReceiver
{
	DestReceiver pub;
	const WatchRequest *request;
	ReturnSetInfo *result;
	MemoryContext row_context;
	uint64		n_rows;			/* returned so far */
	uint64		last;			/* index of the last of them */
	bool		is_cut;			/* the limit was reached */
} WatchReceiver;

/* A query of fixed text, kept for the life of the session. */
typedef struct WatchQuery
{
	const char *text;
	SPIPlanPtr	plan;
} WatchQuery;

#define QUERY_FILTER \
	" AND ($2 IS NULL OR kind OPERATOR(pg_catalog.=) $2)" \
	" AND ($3 IS NULL OR namespace OPERATOR(pg_catalog.=) $3)" \
	" AND ($4 IS NULL OR (api_group OPERATOR(pg_catalog.=) $4" \
	" AND version OPERATOR(pg_catalog.=) $5))"

#define N_ARGUMENTS 5

static WatchQuery changes_query = {
	"SELECT type, resource_version, api_group, version, kind, namespace, name, object, previous"
	" FROM store.events WHERE resource_version OPERATOR(pg_catalog.>) $1" QUERY_FILTER
	" ORDER BY resource_version USING OPERATOR(pg_catalog.<),"
	" ordinal USING OPERATOR(pg_catalog.<)"
};

static WatchQuery state_query = {
	"SELECT 'ADDED'::pg_catalog.text, resource_version, api_group, version, kind, namespace, name,"
	" object, NULL::pg_catalog.jsonb"
	" FROM store.resources WHERE resource_version OPERATOR(pg_catalog.>) $1" QUERY_FILTER
	" ORDER BY api_group USING OPERATOR(pg_catalog.<), version USING OPERATOR(pg_catalog.<),"
	" kind USING OPERATOR(pg_catalog.<), namespace USING OPERATOR(pg_catalog.<) NULLS FIRST,"
	" name USING OPERATOR(pg_catalog.<)"
};

/* ------------------------------------------------------------------------
 * Arguments
 * ------------------------------------------------------------------------
 */

/* Checked like everywhere else; what is not given is replaced by what will do. */
static void
key_arguments(FunctionCallInfo fcinfo, WatchRequest *request)
{
	char	   *kind = api_optional_text(fcinfo, 1);
	char	   *namespace = api_optional_text(fcinfo, 2);
	char	   *api_version = api_optional_text(fcinfo, 3);
	ResourceKey key;

	key_from_arguments(api_version ? api_version : "v1", kind ? kind : "Any",
					   namespace, "any", &key);
	request->kind = kind;
	request->namespace = namespace;
	if (api_version != NULL)
	{
		request->api_group = key.api_group;
		request->version = key.version;
	}
}

static void
parse_arguments(FunctionCallInfo fcinfo, WatchRequest *request)
{
	memset(request, 0, sizeof(*request));
	if (PG_ARGISNULL(0) || PG_GETARG_INT64(0) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"since\" must be a resource version"),
				 errhint("Begin with 0, and go on with the resource version of the last BOOKMARK.")));
	request->since = (uint64) PG_GETARG_INT64(0);
	key_arguments(fcinfo, request);
	request->selector = selector_parse(api_optional_text(fcinfo, 4),
									   api_optional_text(fcinfo, 5));
	if (!PG_ARGISNULL(6))
		request->limit = PG_GETARG_INT32(6);
	if (request->limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"limit\" must not be negative")));
	if (!PG_ARGISNULL(7))
		request->timeout_ms = api_interval_ms(PG_GETARG_INTERVAL_P(7), "timeout");
}

static void
check_can_wait(const WatchRequest *request)
{
	if (request->timeout_ms == 0)
		return;
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("store.watch() cannot wait in a transaction of isolation level \"%s\"",
						GetConfigOption("transaction_isolation", false, false)),
				 errdetail("Its snapshot would keep VACUUM from its work for as long as the call waits."),
				 errhint("Use isolation level \"read committed\", or a timeout of 0.")));
	api_check_member("store.watch() with a timeout");
}

/* ------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------
 */

static char *
column_text(TupleTableSlot *slot, int column)
{
	return slot->tts_isnull[column] ? NULL : TextDatumGetCString(slot->tts_values[column]);
}

static void
read_event(TupleTableSlot *slot, WatchEvent *event)
{
	event->type = column_text(slot, WATCH_TYPE);
	event->resource_version = DatumGetInt64(slot->tts_values[WATCH_RESOURCE_VERSION]);
	event->key.api_group = column_text(slot, WATCH_KEY);
	event->key.version = column_text(slot, WATCH_KEY + 1);
	event->key.kind = column_text(slot, WATCH_KEY + 2);
	event->key.namespace = column_text(slot, WATCH_KEY + 3);
	event->key.name = column_text(slot, WATCH_KEY + 4);
	event->object = DatumGetJsonbP(slot->tts_values[WATCH_OBJECT]);
	event->previous = slot->tts_isnull[QUERY_PREVIOUS] ? NULL :
		DatumGetJsonbP(slot->tts_values[QUERY_PREVIOUS]);
}

/*
 * The object goes into the result in full: its place in the history may be
 * emptied before the client has read it.
 */
static void
return_row(WatchReceiver *receiver, TupleTableSlot *slot, const WatchEvent *event)
{
	Datum		values[WATCH_COLUMNS];

	memcpy(values, slot->tts_values, sizeof(values));
	values[WATCH_TYPE] = CStringGetTextDatum(event->type);
	values[WATCH_OBJECT] = JsonbPGetDatum(event->object);
	tuplestore_putvalues(receiver->result->setResult, receiver->result->setDesc,
						 values, slot->tts_isnull);
	receiver->n_rows++;
	receiver->last = (uint64) event->resource_version;
}

/*
 * One row of a query.  False ends it: the limit was reached, and the index of
 * the last row is complete.
 */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	WatchReceiver *receiver = (WatchReceiver *) self;
	const WatchRequest *request = receiver->request;
	MemoryContext old;
	WatchEvent	event;

	slot_getallattrs(slot);
	if (request->since > 0 && request->limit > 0 &&
		receiver->n_rows >= (uint64) request->limit &&
		(uint64) DatumGetInt64(slot->tts_values[WATCH_RESOURCE_VERSION]) != receiver->last)
	{
		receiver->is_cut = true;
		return false;
	}

	old = MemoryContextSwitchTo(receiver->row_context);
	read_event(slot, &event);
	if (watch_filter(request->selector, &event))
		return_row(receiver, slot, &event);
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->row_context);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	if (desc->natts != QUERY_COLUMNS)
		elog(ERROR, "query of store.watch() has %d columns", desc->natts);
}

static void
receiver_nothing(DestReceiver *self)
{
}

static void
open_receiver(WatchReceiver *receiver, const WatchRequest *request, ReturnSetInfo *result)
{
	memset(receiver, 0, sizeof(*receiver));
	receiver->pub.receiveSlot = receive_row;
	receiver->pub.rStartup = receiver_startup;
	receiver->pub.rShutdown = receiver_nothing;
	receiver->pub.rDestroy = receiver_nothing;
	receiver->pub.mydest = DestTuplestore;
	receiver->request = request;
	receiver->result = result;
	receiver->row_context = AllocSetContextCreate(CurrentMemoryContext, "store watch row",
												  ALLOCSET_DEFAULT_SIZES);
}

static void
return_bookmark(WatchReceiver *receiver, uint64 index)
{
	Datum		values[WATCH_COLUMNS] = {0};
	bool		isnull[WATCH_COLUMNS];

	memset(isnull, true, sizeof(isnull));
	values[WATCH_TYPE] = CStringGetTextDatum("BOOKMARK");
	values[WATCH_RESOURCE_VERSION] = Int64GetDatum((int64) index);
	isnull[WATCH_TYPE] = isnull[WATCH_RESOURCE_VERSION] = false;
	tuplestore_putvalues(receiver->result->setResult, receiver->result->setDesc,
						 values, isnull);
}

/* ------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------
 */

static void
set_text_argument(ParamListInfo arguments, int n, const char *value)
{
	ParamExternData *argument = &arguments->params[n - 1];

	argument->ptype = TEXTOID;
	argument->pflags = PARAM_FLAG_CONST;
	argument->isnull = (value == NULL);
	argument->value = value ? CStringGetTextDatum(value) : (Datum) 0;
}

/*
 * The plan begins where the first rows are found soonest, which is in the order
 * of an index: what is behind the limit or the end is not to be sorted first.
 */
static void
run_query(WatchQuery *query, const WatchRequest *request, uint64 after,
		  WatchReceiver *receiver)
{
	Oid			types[N_ARGUMENTS] = {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	ParamListInfo arguments = makeParamList(N_ARGUMENTS);
	SPIExecuteOptions options = {
		.params = arguments,
		.read_only = true,
		.dest = &receiver->pub
	};

	arguments->params[0].ptype = INT8OID;
	arguments->params[0].pflags = PARAM_FLAG_CONST;
	arguments->params[0].isnull = false;
	arguments->params[0].value = Int64GetDatum((int64) after);
	set_text_argument(arguments, 2, request->kind);
	set_text_argument(arguments, 3, request->namespace);
	set_text_argument(arguments, 4, request->api_group);
	set_text_argument(arguments, 5, request->version);

	SPI_connect();
	if (query->plan == NULL)
	{
		query->plan = SPI_prepare_cursor(query->text, N_ARGUMENTS, types,
										 CURSOR_OPT_GENERIC_PLAN | CURSOR_OPT_FAST_PLAN);
		if (query->plan == NULL || SPI_keepplan(query->plan) != 0)
			elog(ERROR, "could not prepare a query on the store");
	}
	if (SPI_execute_plan_extended(query->plan, &options) != SPI_OK_SELECT)
		elog(ERROR, "could not read the store");
	SPI_finish();
}

/*
 * Everything after an index, in one snapshot.  Returns the index up to which
 * that is complete.  Locks and snapshot are released.
 */
static uint64
read_changes(const WatchRequest *request, uint64 after, WatchReceiver *receiver)
{
	StatementScope scope;
	MachinePosition position;

	statement_enter(&scope);
	PushActiveSnapshot(GetLatestSnapshot());
	position = machine_position(GetActiveSnapshot());
	if (position.index < after)
		ereport(ERROR,
				(errcode(ERRCODE_STORE_TOO_NEW),
				 errmsg("this node has not reached resource version " UINT64_FORMAT, after),
				 errdetail("It has applied up to " UINT64_FORMAT ".", position.index),
				 errhint("Try again, or wait longer.")));
	api_check_floor((int64) after, position.floor);
	if (position.index > after)
	{
		run_query(&changes_query, request, after, receiver);

		/* A segment that was emptied meanwhile looks empty to our snapshot, too. */
		api_check_floor((int64) after, api_floor());
	}
	PopActiveSnapshot();
	statement_leave(&scope);
	return receiver->is_cut ? receiver->last : position.index;
}

static uint64
read_state(const WatchRequest *request, WatchReceiver *receiver)
{
	StatementScope scope;
	MachinePosition position;

	statement_enter(&scope);
	PushActiveSnapshot(GetLatestSnapshot());
	position = machine_position(GetActiveSnapshot());
	run_query(&state_query, request, 0, receiver);
	PopActiveSnapshot();
	statement_leave(&scope);
	return position.index;
}

/* ------------------------------------------------------------------------
 * Waiting
 * ------------------------------------------------------------------------
 */

/* Another life of the tables has other indexes. */
static void
check_epoch(uint64 epoch)
{
	if (pg_atomic_read_u64(&progress->epoch) != epoch)
		ereport(ERROR,
				(errcode(ERRCODE_STORE_GONE),
				 errmsg("the tables of the store were created anew or replaced during the watch"),
				 errhint("Begin again with the current state: store.watch(0).")));
}

/* A client that comes from another node may be ahead of this one. */
static void
wait_for_since(const WatchRequest *request, ReturnSetInfo *result)
{
	StatementPause pause;

	if (request->timeout_ms == 0 ||
		pg_atomic_read_u64(&progress->applied_index) >= request->since)
		return;
	statement_pause(result, &pause);
	api_wait_applied((int64) request->since, request->timeout_ms);
	statement_resume(&pause);
}

/*
 * Read, and sleep while there is nothing for this watcher.  Returns the index
 * up to which the answer is complete.
 */
static uint64
watch(const WatchRequest *request, WatchReceiver *receiver, uint64 epoch,
	  uint64 deadline)
{
	uint64		complete = request->since;

	for (;;)
	{
		StatementPause pause;
		bool		woken;
		uint64		applied;

		complete = read_changes(request, complete, receiver);
		check_epoch(epoch);
		if (receiver->n_rows > 0 || request->timeout_ms == 0)
			return complete;

		statement_pause(receiver->result, &pause);
		woken = watchers_sleep(&complete, deadline);
		statement_resume(&pause);
		check_epoch(epoch);
		if (woken)
			continue;

		/* The order matters: see watchers.h. */
		applied = pg_atomic_read_u64(&progress->applied_index);
		pg_read_barrier();
		if (watchers_mark() <= complete)
			return Max(complete, applied);
	}
}

/*
 * The same as a watcher that the apply worker knows of.
 */
static uint64
watch_and_wait(const WatchRequest *request, WatchReceiver *receiver, uint64 epoch)
{
	uint64		deadline = monotonic_ms() + request->timeout_ms;
	WatchSet	wanted = watch_set_of(request->kind, request->namespace);
	volatile uint64 complete = 0;

	wait_for_since(request, receiver->result);
	watchers_begin(&wanted);
	PG_TRY();
	{
		complete = watch(request, receiver, epoch, deadline);
	}
	PG_FINALLY();
	{
		watchers_end();
	}
	PG_END_TRY();
	return complete;
}

Datum
store_watch(PG_FUNCTION_ARGS)
{
	WatchRequest request;
	WatchReceiver receiver;
	uint64		epoch = pg_atomic_read_u64(&progress->epoch);
	uint64		complete;

	parse_arguments(fcinfo, &request);
	api_check_serving();
	check_can_wait(&request);
	InitMaterializedSRF(fcinfo, 0);
	open_receiver(&receiver, &request, (ReturnSetInfo *) fcinfo->resultinfo);

	if (request.since == 0)
		complete = read_state(&request, &receiver);
	else if (request.timeout_ms == 0)
		complete = watch(&request, &receiver, epoch, 0);
	else
		complete = watch_and_wait(&request, &receiver, epoch);
	return_bookmark(&receiver, complete);
	return (Datum) 0;
}
