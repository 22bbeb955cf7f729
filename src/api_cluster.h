/*-------------------------------------------------------------------------
 *
 * api_cluster.h
 *	  What the functions that change the cluster share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_CLUSTER_H
#define STORE_API_CLUSTER_H

#include "store.h"
#include "status.h"

/* A moment between two looks; open to interrupts. */
extern void cluster_pause(void);

/*
 * Within PG_CATCH(): if the error says that the store has no leader now, or has
 * lost it, take it away and return it, in memory of the caller's context; it can
 * be thrown again.  Any other one goes on.  What ran in PG_TRY() must leave
 * nothing behind that only the end of a transaction releases.
 */
extern ErrorData *cluster_catch_passing(MemoryContext caller);

/* A member by name, or by id if name is NULL; NULL if there is none. */
extern MemberStatus *cluster_find(NodeStatus *node, uint64 id, const char *name);

/*
 * Wait until this node is a voter of that cluster, under that id, for as long
 * as it makes progress.
 */
extern void cluster_await_own_vote(const pg_uuid_t *cluster_id, uint64 node_id);

#endif							/* STORE_API_CLUSTER_H */
