/*-------------------------------------------------------------------------
 *
 * sim_load.c
 *	  Clients, operators and misfortune.
 *
 * Three streams of events go on through the safety phase.  Clients write and
 * read on any member.  An operator lets members join, promotes and removes
 * them, and moves leadership, with no more care than operators take.  And
 * misfortune strikes, in the ways and as often as the seed has it.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static uint64_t
election_us(void)
{
	return (uint64_t) sim.options.raft.election_timeout_ms * 1000;
}

/* Some member that is up, or NULL. */
static struct node *
some_node(void)
{
	uint32_t	start = (uint32_t) random_below(sim.n_nodes);
	uint32_t	i;

	for (i = 0; i < sim.n_nodes; i++)
	{
		struct node *node = &sim.nodes[(start + i) % sim.n_nodes];

		if (node->up && (!sim.liveness || node->healed))
			return node;
	}
	return NULL;
}

/* Some member that believes it leads, or NULL. */
struct node *
some_leader(void)
{
	uint32_t	start = (uint32_t) random_below(sim.n_nodes);
	uint32_t	i;

	for (i = 0; i < sim.n_nodes; i++)
	{
		struct node *node = &sim.nodes[(start + i) % sim.n_nodes];

		if (node->up && node->state == RAFT_LEADER && (!sim.liveness || node->healed))
			return node;
	}
	return NULL;
}

/* Commands from clients of this member, forwarded if need be. */
void
load_write(struct node *node, uint32_t count)
{
	static uint32_t origin_room;
	static uint32_t life_room;
	uint64_t	value = sim.n_commands;
	struct item *item;
	uint32_t	number;
	uint32_t	i;

	if (sim.highest_index + count > (sim.liveness ? MAX_INDEX - 1000 : MAX_INDEX / 2))
		return;
	sim.n_commands += count;
	sim.origin = grow(sim.origin, &origin_room, (uint32_t) sim.n_commands, sizeof(uint8_t));
	sim.origin_life = grow(sim.origin_life, &life_room, (uint32_t) sim.n_commands,
						   sizeof(uint32_t));
	for (i = 0; i < count; i++)
	{
		sim.origin[value + i] = (uint8_t) (node->slot + 1);
		sim.origin_life[value + i] = node->life;
	}
	if (node->state == RAFT_LEADER)
	{
		item = inbox_add(node, ITEM_PROPOSE);
		item->a = value;
		item->b = count;
		return;
	}
	if (node->leader == 0 || node->muted || node->leader == node->slot + 1)
		return;
	number = packet_new();
	sim.packets[number].kind = PACKET_FORWARD;
	sim.packets[number].from = node->slot;
	sim.packets[number].to = (uint32_t) node->leader - 1;
	sim.packets[number].value = value;
	sim.packets[number].count = count;
	sim.packets[number].message.term = node->term;
	net_send(number);
}

void
load_read(struct node *node)
{
	struct pending_read *read;

	sim.stats.reads_leased += lease_read(node);
	if (node->n_reads == MAX_READS)
		return;
	read = &node->reads[node->n_reads++];
	read->id = node->next_read++;
	read->floor = sim.n_committed;
	read->asked_us = sim.now_us;
	inbox_add(node, ITEM_READ)->a = read->id;
}

void
load_client(void)
{
	struct node *node = random_chance(512) ? some_leader() : some_node();

	event_push(sim.now_us + random_gap(sim.options.client_gap_us), EV_CLIENT, 0, 0);
	if (node == NULL || sim.quiet)
		return;
	if (random_chance(sim.options.reads))
	{
		uint32_t	n = random_chance(sim.options.burst) ? 300 : 1;

		while (n-- > 0)
			load_read(node);
	}
	else if (!sim.liveness && random_chance(sim.options.burst))
		load_write(node, (uint32_t) random_between(500, 20000));
	else
		load_write(node, (uint32_t) random_between(1, random_chance(200) ? 40 : 3));
}

/* Add a member: a new one, or one whose joining did not work out. */
static void
grow_config(struct raft_config *config, raft_id id, enum raft_role role)
{
	uint32_t	at = config->n_members;

	while (at > 0 && config->members[at - 1].id > id)
	{
		config->members[at] = config->members[at - 1];
		at--;
	}
	config->members[at].id = id;
	config->members[at].role = role;
	config->n_members++;
}

static bool
change_join(struct raft_config *config)
{
	uint32_t	i;

	/* ids are never used again, so a member that was removed stays out */
	for (i = 0; i < sim.n_nodes; i++)
	{
		struct node *node = &sim.nodes[i];

		if (node->life > 0 && node->disk.last == 0 && node->log.last == 0 && node->up &&
			!node->retired && config_find(config, i + 1) < 0 &&
			config_find(&sim.configs[0], i + 1) < 0)
			break;
	}
	if (i == sim.n_nodes)
	{
		/* The last place is kept for the guest of the liveness phase. */
		if (sim.n_nodes + 1 >= MAX_NODES || random_below(sim.n_nodes) > 8)
			return false;
		node_start(node_new(1));
	}
	grow_config(config, i + 1, random_chance(20) ? RAFT_VOTER : RAFT_LEARNER);
	return true;
}

static bool
change_promote(struct node *leader, struct raft_config *config)
{
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
		if (config->members[i].role == RAFT_LEARNER &&
			(config->members[i].id == leader->promotable || random_chance(100)))
		{
			config->members[i].role = RAFT_VOTER;
			return true;
		}
	return false;
}

static void
change_remove(struct node *leader, struct raft_config *config)
{
	uint32_t	at = (uint32_t) random_below(config->n_members);

	if (random_chance(256))
		at = (uint32_t) config_find(config, leader->slot + 1);
	if (at >= config->n_members)
		return;
	config->n_members--;
	memmove(&config->members[at], &config->members[at + 1],
			(config->n_members - at) * sizeof(struct raft_member));
}

static void
propose_config(struct node *leader, const struct raft_config *config)
{
	if (sim.n_configs < MAX_CONFIGS - 100)
		inbox_add(leader, ITEM_CONFIG)->a = config_add(config);
}

void
load_operator(void)
{
	struct node *leader = some_leader();
	struct raft_config config;

	event_push(sim.now_us + random_gap(sim.options.operator_gap_us), EV_OPERATOR, 0, 0);
	if (leader == NULL || leader->muted)
		return;
	if (sim.options.raft.leader_lease && random_chance(128))
		node_retime(some_node());
	config = raft_config(&leader->raft)->config;
	switch (random_below(8))
	{
		case 0:
			if (config.n_members > 2)
				change_remove(leader, &config);
			break;
		case 1:
			/* Demote a voter, or make two changes at once: mostly refused. */
			config.members[random_below(config.n_members)].role = RAFT_LEARNER;
			if (random_chance(512))
				change_remove(leader, &config);
			break;
		case 2:
		case 3:
			inbox_add(leader, ITEM_TRANSFER)->a =
				random_chance(256) ? 0 : config.members[random_below(config.n_members)].id;
			return;
		case 4:
		case 5:
			if (config.n_members < sim.options.n_nodes + 1)
				change_join(&config);
			break;
		default:
			if (!change_promote(leader, &config) && config.n_members < sim.options.n_nodes)
				change_join(&config);
			break;
	}
	propose_config(leader, &config);
	if (random_chance(200) && config.n_members < 9 && change_join(&config))
		propose_config(leader, &config);	/* in a row, to be refused */
}

static void
restart_later(struct node *node)
{
	uint64_t	wait = random_gap(sim.options.restart_gap_us);

	if (random_chance(128))
		wait *= 10;
	if (!node->retired)
		event_push(sim.now_us + wait, EV_RESTART, node->slot, node->life);
}

/* Somebody, with a preference for those who matter. */
static struct node *
victim(void)
{
	struct node *node = random_chance(400) ? some_leader() : NULL;

	return node != NULL ? node : some_node();
}

/*
 * A leader is told to hand over, and hears nothing from about the time at which
 * its order leaves.  Its successor is elected at once, for the order overrides
 * stickiness, while the old leader believes in its office for as long as a
 * leader does that nobody answers.  What it then says to its clients counts.
 */
static void
coup(void)
{
	struct node *leader = some_leader();
	const struct raft_config *config;
	uint64_t	soon = 2 * sim.options.delay_max_us + sim.options.gather_max_us +
		sim.options.flush_max_us;

	if (leader == NULL || leader->muted)
		return;
	config = &raft_config(&leader->raft)->config;
	inbox_add(leader, ITEM_TRANSFER)->a = config->members[random_below(config->n_members)].id;
	if (random_chance(700))
		leader->coup = true;	/* at the right moment: see send_list() */
	else
		event_push(sim.now_us + random_below(soon + 1), EV_DEAFEN, leader->slot, 0);
}

/* This leader has committed something: does an earlier one still answer? */
void
load_curious(const struct node *leader)
{
	uint32_t	i;

	for (i = 0; i < sim.n_nodes; i++)
		if (sim.nodes[i].up && sim.nodes[i].state == RAFT_LEADER &&
			sim.nodes[i].term < leader->term && random_chance(512))
			event_push(sim.now_us + 1, EV_DEAFEN, i, 1);
}

void
load_deafen(uint32_t slot, bool ask)
{
	uint64_t	soon = 4 * sim.options.delay_max_us + 2 * sim.options.flush_max_us;

	if (ask)
	{
		if (sim.nodes[slot].up)
			load_read(&sim.nodes[slot]);
		return;
	}
	trace("n%u goes deaf", slot + 1);
	event_push(sim.now_us + random_below(soon + election_us() / 8), EV_DEAFEN, slot, 1);
	net_deafen(slot);
	event_push(sim.now_us + random_gap(2 * election_us()), EV_HEAL, 0, sim.cut_number);
}

/*
 * A leader is cut off.  Maybe some of the others start anew at that moment, and
 * know nothing of what they promised to it.
 */
static void
exile(void)
{
	struct node *leader = some_leader();
	uint32_t	i;

	if (leader == NULL)
		return;
	trace("n%u is cut off", leader->slot + 1);
	net_exile(leader->slot);
	event_push(sim.now_us + random_gap(3 * election_us()), EV_HEAL, 0, sim.cut_number);
	if (random_chance(512))
		return;
	for (i = 0; i < sim.n_nodes; i++)
		if (i != leader->slot && sim.nodes[i].up && random_chance(400))
		{
			node_crash(&sim.nodes[i]);
			if (!sim.nodes[i].retired)
				event_push(sim.now_us + random_below(election_us() / 8), EV_RESTART, i,
						   sim.nodes[i].life);
		}
}

static void
cut(enum fault_kind kind)
{
	if (kind == FAULT_SPLIT)
		net_split();
	else if (kind == FAULT_ONE_WAY)
		net_one_way();
	else
		net_bridge();
	trace("cut of kind %d", (int) kind);
	event_push(sim.now_us + random_gap(4 * election_us()), EV_HEAL, 0, sim.cut_number);
}

void
load_fault(void)
{
	struct node *node = victim();
	uint32_t	total = 0;
	uint32_t	kind;
	uint64_t	draw;
	uint32_t	i;

	event_push(sim.now_us + random_gap(sim.options.fault_gap_us), EV_FAULT, 0, 0);
	for (i = 0; i < N_FAULTS; i++)
		total += sim.options.weights[i];
	if (total == 0 || node == NULL)
		return;
	draw = random_below(total);
	for (kind = 0; draw >= sim.options.weights[kind]; kind++)
		draw -= sim.options.weights[kind];

	switch ((enum fault_kind) kind)
	{
		case FAULT_CRASH:
			node_crash(node);
			restart_later(node);
			break;
		case FAULT_CRASH_ALL:
			for (i = 0; i < sim.n_nodes; i++)
				if (sim.nodes[i].up)
				{
					node_crash(&sim.nodes[i]);
					restart_later(&sim.nodes[i]);
				}
			break;
		case FAULT_PAUSE:
			node->paused_until = sim.now_us + random_gap(2 * election_us());
			trace("n%u pauses", node->slot + 1);
			break;
		case FAULT_SLOW_DISK:
			node->slow_until = sim.now_us + random_gap(4 * election_us());
			trace("n%u has a slow disk", node->slot + 1);
			break;
		case FAULT_DISK_FAILURE:
			node->fail_next_flush = true;
			return;				/* counted when it happens */
		case FAULT_SPLIT:
		case FAULT_ONE_WAY:
		case FAULT_BRIDGE:
			cut((enum fault_kind) kind);
			break;
		case FAULT_COUP:
			coup();
			break;
		case FAULT_EXILE:
			exile();
			break;
	}
	sim.stats.faults[kind]++;
}

void
load_start(void)
{
	event_push(sim.now_us + 1, EV_CLIENT, 0, 0);
	event_push(sim.now_us + random_gap(sim.options.fault_gap_us), EV_FAULT, 0, 0);
	event_push(sim.now_us + random_gap(sim.options.operator_gap_us), EV_OPERATOR, 0, 0);
}
