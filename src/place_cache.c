/*-------------------------------------------------------------------------
 *
 * place_cache.c
 *	  Where in store.resources the rows lately written are.
 *
 * Direct-mapped: the newest key that hashes to an entry has it.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "place_cache.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#define N_ENTRIES	65536

typedef struct Entry
{
	uint64		hash;			/* 0: unused */
	ItemPointerData place;
} Entry;

static Entry *entries = NULL;

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
find_entry(uint64 hash)
{
	if (entries == NULL)
		entries = MemoryContextAllocZero(TopMemoryContext, N_ENTRIES * sizeof(Entry));
	return &entries[hash % N_ENTRIES];
}

bool
place_cache_get(uint64 hash, ItemPointer place)
{
	Entry	   *entry = find_entry(hash);

	if (entry->hash != hash)
		return false;
	*place = entry->place;
	return true;
}

void
place_cache_put(uint64 hash, ItemPointerData place)
{
	Entry	   *entry = find_entry(hash);

	entry->hash = hash;
	entry->place = place;
}

void
place_cache_forget(uint64 hash)
{
	Entry	   *entry = find_entry(hash);

	if (entry->hash == hash)
		entry->hash = 0;
}
