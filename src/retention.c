/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  How long history is kept: who looks, who proposes, who empties.
 *
 * Two processes run this, each its own half.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "retention.h"

#include "clock.h"
#include "command.h"
#include "history.h"
#include "machine.h"
#include "message.h"
#include "pending.h"
#include "status.h"
#include "worker.h"

/* While something is being applied or emptied, and between two proposals. */
#define BUSY_MS		1000

/* Before the same is proposed again in one term: it is late rather than lost. */
#define REPEAT_MS	10000

/*
 * While nothing happens, only time passes: a look this many times within
 * store.history_retention is enough.
 */
#define LOOKS		16
#define MAX_IDLE_MS	60000

/* ------------------------------------------------------------------------
 * The apply worker
 * ------------------------------------------------------------------------
 */

static uint64 tended_ms;
static bool changed = true;		/* since then; or nothing is known yet */

static long
idle_ms(void)
{
	if (store_history_retention < 0)
		return MAX_IDLE_MS;
	return Min(Max((int64) store_history_retention * 1000 / LOOKS, BUSY_MS), MAX_IDLE_MS);
}

/* Is there anything that the passing of time makes too old? */
static bool
has_history(void)
{
	return pg_atomic_read_u64(&progress->last_event) > machine_floor();
}

static bool
is_busy(void)
{
	return changed || history_is_waste(machine_floor());
}

long
retention_nap(void)
{
	if (is_busy())
		return BUSY_MS;
	return has_history() ? idle_ms() : -1;
}

void
retention_tend(bool active)
{
	uint64		now_ms = monotonic_ms();
	uint64		floor = machine_floor();

	changed = changed || active;
	if (now_ms - tended_ms < (uint64) (is_busy() ? BUSY_MS : idle_ms()))
		return;
	tended_ms = now_ms;
	changed = false;

	if (history_is_waste(floor))
	{
		worker_begin("emptying segments of the history");
		history_sweep(floor);
		worker_commit();
	}
	if (has_history())
	{
		uint64		wanted;

		worker_begin("looking for history that is too old");
		wanted = history_wanted_floor(floor, GetCurrentTimestamp());
		worker_commit();
		if (wanted != pg_atomic_read_u64(&progress->wanted_floor))
		{
			pg_atomic_write_u64(&progress->wanted_floor, wanted);
			status_wake(WORKER_RAFT);
		}
	}
}

/* ------------------------------------------------------------------------
 * The raft worker of the leader
 * ------------------------------------------------------------------------
 */

/*
 * It need not succeed: if it gets lost with its term, the next one is proposed
 * soon.  Twice the same does nothing the second time.
 */
void
retention_propose(uint64 now_ms, uint64 term)
{
	static uint64 proposed_ms = 0;
	static uint64 proposed = 0;
	static uint64 proposed_term = 0;
	uint64		wanted = pg_atomic_read_u64(&progress->wanted_floor);
	bool		again = (wanted == proposed && term == proposed_term);
	Command		command = {
		.version = status_version(),
		.op = COMMAND_COMPACT,
		.key = {.api_group = "", .version = "", .kind = "", .name = ""}
	};
	LogEntry	entry = {0};
	StringInfoData encoded;

	if (wanted <= pg_atomic_read_u64(&progress->floor) ||
		command.version < command_needs(&command) ||
		now_ms - proposed_ms < (uint64) (again ? REPEAT_MS : BUSY_MS))
		return;
	proposed_ms = now_ms;
	proposed = wanted;
	proposed_term = term;

	command.time = GetCurrentTimestamp();
	command.revision = (int64) wanted;
	initStringInfo(&encoded);
	command_encode(&encoded, &command);
	entry.data = encoded.data;
	entry.length = encoded.len;
	pending_add_forwarded(&entry, term);
}
