/*-------------------------------------------------------------------------
 *
 * sim_disk.c
 *	  What survives a crash: writes, snapshots, compaction, the machine.
 *
 * A member writes to its log as it sees it at once, and keeps a list of the
 * same writes for the disk.  A flush carries the list out; a crash before the
 * end of the flush carries out a part of it that chance decides.  The contract
 * asks for one atomic step per update, and that is the least a crash respects
 * here, unless the seed wants torn writes: then it may cut anywhere, in the
 * middle of an append too.  Nothing was promised before the flush, so a core
 * that is right survives that as well.
 *
 * The state machine is written apart from the log, and without a flush of its
 * own: after a crash it may be behind what it had applied.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static struct op *
op_new(struct node *node, enum op_kind kind)
{
	struct op  *op;

	node->ops = grow(node->ops, &node->ops_room, node->n_ops + 1, sizeof(struct op));
	op = &node->ops[node->n_ops++];
	op->kind = kind;
	op->update = sim.step;
	return op;
}

void
disk_vote(struct node *node, raft_term term, raft_id vote)
{
	struct op  *op = op_new(node, OP_VOTE);

	op->term = term;
	op->vote = vote;
}

void
disk_truncate(struct node *node, raft_index from)
{
	op_new(node, OP_TRUNCATE)->first = from;
	inbox_overtake(node, from);
	if (node->synced >= from)
		node->synced = from - 1;
}

/* These entries are in the log as the member sees it. */
void
disk_append(struct node *node, raft_index first, raft_index last)
{
	struct op  *op = op_new(node, OP_APPEND);
	uint32_t	n = (uint32_t) (last - first + 1);

	op->first = first;
	op->count = n;
	op->at = node->n_op_entries;
	node->op_entries = grow(node->op_entries, &node->op_entries_room,
							node->n_op_entries + n, sizeof(struct entry));
	memcpy(node->op_entries + op->at, node->log.e + first, n * sizeof(struct entry));
	node->n_op_entries += n;
}

/* Carry out one write; of an append, only the first "count" entries. */
static void
op_do(struct node *node, const struct op *op, uint32_t count)
{
	uint32_t	i;

	switch (op->kind)
	{
		case OP_VOTE:
			node->disk_term = op->term;
			node->disk_vote = op->vote;
			break;
		case OP_TRUNCATE:
			log_truncate(&node->disk, op->first);
			break;
		case OP_APPEND:
			if (op->first != node->disk.last + 1)
				fail(SIM_HARNESS, "disk of node %u: gap before entry %llu",
					 node->slot + 1, (unsigned long long) op->first);
			for (i = 0; i < count; i++)
				log_append(&node->disk, &node->op_entries[op->at + i]);
			break;
	}
}

/* The flush has succeeded. */
void
disk_flushed(struct node *node)
{
	uint32_t	i;

	for (i = 0; i < node->n_ops; i++)
		op_do(node, &node->ops[i], node->ops[i].count);
	node->n_ops = 0;
	node->n_op_entries = 0;
	node->synced = node->disk.last;
	if (node->synced != node->log.last || node->disk_term != node->term ||
		node->disk_vote != node->vote)
		fail(SIM_HARNESS, "disk of node %u differs from its memory", node->slot + 1);
	if (random_chance(900))
		node->disk_machine = node->machine;
}

/* The member is gone; some of what it was writing is on disk. */
void
disk_crashed(struct node *node)
{
	uint32_t	survive = (uint32_t) random_below((uint64_t) node->n_ops + 1);
	uint32_t	i;

	if (!sim.options.torn)
		while (survive > 0 && survive < node->n_ops &&
			   node->ops[survive].update == node->ops[survive - 1].update)
			survive--;
	for (i = 0; i < survive; i++)
	{
		uint32_t	count = node->ops[i].count;

		if (sim.options.torn && i + 1 == survive && node->ops[i].kind == OP_APPEND &&
			count > 0 && random_chance(512))
		{
			count = (uint32_t) random_below(count);
			sim.stats.torn++;
		}
		op_do(node, &node->ops[i], count);
	}
	node->n_ops = 0;
	node->n_op_entries = 0;
	if (random_chance(400) && node->machine.index <= node->disk.last)
		node->disk_machine = node->machine;
}

/* Between turns: forget entries that the state machine has durably applied. */
void
disk_compact(struct node *node)
{
	struct raft_event event = {.type = RAFT_COMPACTED};
	raft_index	to = node->disk_machine.index < node->told_applied ?
		node->disk_machine.index : node->told_applied;
	raft_index	keep = random_below(1 + sim.options.compact_after / 2);

	if (sim.options.compact_after == 0 || node->muted ||
		to < node->log.base + sim.options.compact_after)
		return;
	to -= keep;
	if (sim.options.keep_needed && raft_needed_index(&node->raft) <= to)
		to = raft_needed_index(&node->raft) - 1;
	if (to <= node->log.base || to > node->told_applied)
		return;
	event.u.position.index = to;
	event.u.position.term = log_term(&node->log, to);
	log_compact(&node->log, to);
	log_compact(&node->disk, to);
	sim.stats.compactions++;
	node_step(node, &event, NULL, 0);
}

/* A member was told to pull a copy. */
void
disk_start_copy(struct node *node, raft_id from)
{
	struct node *source = node_of(from);

	if (source == NULL || source == node)
		fail(SIM_CONTRACT, "node %u is to pull a snapshot from %llu", node->slot + 1,
			 (unsigned long long) from);
	if (node->copying || !source->up || source->muted ||
		sim.cut[node->slot][source->slot] || sim.cut[source->slot][node->slot])
		return;
	node->copying = true;
	node->copy = source->machine;
	node->copy_from = source->slot;
	event_push(sim.now_us + random_below((uint64_t) sim.options.raft.election_timeout_ms * 1500),
			   EV_COPIED, node->slot, node->life);
}

/* The copy is here: replace log and state by it, if the core agrees. */
void
disk_install(struct node *node)
{
	struct raft_event event = {.type = RAFT_SNAPSHOT_INSTALLED};
	const struct node *source = &sim.nodes[node->copy_from];
	const struct machine *copy = &node->copy;
	bool		wanted;

	/* It was taken when it was asked for, or at the last moment. */
	if (source->up && !sim.cut[source->slot][node->slot] && random_chance(300))
		node->copy = source->machine;
	wanted = raft_wants_snapshot(&node->raft, copy->index, copy->term);
	node->copying = false;
	trace("n%u copy of %llu/%llu has arrived, %s", node->slot + 1,
		  (unsigned long long) copy->index, (unsigned long long) copy->term,
		  wanted ? "wanted" : "not wanted");
	if (wanted && copy->index <= node->commit)
		fail(SIM_CONTRACT, "node %u wants a snapshot of %llu but has committed %llu",
			 node->slot + 1, (unsigned long long) copy->index,
			 (unsigned long long) node->commit);
	if (wanted && copy->index <= node->log.last && copy->index >= node->log.base &&
		log_term(&node->log, copy->index) == copy->term)
		fail(SIM_CONTRACT, "node %u wants a snapshot of %llu, which its log holds",
			 node->slot + 1, (unsigned long long) copy->index);
	if (!wanted || node->muted)
		return;
	log_reset(&node->log, copy->index, copy->term, copy->chain, copy->config);
	log_reset(&node->disk, copy->index, copy->term, copy->chain, copy->config);
	node->synced = copy->index;
	inbox_overtake(node, copy->index + 1);
	node->machine = *copy;
	node->disk_machine = *copy;
	node->told_applied = copy->index;
	sim.stats.snapshots++;
	event.u.snapshot.index = copy->index;
	event.u.snapshot.term = copy->term;
	event.u.snapshot.config.index = 0;
	event.u.snapshot.config.config = sim.configs[copy->config];
	node_step(node, &event, NULL, 0);
}

/* Apply some of what is committed and durable here. */
void
disk_apply(struct node *node)
{
	raft_index	to = node->commit < node->synced ? node->commit : node->synced;
	raft_index	i;

	node->applying = false;
	if (to <= node->machine.index)
		return;
	if (random_chance(200))
		to = random_between(node->machine.index + 1, to);
	for (i = node->machine.index + 1; i <= to; i++)
	{
		const struct entry *entry = &node->disk.e[i];

		node->machine.index = i;
		node->machine.term = entry->term;
		node->machine.chain = entry->chain;
		if (entry->kind == ENTRY_CONFIG)
			node->machine.config = entry->config;
		if (entry->kind == ENTRY_COMMAND)
			node->machine.hash = (node->machine.hash ^ entry->value ^ i) *
				UINT64_C(0x9e3779b97f4a7c15);
		check_applied(node);
		if (entry->kind == ENTRY_COMMAND && sim.origin[entry->value] == node->slot + 1 &&
			sim.origin_life[entry->value] == node->life)
		{
			/* The client that waits on this member gets its answer. */
			if (i > sim.highest_acked)
				sim.highest_acked = i;
			node->wrote = true;
		}
	}
	if (random_chance(256))
		node->disk_machine = node->machine;
	inbox_add(node, ITEM_APPLIED)->a = node->machine.index;
}

/*
 * The disk of a member that is down goes back in time, as if restored from a
 * backup.  Term and vote stay, or it might vote twice, and the configuration
 * does, or it might found a group of its own: that nobody could mend.
 */
bool
disk_forget(struct node *node)
{
	struct machine *machine = &node->disk_machine;
	raft_index	low = node->disk.base > sim.committed_config_index ?
		node->disk.base : sim.committed_config_index;
	raft_index	index;

	if (low >= node->disk.last)
		return false;
	index = random_between(low, node->disk.last - 1);
	log_truncate(&node->disk, index + 1);
	machine->index = index;
	machine->term = log_term(&node->disk, index);
	machine->chain = log_chain(&node->disk, index);
	machine->hash = sim.committed[index].hash;
	machine->config = log_config_at(&node->disk, index, &index);
	return true;
}

/* Begin a new life from what is on disk. */
void
disk_restore(struct node *node)
{
	static struct raft_run *runs;
	static uint32_t room;
	struct raft_restored restored = {0};
	struct raft_violation violation = {0};
	raft_term	term = node->disk_term;
	raft_id		vote = node->disk_vote;
	raft_index	i;
	uint32_t	n = 0;

	log_copy(&node->log, &node->disk);
	node->synced = node->disk.last;
	node->machine = node->disk_machine;
	node->told_applied = node->machine.index;
	for (i = node->disk.base + 1; i <= node->disk.last; i++)
	{
		if (i > node->disk.base + 1 && node->disk.e[i].term == node->disk.e[i - 1].term)
			continue;
		runs = grow(runs, &room, n + 1, sizeof(struct raft_run));
		runs[n].first = i;
		runs[n++].term = node->disk.e[i].term;
	}

	/* A copy that ends in a term proves that the term was reached. */
	if (node->disk_term < node->disk.base_term)
	{
		node->disk_term = node->disk.base_term;
		node->disk_vote = 0;
	}
	restored.id = node->slot + 1;
	restored.term = term;
	restored.vote = vote;
	restored.base_index = node->disk.base;
	restored.base_term = node->disk.base_term;
	restored.last_index = node->disk.last;
	restored.applied_index = node->machine.index;
	restored.n_runs = n;
	restored.runs = runs;
	restored.config.config =
		sim.configs[log_config_at(&node->disk, node->disk.last, &restored.config.index)];
	restored.previous_config = restored.config;
	if (restored.config.index > 0)
		restored.previous_config.config =
			sim.configs[log_config_at(&node->disk, restored.config.index - 1,
									  &restored.previous_config.index)];
	if (raft_init(&node->raft, &restored, &sim.options.raft, node_clock(node),
				  random_word(), &violation) != RAFT_OK)
		fail(SIM_CONTRACT, "node %u cannot start: %s (expected %llu, found %llu)",
			 node->slot + 1, violation.rule == NULL ? "?" : violation.rule,
			 (unsigned long long) violation.expected, (unsigned long long) violation.found);
}
