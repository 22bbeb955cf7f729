/*-------------------------------------------------------------------------
 *
 * place_cache.c
 *	  Where in store.resources the rows lately written are.
 *
 * Sets of as many entries as a cache line holds: with one place for each hash, a
 * quarter of 20,000 keys would have to share theirs with another.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "place_cache.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#define N_SETS		65536
#define SET_SIZE	4

typedef struct Entry
{
	uint64		hash;			/* 0: unused */
	ItemPointerData place;
} Entry;

static Entry *entries = NULL;	/* N_SETS times SET_SIZE */
static uint32 next_victim = 0;	/* which of a full set has to go */

uint64
place_cache_hash(const ResourceKey *key)
{
	const char *parts[] = {key->api_group, key->version, key->kind, key->namespace, key->name};
	uint64		hash = 0;

	for (int i = 0; i < lengthof(parts); i++)
	{
		const char *part = parts[i] ? parts[i] : "";

		hash = hash_bytes_extended((const unsigned char *) part, (int) strlen(part), hash);
	}
	return hash != 0 ? hash : 1;
}

static Entry *
find_set(uint64 hash)
{
	if (entries == NULL)
		entries = (Entry *)
			TYPEALIGN(PG_CACHE_LINE_SIZE,
					  MemoryContextAllocZero(TopMemoryContext,
											 N_SETS * SET_SIZE * sizeof(Entry) +
											 PG_CACHE_LINE_SIZE));
	return &entries[hash % N_SETS * SET_SIZE];
}

/* The entry with this hash, or NULL. */
static Entry *
find_entry(Entry *set, uint64 hash)
{
	for (int i = 0; i < SET_SIZE; i++)
	{
		if (set[i].hash == hash)
			return &set[i];
	}
	return NULL;
}

bool
place_cache_get(uint64 hash, ItemPointer place)
{
	Entry	   *entry = find_entry(find_set(hash), hash);

	if (entry == NULL)
		return false;
	*place = entry->place;
	return true;
}

void
place_cache_put(uint64 hash, ItemPointerData place)
{
	Entry	   *set = find_set(hash);
	Entry	   *entry = find_entry(set, hash);

	if (entry == NULL)
		entry = find_entry(set, 0);
	if (entry == NULL)
		entry = &set[next_victim++ % SET_SIZE];
	entry->hash = hash;
	entry->place = place;
}

void
place_cache_forget(uint64 hash)
{
	Entry	   *entry = find_entry(find_set(hash), hash);

	if (entry != NULL)
		entry->hash = 0;
}
