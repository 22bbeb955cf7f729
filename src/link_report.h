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
 * Why this node cannot do what it should: it was removed, its server may lose
 * what it has written, the leader does not take its messages, nobody leads and
 * another member does not, or it has an address that does not work.  NULL if
 * none of that is so.
 */
extern const char *link_report_problem(Transport *transport, raft_id leader,
									   uint64 self, bool removed);

#endif							/* STORE_LINK_REPORT_H */
