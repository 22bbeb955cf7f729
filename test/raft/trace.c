/*-------------------------------------------------------------------------
 *
 * trace.c
 *	  Golden traces: scripts of what happens to a group, with every word the
 *	  members say about it.
 *
 * The simulator finds what nobody thought of.  A trace tells what somebody did
 * think of: a figure of the paper, an outage that other implementations had.
 * It is read from top to bottom like the story it tells:
 *
 *		# Why this happens.
 *		> propose 1 2
 *		  1 appends 2.1-3.1
 *		  1>2 append after 1.1: 2.1-3.1 commit 1
 *
 * Lines that begin with "#" are narrative, with ">" commands, and the indented
 * lines below a command are exactly what it must print.  Positions are written
 * index.term.  Nothing happens by itself: no message arrives and no time passes
 * unless a command says so.  "raft_trace -w FILE" rewrites the output of a
 * trace; read the difference before you believe it.
 *
 * The commands, with N for a member:
 *
 *		start N term=T vote=V log=T,T,.. applied=I config=1v,2v,3l
 *								(all but N and config may be missing)
 *		lead N CONFIG			all of CONFIG start, N wins term 1: said quietly
 *		timer N					time passes to N's deadline, and N acts on it
 *		wait MS					time passes
 *		deliver N>M [COUNT]		the oldest messages on this way arrive
 *		deliver all				until nothing is on its way
 *		repeat N>M				the oldest message on this way is doubled
 *		drop N>M | drop N | drop all
 *								lost: one way, to and from N, everything
 *		cut N>M | cut N | heal	from now on it is lost; no longer
 *		hold N | flush N		N's disk keeps writing until it is flushed
 *		crash N | restart N		what was not flushed is lost; what is on its
 *								way is not
 *		stop N					crash without a word, but keep the disk
 *		propose N COUNT [term=T]
 *		read N ID | config N 1v,2v | transfer N M | link-down N M
 *		compact N I | install N M	N forgets its log up to I; N gets M's copy
 *		durable N I T			N's disk reports I.T once more
 *		disk-failed N | wipe N I	N's disk fails; N's log loses I and all after
 *		show N | log N			what N believes; the terms of N's log
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft.h"

#define MAX_NODES		9
#define MAX_LOG			4096
#define MAX_QUEUE		512
#define MAX_OUTPUT		65536
#define ELECTION_MS		1000
#define HEARTBEAT_MS	100

struct entry
{
	raft_term	term;
	bool		is_config;
	struct raft_config config;
};

/* What a disk holds, or what is to be written to it. */
struct disk
{
	raft_term	term;
	raft_id		vote;
	raft_index	base;
	raft_term	base_term;
	struct raft_config_entry base_config;
	raft_index	last;
	raft_index	applied;
	struct entry log[MAX_LOG];
};

struct node
{
	bool		exists;
	bool		up;
	bool		held;			/* the disk keeps writing */
	struct raft raft;
	struct disk written;		/* what the member asked for */
	struct disk durable;		/* what a crash leaves */
	enum raft_state state;		/* as last printed */
	raft_id		leader;
	uint32_t	n_waiting;		/* messages that wait for the flush */
	struct raft_message waiting[MAX_QUEUE];
};

struct packet
{
	struct raft_event event;
	struct entry *entries;
};

struct way
{
	uint32_t	count;
	struct packet packets[MAX_QUEUE];
};

static struct node nodes[MAX_NODES + 1];
static struct way ways[MAX_NODES + 1][MAX_NODES + 1];
static struct raft_update update;
static bool is_cut[MAX_NODES + 1][MAX_NODES + 1];
static uint64_t now_ms;
static char output[MAX_OUTPUT];
static size_t output_length;
static const char *file_name;
static int	line_number;

static const char *const state_names[] = {
	"detached", "follower", "pre-candidate", "candidate", "leader"
};
static const char *const status_names[] = {
	"ok", "not leader", "busy", "not ready", "in progress", "invalid", "stale",
	"BROKEN"
};

static void
fail(const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file_name, line_number, what);
	exit(2);
}

/* Add a line of output. */
static void
say(const char *format,...)
{
	va_list		arguments;
	int			length;

	output_length += (size_t) snprintf(output + output_length,
									   MAX_OUTPUT - output_length, "  ");
	va_start(arguments, format);
	length = vsnprintf(output + output_length, MAX_OUTPUT - output_length,
					   format, arguments);
	va_end(arguments);
	output_length += (size_t) length;
	if (output_length + 4 >= MAX_OUTPUT)
		fail("too much output");
	output[output_length++] = '\n';
	output[output_length] = '\0';
}

#define U(x) ((unsigned long long) (x))

static const char *
config_text(const struct raft_config *config)
{
	static char text[256];
	size_t		length = 0;
	uint32_t	i;

	text[0] = '\0';
	for (i = 0; i < config->n_members; i++)
		length += (size_t) snprintf(text + length, sizeof(text) - length,
									"%s%llu%c", i > 0 ? "," : "",
									U(config->members[i].id),
									config->members[i].role == RAFT_VOTER ?
									'v' : 'l');
	return length > 0 ? text : "nobody";
}

static struct raft_config
parse_config(const char *text)
{
	struct raft_config config;

	memset(&config, 0, sizeof(config));
	while (*text >= '0' && *text <= '9')
	{
		struct raft_member *member = &config.members[config.n_members++];

		member->id = strtoull(text, (char **) &text, 10);
		member->role = *text == 'l' ? RAFT_LEARNER : RAFT_VOTER;
		text += *text == 'l' || *text == 'v';
		text += *text == ',';
	}
	return config;
}

/* The entries first..last of a member's log, as runs of equal term. */
static const char *
range_text(const struct disk *disk, raft_index first, raft_index last)
{
	static char text[512];
	size_t		length = 0;

	text[0] = '\0';
	while (first <= last)
	{
		raft_term	term = disk->log[first].term;
		raft_index	end = first;

		while (end < last && disk->log[end + 1].term == term)
			end++;
		length += (size_t) snprintf(text + length, sizeof(text) - length,
									length > 0 ? ", %llu.%llu" : "%llu.%llu",
									U(first), U(term));
		if (end > first)
			length += (size_t) snprintf(text + length, sizeof(text) - length,
										"-%llu.%llu", U(end), U(term));
		first = end + 1;
	}
	return text;
}

static void
say_message(const struct raft_message *m, const struct disk *from)
{
	static const char *const names[] = {
		"pre-vote", "pre-vote reply", "vote", "vote reply", "append",
		"append reply", "read", "read reply", "timeout now", "snapshot",
		"snapshot reply"
	};
	char		text[512];
	size_t		length = 0;

#define ADD(...) \
	(length += (size_t) snprintf(text + length, sizeof(text) - length, __VA_ARGS__))

	ADD("%llu>%llu %s", U(m->from), U(m->to), names[m->type]);
	ADD(" term %llu", U(m->term));
	switch (m->type)
	{
		case RAFT_MSG_PREVOTE:
		case RAFT_MSG_VOTE:
			ADD(" last %llu.%llu%s", U(m->prev_index), U(m->prev_term),
				m->transfer ? " by transfer" : "");
			break;
		case RAFT_MSG_PREVOTE_REPLY:
		case RAFT_MSG_VOTE_REPLY:
			ADD(m->accepted ? " granted" : " refused");
			break;
		case RAFT_MSG_APPEND:
			ADD(" after %llu.%llu", U(m->prev_index), U(m->prev_term));
			if (m->n_entries > 0)
				ADD(": %s", range_text(from, m->prev_index + 1,
									   m->prev_index + m->n_entries));
			ADD(" commit %llu round %llu", U(m->commit), U(m->context));
			break;
		case RAFT_MSG_APPEND_REPLY:
			if (m->accepted)
				ADD(" match %llu", U(m->match));
			else
				ADD(" refuses %llu try %llu.%llu", U(m->prev_index),
					U(m->hint_index), U(m->hint_term));
			ADD(" round %llu", U(m->context));
			break;
		case RAFT_MSG_READ:
			break;
		case RAFT_MSG_READ_REPLY:
			ADD(m->commit > 0 ? " index %llu" : " refused", U(m->commit));
			break;
		case RAFT_MSG_TIMEOUT_NOW:
			break;
		case RAFT_MSG_SNAPSHOT:
			ADD(" at least %llu.%llu", U(m->prev_index), U(m->prev_term));
			break;
		case RAFT_MSG_SNAPSHOT_REPLY:
			ADD(" match %llu", U(m->match));
			break;
	}
	if (m->after_flush)
		ADD(" (after flush)");
	say("%s", text);
#undef ADD
}

/* Put a message on its way, with the entries it covers. */
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
		if (!disk->log[index].is_config)
			continue;
		if (packet->event.u.received.n_configs == 2)
			configs[0] = configs[--packet->event.u.received.n_configs];
		configs[packet->event.u.received.n_configs].index = index;
		configs[packet->event.u.received.n_configs++].config =
			disk->log[index].config;
	}
}

static void step(struct node *node, struct raft_event *event,
				 const struct entry *entries);

/* Duties 3 to 5: the disk is done. */
static void
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

static void
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
		{
			entry->is_config = true;
			entry->config = event->u.config;
		}
	}
	disk->last = update.append_last;
	say("%llu %s %s", U(node->raft.id), verbs[update.append],
		range_text(disk, update.append_first, update.append_last));
}

/* One step, and the duties that follow from it, in their order. */
static void
step(struct node *node, struct raft_event *event, const struct entry *entries)
{
	raft_id		id = node->raft.id;
	raft_index	commit = node->raft.commit_index;
	enum raft_status status;
	uint32_t	i;

	event->now_ms = now_ms;
	event->random = id * 10;
	status = raft_step(&node->raft, event, &update);
	if (status == RAFT_BROKEN)
		say("%llu BROKEN: %s, %llu against %llu", U(id), update.violation.rule,
			U(update.violation.expected), U(update.violation.found));
	else if (status != RAFT_OK)
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

static void
boot(struct node *node, raft_id id)
{
	static const struct raft_options options = {HEARTBEAT_MS, ELECTION_MS};
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
		if (entry->is_config)
		{
			restored.previous_config = restored.config;
			restored.config.index = index;
			restored.config.config = entry->config;
		}
	}

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

static void
forget_way(raft_id from, raft_id to)
{
	struct way *way = &ways[from][to];

	while (way->count > 0)
		free(way->packets[--way->count].entries);
}

static void
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
static void
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
static void
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

static void
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

static struct node *
node_of(const char *text)
{
	unsigned long id = text == NULL ? 0 : strtoul(text, NULL, 10);

	if (id == 0 || id > MAX_NODES)
		fail("no such member");
	return &nodes[id];
}

static raft_id
id_of(const struct node *node)
{
	return (raft_id) (node - nodes);
}

/* The value of "name=value" among the words, or NULL. */
static const char *
option(char **words, int n_words, const char *name)
{
	size_t		length = strlen(name);
	int			i;

	for (i = 2; i < n_words; i++)
	{
		if (strncmp(words[i], name, length) == 0 && words[i][length] == '=')
			return words[i] + length + 1;
	}
	return NULL;
}

static uint64_t
number_option(char **words, int n_words, const char *name, uint64_t otherwise)
{
	const char *text = option(words, n_words, name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
start(struct node *node, char **words, int n_words)
{
	struct disk *disk = &node->durable;
	const char *text = option(words, n_words, "log");
	const char *config = option(words, n_words, "config");

	memset(node, 0, sizeof(*node));
	while (text != NULL && *text != '\0')
	{
		disk->log[++disk->last].term = strtoull(text, (char **) &text, 10);
		text += *text == ',';
	}
	disk->term = number_option(words, n_words, "term",
							   disk->last > 0 ? disk->log[disk->last].term : 0);
	disk->vote = number_option(words, n_words, "vote", 0);
	disk->applied = number_option(words, n_words, "applied", 0);
	if (config != NULL)
		disk->base_config.config = parse_config(config);
	boot(node, id_of(node));
}

/* The usual beginning of a story, not told again every time. */
static void
lead(struct node *node, const char *text)
{
	struct raft_config config = parse_config(text);
	struct raft_event event;
	uint32_t	i;

	for (i = 0; i < config.n_members; i++)
	{
		struct node *member = &nodes[config.members[i].id];

		memset(member, 0, sizeof(*member));
		member->durable.base_config.config = config;
		boot(member, config.members[i].id);
	}
	memset(&event, 0, sizeof(event));
	event.type = RAFT_TIMER;
	now_ms = raft_deadline(&node->raft);
	step(node, &event, NULL);
	deliver_all();
	output_length = 0;
	output[0] = '\0';
}

static void
cut(const char *text)
{
	const char *arrow = strchr(text, '>');
	raft_id		from = id_of(node_of(text));
	raft_id		other;

	if (arrow != NULL)
	{
		is_cut[from][id_of(node_of(arrow + 1))] = true;
		return;
	}
	for (other = 1; other <= MAX_NODES; other++)
	{
		is_cut[from][other] = true;
		is_cut[other][from] = true;
	}
}

static void
show(const struct node *node)
{
	const struct raft *raft = &node->raft;

	say("%llu %s term %llu vote %llu leader %llu log %llu..%llu durable %llu"
		" commit %llu config %s%s", U(id_of(node)), state_names[raft->state],
		U(raft->term), U(raft->vote), U(raft->leader), U(raft_first_index(raft)),
		U(raft_last_index(raft)), U(raft_durable_index(raft)),
		U(raft->commit_index), config_text(&raft_config(raft)->config),
		raft_config(raft) != raft_committed_config(raft) ? " uncommitted" : "");
}

static void
install(struct node *node, const struct node *from)
{
	struct disk *disk = &node->written;
	raft_index	index = from->written.applied;
	raft_term	term = raft_term_at(&from->raft, index);
	struct raft_event event;

	if (!raft_wants_snapshot(&node->raft, index, term))
	{
		say("%llu has no use for a copy at %llu.%llu", U(id_of(node)), U(index),
			U(term));
		return;
	}

	disk->base = disk->last = disk->applied = index;
	disk->base_term = term;
	disk->log[index].term = term;
	disk->base_config = *raft_committed_config(&from->raft);
	memset(&event, 0, sizeof(event));
	event.type = RAFT_SNAPSHOT_INSTALLED;
	event.u.snapshot.index = index;
	event.u.snapshot.term = term;
	event.u.snapshot.config = disk->base_config;
	step(node, &event, NULL);
}

/* The commands that are just an event. */
static bool
run_event(struct node *node, char **words, int n_words)
{
	const char *name = words[0];
	const char *text = n_words > 2 ? words[2] : "0";
	uint64_t	number = strtoull(text, NULL, 10);
	struct raft_event event;

	memset(&event, 0, sizeof(event));
	if (strcmp(name, "timer") == 0)
	{
		if (raft_deadline(&node->raft) == UINT64_MAX)
		{
			say("%llu waits for nothing", U(id_of(node)));
			return true;
		}
		if (now_ms < raft_deadline(&node->raft))
			now_ms = raft_deadline(&node->raft);
		event.type = RAFT_TIMER;
	}
	else if (strcmp(name, "propose") == 0)
	{
		event.type = RAFT_PROPOSED;
		event.u.proposed.count = n_words > 2 ? (uint32_t) number : 1;
		event.u.proposed.term = number_option(words, n_words, "term", 0);
	}
	else if (strcmp(name, "read") == 0)
	{
		event.type = RAFT_READ_REQUESTED;
		event.u.read.id = number;
	}
	else if (strcmp(name, "config") == 0)
	{
		event.type = RAFT_CONFIG_PROPOSED;
		event.u.config = parse_config(text);
	}
	else if (strcmp(name, "transfer") == 0)
	{
		event.type = RAFT_TRANSFER_REQUESTED;
		event.u.peer.peer = number;
	}
	else if (strcmp(name, "link-down") == 0)
	{
		event.type = RAFT_LINK_DOWN;
		event.u.peer.peer = number;
	}
	else if (strcmp(name, "compact") == 0)
	{
		event.type = RAFT_COMPACTED;
		event.u.position.index = number;
		event.u.position.term = raft_term_at(&node->raft, number);
		node->written.base_config = *raft_committed_config(&node->raft);
		node->written.base = number;
		node->written.base_term = event.u.position.term;
	}
	else if (strcmp(name, "durable") == 0)
	{
		event.type = RAFT_DURABLE;
		event.u.position.index = number;
		event.u.position.term = n_words > 3 ? strtoull(words[3], NULL, 10) : 0;
	}
	else if (strcmp(name, "disk-failed") == 0)
		event.type = RAFT_DISK_FAILED;
	else
		return false;

	step(node, &event, NULL);
	return true;
}

static bool
run_on_way(char **words, int n_words)
{
	bool		deliver = strcmp(words[0], "deliver") == 0;
	bool		repeat = strcmp(words[0], "repeat") == 0;
	const char *arrow = n_words > 1 ? strchr(words[1], '>') : NULL;
	raft_id		from;
	raft_id		to;
	uint32_t	count;

	if (!deliver && !repeat && strcmp(words[0], "drop") != 0)
		return false;

	if (!repeat && n_words > 1 && strcmp(words[1], "all") == 0)
	{
		if (deliver)
			deliver_all();
		else
			forget_messages(0);
		return true;
	}
	if (arrow == NULL)
	{
		if (deliver || repeat)
			fail("on which way?");
		forget_messages(id_of(node_of(n_words > 1 ? words[1] : NULL)));
		return true;
	}

	from = id_of(node_of(words[1]));
	to = id_of(node_of(arrow + 1));
	count = ways[from][to].count;
	if (!deliver && !repeat)
		forget_way(from, to);
	else if (count == 0)
		fail("nothing is on this way");
	else if (repeat)
		repeat_oldest(&ways[from][to]);
	else
	{
		if (n_words > 2 && strtoul(words[2], NULL, 10) < count)
			count = (uint32_t) strtoul(words[2], NULL, 10);
		while (count-- > 0)
			deliver_one(from, to);
	}
	return true;
}

static void
run(char *command)
{
	char	   *words[16];
	int			n_words = 0;
	char	   *word;
	struct node *node;

	for (word = strtok(command, " \t\n"); word != NULL && n_words < 16;
		 word = strtok(NULL, " \t\n"))
		words[n_words++] = word;
	if (n_words == 0)
		fail("no command");

	if (run_on_way(words, n_words))
		return;
	if (strcmp(words[0], "wait") == 0)
	{
		now_ms += n_words > 1 ? strtoull(words[1], NULL, 10) : 0;
		return;
	}

	if (strcmp(words[0], "heal") == 0)
	{
		memset(is_cut, 0, sizeof(is_cut));
		return;
	}

	node = node_of(n_words > 1 ? words[1] : NULL);
	if (strcmp(words[0], "start") == 0)
		start(node, words, n_words);
	else if (strcmp(words[0], "lead") == 0)
		lead(node, n_words > 2 ? words[2] : "");
	else if (strcmp(words[0], "cut") == 0)
		cut(words[1]);
	else if (!node->exists)
		fail("this member has not started");
	else if (strcmp(words[0], "crash") == 0 || strcmp(words[0], "stop") == 0)
	{
		if (strcmp(words[0], "stop") == 0)
			memcpy(&node->durable, &node->written, sizeof(node->durable));
		node->up = false;
	}
	else if (strcmp(words[0], "restart") == 0)
		boot(node, id_of(node));
	else if (strcmp(words[0], "wipe") == 0)
	{
		node->durable.last = strtoull(n_words > 2 ? words[2] : "1", NULL, 10) - 1;
		if (node->durable.applied > node->durable.last)
			node->durable.applied = node->durable.last;
	}
	else if (strcmp(words[0], "hold") == 0)
		node->held = true;
	else if (strcmp(words[0], "flush") == 0)
	{
		node->held = false;
		flush(node);
		apply(node);
	}
	else if (strcmp(words[0], "show") == 0)
		show(node);
	else if (strcmp(words[0], "log") == 0)
		say("%llu %s", U(id_of(node)),
			range_text(&node->written, node->written.base + 1, node->written.last));
	else if (strcmp(words[0], "install") == 0)
		install(node, node_of(n_words > 2 ? words[2] : NULL));
	else if (!run_event(node, words, n_words))
		fail("no such command");
}

/* Compare what a command printed with what it should have. */
static bool
check(const char *command, const char *expected)
{
	if (strcmp(expected, output) == 0)
		return true;

	printf("%s:%d: %sexpected:\n%sgot:\n%s", file_name, line_number, command,
		   expected, output);
	return false;
}

/* Play one trace.  Returns how many commands printed something else. */
static int
play(const char *name, bool rewrite)
{
	static char script[1 << 20];
	static char result[1 << 20];
	size_t		result_length = 0;
	char	   *line;
	char	   *next;
	int			n_wrong = 0;
	FILE	   *file = fopen(name, "r");
	size_t		length;

	file_name = name;
	line_number = 0;
	if (file == NULL)
		fail("cannot be read");
	length = fread(script, 1, sizeof(script) - 1, file);
	script[length] = '\0';
	fclose(file);

	memset(nodes, 0, sizeof(nodes));
	memset(is_cut, 0, sizeof(is_cut));
	forget_messages(0);
	now_ms = 1000;

	for (line = script; *line != '\0'; line = next)
	{
		char		command[1024];
		char		words[1024];
		char		expected[MAX_OUTPUT];
		size_t		expected_length = 0;

		line_number++;
		next = strchr(line, '\n');
		next = next == NULL ? line + strlen(line) : next + 1;
		if ((size_t) (next - line) >= sizeof(command))
			fail("line too long");
		memcpy(command, line, (size_t) (next - line));
		command[next - line] = '\0';
		memcpy(result + result_length, command, (size_t) (next - line));
		result_length += (size_t) (next - line);
		if (command[0] != '>')
			continue;

		output_length = 0;
		output[0] = '\0';
		strcpy(words, command + 1);
		run(words);

		while (*next == ' ')
		{
			const char *end = strchr(next, '\n');
			size_t		n = end == NULL ? strlen(next) : (size_t) (end + 1 - next);

			memcpy(expected + expected_length, next, n);
			expected_length += n;
			next += n;
		}
		expected[expected_length] = '\0';
		memcpy(result + result_length, output, output_length);
		result_length += output_length;
		if (!rewrite && !check(command, expected))
			n_wrong++;
		for (length = 0; length < expected_length; length++)
			line_number += expected[length] == '\n';
	}

	if (rewrite)
	{
		file = fopen(name, "w");
		if (file == NULL || fwrite(result, 1, result_length, file) != result_length)
			fail("cannot be written");
		fclose(file);
	}
	return n_wrong;
}

int
main(int argc, char **argv)
{
	bool		rewrite = argc > 1 && strcmp(argv[1], "-w") == 0;
	int			n_failed = 0;
	int			i;

	for (i = rewrite ? 2 : 1; i < argc; i++)
	{
		int			n_wrong = play(argv[i], rewrite);

		printf("%s %s\n", n_wrong == 0 ? "ok  " : "FAIL", argv[i]);
		n_failed += n_wrong > 0;
	}
	return n_failed > 0;
}
