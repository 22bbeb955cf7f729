/*-------------------------------------------------------------------------
 *
 * api_read.c
 *	  store.get(), list(), barrier(), wait_for()
 *
 * The read functions are plain queries on store.resources, run with the rights
 * of whoever calls them, after a barrier.  They use a snapshot that is newer
 * than the barrier, not the statement's, which is older.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"

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
static KeyQuery list_namespace = {
	KEY_PREFIX " AND namespace OPERATOR(pg_catalog.=) $4" KEY_ORDER, 4
};
static KeyQuery list_all = {
	KEY_PREFIX KEY_ORDER, 3
};

/*
 * Run the query with a snapshot taken now.  Between SPI_connect() and
 * SPI_finish().
 */
static void
run_query(KeyQuery *query, Datum *args)
{
	if (query->plan == NULL)
	{
		Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};

		query->plan = SPI_prepare(query->text, query->n_args, types);
		if (query->plan == NULL || SPI_keepplan(query->plan) != 0)
			elog(ERROR, "could not prepare a query on store.resources");
	}
	if (SPI_execute_snapshot(query->plan, args, NULL, GetLatestSnapshot(),
							 InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read store.resources");
}

static void
key_arguments(const ResourceKey *key, Datum *args)
{
	args[0] = CStringGetTextDatum(key->api_group);
	args[1] = CStringGetTextDatum(key->version);
	args[2] = CStringGetTextDatum(key->kind);
}

Datum
store_get(PG_FUNCTION_ARGS)
{
	ResourceKey key;
	Datum		args[5];
	Datum		object = (Datum) 0;
	bool		isnull = true;
	char	   *kind = api_text_argument(fcinfo, 0, "kind");
	char	   *name = api_text_argument(fcinfo, 1, "name");

	key_from_arguments(api_text_argument(fcinfo, 3, "api_version"), kind,
					   api_optional_text(fcinfo, 2), name, &key);
	if (!PG_ARGISNULL(4))
		api_not_supported("reading the past (argument \"resource_version\")");
	api_begin_read();

	key_arguments(&key, args);
	args[3] = CStringGetTextDatum(key.name);
	if (key.namespace != NULL)
		args[4] = CStringGetTextDatum(key.namespace);

	SPI_connect();
	run_query(key.namespace ? &get_namespaced : &get_cluster_scoped, args);
	if (SPI_processed > 0)
	{
		object = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		object = SPI_datumTransfer(object, false, -1);
	}
	SPI_finish();

	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(object);
}

Datum
store_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	ResourceKey key;
	Datum		args[4];
	char	   *kind = api_text_argument(fcinfo, 0, "kind");

	/* Any name will do: the rest of the key is checked like everywhere else. */
	key_from_arguments(api_text_argument(fcinfo, 2, "api_version"), kind,
					   api_optional_text(fcinfo, 1), "any", &key);
	if (!PG_ARGISNULL(3))
		api_not_supported("selecting by label (argument \"label_selector\")");
	if (!PG_ARGISNULL(4))
		api_not_supported("selecting by field (argument \"field_selector\")");

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	api_begin_read();

	key_arguments(&key, args);
	if (key.namespace != NULL)
		args[3] = CStringGetTextDatum(key.namespace);

	SPI_connect();
	run_query(key.namespace ? &list_namespace : &list_all, args);
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

	if (!request_wait_applied((uint64) index, timeout_ms))
		ereport(ERROR,
				(errcode(ERRCODE_STORE_TOO_NEW),
				 errmsg("this node has not reached resource version " INT64_FORMAT, index),
				 errdetail("It has applied up to " UINT64_FORMAT ".",
						   pg_atomic_read_u64(&progress->applied_index)),
				 errhint("Try again, or wait longer.")));
	PG_RETURN_INT64((int64) pg_atomic_read_u64(&progress->applied_index));
}
