/*-------------------------------------------------------------------------
 *
 * shim.h
 *	  What the nemesis orders of a server's disk and clock; see shim.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TORTURE_SHIM_H
#define STORE_TORTURE_SHIM_H

#include <stdint.h>

/* In the data directory.  Each field is written and read as a whole. */
#define SHIM_FILE "torture.orders"

typedef struct ShimOrders
{
	volatile int64_t clock_step_us; /* added to what the clock says */
	volatile int32_t sync_delay_ms; /* of each flush, in addition */
	volatile int32_t sync_fails;	/* EIO */
	volatile int32_t disk_is_full;	/* ENOSPC for what makes a file longer */
} ShimOrders;

#endif							/* STORE_TORTURE_SHIM_H */
