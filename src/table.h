/*-------------------------------------------------------------------------
 *
 * table.h
 *	  Rows in and out of the store's own tables, below the executor.
 *
 * A TableWriter is one table, open for writing, with its indexes.  Opening one
 * costs a few microseconds, so it is opened for a transaction, or a part of
 * one, and never kept across two.
 *
 * Rows to insert are gathered and go to the table many at a time, as COPY
 * does.  Whatever else is asked of the writer, what was gathered goes first,
 * so the order of calls is the order of changes.
 *
 * Finding a row sees what the transaction itself has written, in the current
 * command too.  Changing a row that the current command has written is an
 * error, as everywhere in PostgreSQL: between two changes of the same row the
 * caller calls CommandCounterIncrement() (after table_writer_flush(), if the
 * first of them was an insert).
 *
 * Not for tables that others write: a row found may have changed a moment
 * later, and then changing it is an error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include "store.h"
#include "executor/tuptable.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

typedef struct TableWriter TableWriter;

/*
 * Look up store.NAME.  An ERROR with SQLSTATE 55000 if it is not there, because
 * the extension was dropped.  The OID may be kept: table_open_existing() and
 * table_writer_open() notice when the table has gone since.
 */
extern Oid	table_oid(const char *name);

/* As table_open(), with that error. */
extern Relation table_open_existing(Oid table, LOCKMODE lockmode);

/* The index of its primary key, or InvalidOid. */
extern Oid	table_primary_key(Relation table);

/*
 * Everything is allocated in a context of its own below the current memory
 * context.  Close inserts what was gathered, and keeps the lock on the table
 * until the end of the transaction.
 */
extern TableWriter *table_writer_open(Oid table, LOCKMODE lockmode);
extern void table_writer_close(TableWriter *writer);

extern Relation table_writer_relation(TableWriter *writer);

/* Nothing is ever updated in this table, so it will grow: it may do so in leaps. */
extern void table_writer_appends(TableWriter *writer);

/* A row to insert, one value per column; it is copied. */
extern void table_writer_insert(TableWriter *writer, Datum *values, bool *isnull);

/* Insert what was gathered. */
extern void table_writer_flush(TableWriter *writer);

/*
 * Replace a whole row.  The values may point into the slot it was found in.
 * Returns whether the indexes were left alone (a HOT update), so that the row
 * is still found at the same place.
 */
extern bool table_writer_update(TableWriter *writer, ItemPointer tid,
								Datum *values, bool *isnull);

extern void table_writer_delete(TableWriter *writer, ItemPointer tid);

/* One of the table's indexes: by its name, or the one of the primary key. */
extern Relation table_writer_index(TableWriter *writer, const char *name);
extern Relation table_writer_primary_key(TableWriter *writer);

/*
 * The row with this key in a unique index, one value per key column, or NULL;
 * NULL equals NULL.  The slot is the writer's, and good until the next find or
 * close.  Toasted values are not fetched.
 */
extern TupleTableSlot *table_writer_find(TableWriter *writer, Relation index,
										 Datum *keys, bool *isnull);

/*
 * Where the index said that the row is which was just found: for heap tables,
 * the root of its chain of HOT updates.
 */
extern ItemPointerData table_writer_found_at(TableWriter *writer);

/*
 * The row at such a place, as an earlier transaction got to know it, without
 * asking the index.  Any row may be there by now, or none: the caller looks at
 * its key, and what has the key of a unique index is the row that
 * table_writer_find() would find.  NULL, too, if the table is no heap.
 */
extern TupleTableSlot *table_writer_fetch(TableWriter *writer, ItemPointerData root);

#endif							/* STORE_TABLE_H */
