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
#include "raft/raft.h"
#include "transport.h"
#include "utils/uuid.h"

extern void greeting_init(Transport *transport, const pg_uuid_t *cluster_id, uint64 node_id);

/*
 * Greet whom there is reason to greet, at most once an election timeout.
 * Returns true if this node leads and its own address has changed, which is
 * then in *address (palloc'd): the caller proposes that.
 */
extern bool greeting_tend(const struct raft *node, const struct raft_update *update,
						  uint64 now_ms, uint32 timeout_ms, char **address);

/* When greeting_tend() must be called again; 0: whenever. */
extern uint64 greeting_deadline(const struct raft_update *update, uint32 timeout_ms);

/*
 * A greeting arrived.  True if it comes from a member; from now on it is
 * called under that address.
 */
extern bool greeting_received(uint64 from, const char *conninfo);

/*
 * Close the links to those that are no members any more, some time after the
 * membership last changed.
 */
extern void greeting_close_links(bool removed, uint64 commit_index, uint64 now_ms);

#endif							/* STORE_GREETING_H */
