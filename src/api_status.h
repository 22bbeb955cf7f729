/*-------------------------------------------------------------------------
 *
 * api_status.h
 *	  What the views of a node's state and its health have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_STATUS_H
#define STORE_API_STATUS_H

#include "store.h"
#include "status.h"

/* All that is wrong with this node, in words; empty: nothing. */
extern const char *api_problem(const NodeStatus *node);

/* The leader's name, empty if nobody is known to lead. */
extern const char *api_leader_name(const NodeStatus *node);

#endif							/* STORE_API_STATUS_H */
