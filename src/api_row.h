/*-------------------------------------------------------------------------
 *
 * api_row.h
 *	  A row of a view over shared memory, put together column by column.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_ROW_H
#define STORE_API_ROW_H

#include "store.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "utils/timestamp.h"

/* Start with all zero. */
typedef struct Row
{
	int			n;				/* columns so far */
	Datum		values[32];
	bool		isnull[32];
} Row;

extern void row_put(Row *row, Datum value, bool isnull);
extern void row_put_bigint(Row *row, uint64 value);
extern void row_put_bool(Row *row, bool value);
extern void row_put_text(Row *row, const char *value);	/* empty: null */
extern void row_put_time(Row *row, TimestampTz value);	/* 0: null */

/* Microseconds, shown as milliseconds like in pg_stat_* views. */
extern void row_put_duration(Row *row, uint64 microseconds);

/* The row as the result of the function. */
extern Datum row_return(FunctionCallInfo fcinfo, Row *row);

/* The row as one of a set that was begun with InitMaterializedSRF(). */
extern void row_store(FunctionCallInfo fcinfo, Row *row);

#endif							/* STORE_API_ROW_H */
