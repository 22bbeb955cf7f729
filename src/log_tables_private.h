/*-------------------------------------------------------------------------
 *
 * log_tables_private.h
 *	  What the files of the Raft log share; nobody else includes it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_LOG_TABLES_PRIVATE_H
#define STORE_LOG_TABLES_PRIVATE_H

#include "log_tables.h"
#include "access/genam.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* Columns of store.raft_log_n, from 0. */
enum
{
	LOG_INDEX,
	LOG_TERM,
	LOG_KIND,
	LOG_DATA,
	LOG_COLUMNS
};

/* The OID of store.raft_log_n. */
extern Oid	log_tables_segment_oid(int segment);

/*
 * A segment open for reading, in the order of the index.  The slot holds the
 * entry that log_tables_scan_next() found; data may be toasted.
 */
typedef struct SegmentScan
{
	Relation	table;
	Relation	primary_key;
	IndexScanDesc scan;
	TupleTableSlot *slot;
} SegmentScan;

extern void log_tables_scan_begin(SegmentScan *scan, Oid table, Snapshot snapshot,
								uint64 from);

/* Fills in all of the entry but its data: *data is the bytea as stored. */
extern bool log_tables_scan_next(SegmentScan *scan, LogEntry *entry, Datum *data);

/* Gives back the locks. */
extern void log_tables_scan_end(SegmentScan *scan);

/*
 * Fetch the payload of a stored entry into memory of the current context.
 */
extern void log_tables_fetch_payload(LogEntry *entry, Datum data);

/* Change the base in store.raft_state; membership NULL: leave it. */
extern void log_tables_save_base(uint64 index, uint64 term,
							   const LogEntry *membership);

/* Change the row of store.raft_state, or add it. */
extern void log_tables_save_state(const RaftState *state);

#endif							/* STORE_LOG_TABLES_PRIVATE_H */
