/*-------------------------------------------------------------------------
 *
 * versions.h
 *	  Which version of commands the cluster uses.
 *
 * While the members of a cluster are upgraded one after the other, some of
 * them understand a newer version of commands (command.h) than others.  An
 * entry of the log is for all of them, so nobody proposes in a version before
 * every member understands it:
 *
 *	- every message says which version its sender understands;
 *
 *	- when the leader has heard from every member, learners too, that it
 *	  understands a version above the cluster's, it proposes a membership with
 *	  that version (membership.h);
 *
 *	- once that is committed, nodes that have learned of it propose in it
 *	  (status_version()), and the leader admits nobody who does not understand
 *	  it.
 *
 * The version never falls.  A member that is started with an older library
 * afterwards stops applying at the first entry that it cannot read, and says so.
 *
 * Belongs to the raft worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_VERSIONS_H
#define STORE_VERSIONS_H

#include "store.h"
#include "message.h"
#include "raft/raft.h"
#include "status.h"

/* A message arrived from a member. */
extern void versions_heard(const MessageHeader *header);

/*
 * On the leader: may the cluster go on to a newer version?  Then event and
 * entry propose that.  Asks again only after retry_ms, if it did not work out.
 */
extern bool versions_raise(uint64 self, uint64 now_ms, uint64 retry_ms,
						   struct raft_event *event, LogEntry *entry);

/* Fill in what each member of status->members understands; 0: not heard. */
extern void versions_report(uint64 self, NodeStatus *status);

#endif							/* STORE_VERSIONS_H */
