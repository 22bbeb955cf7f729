/*-------------------------------------------------------------------------
 *
 * sim_shell.c
 *	  One member's turn: gather, step, flush, send, apply.
 *
 * The loop is that of the raft worker.  A turn steps the core through what has
 * gathered, sends what promises nothing, and if there is something to write,
 * is stuck until the flush is over; what arrives meanwhile waits.  Then it
 * sends what the flush allows and reports it.  A pause is a turn that does not
 * come, although time passes: everything waits, as after SIGSTOP.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

uint64_t
node_clock(const struct node *node)
{
	return node->offset_ms + ((sim.now_us * node->rate) >> 10) / 1000;
}

struct node *
node_of(raft_id id)
{
	if (id == 0 || id > sim.n_nodes || !sim.nodes[id - 1].exists)
		return NULL;
	return &sim.nodes[id - 1];
}

/* A new machine with an empty disk, which knows this configuration. */
struct node *
node_new(uint32_t config)
{
	struct node *node;
	struct entry *log;
	struct entry *disk;

	if (sim.n_nodes == MAX_NODES)
		return NULL;
	node = &sim.nodes[sim.n_nodes];
	log = node->log.e;
	disk = node->disk.e;
	if (log == NULL)
	{
		/* The kernel gives memory when it is touched. */
		log = malloc(MAX_INDEX * sizeof(struct entry));
		disk = malloc(MAX_INDEX * sizeof(struct entry));
	}
	node->log.e = log;
	node->disk.e = disk;
	node->slot = sim.n_nodes++;
	node->exists = true;
	node->rate = random_between(1024 - sim.options.skew, 1024 + sim.options.skew);
	if (sim.options.raft.leader_lease && random_chance(950))
		node->rate = 1024 + (random_chance(512) ? sim.options.skew : 0 - sim.options.skew);
	node->offset_ms = random_between(1, 1000000);
	log_reset(&node->disk, 0, 0, 0, config);
	node->disk_machine.config = config;
	node->inbox_head = node->inbox_tail = UINT32_MAX;
	return node;
}

/* Forget everything but the arrays, for the next run. */
void
node_free_memory(struct node *node)
{
	struct node kept = {0};

	kept.log.e = node->log.e;
	kept.disk.e = node->disk.e;
	kept.ops = node->ops;
	kept.ops_room = node->ops_room;
	kept.op_entries = node->op_entries;
	kept.op_entries_room = node->op_entries_room;
	kept.before_flush.at = node->before_flush.at;
	kept.before_flush.room = node->before_flush.room;
	kept.after_flush.at = node->after_flush.at;
	kept.after_flush.room = node->after_flush.room;
	*node = kept;
}

/* See that the member gets a turn. */
void
node_schedule(struct node *node)
{
	uint64_t	at;

	if (!node->up || node->flushing || node->turn_due)
		return;
	node->turn_due = true;
	at = sim.now_us + random_below(sim.options.gather_max_us + 1);
	if (at < node->paused_until)
		at = node->paused_until;
	event_push(at, EV_TURN, node->slot, node->life);
}

struct item *
inbox_add(struct node *node, enum item_kind kind)
{
	uint32_t	number = sim.free_item;
	struct item *item;

	if (number != UINT32_MAX)
		sim.free_item = sim.items[number].next;
	else
	{
		number = sim.n_items++;
		sim.items = grow(sim.items, &sim.items_room, sim.n_items, sizeof(struct item));
	}
	item = &sim.items[number];
	item->kind = kind;
	item->overtaken = false;
	item->next = UINT32_MAX;
	if (node->inbox_head == UINT32_MAX)
		node->inbox_head = number;
	else
		sim.items[node->inbox_tail].next = number;
	node->inbox_tail = number;
	node->n_inbox++;
	node_schedule(node);
	return item;
}

static struct item
inbox_take(struct node *node)
{
	uint32_t	number = node->inbox_head;
	struct item item = sim.items[number];

	node->inbox_head = item.next;
	node->n_inbox--;
	sim.items[number].next = sim.free_item;
	sim.free_item = number;
	return item;
}

/*
 * Entries from "from" on are removed.  Reports of their durability that are
 * still to be delivered are of the past.
 */
void
inbox_overtake(struct node *node, raft_index from)
{
	uint32_t	at;

	for (at = node->inbox_head; at != UINT32_MAX; at = sim.items[at].next)
		if (sim.items[at].kind == ITEM_DURABLE && sim.items[at].a >= from)
			sim.items[at].overtaken = true;
}

/* Be woken when the core wants to be. */
static void
schedule_timer(struct node *node)
{
	uint64_t	deadline = raft_deadline(&node->raft);
	uint64_t	at;

	if (deadline == UINT64_MAX)
		return;
	if (deadline <= node_clock(node))
		at = sim.now_us;
	else
	{
		at = (((deadline - node->offset_ms) * 1000) << 10) / node->rate;
		while (node->offset_ms + ((at * node->rate) >> 10) / 1000 < deadline)
			at++;
	}
	if (at <= sim.now_us)
		at = sim.now_us + 1;
	if (node->wake_at > sim.now_us && node->wake_at <= at)
		return;					/* an earlier call will look again */
	node->wake_at = at;
	event_push(at, EV_WAKE, node->slot, node->life);
}

/*
 * The configuration file is read anew.  No timeout is longer than the one that
 * the run knows, which is that of a member as it starts: see raft_options.
 */
void
node_retime(struct node *node)
{
	uint32_t	most = sim.options.raft.election_timeout_ms;
	uint32_t	least = 2 * sim.options.raft.heartbeat_interval_ms + 2;

	node->options = sim.options.raft;
	if (sim.options.raft.leader_lease && !sim.liveness && random_chance(512))
		node->options.election_timeout_ms = (uint32_t) random_between(least, most);
	raft_set_options(&node->raft, &node->options);
	twin_start(node);
}

void
node_start(struct node *node)
{
	node->up = true;
	node->life++;
	node->muted = node->flushing = node->turn_due = node->applying = node->copying = false;
	node->wake_at = 0;
	node->paused_until = 0;
	node->fail_next_flush = node->crash_next_flush = node->coup = false;
	node->slow_until = 0;
	node->fence = FENCE;
	node->n_reads = 0;
	node->next_read = 1;
	node->promotable = 0;
	disk_restore(node);
	node_retime(node);
	node->term = node->disk_term;
	node->vote = node->disk_vote;
	node->commit = node->machine.index;
	node->state = RAFT_FOLLOWER;
	node->leader = 0;
	node->stepped_ms = node_clock(node);
	trace("n%u starts: t%llu vote=%llu log=%llu..%llu applied=%llu", node->slot + 1,
		  (unsigned long long) node->term, (unsigned long long) node->vote,
		  (unsigned long long) node->log.base, (unsigned long long) node->log.last,
		  (unsigned long long) node->machine.index);
	check_config(node, true);
	schedule_timer(node);
}

static void
drop_list(struct list *list)
{
	uint32_t	i;

	for (i = 0; i < list->n; i++)
		packet_free(list->at[i]);
	list->n = 0;
}

/* Lose everything that is not on disk. */
void
node_crash(struct node *node)
{
	raft_term	term;

	trace("n%u crashes%s", node->slot + 1, node->flushing ? " in the middle of a flush" : "");
	disk_crashed(node);
	node->lease_until = 0;
	for (term = node->disk_term + 1; term <= node->term; term++)
		if (sim.leader_of[term] == node->slot + 1)
		{
			registry_forget(&node->log, term);
			sim.leader_of[term] = 0;
		}
	node->up = false;
	node->life++;
	node->state = RAFT_FOLLOWER;
	while (node->inbox_head != UINT32_MAX)
	{
		struct item item = inbox_take(node);

		if (item.kind == ITEM_PACKET)
			packet_free(item.packet);
	}
	drop_list(&node->before_flush);
	drop_list(&node->after_flush);
}

static void
send_list(struct node *node, struct list *list)
{
	uint32_t	i;

	for (i = 0; i < list->n; i++)
	{
		if (node->muted)
			fail(SIM_CONTRACT, "node %u speaks after its disk failed", node->slot + 1);
		if (sim.packets[list->at[i]].kind == PACKET_RAFT)
		{
			const struct raft_message *message = &sim.packets[list->at[i]].message;

			check_leaving(node, message);
			if (node->coup && message->type == RAFT_MSG_TIMEOUT_NOW)
			{
				node->coup = false;
				event_push(sim.now_us, EV_DEAFEN, node->slot, 0);
			}
		}
		net_send(list->at[i]);
	}
	list->n = 0;
}

/* Duties 1 to 3: whatever the steps of this turn asked for. */
static void
end_turn(struct node *node)
{
	uint64_t	takes;

	if (node->muted)
	{
		send_list(node, &node->before_flush);
		send_list(node, &node->after_flush);
		if (node->inbox_head != UINT32_MAX)
			node_schedule(node);
		return;
	}
	send_list(node, &node->before_flush);
	if (node->n_ops > 0)
	{
		node->flushing = true;
		takes = random_between(sim.options.flush_min_us, sim.options.flush_max_us);
		if (node->slow_until > sim.now_us)
			takes = takes * 4 +
				random_below((uint64_t) sim.options.raft.election_timeout_ms * 2000);
		if (random_chance(sim.options.crash_in_flush))
			node->crash_next_flush = true;
		event_push(sim.now_us + takes, EV_FLUSHED, node->slot, node->life);
		return;
	}
	send_list(node, &node->after_flush);
	if (!node->applying && node->commit > node->machine.index &&
		node->synced > node->machine.index)
	{
		node->applying = true;
		event_push(sim.now_us + random_below(sim.options.apply_max_us + 1), EV_APPLY,
				   node->slot, node->life);
	}
	if (node->inbox_head != UINT32_MAX)
		node_schedule(node);
	schedule_timer(node);
}

/* A packet has arrived: a message, or a forwarded proposal. */
static void
step_packet(struct node *node, const struct packet *packet)
{
	struct raft_event event = {0};
	uint32_t	i;

	if (packet->kind == PACKET_FORWARD)
	{
		event.type = RAFT_PROPOSED;
		event.u.proposed.count = packet->count;
		event.u.proposed.term = packet->message.term;
		node_step(node, &event, packet, packet->value);
		return;
	}

	event.type = RAFT_RECEIVED;
	event.u.received.message = packet->message;
	for (i = 0; packet->message.type == RAFT_MSG_APPEND && i < packet->message.n_entries; i++)
	{
		struct raft_config_entry *configs = event.u.received.configs;

		if (packet->entries[i].kind != ENTRY_CONFIG)
			continue;
		if (event.u.received.n_configs == 2)
			configs[0] = configs[1];
		else
			event.u.received.n_configs++;
		configs[event.u.received.n_configs - 1].index = packet->message.prev_index + 1 + i;
		configs[event.u.received.n_configs - 1].config = sim.configs[packet->entries[i].config];
	}
	if (random_chance(sim.options.noise))
		step_noise(node, &event);
	node_step(node, &event, packet, 0);
}

/* Tell the core about one thing. */
static void
step_item(struct node *node, struct item *item)
{
	struct raft_event event = {0};
	uint64_t	value = 0;

	switch (item->kind)
	{
		case ITEM_PACKET:
			step_packet(node, &sim.packets[item->packet]);
			return;
		case ITEM_PROPOSE:
			event.type = RAFT_PROPOSED;
			event.u.proposed.count = (uint32_t) item->b;
			value = item->a;
			break;
		case ITEM_READ:
			event.type = RAFT_READ_REQUESTED;
			event.u.read.id = item->a;
			break;
		case ITEM_CONFIG:
			if (item->a < sim.live_configs)
				return;			/* of an operator who has left */
			event.type = RAFT_CONFIG_PROPOSED;
			event.u.config = sim.configs[item->a];
			value = item->a;
			break;
		case ITEM_TRANSFER:
			event.type = RAFT_TRANSFER_REQUESTED;
			event.u.peer.peer = item->a;
			break;
		case ITEM_DURABLE:

			/*
			 * The contract has the shell leave out what was overtaken.  It is
			 * told here all the same where its term gives it away, for the
			 * core must see through that.
			 */
			if (item->overtaken && item->a >= node->log.base && item->a <= node->log.last &&
				log_term(&node->log, item->a) == item->b)
				return;
			event.type = RAFT_DURABLE;
			event.u.position.index = item->a;
			event.u.position.term = item->b;
			break;
		case ITEM_APPLIED:
			event.type = RAFT_APPLIED;
			event.u.position.index = item->a;
			if (item->a > node->told_applied)
				node->told_applied = item->a;
			break;
		case ITEM_LINK_DOWN:
			event.type = RAFT_LINK_DOWN;
			event.u.peer.peer = item->a;
			break;
		case ITEM_SNAPSHOT:
			disk_install(node);
			return;
	}
	node_step(node, &event, NULL, value);
}

static void
step_timer(struct node *node)
{
	struct raft_event event = {.type = RAFT_TIMER};

	if (!node->muted && raft_deadline(&node->raft) <= node_clock(node))
		node_step(node, &event, NULL, 0);
}

void
node_turn(struct node *node)
{
	uint32_t	most = (uint32_t) random_between(1, 64);
	uint32_t	i;

	node->turn_due = false;
	disk_compact(node);
	if (random_chance(512))
		step_timer(node);
	for (i = 0; i < most && node->inbox_head != UINT32_MAX; i++)
	{
		struct item item;

		/* Log and state are replaced only while nothing waits for the disk. */
		if (sim.items[node->inbox_head].kind == ITEM_SNAPSHOT && node->n_ops > 0 && !node->muted)
			break;
		item = inbox_take(node);
		if (item.kind == ITEM_DURABLE && node->n_inbox > 0 &&
			random_chance(sim.options.late_durable))
		{
			struct item *again = inbox_add(node, ITEM_DURABLE);

			again->a = item.a;
			again->b = item.b;
			again->overtaken = item.overtaken;
			continue;
		}
		step_item(node, &item);
		if (item.kind == ITEM_PACKET)
			packet_free(item.packet);
		if (sim.options.send_at_once)
			send_list(node, &node->before_flush);
	}
	step_timer(node);
	end_turn(node);
}

/* The core's deadline may have come. */
void
node_wake(struct node *node)
{
	node->wake_at = 0;
	if (node->flushing || node->muted)
		return;					/* the end of the turn looks again */
	if (raft_deadline(&node->raft) <= node_clock(node))
		node_schedule(node);
	else
		schedule_timer(node);
}

/* Duties 3 and 4: the flush is over, one way or the other. */
void
node_flushed(struct node *node)
{
	struct raft_event event = {.type = RAFT_DURABLE};
	struct item *item;

	if (node->crash_next_flush && !sim.liveness)
	{
		sim.stats.faults[FAULT_CRASH]++;
		node_crash(node);
		event_push(sim.now_us + random_gap((uint64_t) sim.options.raft.election_timeout_ms * 1000),
				   EV_RESTART, node->slot, node->life);
		return;
	}
	node->flushing = false;
	node->crash_next_flush = false;
	if (node->fail_next_flush)
	{
		trace("n%u: its disk fails", node->slot + 1);
		sim.stats.faults[FAULT_DISK_FAILURE]++;
		node->fail_next_flush = false;
		drop_list(&node->after_flush);
		event.type = RAFT_DISK_FAILED;
		node->muted = true;
		node_step(node, &event, NULL, 0);
		event_push(sim.now_us + random_gap((uint64_t) sim.options.raft.election_timeout_ms * 2000),
				   EV_RESTART, node->slot, node->life);
		end_turn(node);
		return;
	}
	disk_flushed(node);
	send_list(node, &node->after_flush);
	if (random_chance(sim.options.late_durable))
	{
		item = inbox_add(node, ITEM_DURABLE);
		item->a = node->disk.last;
		item->b = log_term(&node->disk, node->disk.last);
	}
	else
	{
		event.u.position.index = node->disk.last;
		event.u.position.term = log_term(&node->disk, node->disk.last);
		node_step(node, &event, NULL, 0);
	}
	end_turn(node);
}
