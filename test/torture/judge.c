/*-------------------------------------------------------------------------
 *
 * judge.c
 *	  Is this what a store would do that loses nothing and makes nothing up?
 *
 * The history of events is what watchers and nodes say it is; if they do not
 * say the same, that is the first thing wrong.  The order of their indexes is
 * the order the store claims, so nothing has to be searched for: every
 * operation is held against the state at its place in that order.
 *
 * Time comes in once.  An operation that began after others had ended must not
 * be placed before them: operation->low is the highest index that anybody had
 * been told of when it began.
 *
 * Rules, by the names under which they are reported:
 *
 *	two_stories			whoever saw an event saw the same one
 *	chain				an event fits what was there before it
 *	nobody_wrote		every event has somebody who could have written it
 *	ghost				what was refused for certain is not there
 *	twice				what was written once is there once
 *	lost				what was acknowledged is there, at its index
 *	torn				a transaction is there as a whole, and alone at its index
 *	precondition		what was done was allowed at its place
 *	refusal				what was refused, or had nothing to do, had a reason
 *	real_time			who came later is later
 *	stale				a linearizable read is not older than its beginning
 *	no_such_state		a read is the state at one index, which is its own if it has one
 *	bytes_differ		who reads the same state reads the same bytes, on any node
 *	back_in_time		a session on one node never goes back
 *	watch				an answer to a watcher is exactly what is in it
 *	node_history		every node has the same history
 *	final_state			every node ends with what the history leads to
 *	nodes_differ		and it is the same to the byte
 *	odd_error			errors are those that are documented
 *
 *-------------------------------------------------------------------------
 */
#include "history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one rule, no more are shown; all are counted. */
#define MAX_SHOWN	10

typedef struct Count
{
	const char *rule;
	int			count;
} Count;

static Count counts[32];
static int	n_violations;
static const History *judged;

/* When, in seconds since the first operation began, the one of a line ended. */
static double
seconds_at(int line)
{
	for (int i = 0; judged != NULL && i < judged->n_operations; i++)
		if (judged->operations[i].line == line)
			return (double) (judged->operations[i].end_us - judged->operations[0].begin_us) / 1e6;
	return -1;
}

void
blame(const char *rule, int line, const char *format,...)
{
	va_list		args;
	int			i = 0;

	n_violations++;
	while (counts[i].rule != NULL && strcmp(counts[i].rule, rule) != 0)
		i++;
	counts[i].rule = rule;
	if (counts[i].count++ >= MAX_SHOWN)
		return;
	printf("VIOLATION %s", rule);
	if (line > 0 && seconds_at(line) >= 0)
		printf(" (line %d, after %.0f s)", line, seconds_at(line));
	else if (line > 0)
		printf(" (line %d)", line);
	printf(": ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static bool
is_write(const Operation *operation)
{
	return operation->verb <= VERB_TXN;
}

/* ------------------------------------------------------------------------
 * Time
 * ------------------------------------------------------------------------
 */

/*
 * The highest index that whoever got this answer knows to be in the past.
 */
static int64_t
told(const Operation *operation)
{
	int64_t		index = 0;

	if (operation->outcome == OUTCOME_REFUSED || operation->outcome == OUTCOME_UNKNOWN)
		return 0;
	index = operation->index;
	for (int i = 0; i < operation->n_items; i++)
		if (operation->items[i].version > index)
			index = operation->items[i].version;
	return index;
}

static int
compare_ends(const void *a, const void *b)
{
	const Operation *const *left = a;
	const Operation *const *right = b;

	if ((*left)->end_us != (*right)->end_us)
		return (*left)->end_us < (*right)->end_us ? -1 : 1;
	return 0;
}

static void
find_lows(History *history)
{
	Operation **by_end = allocate(sizeof(Operation *) * ((size_t) history->n_operations + 1));
	int			ended = 0;
	int64_t		low = history->start;

	for (int i = 0; i < history->n_operations; i++)
		by_end[i] = &history->operations[i];
	qsort(by_end, (size_t) history->n_operations, sizeof(Operation *), compare_ends);
	for (int i = 0; i < history->n_operations; i++)
	{
		Operation  *operation = &history->operations[i];

		for (; ended < history->n_operations &&
			 by_end[ended]->end_us < operation->begin_us; ended++)
			if (told(by_end[ended]) > low)
				low = told(by_end[ended]);
		operation->low = low;
	}
	free(by_end);
}

/* ------------------------------------------------------------------------
 * Who wrote what
 * ------------------------------------------------------------------------
 */

typedef struct Authorship
{
	Value		value;
	Operation  *operation;
	const Part *part;
} Authorship;

static Authorship *authors;
static int	n_authors;
static Operation **done;		/* with an index of their own, by index */
static int	n_done;

static int
compare_authors(const void *a, const void *b)
{
	const Authorship *left = a;
	const Authorship *right = b;

	if (left->value.client != right->value.client)
		return left->value.client < right->value.client ? -1 : 1;
	return left->value.serial - right->value.serial;
}

static int
compare_indexes(const void *a, const void *b)
{
	const Operation *const *left = a;
	const Operation *const *right = b;

	if ((*left)->index != (*right)->index)
		return (*left)->index < (*right)->index ? -1 : 1;
	return 0;
}

static void
find_authors(History *history)
{
	size_t		n = (size_t) history->n_operations;

	authors = allocate(sizeof(Authorship) * (n * MAX_PARTS + 1));
	done = allocate(sizeof(Operation *) * (n + 1));
	n_authors = n_done = 0;
	for (int i = 0; i < history->n_operations; i++)
	{
		Operation  *operation = &history->operations[i];

		for (int p = 0; p < operation->n_parts; p++)
			if (operation->parts[p].kind == PART_PUT)
				authors[n_authors++] = (Authorship) {operation->parts[p].value, operation,
				&operation->parts[p]};
		if (is_write(operation) && operation->outcome <= OUTCOME_ELSE)
			done[n_done++] = operation;
	}
	qsort(authors, (size_t) n_authors, sizeof(Authorship), compare_authors);
	qsort(done, (size_t) n_done, sizeof(Operation *), compare_indexes);
	for (int i = 1; i < n_done; i++)
		if (done[i]->index == done[i - 1]->index)
			blame("real_time", done[i]->line, "%" PRId64 " was given to line %d, too",
				  done[i]->index, done[i - 1]->line);
}

static const Authorship *
author_of(Value value)
{
	Authorship	wanted = {.value = value};

	return bsearch(&wanted, authors, (size_t) n_authors, sizeof(Authorship), compare_authors);
}

static Operation *
done_at(int64_t index)
{
	Operation	wanted = {.index = index};
	Operation  *pointer = &wanted;
	Operation **found = bsearch(&pointer, done, (size_t) n_done, sizeof(Operation *),
								compare_indexes);

	return found != NULL ? *found : NULL;
}

/* Where a value was put, for messages; 0: nowhere. */
static int
line_of(Value value)
{
	const Authorship *author = author_of(value);

	return author != NULL ? author->operation->line : 0;
}

/* ------------------------------------------------------------------------
 * Events
 * ------------------------------------------------------------------------
 */

static void
judge_chain(const History *history, const Event *event)
{
	const Event *before = event->before >= 0 ? &history->events[event->before] : NULL;
	bool		was_there = before != NULL && before->type != 'D';

	if ((event->type == 'A') == was_there)
		blame("chain", line_of(event->value), "%c at %" PRId64 " of k%d, which was %s",
			  event->type, event->index, event->key, was_there ? "there" : "not there");
	else if (event->type == 'D' && !same_value(event->value, before->value))
		blame("chain", 0, "D at %" PRId64 " of k%d has another value than was there",
			  event->index, event->key);
}

static bool
deletes(const Operation *operation, int key)
{
	for (int p = 0; p < operation->n_parts; p++)
		if (operation->parts[p].kind == PART_DELETE && operation->parts[p].key == key)
			return true;
	return false;
}

static bool
puts_anything(const Operation *operation)
{
	for (int p = 0; p < operation->n_parts; p++)
		if (operation->parts[p].kind == PART_PUT)
			return true;
	return false;
}

/*
 * A deletion that nobody was told of.  If it came with a put, that has judged
 * it; or else some operation of unknown outcome must have done it, and each can
 * have done it once.
 */
static void
judge_deletion(History *history, int at)
{
	Event	   *event = &history->events[at];

	if (done_at(event->index) != NULL)
		return;
	for (int i = history_above(history, event->index - 1);
		 i < history->n_events && history->events[i].index == event->index; i++)
		if (history->events[i].type != 'D')
			return;
	for (int i = 0; i < history->n_operations; i++)
	{
		Operation  *operation = &history->operations[i];

		if (operation->low >= event->index)
			break;
		if (operation->outcome != OUTCOME_UNKNOWN || operation->explained ||
			puts_anything(operation) || !deletes(operation, event->key))
			continue;
		operation->explained = operation->verb == VERB_DELETE;
		return;
	}
	blame("nobody_wrote", 0, "D at %" PRId64 " of k%d", event->index, event->key);
}

static void
judge_change(const Event *event)
{
	const Authorship *author = author_of(event->value);

	if (author == NULL || author->part->key != event->key)
	{
		blame("nobody_wrote", 0, "%c at %" PRId64 " of k%d, %d-%d", event->type, event->index,
			  event->key, event->value.client, event->value.serial);
		return;
	}
	author->operation->n_seen++;
	if (author->operation->outcome == OUTCOME_REFUSED ||
		author->operation->outcome == OUTCOME_ELSE)
		blame("ghost", author->operation->line, "%s, and is at %" PRId64,
			  author->operation->sqlstate, event->index);
	if (event->index <= author->operation->low)
		blame("real_time", author->operation->line,
			  "is at %" PRId64 ", and %" PRId64 " was known when it began", event->index,
			  author->operation->low);
}

static void
judge_events(History *history)
{
	for (int i = 0; i < history->n_events; i++)
	{
		Event	   *event = &history->events[i];

		judge_chain(history, event);
		if (event->type == 'D')
			judge_deletion(history, i);
		else
			judge_change(event);
	}
}

/* Every put of a value makes one event. */
static int
compare_values(const void *a, const void *b)
{
	const Event *left = a;
	const Event *right = b;

	if (left->value.client != right->value.client)
		return left->value.client < right->value.client ? -1 : 1;
	return left->value.serial - right->value.serial;
}

static void
judge_repetition(const History *history)
{
	Event	   *changes = allocate(sizeof(Event) * ((size_t) history->n_events + 1));
	int			n = 0;

	for (int i = 0; i < history->n_events; i++)
		if (history->events[i].type != 'D')
			changes[n++] = history->events[i];
	qsort(changes, (size_t) n, sizeof(Event), compare_values);
	for (int i = 1; i < n; i++)
		if (same_value(changes[i].value, changes[i - 1].value))
			blame("twice", line_of(changes[i].value), "%d-%d is at %" PRId64 " and at %" PRId64, changes[i].value.client,
				  changes[i].value.serial, changes[i - 1].index, changes[i].index);
	free(changes);
}

/* ------------------------------------------------------------------------
 * Writes
 * ------------------------------------------------------------------------
 */

static bool
holds(const History *history, const Part *part, int64_t index)
{
	const Event *state = history_state(history, part->key, index);

	switch (part->kind)
	{
		case PART_IF_VERSION:
			return state != NULL && state->index == part->version;
		case PART_IF_THERE:
			return state != NULL;
		case PART_IF_ABSENT:
			return state == NULL;
		default:
			return true;
	}
}

static bool
all_hold(const History *history, const Operation *operation, int64_t index)
{
	for (int p = 0; p < operation->n_parts; p++)
		if (!holds(history, &operation->parts[p], index))
			return false;
	return true;
}

/*
 * The events at an index must be what the parts of the operation make of the
 * state before it, in their order.
 */
static bool
is_whole(const History *history, const Operation *operation, int64_t index)
{
	int			at = history_above(history, index - 1);
	bool		there[MAX_KEYS];

	for (int key = 0; key < history->n_keys; key++)
		there[key] = history_state(history, key, index - 1) != NULL;
	for (int p = 0; p < operation->n_parts; p++)
	{
		const Part *part = &operation->parts[p];
		const Event *event = at < history->n_events && history->events[at].index == index ?
			&history->events[at] : NULL;

		if (part->kind == PART_PUT)
		{
			if (event == NULL || event->type == 'D' || event->key != part->key ||
				!same_value(event->value, part->value))
				return false;
			there[part->key] = true;
			at++;
		}
		else if (part->kind == PART_DELETE && there[part->key])
		{
			if (event == NULL || event->type != 'D' || event->key != part->key)
				return false;
			there[part->key] = false;
			at++;
		}
	}
	return at == history->n_events || history->events[at].index != index;
}

static void
judge_done(const History *history, const Operation *operation)
{
	int			at = history_above(history, operation->index - 1);
	bool		any = at < history->n_events && history->events[at].index == operation->index;

	if (operation->index <= operation->low)
		blame("real_time", operation->line, "is at %" PRId64 ", and %" PRId64
			  " was known when it began", operation->index, operation->low);
	if (!is_whole(history, operation, operation->index))
		blame(any && operation->verb == VERB_TXN ? "torn" : "lost", operation->line,
			  "acknowledged at %" PRId64 ", where there is %s", operation->index,
			  any ? "something else" : "nothing");
	else if (!all_hold(history, operation, operation->index - 1))
		blame("precondition", operation->line, "done at %" PRId64
			  ", where its precondition does not hold", operation->index);
}

/*
 * Not done: was there, from its beginning to its end, a state that explains it?
 * Whether one was reached in time is seen by who wrote it.
 */
static bool
could_have_met(const History *history, const Operation *operation, const Part *part)
{
	if (!holds(history, part, operation->low))
		return true;
	for (int i = history_above(history, operation->low); i < history->n_events; i++)
	{
		const Event *event = &history->events[i];
		const Operation *writer = done_at(event->index);

		if (event->key == part->key && (writer == NULL || writer->begin_us < operation->end_us) &&
			!holds(history, part, event->index))
			return true;
	}
	return false;
}

static void
judge_refusal(const History *history, const Operation *operation)
{
	bool		explained = false;

	if (strcmp(operation->sqlstate, "40001") != 0 && strcmp(operation->sqlstate, "23505") != 0)
		return;
	for (int p = 0; p < operation->n_parts && !explained; p++)
		explained = could_have_met(history, operation, &operation->parts[p]);
	if (!explained)
		blame("refusal", operation->line, "%s, and nothing stood against it",
			  operation->sqlstate);
}

/*
 * Nothing to do, at an index of its own: a deletion of what was not there, a
 * transaction whose compares did not hold.
 */
static void
judge_nothing_done(const History *history, const Operation *operation)
{
	if (operation->outcome == OUTCOME_NOOP && puts_anything(operation))
	{
		blame("twice", operation->line, "changed nothing: its value was there already");
		return;
	}
	if (operation->index <= operation->low)
		blame("real_time", operation->line, "is at %" PRId64 ", and %" PRId64
			  " was known when it began", operation->index, operation->low);
	if (operation->outcome == OUTCOME_ELSE ?
		all_hold(history, operation, operation->index) :
		history_state(history, operation->parts[operation->n_parts - 1].key,
					  operation->index) != NULL)
		blame("refusal", operation->line, "did nothing at %" PRId64
			  ", and nothing stood against it", operation->index);
}

/*
 * Nobody knows; but if it is there, then as a whole.
 */
static void
judge_unknown(const History *history, const Operation *operation)
{
	if (operation->n_seen == 0)
		return;
	for (int i = 0; i < history->n_events; i++)
	{
		const Event *event = &history->events[i];
		const Authorship *author = event->type == 'D' ? NULL : author_of(event->value);

		if (author == NULL || author->operation != operation)
			continue;
		if (!is_whole(history, operation, event->index))
			blame("torn", operation->line, "is at %" PRId64 ", but not all of it", event->index);
		else if (!all_hold(history, operation, event->index - 1))
			blame("precondition", operation->line, "done at %" PRId64
				  ", where its precondition does not hold", event->index);
		return;
	}
}

/*
 * What clients may be told.  Whoever did not get through, or was thrown out,
 * knows so; what a server says of its own disk or memory is its own affair.
 */
static void
judge_error(const Operation *operation)
{
	static const char *const documented[] = {
		"RS500", "RS503", "RS504", "40001", "23505",
		"57014", "57P01", "57P02", "57P03", "57P05", "53300", "53100", "53200", "58030",
		"55000",				/* its workers are not up yet */
		"25006",				/* in recovery */
	};

	if (operation->outcome < OUTCOME_REFUSED || strncmp(operation->sqlstate, "08", 2) == 0)
		return;
	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++)
		if (strcmp(operation->sqlstate, documented[i]) == 0)
			return;
	/* the past may be gone */
	if (operation->verb == VERB_PAST && strcmp(operation->sqlstate, "RS410") == 0)
		return;
	blame("odd_error", operation->line, "%s", operation->sqlstate);
}

static void
judge_writes(const History *history)
{
	for (int i = 0; i < history->n_operations; i++)
	{
		const Operation *operation = &history->operations[i];

		judge_error(operation);
		if (!is_write(operation))
			continue;
		switch (operation->outcome)
		{
			case OUTCOME_OK:
				judge_done(history, operation);
				break;
			case OUTCOME_NOOP:
			case OUTCOME_ELSE:
				judge_nothing_done(history, operation);
				break;
			case OUTCOME_REFUSED:
				judge_refusal(history, operation);
				break;
			default:
				judge_unknown(history, operation);
				break;
		}
	}
}

/* ------------------------------------------------------------------------
 * Streams and nodes
 * ------------------------------------------------------------------------
 */

static void
judge_stream(const History *history, const Stream *stream, const char *rule)
{
	int			at = history_above(history, stream->since);

	for (int i = 0;; i++, at++)
	{
		const Event *due = at < history->n_events &&
			history->events[at].index <= stream->bookmark ? &history->events[at] : NULL;
		const Event *told_of = i < stream->n_events ? &stream->events[i] : NULL;

		if (due == NULL && told_of == NULL)
			return;
		if (due != NULL && told_of != NULL && due->index == told_of->index &&
			due->ordinal == told_of->ordinal)
			continue;
		if (told_of == NULL || (due != NULL && (due->index < told_of->index)))
			blame(rule, stream->line, "%" PRId64 ".%d is missing", due->index, due->ordinal);
		else
			blame(rule, stream->line, "%" PRId64 ".%d is in the wrong place", told_of->index,
				  told_of->ordinal);
		return;
	}
}

static void
judge_streams(const History *history)
{
	int64_t		complete[64];

	memset(complete, -1, sizeof(complete));
	for (int i = 0; i < history->n_streams; i++)
	{
		const Stream *stream = &history->streams[i];

		if (stream->watcher < 0)
		{
			Stream		whole = *stream;

			whole.since = history->finals[stream->node].floor;
			whole.bookmark = INT64_MAX;
			judge_stream(history, &whole, "node_history");
			continue;
		}
		if (stream->watcher < 64)
		{
			int64_t    *end = &complete[stream->watcher];

			if (*end >= 0 && stream->since != *end)
				blame("watch", stream->line, "goes on from %" PRId64 ", and was at %" PRId64,
					  stream->since, *end);
			*end = stream->bookmark;
		}
		judge_stream(history, stream, "watch");
	}
}

static void
judge_node(const History *history, int node)
{
	const FinalState *final = &history->finals[node];
	const Item *found[MAX_KEYS] = {NULL};

	for (int i = 0; i < final->n_items; i++)
		found[final->items[i].key] = &final->items[i];
	for (int key = 0; key < history->n_keys; key++)
	{
		const Event *due = history_state(history, key, INT64_MAX);

		if ((due == NULL) != (found[key] == NULL) ||
			(due != NULL && (due->index != found[key]->version ||
							 !same_value(due->value, found[key]->value))))
			blame("final_state", 0, "node %d: k%d is at %" PRId64 ", and should be at %" PRId64,
				  node, key, found[key] != NULL ? found[key]->version : 0,
				  due != NULL ? due->index : 0);
	}
	if (strcmp(final->digest, history->finals[0].digest) != 0)
		blame("nodes_differ", 0, "nodes 0 and %d", node);
}

int
judge(History *history)
{
	judged = history;
	find_lows(history);
	find_authors(history);
	judge_events(history);
	judge_repetition(history);
	judge_writes(history);
	judge_reads(history);
	judge_streams(history);
	for (int node = 0; node < history->n_nodes; node++)
		if (history->finals[node].there)
			judge_node(history, node);
	for (int i = 0; counts[i].rule != NULL; i++)
		if (counts[i].count > MAX_SHOWN)
			printf("VIOLATION %s: %d more\n", counts[i].rule, counts[i].count - MAX_SHOWN);
	return n_violations;
}
