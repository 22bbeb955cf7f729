/*-------------------------------------------------------------------------
 *
 * api_selector.h
 *	  A selector as a condition in SQL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_SELECTOR_H
#define STORE_API_SELECTOR_H

#include "store.h"
#include "lib/stringinfo.h"
#include "selector.h"

/* What a condition takes at most, and room for what the caller adds to it. */
#define SQL_MAX_ARGUMENTS	(SELECTOR_MAX_VALUES + 4 * SELECTOR_MAX_TERMS + 32)

/* Arguments of a query, as SPI wants them: $1 is values[0]. */
typedef struct SqlArguments
{
	int			n;
	Oid			types[SQL_MAX_ARGUMENTS];
	Datum		values[SQL_MAX_ARGUMENTS];
} SqlArguments;

/* Add an argument; returns its number, as in "$1". */
extern int	sql_add_argument(SqlArguments *arguments, Oid type, Datum value);

/*
 * Append " AND ..." for each term, for a row with the columns name, namespace,
 * object and labels (the object's metadata.labels, or null).  A NULL selector
 * appends nothing.  Positive terms on labels are conditions that the index
 * resources_labels serves.
 */
extern void selector_append_condition(const Selector *selector, StringInfo text,
									  SqlArguments *arguments);

#endif							/* STORE_API_SELECTOR_H */
