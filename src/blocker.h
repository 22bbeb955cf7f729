/*-------------------------------------------------------------------------
 *
 * blocker.h
 *	  Keep sessions from holding up the apply worker for ever.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_BLOCKER_H
#define STORE_BLOCKER_H

#include "store.h"

/*
 * To be called by the raft worker every turn.  behind: there are committed
 * entries that are not applied.  Returns when it wants to be called again, in
 * the time of now_ms, or 0.
 */
extern uint64 blocker_watch(uint64 now_ms, bool behind, uint64 applied_index);

#endif							/* STORE_BLOCKER_H */
