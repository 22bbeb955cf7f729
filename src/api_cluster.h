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

/* A member by name, or by id if name is NULL; NULL if there is none. */
extern MemberStatus *cluster_find(NodeStatus *node, uint64 id, const char *name);

/*
 * Wait until this node is a voter of that cluster, under that id, for as long
 * as it makes progress.
 */
extern void cluster_await_own_vote(const pg_uuid_t *cluster_id, uint64 node_id);

#endif							/* STORE_API_CLUSTER_H */
