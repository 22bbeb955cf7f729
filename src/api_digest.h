/*-------------------------------------------------------------------------
 *
 * api_digest.h
 *	  What this node's tables come to, for store.verify().
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_DIGEST_H
#define STORE_API_DIGEST_H

#include "store.h"

typedef struct TableDigests
{
	uint64		chain;			/* at the index */
	uint64		resources;		/* as of the index */
	uint64		events;			/* above the floor, up to the index */
	uint64		n_resources;	/* rows read, which may be those of a later index */
	uint64		n_events;
	uint64		n_misfits;		/* resources whose columns are not their object's */
	bool		adds_up;		/* the resources are what was applied */
} TableDigests;

/*
 * Read all of store.resources and of the history, and compute what they come to
 * as of an index that this node has applied.
 *
 * The rows are read with one snapshot, of some later index, whose sum is known
 * from what was applied (machine.h).  What was read is off from the sum there by
 * as much as it would be at the index asked for: so the sum there, which was
 * published, plus what it is off, is what the rows came to at that index.  Events
 * never change, so of them just those up to the index are read.
 *
 * ERROR 40001 if the index was too long ago, or the history begins above the
 * floor; whatever a damaged page or index raises.  Says how far it is in a NOTICE
 * now and then.
 */
extern void digest_tables(uint64 index, uint64 floor, TableDigests *digests);

#endif							/* STORE_API_DIGEST_H */
