/*-------------------------------------------------------------------------
 *
 * tail.h
 *	  The newest part of the Raft log, in the raft worker's memory.
 *
 * Entries come in here first, copied once from wherever they arrived, and the
 * same bytes are then sent to followers and written to the log tables.  Old
 * ones go when the tail has grown past its limit and they are in the tables;
 * whoever needs them after that reads them from there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TAIL_H
#define STORE_TAIL_H

#include "store.h"
#include "message.h"

/* Bytes kept for followers that are a little behind. */
#define TAIL_LIMIT	(16 * 1024 * 1024)

/* Start empty, after the given index, in the current memory context. */
extern void tail_init(uint64 last_index);

/* Add an entry, which must follow the last one; its data is copied. */
extern void tail_append(const LogEntry *entry);

/* Forget every entry from index on. */
extern void tail_truncate(uint64 from);

/* Forget old entries beyond the limit, but none above "written". */
extern void tail_trim(uint64 written);

/* NULL if the entry is not (any more) in the tail. */
extern const LogEntry *tail_get(uint64 index);

extern uint64 tail_last(void);

/*
 * Bytes of the entries after an index; false if some of them are not (any
 * more) in the tail.
 */
extern bool tail_bytes_after(uint64 index, uint64 *bytes);

#endif							/* STORE_TAIL_H */
