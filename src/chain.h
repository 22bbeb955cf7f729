/*-------------------------------------------------------------------------
 *
 * chain.h
 *	  The newest links of the chain over what this node has applied.
 *
 * The state machine makes a link of every entry it applies (machine.h), of the
 * one before, the entry, and what it did.  Equal links at one index mean that
 * all was equal up to there; once two members differ, they differ ever after.
 * The apply worker publishes the links here, and whoever compares them with
 * those of other members looks them up by their index.
 *
 * Nothing here is durable: an applied position in the tables has its link.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_CHAIN_H
#define STORE_CHAIN_H

#include "store.h"

typedef struct ChainLink
{
	uint64		index;
	uint64		chain;			/* over all entries up to it, and what they did */
	uint64		digest;			/* of the resources there: a sum, see machine.h */
} ChainLink;

extern Size chain_shmem_size(void);
extern void chain_shmem_init(void);

/* The apply worker. */
extern void chain_publish(const ChainLink *link);
extern void chain_forget(void);

/*
 * The link at an index, false if it is not there (any more).  Ask only for what
 * is applied: what is published is not committed yet.
 */
extern bool chain_at(uint64 index, ChainLink *link);

#endif							/* STORE_CHAIN_H */
