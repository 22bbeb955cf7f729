/*-------------------------------------------------------------------------
 *
 * roster.h
 *	  The membership in force, with names and addresses.
 *
 * The core keeps ids and roles; this keeps the rest of what the same log
 * entries say, in step with the core: a membership takes effect when its entry
 * is appended and goes away when the entry is truncated.
 *
 * Belongs to the raft worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_ROSTER_H
#define STORE_ROSTER_H

#include "store.h"
#include "membership.h"
#include "log_tables.h"
#include "transport.h"

extern void roster_init(const RaftLogContents *contents, Transport *transport);

/* An entry of kind ENTRY_MEMBERSHIP was appended. */
extern void roster_append(uint64 index, const char *data, uint32 length);

/* Every entry from index on was removed. */
extern void roster_truncate(uint64 from);

extern Membership *roster_current(void);
extern uint64 roster_index(void);

/* The one that came with this index, if it is the current one or the one before. */
extern const Membership *roster_at(uint64 index);
extern const char *roster_name(uint64 id);	/* "" if unknown */

#endif							/* STORE_ROSTER_H */
