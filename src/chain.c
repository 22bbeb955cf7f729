/*-------------------------------------------------------------------------
 *
 * chain.c
 *	  The newest links of the chain over what this node has applied.
 *
 * A ring in shared memory with one writer.  The index of a place is taken away
 * before its link is changed and comes back afterwards, so a reader that finds
 * the index it looks for before and after copying has one link, not two halves.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "chain.h"

#include "port/atomics.h"
#include "storage/shmem.h"

/*
 * Of a node that applies ten thousand entries a second, what the last one took:
 * whoever compares comes by ten times as often.
 */
#define CHAIN_LINKS		8192

typedef struct ChainPlace
{
	pg_atomic_uint64 index;		/* 0: none */
	pg_atomic_uint64 chain;
	pg_atomic_uint64 digest;
} ChainPlace;

static ChainPlace *places = NULL;

Size
chain_shmem_size(void)
{
	return CHAIN_LINKS * sizeof(ChainPlace);
}

void
chain_shmem_init(void)
{
	bool		found;

	places = ShmemInitStruct("store chain", chain_shmem_size(), &found);
	if (found)
		return;
	for (int i = 0; i < CHAIN_LINKS; i++)
	{
		pg_atomic_init_u64(&places[i].index, 0);
		pg_atomic_init_u64(&places[i].chain, 0);
		pg_atomic_init_u64(&places[i].digest, 0);
	}
}

void
chain_publish(const ChainLink *link)
{
	ChainPlace *place = &places[link->index % CHAIN_LINKS];

	pg_atomic_write_u64(&place->index, 0);
	pg_write_barrier();
	pg_atomic_write_u64(&place->chain, link->chain);
	pg_atomic_write_u64(&place->digest, link->digest);
	pg_write_barrier();
	pg_atomic_write_u64(&place->index, link->index);
}

void
chain_forget(void)
{
	for (int i = 0; i < CHAIN_LINKS; i++)
		pg_atomic_write_u64(&places[i].index, 0);
}

bool
chain_at(uint64 index, ChainLink *link)
{
	ChainPlace *place = &places[index % CHAIN_LINKS];

	if (pg_atomic_read_u64(&place->index) != index)
		return false;
	pg_read_barrier();
	link->index = index;
	link->chain = pg_atomic_read_u64(&place->chain);
	link->digest = pg_atomic_read_u64(&place->digest);
	pg_read_barrier();
	return pg_atomic_read_u64(&place->index) == index;
}
