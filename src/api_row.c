/*-------------------------------------------------------------------------
 *
 * api_row.c
 *	  A row of a view over shared memory, put together column by column.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api_row.h"

#include "access/htup_details.h"
#include "compat.h"
#include "funcapi.h"
#include "utils/builtins.h"

void
row_put(Row *row, Datum value, bool isnull)
{
	Assert(row->n < lengthof(row->values));
	row->values[row->n] = value;
	row->isnull[row->n] = isnull;
	row->n++;
}

void
row_put_bigint(Row *row, uint64 value)
{
	row_put(row, Int64GetDatum((int64) value), false);
}

void
row_put_bool(Row *row, bool value)
{
	row_put(row, BoolGetDatum(value), false);
}

void
row_put_text(Row *row, const char *value)
{
	if (value[0] == '\0')
		row_put(row, (Datum) 0, true);
	else
		row_put(row, CStringGetTextDatum(value), false);
}

void
row_put_time(Row *row, TimestampTz value)
{
	row_put(row, TimestampTzGetDatum(value), value == 0);
}

void
row_put_duration(Row *row, uint64 microseconds)
{
	row_put(row, Float8GetDatum((double) microseconds / 1000.0), false);
}

/*
 * While a member is upgraded, the view may be of another release than this
 * library.  Columns only ever come at the end: what it does not want is left
 * out, what we do not know is null.
 */
static void
fit(Row *row, TupleDesc desc)
{
	if (desc->natts > lengthof(row->values))
		elog(ERROR, "view has %d columns", desc->natts);
	while (row->n < desc->natts)
		row_put(row, (Datum) 0, true);
}

Datum
row_return(FunctionCallInfo fcinfo, Row *row)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	fit(row, desc);
	return HeapTupleGetDatum(heap_form_tuple(desc, row->values, row->isnull));
}

void
row_store(FunctionCallInfo fcinfo, Row *row)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	fit(row, result->setDesc);
	tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->isnull);
}
