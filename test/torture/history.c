/*-------------------------------------------------------------------------
 *
 * history.c
 *	  Reads a history, and makes one sequence of events of all that saw any.
 *
 *-------------------------------------------------------------------------
 */
#include "history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const verb_names[N_VERBS] = {
	"put", "create", "delete", "txn", "get", "list", "plain", "local",
	"page", "lpage", "past"
};
const char *const outcome_names[N_OUTCOMES] = {"ok", "noop", "else", "refused", "unknown"};

/* Where the reader is. */
static int	line_number;
static char *save;

static void
malformed(const char *word)
{
	fprintf(stderr, "line %d: this is not understood: %s\n", line_number,
			word != NULL ? word : "(end of line)");
	exit(2);
}

/* ------------------------------------------------------------------------
 * Words
 * ------------------------------------------------------------------------
 */

static char *
next_word(void)
{
	return strtok_r(NULL, " \n", &save);
}

static char *
need_word(void)
{
	char	   *word = next_word();

	if (word == NULL)
		malformed(NULL);
	return word;
}

static int64_t
need_number(void)
{
	char	   *word = need_word();
	char	   *end;
	int64_t		number = strtoll(word, &end, 10);

	if (end == word || *end != '\0')
		malformed(word);
	return number;
}

static int
need_name(const char *const *names, int count)
{
	char	   *word = need_word();

	for (int i = 0; i < count; i++)
		if (strcmp(word, names[i]) == 0)
			return i;
	malformed(word);
	return 0;
}

static int
checked_key(const History *history, int key, const char *word)
{
	if (key < 0 || key >= history->n_keys)
		malformed(word);
	return key;
}

static Part
parse_part(const History *history, const char *word)
{
	Part		part = {0};
	char		sign = '\0';

	if (sscanf(word, "+k%d=%d-%d", &part.key, &part.value.client, &part.value.serial) == 3)
		part.kind = PART_PUT;
	else if (sscanf(word, "-k%d", &part.key) == 1)
		part.kind = PART_DELETE;
	else if (sscanf(word, "?k%d=%" SCNd64, &part.key, &part.version) == 2)
		part.kind = PART_IF_VERSION;
	else if (sscanf(word, "?k%d%c", &part.key, &sign) == 2 && (sign == '+' || sign == '-'))
		part.kind = sign == '+' ? PART_IF_THERE : PART_IF_ABSENT;
	else
		malformed(word);
	checked_key(history, part.key, word);
	return part;
}

static Item
parse_item(const History *history, const char *word)
{
	Item		item = {0};

	if (sscanf(word, "k%d=%d-%d@%" SCNd64, &item.key, &item.value.client, &item.value.serial,
			   &item.version) != 4)
		malformed(word);
	checked_key(history, item.key, word);
	return item;
}

static Event
parse_event(const History *history, const char *word)
{
	Event		event = {.before = -1,.after = -1};

	if (sscanf(word, "%c%" SCNd64 ".%d:k%d=%d-%d", &event.type, &event.index, &event.ordinal,
			   &event.key, &event.value.client, &event.value.serial) != 6 ||
		strchr("AMD", event.type) == NULL)
		malformed(word);
	checked_key(history, event.key, word);
	return event;
}

/* ------------------------------------------------------------------------
 * Lines
 * ------------------------------------------------------------------------
 */

static void
read_header(History *history)
{
	history->seed = (uint64_t) need_number();
	history->n_keys = (int) need_number();
	history->n_nodes = (int) need_number();
	history->start = need_number();
	if (history->n_keys < 1 || history->n_keys > MAX_KEYS ||
		history->n_nodes < 1 || history->n_nodes > MAX_NODES)
		malformed("keys or nodes");
}

static int
need_node(const History *history)
{
	int			node = (int) need_number();

	if (node < 0 || node >= history->n_nodes)
		malformed("node");
	return node;
}

static void
read_operation(History *history, bool is_write)
{
	Operation	operation = {.line = line_number,.scope = -1};
	int			room = 0;

	operation.client = (int) need_number();
	operation.session = (int) need_number();
	operation.node = need_node(history);
	operation.begin_us = need_number();
	operation.end_us = need_number();
	operation.verb = (Verb) need_name(verb_names, N_VERBS);
	operation.outcome = (Outcome) need_name(outcome_names, N_OUTCOMES);
	snprintf(operation.sqlstate, sizeof(operation.sqlstate), "%s", need_word());
	operation.index = need_number();
	if (is_write != (operation.verb <= VERB_TXN))
		malformed(verb_names[operation.verb]);
	if (!is_write)
	{
		char	   *word = need_word();

		if (strcmp(word, "*") != 0 && sscanf(word, "k%d", &operation.scope) != 1)
			malformed(word);
	}
	for (char *word; (word = next_word()) != NULL;)
	{
		if (is_write)
		{
			if (operation.n_parts == MAX_PARTS)
				malformed(word);
			operation.parts[operation.n_parts++] = parse_part(history, word);
			continue;
		}
		if (word[0] == '=')
		{
			snprintf(operation.digest, sizeof(operation.digest), "%s", word + 1);
			continue;
		}
		operation.items = grow(operation.items, operation.n_items, &room, sizeof(Item));
		operation.items[operation.n_items++] = parse_item(history, word);
	}
	history->operations = grow(history->operations, history->n_operations,
							   &history->operations_room, sizeof(Operation));
	history->operations[history->n_operations++] = operation;
}

static void
read_stream(History *history, bool watched)
{
	Stream		stream = {.line = line_number,.watcher = -1};
	int			room = 0;

	if (watched)
		stream.watcher = (int) need_number();
	stream.node = need_node(history);
	if (watched)
	{
		stream.since = need_number();
		stream.bookmark = need_number();
	}
	for (char *word; (word = next_word()) != NULL;)
	{
		stream.events = grow(stream.events, stream.n_events, &room, sizeof(Event));
		stream.events[stream.n_events++] = parse_event(history, word);
	}
	history->streams = grow(history->streams, history->n_streams, &history->streams_room,
							sizeof(Stream));
	history->streams[history->n_streams++] = stream;
}

static void
read_final(History *history)
{
	FinalState *final = &history->finals[need_node(history)];

	final->there = true;
	final->floor = need_number();
	snprintf(final->digest, sizeof(final->digest), "%s", need_word());
}

static void
read_state(History *history)
{
	FinalState *final = &history->finals[need_node(history)];

	for (char *word; (word = next_word()) != NULL;)
	{
		if (final->n_items == MAX_KEYS)
			malformed(word);
		final->items[final->n_items++] = parse_item(history, word);
	}
}

static void
read_line(History *history, char *line)
{
	char	   *word = strtok_r(line, " \n", &save);

	if (word == NULL || word[0] == '#' || strcmp(word, "N") == 0)
		return;
	if (strcmp(word, "H") != 0 && history->n_keys == 0)
		malformed("a history begins with H");
	if (strcmp(word, "H") == 0)
		read_header(history);
	else if (strcmp(word, "W") == 0 || strcmp(word, "R") == 0)
		read_operation(history, word[0] == 'W');
	else if (strcmp(word, "V") == 0 || strcmp(word, "E") == 0)
		read_stream(history, word[0] == 'V');
	else if (strcmp(word, "F") == 0)
		read_final(history);
	else if (strcmp(word, "S") == 0)
		read_state(history);
	else
		malformed(word);
}

/* ------------------------------------------------------------------------
 * Events
 * ------------------------------------------------------------------------
 */

bool
same_value(Value a, Value b)
{
	return a.client == b.client && a.serial == b.serial;
}

static int
compare_events(const void *a, const void *b)
{
	const Event *left = a;
	const Event *right = b;

	if (left->index != right->index)
		return left->index < right->index ? -1 : 1;
	return left->ordinal - right->ordinal;
}

static void
link_events(History *history)
{
	int			newest[MAX_KEYS];

	memset(newest, -1, sizeof(newest));
	for (int i = 0; i < history->n_events; i++)
	{
		Event	   *event = &history->events[i];

		event->before = newest[event->key];
		event->after = -1;
		if (event->before >= 0)
			history->events[event->before].after = i;
		newest[event->key] = i;
	}
}

/*
 * Whoever saw an event saw the same one.
 */
static void
unite_events(History *history)
{
	int			n = 0;

	for (int s = 0; s < history->n_streams; s++)
	{
		for (int i = 0; i < history->streams[s].n_events; i++)
		{
			history->events = grow(history->events, history->n_events, &history->events_room,
								   sizeof(Event));
			history->events[history->n_events++] = history->streams[s].events[i];
		}
	}
	if (history->n_events > 0)
		qsort(history->events, (size_t) history->n_events, sizeof(Event), compare_events);
	for (int i = 0; i < history->n_events; i++)
	{
		Event	   *event = &history->events[i];
		Event	   *last = n > 0 ? &history->events[n - 1] : NULL;

		if (last == NULL || compare_events(last, event) != 0)
			history->events[n++] = *event;
		else if (last->type != event->type || last->key != event->key ||
				 !same_value(last->value, event->value))
			blame("two_stories", 0, "%" PRId64 ".%d was %c k%d for one and %c k%d for another",
				  event->index, event->ordinal, last->type, last->key, event->type, event->key);
	}
	history->n_events = n;
	link_events(history);
}

int
history_above(const History *history, int64_t index)
{
	int			low = 0;
	int			high = history->n_events;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (history->events[middle].index <= index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int
history_newest(const History *history, int key, int64_t index)
{
	int			i = history_above(history, index) - 1;

	while (i >= 0 && history->events[i].key != key)
		i--;
	return i;
}

const Event *
history_state(const History *history, int key, int64_t index)
{
	int			i = history_newest(history, key, index);

	return i >= 0 && history->events[i].type != 'D' ? &history->events[i] : NULL;
}

/* ------------------------------------------------------------------------
 * The file
 * ------------------------------------------------------------------------
 */

static int
compare_begins(const void *a, const void *b)
{
	const Operation *left = a;
	const Operation *right = b;

	if (left->begin_us != right->begin_us)
		return left->begin_us < right->begin_us ? -1 : 1;
	return left->line - right->line;
}

void
history_read(History *history, const char *path)
{
	FILE	   *file = fopen(path, "r");
	char	   *line = NULL;
	size_t		size = 0;

	if (file == NULL)
	{
		perror(path);
		exit(2);
	}
	for (line_number = 1; getline(&line, &size, file) >= 0; line_number++)
		read_line(history, line);
	free(line);
	fclose(file);
	if (history->n_operations > 0)
		qsort(history->operations, (size_t) history->n_operations, sizeof(Operation),
			  compare_begins);
	unite_events(history);
}
