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

#include "listeners.h"
#include "pending.h"
#include "request.h"
#include "watchers.h"

/* The batch on its way, or the last one that was, of this term. */
static struct
{
	uint64		term;
	uint64		last_index;
	uint64		proposed_ms;
	uint64		committed_ms;	/* 0: not yet */
	uint32		n_writes;
	uint32		n_before;		/* of the batch before */
	bool		was_near;		/* it followed that one closely */
}			batch;

/* When the apply worker was last woken, and whether it was not, since then. */
static uint64 apply_woken_ms;
static bool apply_waits;

void
pacing_note(uint64 now_ms, uint64 term, uint64 commit_index)
{
	if (batch.term != term)
	{
		memset(&batch, 0, sizeof(batch));
		batch.term = term;
		batch.proposed_ms = now_ms;
	}
	if (batch.committed_ms == 0 && batch.last_index <= commit_index)
		batch.committed_ms = now_ms;
}

static bool
is_full(void)
{
	return pending_n_writes() >= PACING_WRITES || pending_n_bytes() >= PACING_BYTES;
}

/* A single large batch says little: others were there for once. */
static uint32
usual_size(void)
{
	return Min(batch.n_writes, batch.n_before);
}

static uint64
wait_until(void)
{
	uint64		took_ms = batch.committed_ms - batch.proposed_ms;

	return batch.committed_ms + Min(took_ms / 2 + 1, PACING_WAIT_MS);
}

bool
pacing_is_due(uint64 now_ms)
{
	if (pending_n_writes() == 0)
		return false;
	if (is_full())
		return true;
	return batch.committed_ms != 0 &&
		(pending_n_writes() >= usual_size() || now_ms >= wait_until());
}

void
pacing_proposed(uint64 now_ms, uint32 n, uint64 last_index)
{
	batch.was_near = batch.committed_ms == 0 ||
		now_ms < batch.committed_ms + PACING_NEAR_MS;
	batch.n_before = batch.n_writes;
	batch.n_writes = n;
	batch.last_index = last_index;
	batch.proposed_ms = now_ms;
	batch.committed_ms = 0;
}

bool
pacing_next_is_near(uint64 now_ms)
{
	return batch.was_near && batch.committed_ms != 0 &&
		(now_ms < batch.committed_ms + PACING_NEAR_MS ||
		 (pending_n_writes() > 0 && now_ms < wait_until()));
}

uint64
pacing_deadline(uint64 now_ms)
{
	uint64		deadline = wait_until();

	if (batch.committed_ms == 0)
		return 0;
	if (pending_n_writes() == 0)
		deadline = batch.was_near ? batch.committed_ms + PACING_NEAR_MS : 0;
	return deadline > now_ms ? deadline : 0;
}

uint32
pacing_wants(uint64 now_ms)
{
	uint32		n = pending_n_writes();

	if (batch.committed_ms == 0)
		return PACING_WRITES - Min(n, PACING_WRITES - 1);
	if (now_ms < wait_until() && n + 1 < usual_size())
		return usual_size() - n;
	return 0;
}

bool
pacing_wakes_apply(uint64 now_ms, bool leader)
{
	apply_waits = !leader && now_ms < apply_woken_ms + PACING_APPLY_MS &&
		pending_n_proposed() == 0 && !request_any_sleeper() &&
		watchers_count() == 0 && !listeners_any();
	if (!apply_waits)
		apply_woken_ms = now_ms;
	return !apply_waits;
}

uint64
pacing_apply_deadline(void)
{
	return apply_waits ? apply_woken_ms + PACING_APPLY_MS : 0;
}
