/*-------------------------------------------------------------------------
 *
 * greeting.h
 *	  How members find each other when addresses change or somebody is gone.
 *
 * Belongs to the raft worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_GREETING_H
#define STORE_GREETING_H

#include "store.h"
#include "message.h"
#include "raft/raft.h"
#include "transport.h"
#include "utils/uuid.h"

extern void greeting_init(Transport *transport, const MessageOrigin *origin, uint64 node_id);

/*
 * Greet whom there is reason to greet, at most once an election timeout.
 * Returns true if this node leads, its own address has changed, and it is
 * reached there; it is then in *address (palloc'd), and the caller proposes it.
 */
extern bool greeting_tend(const struct raft *node, const struct raft_update *update,
						  uint64 now_ms, uint32 timeout_ms, char **address);

/* When greeting_tend() must be called again; 0: whenever. */
extern uint64 greeting_deadline(const struct raft_update *update, uint32 timeout_ms);

/*
 * A greeting arrived.  If it is a member's who is not called there yet, that is
 * tried.  True if it is.
 */
extern bool greeting_received(uint64 from, const char *conninfo);

/* So did an answer: that member has reached this node there. */
extern void greeting_answered(uint64 from, const char *conninfo);

/* This node's new address does not work (palloc'd), or NULL. */
extern const char *greeting_problem(void);

/*
 * Close the links to those that are no members any more, some time after the
 * membership last changed.
 */
extern void greeting_close_links(bool removed, uint64 commit_index, uint64 now_ms);

#endif							/* STORE_GREETING_H */
