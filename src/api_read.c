/*-------------------------------------------------------------------------
 *
 * api_read.c
 *	  store.get(), list(), barrier(), wait_for()
 *
 * The read functions are plain queries on store.resources, run with the rights
 * of whoever calls them, after a barrier; or, for what is there now, a look into
 * the index that amounts to the same (api_lookup.c).  They use a snapshot that is
 * newer than the barrier, not the statement's, which is older.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_lookup.h"
#include "api_selector.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "object.h"
#include "request.h"
#include "status.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

STORE_FUNCTION(store_get);
STORE_FUNCTION(store_list);
STORE_FUNCTION(store_barrier);
STORE_FUNCTION(store_wait_for);

/* A query on store.resources by key; kept for the life of the session. */
typedef struct KeyQuery
{
	const char *text;
	int			n_args;
	SPIPlanPtr	plan;
} KeyQuery;

#define KEY_PREFIX \
	"SELECT object FROM store.resources" \
	" WHERE api_group OPERATOR(pg_catalog.=) $1" \
	" AND version OPERATOR(pg_catalog.=) $2" \
	" AND kind OPERATOR(pg_catalog.=) $3"
#define KEY_ORDER \
	" ORDER BY namespace USING OPERATOR(pg_catalog.<) NULLS FIRST, name USING OPERATOR(pg_catalog.<)"

static KeyQuery get_namespaced = {
	KEY_PREFIX " AND name OPERATOR(pg_catalog.=) $4 AND namespace OPERATOR(pg_catalog.=) $5", 5
};
static KeyQuery get_cluster_scoped = {
	KEY_PREFIX " AND name OPERATOR(pg_catalog.=) $4 AND namespace IS NULL", 4
};

/* The first change after index $6; $5 is the namespace in both. */
#define CHANGED_PREFIX \
	"SELECT previous FROM store.events" \
	" WHERE api_group OPERATOR(pg_catalog.=) $1" \
	" AND version OPERATOR(pg_catalog.=) $2" \
	" AND kind OPERATOR(pg_catalog.=) $3" \
	" AND name OPERATOR(pg_catalog.=) $4" \
	" AND resource_version OPERATOR(pg_catalog.>) $6"
#define CHANGED_ORDER \
	" ORDER BY resource_version USING OPERATOR(pg_catalog.<)," \
	" ordinal USING OPERATOR(pg_catalog.<) LIMIT 1"

static KeyQuery changed_namespaced = {
	CHANGED_PREFIX " AND namespace OPERATOR(pg_catalog.=) $5" CHANGED_ORDER, 6
};
static KeyQuery changed_cluster_scoped = {
	CHANGED_PREFIX " AND namespace IS NULL" CHANGED_ORDER, 6
};
static KeyQuery list_namespace = {
	KEY_PREFIX " AND namespace OPERATOR(pg_catalog.=) $4" KEY_ORDER, 4
};
static KeyQuery list_all = {
	KEY_PREFIX KEY_ORDER, 3
};

/*
 * Run the query, between SPI_connect() and SPI_finish().
 */
static void
run_query(KeyQuery *query, Datum *args, Snapshot snapshot)
{
	if (query->plan == NULL)
	{
		Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID};

		query->plan = SPI_prepare(query->text, query->n_args, types);
		if (query->plan == NULL || SPI_keepplan(query->plan) != 0)
			elog(ERROR, "could not prepare a query on the store");
	}
	if (SPI_execute_snapshot(query->plan, args, NULL, snapshot,
							 InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the store");
}

static void
key_arguments(const ResourceKey *key, Datum *args)
{
	args[0] = CStringGetTextDatum(key->api_group);
	args[1] = CStringGetTextDatum(key->version);
	args[2] = CStringGetTextDatum(key->kind);
}

/*
 * The object that a query finds, copied out of SPI.  False if there is no row;
 * *isnull if the row has none.
 */
static bool
fetch_object(KeyQuery *query, Datum *args, Snapshot snapshot, Datum *object, bool *isnull)
{
	run_query(query, args, snapshot);
	if (SPI_processed == 0)
		return false;
	*object = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
	if (!*isnull)
		*object = SPI_datumTransfer(*object, false, -1);
	return true;
}

/*
 * A resource as it was at an index: as it was before the first change after
 * that, or, if nothing has changed since, as it is.
 */
static Datum
get_at(const ResourceKey *key, Datum *args, int64 index, bool *isnull)
{
	MachinePosition position;
	Snapshot	snapshot = api_snapshot_at(index, &position);
	Datum		object = (Datum) 0;

	api_check_floor(index, position.floor);
	args[5] = Int64GetDatum(index);

	SPI_connect();
	*isnull = true;
	if (!fetch_object(key->namespace ? &changed_namespaced : &changed_cluster_scoped,
					  args, snapshot, &object, isnull))
		(void) fetch_object(key->namespace ? &get_namespaced : &get_cluster_scoped,
							args, snapshot, &object, isnull);
	SPI_finish();
	UnregisterSnapshot(snapshot);
	api_check_floor(index, api_floor());
	return object;
}

static Datum
get_newest(const ResourceKey *key, Datum *args, bool *isnull)
{
	Datum		object = (Datum) 0;
	Datum		row_key[] = {args[0], args[1], args[2],
	key->namespace ? args[4] : (Datum) 0, args[3]};
	LookupResult result;

	api_begin_read();
	result = api_lookup(row_key, &object);
	*isnull = (result == LOOKUP_MISSING);
	if (result != LOOKUP_NOT_SIMPLE)
		return object;

	SPI_connect();
	*isnull = true;
	(void) fetch_object(key->namespace ? &get_namespaced : &get_cluster_scoped,
						args, GetLatestSnapshot(), &object, isnull);
	SPI_finish();
	return object;
}

Jsonb *
api_get(const ResourceKey *key)
{
	Datum		args[6] = {0};
	Datum		object;
	bool		isnull;

	key_arguments(key, args);
	args[3] = CStringGetTextDatum(key->name);
	args[4] = CStringGetTextDatum(key->namespace ? key->namespace : "");
	object = get_newest(key, args, &isnull);
	return isnull ? NULL : DatumGetJsonbP(object);
}

Datum
store_get(PG_FUNCTION_ARGS)
{
	ResourceKey key;
	Datum		args[6] = {0};
	Datum		object;
	bool		isnull;
	char	   *kind = api_text_argument(fcinfo, 0, "kind");
	char	   *name = api_text_argument(fcinfo, 1, "name");

	key_from_arguments(api_text_argument(fcinfo, 3, "api_version"), kind,
					   api_optional_text(fcinfo, 2), name, &key);
	key_arguments(&key, args);
	args[3] = CStringGetTextDatum(key.name);
	args[4] = CStringGetTextDatum(key.namespace ? key.namespace : "");

	if (PG_ARGISNULL(4))
		object = get_newest(&key, args, &isnull);
	else
	{
		if (PG_GETARG_INT64(4) < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"resource_version\" must not be negative")));
		object = get_at(&key, args, PG_GETARG_INT64(4), &isnull);
	}

	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(object);
}

/*
 * The list that a selector makes is planned for its values, like a query that
 * somebody typed.
 */
static void
run_selected(const ResourceKey *key, const Selector *selector, Datum *key_args,
			 Snapshot snapshot)
{
	SqlArguments *args = palloc0(sizeof(SqlArguments));
	StringInfoData text;
	SPIPlanPtr	plan;

	initStringInfo(&text);
	appendStringInfoString(&text, KEY_PREFIX);
	for (int i = 0; i < 3; i++)
		(void) sql_add_argument(args, TEXTOID, key_args[i]);
	if (key->namespace != NULL)
		appendStringInfo(&text, " AND namespace OPERATOR(pg_catalog.=) $%d",
						 sql_add_argument(args, TEXTOID, key_args[3]));
	selector_append_condition(selector, &text, args);
	appendStringInfoString(&text, KEY_ORDER);

	plan = SPI_prepare(text.data, args->n, args->types);
	if (plan == NULL ||
		SPI_execute_snapshot(plan, args->values, NULL, snapshot,
							 InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the store");
}

Datum
store_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	ResourceKey key;
	Selector   *selector;
	Datum		args[4];
	char	   *kind = api_text_argument(fcinfo, 0, "kind");

	/* Any name will do: the rest of the key is checked like everywhere else. */
	key_from_arguments(api_text_argument(fcinfo, 2, "api_version"), kind,
					   api_optional_text(fcinfo, 1), "any", &key);
	selector = selector_parse(api_optional_text(fcinfo, 3), api_optional_text(fcinfo, 4));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	api_begin_read();

	key_arguments(&key, args);
	if (key.namespace != NULL)
		args[3] = CStringGetTextDatum(key.namespace);

	if (selector == NULL &&
		api_scan(args, key.namespace != NULL, result->setResult, result->setDesc))
		return (Datum) 0;

	SPI_connect();
	if (selector != NULL)
		run_selected(&key, selector, args, GetLatestSnapshot());
	else
		run_query(key.namespace ? &list_namespace : &list_all, args, GetLatestSnapshot());
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	return (Datum) 0;
}

Datum
store_barrier(PG_FUNCTION_ARGS)
{
	api_check_member("store.barrier()");
	PG_RETURN_INT64((int64) api_barrier());
}

Datum
store_wait_for(PG_FUNCTION_ARGS)
{
	int64		index;
	long		timeout_ms = store_request_timeout;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"resource_version\" must not be null")));
	index = PG_GETARG_INT64(0);
	if (index < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"resource_version\" must not be negative")));
	if (!PG_ARGISNULL(1))
		timeout_ms = api_interval_ms(PG_GETARG_INTERVAL_P(1), "timeout");

	api_wait_applied(index, timeout_ms);
	PG_RETURN_INT64((int64) pg_atomic_read_u64(&progress->applied_index));
}
