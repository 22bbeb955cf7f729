/*-------------------------------------------------------------------------
 *
 * sim_duty.c
 *	  One step, and carrying out the update that follows from it.
 *
 * What the update asks for is first held against the contract (sim_check.c),
 * then done to the member's log as it sees it and put on the list for its
 * disk.  Messages get their entries here, from the log as it is right after
 * the step: a later step of the same turn may remove them.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static void
trace_event(const struct node *node, const struct raft_event *event)
{
	const struct raft_message *m = &event->u.received.message;
	unsigned long long now = (unsigned long long) event->now_ms;
	unsigned	slot = node->slot + 1;

	switch (event->type)
	{
		case RAFT_TIMER:
			trace("n%u @%llu TIMER", slot, now);
			break;
		case RAFT_RECEIVED:
			trace("n%u @%llu RECEIVED %s from n%llu t%llu prev=%llu/%llu n=%u commit=%llu "
				  "context=%llu %s match=%llu hint=%llu/%llu promise=%u configs=%u%s",
				  slot, now, message_name(m->type), (unsigned long long) m->from,
				  (unsigned long long) m->term, (unsigned long long) m->prev_index,
				  (unsigned long long) m->prev_term, m->n_entries,
				  (unsigned long long) m->commit, (unsigned long long) m->context,
				  m->accepted ? "yes" : "no", (unsigned long long) m->match,
				  (unsigned long long) m->hint_index, (unsigned long long) m->hint_term,
				  m->promise_ms,
				  event->u.received.n_configs, m->transfer ? " transfer" : "");
			break;
		case RAFT_DURABLE:
		case RAFT_APPLIED:
		case RAFT_COMPACTED:
			trace("n%u @%llu %s %llu/%llu", slot, now,
				  event->type == RAFT_DURABLE ? "DURABLE" :
				  event->type == RAFT_APPLIED ? "APPLIED" : "COMPACTED",
				  (unsigned long long) event->u.position.index,
				  (unsigned long long) event->u.position.term);
			break;
		case RAFT_PROPOSED:
			trace("n%u @%llu PROPOSED %u for t%llu", slot, now, event->u.proposed.count,
				  (unsigned long long) event->u.proposed.term);
			break;
		case RAFT_READ_REQUESTED:
			trace("n%u @%llu READ_REQUESTED %llu", slot, now,
				  (unsigned long long) event->u.read.id);
			break;
		case RAFT_CONFIG_PROPOSED:
			trace("n%u @%llu CONFIG_PROPOSED %u members, %u voters", slot, now,
				  event->u.config.n_members, config_voters(&event->u.config));
			break;
		case RAFT_TRANSFER_REQUESTED:
		case RAFT_LINK_DOWN:
			trace("n%u @%llu %s n%llu", slot, now,
				  event->type == RAFT_LINK_DOWN ? "LINK_DOWN" : "TRANSFER_REQUESTED",
				  (unsigned long long) event->u.peer.peer);
			break;
		case RAFT_SNAPSHOT_INSTALLED:
			trace("n%u @%llu SNAPSHOT_INSTALLED %llu/%llu", slot, now,
				  (unsigned long long) event->u.snapshot.index,
				  (unsigned long long) event->u.snapshot.term);
			break;
		case RAFT_DISK_FAILED:
			trace("n%u @%llu DISK_FAILED", slot, now);
			break;
	}
}

static void
trace_update(const struct node *node, const struct raft_update *u)
{
	uint32_t	i;

	trace("   -> %s %s t%llu vote=%llu%s trunc=%llu append=%d [%llu..%llu] commit=%llu leader=%llu "
		  "last=%llu durable=%llu%s promotable=%llu snapshot_from=%llu",
		  status_name(u->status), state_name(u->state), (unsigned long long) u->term,
		  (unsigned long long) u->vote, u->save_vote ? " SAVE" : "",
		  (unsigned long long) u->truncate_from, (int) u->append,
		  (unsigned long long) u->append_first, (unsigned long long) u->append_last,
		  (unsigned long long) u->commit_index, (unsigned long long) u->leader,
		  (unsigned long long) raft_last_index(&node->raft),
		  (unsigned long long) raft_durable_index(&node->raft),
		  u->config_changed ? " CONFIG" : "", (unsigned long long) u->promotable,
		  (unsigned long long) u->snapshot_from);
	for (i = 0; i < u->n_messages; i++)
	{
		const struct raft_message *m = &u->messages[i];

		trace("      %s to n%llu t%llu prev=%llu/%llu n=%u commit=%llu context=%llu %s match=%llu "
			  "hint=%llu/%llu%s%s", message_name(m->type), (unsigned long long) m->to,
			  (unsigned long long) m->term, (unsigned long long) m->prev_index,
			  (unsigned long long) m->prev_term, m->n_entries, (unsigned long long) m->commit,
			  (unsigned long long) m->context, m->accepted ? "yes" : "no",
			  (unsigned long long) m->match, (unsigned long long) m->hint_index,
			  (unsigned long long) m->hint_term, m->transfer ? " transfer" : "",
			  m->after_flush ? " (after flush)" : "");
	}
	for (i = 0; i < u->n_reads; i++)
		trace("      read %llu: %llu", (unsigned long long) u->reads[i].id,
			  (unsigned long long) u->reads[i].index);
}

/* A piece of an APPEND: its entries skip .. skip + n - 1. */
static void
post_append(struct node *node, const struct raft_message *message, uint32_t skip, uint32_t n)
{
	uint32_t	number = packet_new();
	struct packet *packet = &sim.packets[number];
	struct raft_message *m = &packet->message;
	raft_index	first = message->prev_index + 1 + skip;
	uint32_t	i;

	packet->kind = PACKET_RAFT;
	packet->from = node->slot;
	packet->to = (uint32_t) message->to - 1;
	*m = *message;
	m->prev_index = first - 1;
	m->prev_term = log_term(&node->log, first - 1);
	m->n_entries = n;
	m->n_runs = 0;
	for (i = 0; n > 0 && i < message->n_runs; i++)
	{
		if (message->runs[i].first > first + n - 1)
			break;
		if (i + 1 < message->n_runs && message->runs[i + 1].first <= first)
			continue;
		m->runs[m->n_runs] = message->runs[i];
		if (m->runs[m->n_runs].first < first)
			m->runs[m->n_runs].first = first;
		m->n_runs++;
	}
	packet_entries(packet, node->log.e + first, n);
	list_add(message->after_flush ? &node->after_flush : &node->before_flush, number);
}

/* Queue a message, an APPEND perhaps in several pieces. */
static void
post(struct node *node, const struct raft_message *message)
{
	uint32_t	number;
	struct packet *packet;

	if (message->type == RAFT_MSG_APPEND)
	{
		uint32_t	skip = 0;

		if (message->n_entries > 1 && random_chance(sim.options.split))
		{
			sim.stats.split++;
			while (message->n_entries - skip > 1 && random_chance(800))
			{
				uint32_t	n = (uint32_t) random_between(1, message->n_entries - skip - 1);

				post_append(node, message, skip, n);
				skip += n;
			}
		}
		post_append(node, message, skip, message->n_entries - skip);
		return;
	}
	number = packet_new();
	packet = &sim.packets[number];
	packet->kind = PACKET_RAFT;
	packet->from = node->slot;
	packet->to = (uint32_t) message->to - 1;
	packet->message = *message;
	list_add(message->after_flush ? &node->after_flush : &node->before_flush, number);
}

/* Duty 2: the appended entries, made here or taken from the message. */
static void
append(struct node *node, const struct raft_update *update, const struct packet *packet,
	   uint64_t value)
{
	bool		new = update->append != RAFT_APPEND_RECEIVED;
	raft_index	i;

	for (i = update->append_first; i <= update->append_last; i++)
	{
		struct entry entry = {0};

		switch (update->append)
		{
			case RAFT_APPEND_RECEIVED:
				entry = packet->entries[i - packet->message.prev_index - 1];
				break;
			case RAFT_APPEND_PROPOSED:
				entry.kind = ENTRY_COMMAND;
				entry.value = value + (i - update->append_first);
				break;
			case RAFT_APPEND_CONFIG:
				entry.kind = ENTRY_CONFIG;
				entry.config = (uint32_t) value;
				entry.value = value;
				break;
			case RAFT_APPEND_NOOP:
			case RAFT_APPEND_NONE:
				entry.kind = ENTRY_NOOP;
				break;
		}
		if (new)
			entry.term = update->append_term;
		entry.chain = entry_chain(log_chain(&node->log, i - 1), i, &entry);
		registry_check(i, &entry, new);
		log_append(&node->log, &entry);
	}
	disk_append(node, update->append_first, update->append_last);
}

/* Note how far a leader had committed, for check_caught_up(). */
static void
mark(struct node *node, const struct raft_event *event, const struct raft_update *update)
{
	if (update->state != RAFT_LEADER)
		return;
	if (node->state != RAFT_LEADER || node->term != update->term)
		node->marks[0] = node->marks[1] = node->marks[2] = 0;
	else if (event->now_ms - node->marked_ms < sim.options.raft.election_timeout_ms)
		return;
	else
	{
		node->marks[2] = node->marks[1];
		node->marks[1] = node->marks[0];
		node->marks[0] = node->commit;
	}
	node->marked_ms = event->now_ms;
}

static void
carry_out(struct node *node, const struct raft_event *event, const struct raft_update *update,
		  const struct packet *packet, uint64_t value)
{
	raft_term	term_before = node->term;
	raft_index	commit_before = node->commit;
	bool		caught_up;
	bool		log_changed = update->truncate_from != 0 || update->append != RAFT_APPEND_NONE;
	uint32_t	i;

	check_hard_state(node, event, update);
	if (update->save_vote)
		disk_vote(node, update->term, update->vote);
	if (update->truncate_from != 0)
	{
		check_truncate(node, event, update);
		log_truncate(&node->log, update->truncate_from);
		disk_truncate(node, update->truncate_from);
	}
	check_append(node, event, update);
	if (update->append != RAFT_APPEND_NONE)
		append(node, update, packet, value);

	check_leader(node, update);
	mark(node, event, update);
	check_commit(node, update);
	check_core(node, update);
	node->was_leader = node->state == RAFT_LEADER;
	node->term = update->term;
	node->vote = update->vote;
	node->state = update->state;
	node->leader = update->leader;
	caught_up = sim.liveness && update->promotable != 0 && node->promotable == 0;
	node->promotable = update->promotable;
	if (node->state == RAFT_LEADER && node->commit > commit_before && !sim.liveness)
		load_curious(node);

	for (i = 0; i < update->n_messages; i++)
	{
		check_message(node, event, &update->messages[i]);
		post(node, &update->messages[i]);
	}
	for (i = 0; i < update->n_reads; i++)
		check_read(node, &update->reads[i]);
	if (log_changed || update->config_changed || node->log.n_configs > 0 ||
		event->type == RAFT_SNAPSHOT_INSTALLED)
		check_config(node, update->config_changed);
	check_office(node);
	lease_publish(node);
	if (caught_up)
		live_promotable();
	if (node->state == RAFT_LEADER && sim.step % 16 == 0)
		check_progress(node);
	check_abdication(node, event, term_before);
	node->stepped_ms = event->now_ms;
	if (update->snapshot_from != 0 && !node->muted)
		disk_start_copy(node, update->snapshot_from);
}

/*
 * Before a message arrives, a distortion of it does, of a kind that no member
 * could have sent.  The core must refuse it as a whole.
 */
void
step_noise(struct node *node, const struct raft_event *original)
{
	static struct raft before;
	static struct raft_event event;
	struct raft_message *m = &event.u.received.message;

	event = *original;
	event.now_ms = node_clock(node);
	event.random = 0;
	switch (random_below(m->type == RAFT_MSG_APPEND ? 12 : 6))
	{
		case 0:
			m->to = node->slot + 2;
			break;
		case 1:
			m->from = random_chance(512) ? 0 : m->to;
			break;
		case 2:
			m->term = 0;
			break;
		case 3:
			m->term = UINT64_MAX - random_below(100);
			break;
		case 4:
		case 5:
			m->type = (enum raft_message_type) (RAFT_MSG_LAST + 1 + random_below(1000));
			break;
		case 6:
			m->prev_term = m->term + 1;
			break;
		case 7:
			m->n_entries = RAFT_MAX_BATCH + 1;
			break;
		case 8:
			m->n_runs = m->n_runs == 0 ? 1 : 0;
			break;
		case 9:
			m->n_runs = RAFT_MAX_MESSAGE_RUNS + 1;
			break;
		case 10:
			m->commit = UINT64_MAX - random_below(100);
			break;
		default:
			event.u.received.n_configs = 3;
			break;
	}
	before = node->raft;
	raft_step(&node->raft, &event, &sim.update);
	if (node->muted)
		return;
	if (sim.update.status != RAFT_INVALID || sim.update.n_messages > 0 || sim.update.save_vote ||
		sim.update.append != RAFT_APPEND_NONE || sim.update.truncate_from != 0 ||
		before.term != node->raft.term || before.log.last_index != node->raft.log.last_index)
		fail(SIM_CONTRACT, "node %u takes nonsense seriously: %s", node->slot + 1,
			 status_name(sim.update.status));

	/* It may well have stepped down for having slept, so it is undone. */
	node->raft = before;
}

/* The one place where a core is stepped. */
void
node_step(struct node *node, struct raft_event *event, const struct packet *packet,
		  uint64_t value)
{
	struct raft_update *update = &sim.update;
	enum raft_status status;

	sim.step++;
	sim.stats.events++;
	event->now_ms = node_clock(node);
	event->random = random_word();

	/* What a lease must outlast is the earliest election there can be. */
	if (sim.options.raft.leader_lease && !sim.liveness && random_chance(512))
		event->random = random_below(4);
	if (sim.trace)
		trace_event(node, event);
	status = raft_step(&node->raft, event, update);
	if (sim.trace)
		trace_update(node, update);
	if (status == RAFT_BROKEN || update->status == RAFT_BROKEN)
		fail(SIM_BROKEN, "node %u: %s (expected %llu, found %llu)", node->slot + 1,
			 update->violation.rule == NULL ? "?" : update->violation.rule,
			 (unsigned long long) update->violation.expected,
			 (unsigned long long) update->violation.found);
	if (node->fence != FENCE)
		fail(SIM_CONTRACT, "node %u: the core wrote beyond itself", node->slot + 1);
	if (status != update->status)
		fail(SIM_CONTRACT, "node %u: raft_step() returns %s, the update says %s",
			 node->slot + 1, status_name(status), status_name(update->status));
	twin_step(node, event, update);
	carry_out(node, event, update, packet, value);

	check_status(node, event, status);
	if (status == RAFT_OK)
	{
		sim.stats.config_changes += event->type == RAFT_CONFIG_PROPOSED;
		sim.stats.transfers += event->type == RAFT_TRANSFER_REQUESTED;
		sim.stats.proposals += event->type == RAFT_PROPOSED;
		return;
	}
	sim.stats.refused += event->type == RAFT_PROPOSED;
	if (event->type == RAFT_READ_REQUESTED)
	{
		read_forget(node, event->u.read.id);
		sim.stats.reads_refused++;
	}
}
