/*-------------------------------------------------------------------------
 *
 * trace_odd.c
 *	  What no honest disk, shell or member does, for the members to refuse.
 *
 * The simulator brings a member only into states that its own disk, its own
 * shell and honest peers can bring about.  These commands are for the rest:
 * durable states that contradict themselves, events that no shell should
 * deliver, messages of liars, and memory that was damaged.  Each must be
 * answered as raft.h says, never taken for granted.
 *
 * The commands, with I.T for a position and words left out being zero:
 *
 *		start N ...				also: id=N last=I runs=I.T,I.T,..
 *								config-index=I previous=1v,2v previous-index=I
 *								heartbeat=MS timeout=MS
 *		send N>M TYPE ...		M gets a forged message: to=N term=T prev=I.T
 *								entries=COUNT runs=I.T,.. commit=I round=R
 *								match=I hint=I.T config=1v,2v config-index=I
 *								configs=COUNT accepted transfer
 *		tell N EVENT [I.T] [config=1v,2v]
 *								N's shell says: applied, compacted, installed
 *		damage N FIELD VALUE [M]	N's memory has VALUE there, or there about M
 *		options N HEARTBEAT TIMEOUT [lease]
 *		lease N					how long N may read without asking anybody
 *		progress N M | term N I	what N knows of M, or of an entry
 *		recording [CHANGE]		of this core; or with another magic, state or
 *								event: is it known?
 *
 * A type, event or word that does not exist is sent as one.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#include "record.h"

#define NO_SUCH_THING	99
#define MAX_FORGED		4096

/* The position I.T. */
static void
parse_position(const char *text, raft_index *index, raft_term *term)
{
	*index = text == NULL ? 0 : strtoull(text, (char **) &text, 10);
	*term = text != NULL && *text == '.' ? strtoull(text + 1, NULL, 10) : 0;
}

/* The runs I.T,I.T,..; returns how many. */
static uint32_t
parse_runs(const char *text, struct raft_run *runs, uint32_t n_max)
{
	uint32_t	n_runs = 0;

	while (text != NULL && *text != '\0' && n_runs < n_max)
	{
		parse_position(text, &runs[n_runs].first, &runs[n_runs].term);
		n_runs++;
		text = strchr(text, ',');
		text += text != NULL;
	}
	return n_runs;
}

static bool
has_word(char **words, int n_words, const char *name)
{
	int			i;

	for (i = 2; i < n_words; i++)
	{
		if (strcmp(words[i], name) == 0)
			return true;
	}
	return false;
}

/* What a disk says of itself, changed by what the words say. */
void
bend(struct raft_restored *restored, struct raft_options *options,
	 char **words, int n_words)
{
	static struct raft_run runs[MAX_NODES];
	const char *text = option(words, n_words, "runs");

	restored->id = number_option(words, n_words, "id", restored->id);
	restored->last_index = number_option(words, n_words, "last",
										 restored->last_index);
	if (text != NULL)
	{
		restored->n_runs = parse_runs(text, runs, MAX_NODES);
		restored->runs = runs;
	}
	restored->config.index = number_option(words, n_words, "config-index",
										   restored->config.index);
	restored->previous_config.index =
		number_option(words, n_words, "previous-index",
					  restored->previous_config.index);
	text = option(words, n_words, "previous");
	if (text != NULL)
		restored->previous_config.config = parse_config(text);
	options->heartbeat_interval_ms = (uint32_t)
		number_option(words, n_words, "heartbeat", options->heartbeat_interval_ms);
	options->election_timeout_ms = (uint32_t)
		number_option(words, n_words, "timeout", options->election_timeout_ms);
}

/* Which message goes by this name; blanks are written as hyphens. */
static enum raft_message_type
type_of(const char *name)
{
	int			type;

	for (type = 0; type <= (int) RAFT_MSG_LAST; type++)
	{
		const char *word = message_names[type];
		size_t		i = 0;

		while (word[i] != '\0' && name[i] == (word[i] == ' ' ? '-' : word[i]))
			i++;
		if (word[i] == '\0' && name[i] == '\0')
			return (enum raft_message_type) type;
	}
	return (enum raft_message_type) NO_SUCH_THING;
}

/* A forged message arrives. */
static void
send_forged(char **words, int n_words)
{
	static struct entry entries[MAX_FORGED];
	const char *arrow = strchr(words[1], '>');
	const char *config = option(words, n_words, "config");
	struct raft_event event;
	struct raft_message *m = &event.u.received.message;
	struct node *node = node_of(arrow == NULL ? NULL : arrow + 1);
	uint32_t	run = 0;
	uint32_t	i;

	if (!node->up || n_words < 3)
		fail("nobody is there to receive it");
	memset(&event, 0, sizeof(event));
	event.type = RAFT_RECEIVED;
	m->type = type_of(words[2]);
	m->from = strtoull(words[1], NULL, 10);
	m->to = number_option(words, n_words, "to", id_of(node));
	m->term = number_option(words, n_words, "term", 0);
	parse_position(option(words, n_words, "prev"), &m->prev_index, &m->prev_term);
	m->n_entries = (uint32_t) number_option(words, n_words, "entries", 0);
	m->n_runs = parse_runs(option(words, n_words, "runs"), m->runs,
						   RAFT_MAX_MESSAGE_RUNS);
	m->commit = number_option(words, n_words, "commit", 0);
	m->context = number_option(words, n_words, "round", 0);
	m->match = number_option(words, n_words, "match", 0);
	parse_position(option(words, n_words, "hint"), &m->hint_index, &m->hint_term);
	m->accepted = has_word(words, n_words, "accepted");
	m->transfer = has_word(words, n_words, "transfer");
	m->n_runs = (uint32_t) number_option(words, n_words, "terms", m->n_runs);
	if (config != NULL)
	{
		event.u.received.n_configs = 1;
		event.u.received.configs[0].config = parse_config(config);
		event.u.received.configs[0].index =
			number_option(words, n_words, "config-index", 0);
	}
	event.u.received.n_configs = (uint32_t)
		number_option(words, n_words, "configs", event.u.received.n_configs);

	memset(entries, 0, sizeof(entries));
	for (i = 0; i < m->n_entries && i < MAX_FORGED; i++)
	{
		while (run + 1 < m->n_runs && run + 1 < RAFT_MAX_MESSAGE_RUNS &&
			   m->runs[run + 1].first <= m->prev_index + 1 + i)
			run++;
		entries[i].term = m->runs[run].term;
	}
	step(node, &event, entries);
}

/* The shell says something that it should not. */
static void
tell(struct node *node, char **words, int n_words)
{
	const char *name = n_words > 2 ? words[2] : "";
	const char *config = option(words, n_words, "config");
	struct raft_event event;
	raft_index	index;
	raft_term	term;

	memset(&event, 0, sizeof(event));
	parse_position(n_words > 3 ? words[3] : NULL, &index, &term);
	event.type = (enum raft_event_type) NO_SUCH_THING;
	if (strcmp(name, "installed") == 0)
	{
		event.type = RAFT_SNAPSHOT_INSTALLED;
		event.u.snapshot.index = index;
		event.u.snapshot.term = term;
		if (config != NULL)
			event.u.snapshot.config.config = parse_config(config);
	}
	else if (strcmp(name, "applied") == 0 || strcmp(name, "compacted") == 0)
	{
		event.type = *name == 'a' ? RAFT_APPLIED : RAFT_COMPACTED;
		event.u.position.index = index;
		event.u.position.term = term;
	}
	step(node, &event, NULL);
}

/* A field of a member that a stray write may hit. */
static uint64_t *
field_of(struct node *node, const char *name, const char *about)
{
	struct raft *raft = &node->raft;
	uint32_t	slot = 0;

	if (strcmp(name, "base") == 0)
		return &raft->log.base_index;
	if (strcmp(name, "durable") == 0)
		return &raft->log.durable_index;
	if (strcmp(name, "applied") == 0)
		return &raft->applied_index;
	if (strcmp(name, "commit") == 0)
		return &raft->commit_index;
	if (strcmp(name, "term") == 0)
		return &raft->term;
	if (strcmp(name, "vote") == 0)
		return &raft->vote;

	while (about != NULL && slot < raft->config.config.n_members)
	{
		if (raft->config.config.members[slot].id != strtoull(about, NULL, 10))
			slot++;
		else if (strcmp(name, "match") == 0)
			return &raft->peers[slot].match_index;
		else if (strcmp(name, "next") == 0)
			return &raft->peers[slot].next_index;
		else
			break;
	}
	fail("no such field");
	return NULL;
}

static void
show_progress(const struct node *node, raft_id id)
{
	struct raft_peer_progress progress;

	if (!raft_progress(&node->raft, id, &progress))
		say("%llu knows nothing of %llu", U(id_of(node)), U(id));
	else
		say("%llu knows of %llu: match %llu, next %llu%s%s", U(id_of(node)), U(id),
			U(progress.match_index), U(progress.next_index),
			progress.last_contact_ms == 0 ? ", not heard" : "",
			progress.snapshotting ? ", takes a copy" : "");
}

static void
show_recording(const char *change)
{
	struct raft_record_header header;

	raft_record_header_fill(&header);
	header.magic += strcmp(change, "magic") == 0;
	header.sizeof_raft += strcmp(change, "state") == 0;
	header.sizeof_event += strcmp(change, "event") == 0;
	say(raft_record_header_fits(&header) ? "known" : "not known");
}

/* One of the commands above, if it is one. */
bool
run_odd(char **words, int n_words)
{
	const char *name = words[0];
	const char *third = n_words > 2 ? words[2] : "0";
	uint64_t	number = strtoull(third, NULL, 10);
	struct node *node;

	if (strcmp(name, "recording") == 0)
	{
		show_recording(n_words > 1 ? words[1] : "");
		return true;
	}
	if (strcmp(name, "send") == 0 && n_words > 1)
	{
		send_forged(words, n_words);
		return true;
	}
	if (n_words < 2 || strtoul(words[1], NULL, 10) - 1 >= MAX_NODES)
		return false;
	node = node_of(words[1]);
	if (!node->exists)
		return false;
	if (strcmp(name, "tell") == 0)
		tell(node, words, n_words);
	else if (strcmp(name, "damage") == 0)
		*field_of(node, third, n_words > 4 ? words[4] : NULL) =
			n_words > 3 ? strtoull(words[3], NULL, 10) : 0;
	else if (strcmp(name, "options") == 0)
	{
		struct raft_options options;

		options.heartbeat_interval_ms = (uint32_t) number;
		options.election_timeout_ms = (uint32_t)
			strtoul(n_words > 3 ? words[3] : "0", NULL, 10);
		options.leader_lease = n_words > 4;
		raft_set_options(&node->raft, &options);
		say("%llu has an election timeout of %u ms", U(id_of(node)),
			node->raft.options.election_timeout_ms);
	}
	else if (strcmp(name, "lease") == 0)
	{
		uint64_t	until_ms = raft_lease_until(&node->raft);

		if (until_ms > now_ms)
			say("%llu has a lease for %llu ms", U(id_of(node)), U(until_ms - now_ms));
		else
			say("%llu has no lease", U(id_of(node)));
	}
	else if (strcmp(name, "progress") == 0)
		show_progress(node, number);
	else if (strcmp(name, "term") == 0)
		say("%llu knows entry %llu as one of term %llu", U(id_of(node)), U(number),
			U(raft_term_at(&node->raft, number)));
	else
		return false;
	return true;
}
