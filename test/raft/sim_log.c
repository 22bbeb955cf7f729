/*-------------------------------------------------------------------------
 *
 * sim_log.c
 *	  Entries, logs, and the registry of all entries ever made.
 *
 * Log Matching (Paper 5.3) says: if two logs hold an entry with the same index
 * and term, they are equal up to it.  Comparing logs at every step would cost
 * too much, so every entry carries a hash of everything before it, and the
 * registry keeps, for every (index, term), the hash with which that entry was
 * first made.  An entry that enters any log under a known (index, term) with
 * another hash breaks the property, at the moment at which it happens.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

uint64_t
entry_chain(uint64_t previous, raft_index index, const struct entry *entry)
{
	uint64_t	h = previous;

	h = (h ^ index) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ (h >> 29) ^ entry->term) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 32) ^ entry->value ^ ((uint64_t) entry->kind << 62)) *
		UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

/* Make a log empty after a given entry. */
void
log_reset(struct log *log, raft_index base, raft_term term, uint64_t chain, uint32_t config)
{
	log->base = base;
	log->base_term = term;
	log->base_chain = chain;
	log->base_config = config;
	log->last = base;
	log->n_configs = 0;
}

void
log_append(struct log *log, const struct entry *entry)
{
	raft_index	index = ++log->last;

	if (index >= MAX_INDEX)
		fail(SIM_HARNESS, "a log outgrew %u entries", MAX_INDEX);
	log->e[index] = *entry;
	if (entry->kind == ENTRY_CONFIG)
	{
		if (log->n_configs == MAX_LOG_CONFIGS)
			fail(SIM_HARNESS, "a log outgrew %d configurations", MAX_LOG_CONFIGS);
		log->configs[log->n_configs].index = index;
		log->configs[log->n_configs++].config = entry->config;
	}
}

void
log_truncate(struct log *log, raft_index from)
{
	log->last = from - 1;
	while (log->n_configs > 0 && log->configs[log->n_configs - 1].index >= from)
		log->n_configs--;
}

/* Forget the entries up to index. */
void
log_compact(struct log *log, raft_index index)
{
	uint32_t	n = 0;

	while (n < log->n_configs && log->configs[n].index <= index)
		log->base_config = log->configs[n++].config;
	log->n_configs -= n;
	memmove(log->configs, log->configs + n, log->n_configs * sizeof(struct log_config));
	log->base_term = log_term(log, index);
	log->base_chain = log_chain(log, index);
	log->base = index;
}

void
log_copy(struct log *to, const struct log *from)
{
	struct entry *e = to->e;

	*to = *from;
	to->e = e;
	memcpy(e + from->base + 1, from->e + from->base + 1,
		   (from->last - from->base) * sizeof(struct entry));
}

/* base .. last only */
raft_term
log_term(const struct log *log, raft_index index)
{
	return index == log->base ? log->base_term : log->e[index].term;
}

uint64_t
log_chain(const struct log *log, raft_index index)
{
	return index == log->base ? log->base_chain : log->e[index].chain;
}

/* What lies below the base was committed, and is checked as such. */
bool
log_holds(const struct log *log, raft_index index, uint64_t chain)
{
	if (index < log->base)
		return true;
	return index <= log->last && log_chain(log, index) == chain;
}

/* The newest configuration at or before index. */
uint32_t
log_config_at(const struct log *log, raft_index index, raft_index *config_index)
{
	uint32_t	n = log->n_configs;

	while (n > 0 && log->configs[n - 1].index > index)
		n--;
	*config_index = n > 0 ? log->configs[n - 1].index : 0;
	return n > 0 ? log->configs[n - 1].config : log->base_config;
}

void
registry_reset(void)
{
	memset(sim.registry, 0, (sim.highest_index + 1) * sizeof(uint32_t));
	sim.n_registered = 1;		/* 0 ends a list */
	sim.highest_index = 0;
}

/* An entry enters a log: its leader's ("new"), or another member's. */
void
registry_check(raft_index index, const struct entry *entry, bool new)
{
	struct registered *r;
	uint32_t	at;

	if (index >= MAX_INDEX)
		fail(SIM_HARNESS, "a log outgrew %u entries", MAX_INDEX);
	for (at = sim.registry[index]; at != 0; at = r->next)
	{
		r = &sim.registered[at];
		if (r->term != entry->term)
			continue;
		if (new)
			fail(SIM_SAFETY, "leader append-only: entry %llu of term %llu was made twice",
				 (unsigned long long) index, (unsigned long long) entry->term);
		if (r->chain != entry->chain)
			fail(SIM_SAFETY, "log matching: two logs differ at or before entry %llu of term %llu",
				 (unsigned long long) index, (unsigned long long) entry->term);
		return;
	}
	if (!new)
		fail(SIM_SAFETY, "entry %llu of term %llu was made by no leader",
			 (unsigned long long) index, (unsigned long long) entry->term);
	sim.registered = grow(sim.registered, &sim.registered_room, sim.n_registered + 1,
						  sizeof(struct registered));
	r = &sim.registered[sim.n_registered];
	r->term = entry->term;
	r->chain = entry->chain;
	r->next = sim.registry[index];
	sim.registry[index] = sim.n_registered++;
	if (index > sim.highest_index)
		sim.highest_index = index;
	sim.stats.entries++;
}

/*
 * A sole voter leads at once.  If it crashes before its term is on disk, nobody
 * has heard of that term, and it may lead in it again with other entries.
 */
void
registry_forget(const struct log *log, raft_term term)
{
	raft_index	index;

	for (index = log->last; index > log->base && log->e[index].term >= term; index--)
	{
		uint32_t   *at = &sim.registry[index];

		while (*at != 0 && sim.registered[*at].term != term)
			at = &sim.registered[*at].next;
		if (*at != 0)
			*at = sim.registered[*at].next;
	}
}

uint32_t
config_add(const struct raft_config *config)
{
	if (sim.n_configs == MAX_CONFIGS)
		fail(SIM_HARNESS, "more than %d configurations", MAX_CONFIGS);
	sim.configs[sim.n_configs] = *config;
	return sim.n_configs++;
}

bool
config_equal(const struct raft_config *a, const struct raft_config *b)
{
	uint32_t	i;

	if (a->n_members != b->n_members)
		return false;
	for (i = 0; i < a->n_members; i++)
		if (a->members[i].id != b->members[i].id || a->members[i].role != b->members[i].role)
			return false;
	return true;
}

/* The place of a member, or -1. */
int
config_find(const struct raft_config *config, raft_id id)
{
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
		if (config->members[i].id == id)
			return (int) i;
	return -1;
}

uint32_t
config_voters(const struct raft_config *config)
{
	uint32_t	n = 0;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
		n += config->members[i].role == RAFT_VOTER;
	return n;
}
