/*-------------------------------------------------------------------------
 *
 * place_cache.h
 *	  Where in store.resources the rows lately written are.
 *
 * Most writes change a resource that was changed before, and descending a
 * B-tree with five columns of text is a fifth of what applying one costs.  So
 * the apply worker remembers where rows were, in a table of fixed size in its
 * own memory: 4 MB, whatever the store holds.  What it says is a guess that
 * the caller verifies (table_writer_fetch()); forgetting, or two keys that
 * share a place, cost one descent.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_PLACE_CACHE_H
#define STORE_PLACE_CACHE_H

#include "store.h"
#include "rules.h"
#include "storage/itemptr.h"

/* A key's hash, by which the other functions know it. */
extern uint64 place_cache_hash(const ResourceKey *key);

/* False if nothing is remembered. */
extern bool place_cache_get(uint64 hash, ItemPointer place);

extern void place_cache_put(uint64 hash, ItemPointerData place);
extern void place_cache_forget(uint64 hash);

#endif							/* STORE_PLACE_CACHE_H */
