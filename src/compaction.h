/*-------------------------------------------------------------------------
 *
 * compaction.h
 *	  How much of the log is still needed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_COMPACTION_H
#define STORE_COMPACTION_H

#include "store.h"
#include "raft/raft.h"

/*
 * Up to where the log may go: what is applied here, and what every member has.
 * But a member that is away does not keep the log for ever.  When there is no
 * room left in the rotation the oldest segment goes, needed or not; whoever
 * needed it is brought up to date by a copy.
 */
extern uint64 compaction_limit(const struct raft *node, uint64 applied_index);

#endif							/* STORE_COMPACTION_H */
