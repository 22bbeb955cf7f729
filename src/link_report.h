/*-------------------------------------------------------------------------
 *
 * link_report.h
 *	  What the raft worker knows of the other members, for people.
 *
 * For the raft worker alone, which has the links and the core.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_LINK_REPORT_H
#define STORE_LINK_REPORT_H

#include "store.h"
#include "status.h"
#include "transport.h"

/* Each member of the current membership; self is this node's id. */
extern void link_report_members(const struct raft *node, Transport *transport,
								uint64 self, NodeStatus *status);

/*
 * Publish why this node cannot do what it should, or that it can: it was removed,
 * settings make it unsafe, the leader does not take its messages, or nobody leads
 * and another member does not, or it has an address that does not work.  And
 * which members have come to another state.
 */
extern void link_report_problems(Transport *transport, raft_id leader, uint64 self,
								 bool removed, uint64 now_ms);

#endif							/* STORE_LINK_REPORT_H */
