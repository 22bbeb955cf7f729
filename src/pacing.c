/*-------------------------------------------------------------------------
 *
 * pacing.c
 *	  Group commit: when the leader proposes what has gathered.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "pacing.h"

#include "pending.h"

/* The batch on its way, or the last one that was. */
static struct
{
	uint64		term;
	uint64		last_index;
}			batch;

bool
pacing_is_waiting(uint64 term, uint64 commit_index)
{
	return batch.term == term && batch.last_index > commit_index;
}

bool
pacing_is_due(uint64 term, uint64 commit_index)
{
	return pending_n_writes() > 0 &&
		(!pacing_is_waiting(term, commit_index) ||
		 pending_n_writes() >= PACING_WRITES || pending_n_bytes() >= PACING_BYTES);
}

void
pacing_proposed(uint64 term, uint64 last_index)
{
	batch.term = term;
	batch.last_index = last_index;
}
