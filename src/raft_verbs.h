/*-------------------------------------------------------------------------
 *
 * raft_verbs.h
 *	  Admitting and removing members, handing over, moving: the leader's part.
 *
 * Belongs to the raft worker.  Like raft_admin.h: a function that begins
 * something fills the event, which the worker then steps, with "entry" as what
 * it appends, and says how that went; or it answers the request itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_RAFT_VERBS_H
#define STORE_RAFT_VERBS_H

#include "store.h"
#include "inbox.h"
#include "message.h"
#include "raft/raft.h"

/*
 * INBOX_ADMIT, INBOX_REMOVE and INBOX_TRANSFER.  Returns false if the request was answered.
 *
 * The removal of the leader begins with a transfer, and so does not happen
 * here: it is put off, and granted by the next leader.
 */
extern bool verbs_begin(const InboxRecord *record, const struct raft *node,
						const struct raft_update *update, struct raft_event *event,
						LogEntry *entry);
extern void verbs_stepped(const InboxRecord *record, const struct raft_event *event,
						  enum raft_status status);

/*
 * A member is reached at another address than the membership says.  False if
 * there is nothing to do.
 */
extern bool verbs_move(uint64 id, const char *conninfo, struct raft_event *event,
					   LogEntry *entry);

#endif							/* STORE_RAFT_VERBS_H */
