/*-------------------------------------------------------------------------
 *
 * slow_disk.c
 *	  When a leader's disk is so slow that another member should lead.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "slow_disk.h"

/* Pause between two times, in election timeouts. */
#define PAUSE_TIMEOUTS	10

static int	n_slow_writes;		/* in a row */
static uint64 pause_until_ms;

bool
slow_disk_noticed(uint64 write_ms, uint64 now_ms, uint64 election_timeout_ms, bool leads)
{
	if (write_ms * 2 <= election_timeout_ms)
	{
		n_slow_writes = 0;
		return false;
	}
	if (++n_slow_writes < SLOW_DISK_WRITES || !leads || now_ms < pause_until_ms)
		return false;

	n_slow_writes = 0;
	pause_until_ms = now_ms + PAUSE_TIMEOUTS * election_timeout_ms;
	return true;
}
