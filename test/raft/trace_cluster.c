/*-------------------------------------------------------------------------
 *
 * trace_cluster.c
 *	  The members of a golden trace, their disks, and the ways between them.
 *
 * This is the smallest shell that honours the contract of raft.h.  A member
 * writes to "written" at once; a flush makes that "durable", lets go of the
 * messages that waited for it, and reports RAFT_DURABLE.  Unless its disk is
 * held, every step ends with a flush.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#include "record.h"

struct node nodes[MAX_NODES + 1];
struct way	ways[MAX_NODES + 1][MAX_NODES + 1];
bool		is_cut[MAX_NODES + 1][MAX_NODES + 1];
uint64_t	now_ms;

/* Of the newest step of any member. */
static struct raft_update update;

static void
post(const struct raft_message *message)
{
	const struct disk *disk = &nodes[message->from].written;
	struct way *way;
	struct packet *packet;
	uint32_t	i;

	if (message->to == 0 || message->to > MAX_NODES)
		fail("message to nobody");
	way = &ways[message->from][message->to];
	if (is_cut[message->from][message->to])
		return;
	if (way->count == MAX_QUEUE)
		fail("too many messages on one way");

	packet = &way->packets[way->count++];
	memset(packet, 0, sizeof(*packet));
	packet->event.type = RAFT_RECEIVED;
	packet->event.u.received.message = *message;
	if (message->n_entries == 0)
		return;

	packet->entries = calloc(message->n_entries, sizeof(struct entry));
	for (i = 0; i < message->n_entries; i++)
	{
		raft_index	index = message->prev_index + 1 + i;
		struct raft_config_entry *configs = packet->event.u.received.configs;

		packet->entries[i] = disk->log[index];
		if (disk->log[index].config == NULL)
			continue;
		if (packet->event.u.received.n_configs == 2)
			configs[0] = configs[--packet->event.u.received.n_configs];
		configs[packet->event.u.received.n_configs].index = index;
		configs[packet->event.u.received.n_configs++].config =
			*disk->log[index].config;
	}
}

/* Duties 3 to 5: the disk is done. */
void
flush(struct node *node)
{
	struct raft_event event;
	raft_index	last = node->written.last;
	uint32_t	i;

	memcpy(&node->durable, &node->written, sizeof(node->durable));
	for (i = 0; i < node->n_waiting; i++)
		post(&node->waiting[i]);
	node->n_waiting = 0;

	if (last > raft_durable_index(&node->raft))
	{
		memset(&event, 0, sizeof(event));
		event.type = RAFT_DURABLE;
		event.u.position.index = last;
		event.u.position.term = node->written.log[last].term;
		step(node, &event, NULL);
	}
}

void
apply(struct node *node)
{
	raft_index	index = update.commit_index;
	struct raft_event event;

	if (index > node->durable.last)
		index = node->durable.last;
	if (index > raft_durable_index(&node->raft))
		index = raft_durable_index(&node->raft);
	if (index <= node->written.applied)
		return;

	say("%llu applies %s", U(node->raft.id),
		range_text(&node->written, node->written.applied + 1, index));
	node->written.applied = index;
	node->durable.applied = index;
	memset(&event, 0, sizeof(event));
	event.type = RAFT_APPLIED;
	event.u.position.index = index;
	step(node, &event, NULL);
}

/* A place for a configuration that lasts as long as any log. */
static const struct raft_config *
keep_config(const struct raft_config *config)
{
	static struct raft_config kept[MAX_CONFIGS];
	static uint32_t n_kept;

	if (n_kept == MAX_CONFIGS)
		fail("too many configurations");
	kept[n_kept] = *config;
	return &kept[n_kept++];
}

static void
write_log(struct node *node, const struct raft_event *event,
		  const struct entry *entries)
{
	static const char *const verbs[] = {
		"", "takes over", "appends", "appends configuration", "appends no-op"
	};
	struct disk *disk = &node->written;
	raft_index	index;

	if (update.truncate_from != 0)
	{
		say("%llu removes %s", U(node->raft.id),
			range_text(disk, update.truncate_from, disk->last));
		disk->last = update.truncate_from - 1;
	}
	if (update.append == RAFT_APPEND_NONE)
		return;
	if (update.append_first != disk->last + 1 || update.append_last >= MAX_LOG)
		fail("the append does not fit the log");

	for (index = update.append_first; index <= update.append_last; index++)
	{
		struct entry *entry = &disk->log[index];

		memset(entry, 0, sizeof(*entry));
		entry->term = update.append_term;
		if (update.append == RAFT_APPEND_RECEIVED)
			*entry = entries[index - event->u.received.message.prev_index - 1];
		else if (update.append == RAFT_APPEND_CONFIG)
			entry->config = keep_config(&event->u.config);
	}
	disk->last = update.append_last;
	say("%llu %s %s", U(node->raft.id), verbs[update.append],
		range_text(disk, update.append_first, update.append_last));
}

/* What a recording would keep of the event must lead to the same update. */
static void
replay(struct raft *before, const struct raft_event *event)
{
	static struct raft_update replayed;
	struct raft_event copy;
	size_t		size = raft_record_event_size(event);

	if (size == 0)
	{
		say("this event cannot be recorded");
		return;
	}
	memset(&copy, 0xa5, sizeof(copy));
	memcpy(&copy, event, size);
	raft_step(before, &copy, &replayed);
	if (raft_update_digest(&replayed) != raft_update_digest(&update))
		say("%llu: its recording replays to another update", U(before->id));
}

/* One step, and the duties that follow from it, in their order. */
void
step(struct node *node, struct raft_event *event, const struct entry *entries)
{
	raft_id		id = node->raft.id;
	raft_index	commit = node->raft.commit_index;
	static struct raft before;
	enum raft_status status;
	uint32_t	i;

	event->now_ms = now_ms;
	event->random = id * 10;
	before = node->raft;
	status = raft_step(&node->raft, event, &update);
	replay(&before, event);
	if (status == RAFT_BROKEN)
	{
		/* The process ends before any duty is done. */
		say("%llu BROKEN: %s, %llu against %llu", U(id), update.violation.rule,
			U(update.violation.expected), U(update.violation.found));
		node->up = false;
		return;
	}
	if (status != RAFT_OK)
		say("%llu: %s", U(id), status_names[status]);

	if (update.state != node->state)
		say("%llu becomes %s in term %llu", U(id), state_names[update.state],
			U(update.term));
	if (update.leader != node->leader && update.leader != id &&
		update.leader != 0)
		say("%llu follows %llu", U(id), U(update.leader));
	node->state = update.state;
	node->leader = update.leader;
	if (update.save_vote)
	{
		node->written.term = update.term;
		node->written.vote = update.vote;
		if (update.vote != 0)
			say("%llu saves term %llu, vote for %llu", U(id), U(update.term),
				U(update.vote));
		else
			say("%llu saves term %llu", U(id), U(update.term));
	}
	write_log(node, event, entries);
	if (update.config_changed)
		say("%llu uses configuration %s", U(id),
			config_text(&raft_config(&node->raft)->config));
	for (i = 0; i < update.n_reads; i++)
	{
		if (update.reads[i].index != 0)
			say("%llu answers read %llu: index %llu", U(id),
				U(update.reads[i].id), U(update.reads[i].index));
		else
			say("%llu drops read %llu", U(id), U(update.reads[i].id));
	}
	if (update.commit_index != commit)
		say("%llu commits up to %llu", U(id), U(update.commit_index));
	if (update.snapshot_from != 0)
		say("%llu needs a copy from %llu", U(id), U(update.snapshot_from));
	if (update.lost_data != 0)
		say("%llu reports that %llu lost data", U(id), U(update.lost_data));
	for (i = 0; i < update.n_messages; i++)
	{
		say_message(&update.messages[i], &node->written);
		if (!update.messages[i].after_flush)
			post(&update.messages[i]);
		else if (node->n_waiting == MAX_QUEUE)
			fail("too many messages wait for the flush");
		else
			node->waiting[node->n_waiting++] = update.messages[i];
	}
	if (!node->held && event->type != RAFT_DISK_FAILED)
		flush(node);
	apply(node);
}

/* Begin from what the disk holds, bent by what the words say. */
void
boot(struct node *node, raft_id id, char **words, int n_words)
{
	struct raft_options options = {HEARTBEAT_MS, ELECTION_MS, false};
	static struct raft_run runs[MAX_LOG];
	struct disk *disk = &node->written;
	struct raft_restored restored;
	struct raft_violation violation;
	raft_index	index;

	memcpy(disk, &node->durable, sizeof(*disk));
	memset(&restored, 0, sizeof(restored));
	restored.id = id;
	restored.term = disk->term;
	restored.vote = disk->vote;
	restored.base_index = disk->base;
	restored.base_term = disk->base_term;
	restored.last_index = disk->last;
	restored.applied_index = disk->applied;
	restored.config = disk->base_config;
	restored.previous_config = disk->base_config;
	restored.runs = runs;
	for (index = disk->base + 1; index <= disk->last; index++)
	{
		const struct entry *entry = &disk->log[index];

		if (restored.n_runs == 0 ||
			runs[restored.n_runs - 1].term != entry->term)
			runs[restored.n_runs++] = (struct raft_run) {index, entry->term};
		if (entry->config != NULL)
		{
			restored.previous_config = restored.config;
			restored.config.index = index;
			restored.config.config = *entry->config;
		}
	}

	bend(&restored, &options, words, n_words);
	if (raft_init(&node->raft, &restored, &options, now_ms, id * 10,
				  &violation) != RAFT_OK)
		say("%llu cannot start: %s, %llu against %llu", U(id), violation.rule,
			U(violation.expected), U(violation.found));
	else
		node->up = true;
	node->exists = true;
	node->held = false;
	node->n_waiting = 0;
	node->state = node->raft.state;
	node->leader = 0;
}

void
forget_way(raft_id from, raft_id to)
{
	struct way *way = &ways[from][to];

	while (way->count > 0)
		free(way->packets[--way->count].entries);
}

void
forget_messages(raft_id id)
{
	raft_id		other;

	for (other = 1; other <= MAX_NODES; other++)
	{
		if (id == 0 || other == id)
		{
			raft_id		to;

			for (to = 1; to <= MAX_NODES; to++)
				forget_way(other, to);
		}
		else
			forget_way(other, id);
	}
}

/* The oldest message on a way arrives. */
void
deliver_one(raft_id from, raft_id to)
{
	struct way *way = &ways[from][to];
	struct packet packet = way->packets[0];

	way->count--;
	memmove(way->packets, way->packets + 1, way->count * sizeof(packet));
	if (nodes[to].up)
		step(&nodes[to], &packet.event, packet.entries);
	free(packet.entries);
}

/* The network doubles the oldest message on a way; the copy comes last. */
void
repeat_oldest(struct way *way)
{
	struct packet *copy = &way->packets[way->count];
	uint32_t	n_entries = way->packets[0].event.u.received.message.n_entries;

	if (way->count == MAX_QUEUE)
		fail("too many messages on one way");
	*copy = way->packets[0];
	if (n_entries > 0)
	{
		copy->entries = calloc(n_entries, sizeof(struct entry));
		memcpy(copy->entries, way->packets[0].entries,
			   n_entries * sizeof(struct entry));
	}
	way->count++;
}

void
deliver_all(void)
{
	bool		moved = true;
	int			rounds = 0;

	while (moved)
	{
		raft_id		from;
		raft_id		to;

		moved = false;
		if (++rounds > 1000)
			fail("the members never stop talking");
		for (from = 1; from <= MAX_NODES; from++)
		{
			for (to = 1; to <= MAX_NODES; to++)
			{
				uint32_t	count = ways[from][to].count;

				moved = moved || count > 0;
				while (count-- > 0)
					deliver_one(from, to);
			}
		}
	}
}
