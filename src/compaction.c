/*-------------------------------------------------------------------------
 *
 * compaction.c
 *	  How much of the log is still needed.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "compaction.h"

#include "log_tables.h"
#include "snapshot.h"

/* While a copy is sent, the log behind it is kept: so many times a segment. */
#define HELD_SEGMENTS	4

uint64
compaction_limit(const struct raft *node, uint64 applied_index)
{
	uint64		needed = Min(applied_index, raft_needed_index(node) - 1);
	uint64		oldest = log_tables_overflow(snapshot_held_index() != 0 ? HELD_SEGMENTS : 1);

	return Max(needed, Min(oldest, applied_index));
}
