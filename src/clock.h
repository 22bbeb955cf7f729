/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  The clock for everything that waits.
 *
 * GetCurrentTimestamp() is for what people read: an operator or a time server
 * may set that clock, and a request must not wait an hour longer, or give up at
 * once, because of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_CLOCK_H
#define STORE_CLOCK_H

#include "store.h"

/* Monotonic milliseconds, the same for all processes of this machine. */
extern uint64 monotonic_ms(void);

/*
 * A deadline is a time of that clock.  How long until then, for WaitLatch(); 0
 * if it has passed.
 */
extern long deadline_left_ms(uint64 deadline);

#endif							/* STORE_CLOCK_H */
