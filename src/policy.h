/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  What row-level security lets a role do with a resource, by its key.
 *
 * Reads are queries, so the server itself applies the policies of
 * store.resources and store.events to them.  A write is no query: it is a
 * command, and what it will meet is known only when it is applied, where no
 * role counts.  So before it is proposed, the policies of store.resources are
 * asked what they say of its key alone.
 *
 * A policy that looks at anything but the key, or that has a subquery, cannot
 * be asked: as a permissive one it permits nothing, as a restrictive one it
 * refuses.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_POLICY_H
#define STORE_POLICY_H

#include "store.h"
#include "command.h"

/* ERROR unless the current role may give this command on its resource. */
extern void policy_check_write(const Command *command);

/* May the current role read this resource, with its table privileges? */
extern bool policy_may_read(const ResourceKey *key);

/* The same as an ERROR. */
extern void policy_check_read(const ResourceKey *key);

/*
 * ERROR unless the current role may read every event that a channel of the
 * store may tell of; kind and namespace are NULL where the channel is of any.
 * Nothing to refuse where there is no store.
 */
extern void policy_check_channel(const char *channel, const char *kind,
								 const char *namespace);

#endif							/* STORE_POLICY_H */
