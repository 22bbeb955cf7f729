/*-------------------------------------------------------------------------
 *
 * raft_admin.h
 *	  Changes to the cluster itself, as the raft worker carries them out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_RAFT_ADMIN_H
#define STORE_RAFT_ADMIN_H

#include "store.h"
#include "inbox.h"
#include "message.h"
#include "raft/raft.h"

/*
 * The entry and the event, of type RAFT_CONFIG_PROPOSED, for a membership that
 * is to replace the current one.  The entry's data is palloc'd.
 */
extern void admin_propose(const Membership *membership, struct raft_event *event,
						  LogEntry *entry);

/* Refuse a request with a text; detail and hint may be NULL. */
extern void admin_refuse(const InboxRecord *record, int sqlstate, const char *message,
						 const char *detail, const char *hint);

/*
 * INBOX_ADMIT: add a learner.  Fills the event (of type
 * RAFT_CONFIG_PROPOSED) and the entry that carries the new membership, and
 * claims the request; or answers it and returns false.  After the step,
 * admin_admitted() is told how it went; if well, the apply worker answers.
 */
extern bool admin_admit(const InboxRecord *record, const struct raft *node,
						const struct raft_update *update,
						struct raft_event *event, LogEntry *entry);
extern void admin_admitted(const InboxRecord *record, enum raft_status status);

/*
 * Every turn: who waits for a change of the membership by this leader, and it
 * leads no more, is told to ask again.
 */
extern void admin_tend(const struct raft_update *update);

/* Make a learner that has caught up a voter; false if there is nothing to do. */
extern bool admin_promote(raft_id id, struct raft_event *event, LogEntry *entry);

/*
 * INBOX_ADOPT: become a member of another cluster, with an empty log and empty
 * tables.  Answers the request and starts a new epoch, which ends this worker.
 */
extern void admin_adopt(const InboxRecord *record);

#endif							/* STORE_RAFT_ADMIN_H */
