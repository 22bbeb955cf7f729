/*-------------------------------------------------------------------------
 *
 * sim_net.c
 *	  Links, cuts, and packets on their way.
 *
 * A packet may be lost, doubled, overtaken, very late, or run into a cut when
 * it leaves or when it would arrive.  A cut has a direction, for the worst
 * outages were links that worked one way.  Sometimes the sender's transport
 * notices a loss and says so (RAFT_LINK_DOWN), sometimes it does not.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

uint32_t
packet_new(void)
{
	uint32_t	number = sim.free_packet;

	if (number != UINT32_MAX)
		sim.free_packet = sim.packets[number].next;
	else
	{
		number = sim.n_packets++;
		sim.packets = grow(sim.packets, &sim.packets_room, sim.n_packets,
						   sizeof(struct packet));
	}
	return number;
}

/* Keeps the room for entries. */
void
packet_free(uint32_t number)
{
	sim.packets[number].next = sim.free_packet;
	sim.free_packet = number;
}

void
packet_entries(struct packet *packet, const struct entry *entries, uint32_t n)
{
	packet->entries = grow(packet->entries, &packet->room, n, sizeof(struct entry));
	if (n > 0)
		memcpy(packet->entries, entries, n * sizeof(struct entry));
}

static uint32_t
packet_clone(uint32_t number)
{
	uint32_t	clone = packet_new();
	struct packet *to = &sim.packets[clone];
	const struct packet *from = &sim.packets[number];

	to->kind = from->kind;
	to->from = from->from;
	to->to = from->to;
	to->message = from->message;
	to->value = from->value;
	to->count = from->count;
	if (from->kind == PACKET_RAFT && from->message.type == RAFT_MSG_APPEND)
		packet_entries(to, from->entries, from->message.n_entries);
	return clone;
}

/* A packet is gone; the sender may be told. */
static void
lose(uint32_t number)
{
	struct packet *packet = &sim.packets[number];
	struct node *sender = &sim.nodes[packet->from];

	sim.stats.lost++;
	if (random_chance(128) && sender->up)
		inbox_add(sender, ITEM_LINK_DOWN)->a = packet->to + 1;
	packet_free(number);
}

static void
travel(uint32_t number)
{
	struct packet *packet = &sim.packets[number];
	uint64_t	at = sim.now_us + random_between(sim.options.delay_min_us,
												 sim.options.delay_max_us);
	uint64_t   *last = &sim.fifo_at[packet->from][packet->to];

	if (random_chance(sim.options.straggler))
		at += random_below((uint64_t) sim.options.raft.election_timeout_ms * 4000);
	else if (sim.options.fifo)
	{
		if (at <= *last)
			at = *last + 1;
		*last = at;
	}
	event_push(at, EV_DELIVER, packet->to, number);
}

/* Put a packet on its way; it belongs to the network from here. */
void
net_send(uint32_t number)
{
	struct packet *packet = &sim.packets[number];

	if (sim.cut[packet->from][packet->to] || random_chance(sim.options.loss))
	{
		lose(number);
		return;
	}
	if (random_chance(sim.options.duplication))
	{
		sim.stats.duplicated++;
		travel(packet_clone(number));
	}
	travel(number);
}

void
net_deliver(uint32_t number)
{
	struct packet *packet = &sim.packets[number];
	struct node *node = &sim.nodes[packet->to];

	if (!node->up || sim.cut[packet->from][packet->to] || node->n_inbox > 2000)
	{
		lose(number);
		return;
	}
	inbox_add(node, ITEM_PACKET)->packet = number;
}

void
net_heal(void)
{
	memset(sim.cut, 0, sizeof(sim.cut));
	sim.cut_number++;
}

/* Two to three groups that do not hear each other. */
void
net_split(void)
{
	uint32_t	group[MAX_NODES];
	uint64_t	n_groups = random_between(2, 3);
	uint32_t	i;
	uint32_t	j;

	net_heal();
	for (i = 0; i < sim.n_nodes; i++)
		group[i] = (uint32_t) random_below(n_groups);
	for (i = 0; i < sim.n_nodes; i++)
		for (j = 0; j < sim.n_nodes; j++)
			sim.cut[i][j] = group[i] != group[j];
}

/* One node no longer hears the others, which hear it. */
void
net_deafen(uint32_t slot)
{
	uint32_t	i;

	net_heal();
	for (i = 0; i < sim.n_nodes; i++)
		sim.cut[i][slot] = true;
}

/* One node is not heard any more; it hears what is on its way, or nothing. */
void
net_exile(uint32_t slot)
{
	uint32_t	i;

	net_heal();
	if (random_chance(512))
		net_deafen(slot);
	for (i = 0; i < sim.n_nodes; i++)
		sim.cut[slot][i] = true;
}

/* Some nodes can be heard but do not hear, or the other way round. */
void
net_one_way(void)
{
	uint32_t	i;
	uint32_t	j;

	if (random_chance(256))
	{
		net_deafen((uint32_t) random_below(sim.n_nodes));
		return;
	}
	net_heal();
	if (random_chance(340))
	{
		uint32_t	mute = (uint32_t) random_below(sim.n_nodes);

		for (i = 0; i < sim.n_nodes; i++)
			sim.cut[mute][i] = true;
		return;
	}
	for (i = 0; i < sim.n_nodes; i++)
		for (j = 0; j < sim.n_nodes; j++)
			sim.cut[i][j] = random_chance(300);
}

/* Two groups with one node between them that hears both. */
void
net_bridge(void)
{
	uint32_t	bridge = (uint32_t) random_below(sim.n_nodes);
	uint32_t	i;
	uint32_t	j;

	net_split();
	for (i = 0; i < sim.n_nodes; i++)
	{
		j = bridge;
		sim.cut[i][j] = sim.cut[j][i] = false;
	}
}
