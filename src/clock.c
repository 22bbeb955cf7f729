/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  The clock for everything that waits.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "clock.h"

#include <limits.h>
#include <time.h>

uint64
monotonic_ms(void)
{
	struct timespec now;

	/* A sleeping machine must not lengthen a lease: where the clock can tell. */
#ifdef CLOCK_BOOTTIME
	clock_gettime(CLOCK_BOOTTIME, &now);
#else
	clock_gettime(CLOCK_MONOTONIC, &now);
#endif
	return (uint64) now.tv_sec * 1000 + (uint64) now.tv_nsec / 1000000;
}

long
deadline_left_ms(uint64 deadline)
{
	uint64		now = monotonic_ms();

	return now >= deadline ? 0 : (long) Min(deadline - now, INT_MAX);
}
