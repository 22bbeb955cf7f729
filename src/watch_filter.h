/*-------------------------------------------------------------------------
 *
 * watch_filter.h
 *	  Which events a watcher is told of, and as what.
 *
 * A watcher that selects by labels or fields sees a world of just those
 * resources.  A change may move a resource into that world or out of it, so
 * what it is to the watcher depends on the resource before and after:
 *
 *		before	after
 *		-		selected	ADDED
 *		selected selected	MODIFIED
 *		selected -			DELETED
 *		-		-			nothing
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_WATCH_FILTER_H
#define STORE_WATCH_FILTER_H

#include "store.h"
#include "command.h"
#include "selector.h"
#include "utils/jsonb.h"

/* An event as the history has it. */
typedef struct WatchEvent
{
	const char *type;
	ResourceKey key;
	int64		resource_version;
	Jsonb	   *object;			/* after the change; of DELETED the last state */
	Jsonb	   *previous;		/* NULL: there was none */
} WatchEvent;

/*
 * Turn it into what a watcher with this selector (NULL: everything) is told:
 * type and object are set anew where they differ, palloc'd.  False: nothing.
 */
extern bool watch_filter(const Selector *selector, WatchEvent *event);

/*
 * Kinds and namespaces as sets of bits: of a batch of changes, or of what a
 * watcher waits for.  Names may share a bit, so two sets that meet may still
 * have nothing in common; sets that do not meet have nothing in common.
 */
typedef struct WatchSet
{
	uint64		kinds;
	uint64		namespaces;
} WatchSet;

/* Add a kind in a namespace; what has none has namespace NULL. */
extern void watch_set_add(WatchSet *set, const char *kind, const char *namespace);

/* What a watcher waits for: NULL means all. */
extern WatchSet watch_set_of(const char *kind, const char *namespace);

extern bool watch_sets_meet(const WatchSet *a, const WatchSet *b);

#endif							/* STORE_WATCH_FILTER_H */
