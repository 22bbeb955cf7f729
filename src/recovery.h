/*-------------------------------------------------------------------------
 *
 * recovery.h
 *	  A member that must not go on by itself, and an operator's word.
 *
 * A detached node keeps its tables, which can be read, and takes no part in
 * consensus: it neither votes nor acknowledges, and refuses requests and
 * messages.  It is detached because its stored state is not at home on this
 * server (identity.h) or because the others shut it out (starts.h).  What ends
 * it is in the hands of an operator:
 *
 *	store.keep_identity()			this is the one and newest copy of the member
 *	store.restore_as_new_cluster()	a cluster of its own, with this state
 *	DROP EXTENSION					to join the cluster again as a new member
 *
 * store.recover_without_quorum() makes a running survivor of a cluster that
 * lost its majority for good a cluster of its own, in the same way.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_RECOVERY_H
#define STORE_RECOVERY_H

#include "store.h"
#include "inbox.h"
#include "log_tables.h"
#include "message.h"
#include "raft/raft.h"
#include "transport.h"

/*
 * Take the next number for this start, if the stored state is this server's and
 * the others have not shut it out.  In a transaction, of the raft worker.
 * Returns NULL, or why not (palloc'd).
 */
extern const char *recovery_begin_start(RaftState *state);

/*
 * Serve as a detached node, until the extension is dropped or an operator
 * decides.  Called by the raft worker instead of its loop.
 */
extern void recovery_run_detached(const char *reason) pg_attribute_noreturn();

/*
 * The member refuses this start for good: note it durably, and start the worker
 * anew, as a detached node.
 */
extern void recovery_shut_out(uint64 by, Transport *transport) pg_attribute_noreturn();

/*
 * A member that was removed while it was down hears of it from the others, who
 * need not be there at its next start: note it durably.
 */
extern void recovery_note_removal(void);
extern bool recovery_was_removed(const RaftState *state);

/*
 * The state of this node differs from that of a majority of the voters: note it
 * durably, and serve no more.  The caller hands over what it has to, and then
 * starts the worker anew, as a detached node.
 */
extern void recovery_note_divergence(uint64 index);

/* Does the stored state of this node say so?  Needs a transaction. */
extern bool recovery_has_diverged(void);

/* The core found that a member lost what it acknowledged: shut it out. */
extern void recovery_lost_data(raft_id member);

/*
 * May the message have an effect?  Not if a newer start of its sender is known;
 * if it is the newest, that is noted durably.
 */
extern bool recovery_is_newest_start(const MessageHeader *header);

/*
 * INBOX_RECOVER, on a member that runs.  Answers, or leaves for good.
 */
extern void recovery_serve(const InboxRecord *record, const struct raft_update *update,
						   Transport *transport);

#endif							/* STORE_RECOVERY_H */
