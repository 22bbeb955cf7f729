/*-------------------------------------------------------------------------
 *
 * api_export.c
 *	  store.export(), import()
 *
 * Resources travel between clusters as objects, and not as rows: what the
 * consensus of one cluster stamped on them means nothing in another.  An import
 * is a put.  The store's own stamps in the object (uid, resourceVersion,
 * generation, creationTimestamp, deletionTimestamp) are replaced as in any
 * other put, so that importing what is there already changes nothing.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_write.h"

#include "compat.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "object.h"
#include "rules.h"
#include "utils/snapmgr.h"

STORE_FUNCTION(store_export);
STORE_FUNCTION(store_import);

/* Rows in memory at a time. */
#define EXPORT_ROWS		100

#define EXPORT_QUERY \
	"SELECT object FROM " STORE_SCHEMA ".resources" \
	" ORDER BY api_group USING OPERATOR(pg_catalog.<)," \
	" version USING OPERATOR(pg_catalog.<)," \
	" kind USING OPERATOR(pg_catalog.<)," \
	" namespace USING OPERATOR(pg_catalog.<) NULLS FIRST," \
	" name USING OPERATOR(pg_catalog.<)"

/*
 * The result is gathered in a tuplestore, which goes to disk when it is larger
 * than work_mem: the snapshot is held no longer than it takes to read.
 */
Datum
store_export(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	MachinePosition position;
	Snapshot	snapshot;
	SPIPlanPtr	plan;
	Portal		portal;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	snapshot = api_snapshot_at(0, &position);

	SPI_connect();
	plan = SPI_prepare(EXPORT_QUERY, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare a query on the store");
	PushActiveSnapshot(snapshot);
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	PopActiveSnapshot();
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, EXPORT_ROWS);
		for (uint64 i = 0; i < SPI_processed; i++)
			tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	SPI_finish();
	UnregisterSnapshot(snapshot);
	return (Datum) 0;
}

Datum
store_import(PG_FUNCTION_ARGS)
{
	Command		command = {.op = COMMAND_PUT, .reason = REASON_OPERATOR};

	api_check_write("store.import()");
	command.body = api_body_argument(fcinfo, 0, "object");
	object_check(command.body, &command.key);
	return api_perform(fcinfo, &command);
}
