/*-------------------------------------------------------------------------
 *
 * judge_reads.c
 *	  Is every read the state at one index, and at one that is late enough?
 *
 * A page says which index it is of, and must be the state at just that.  Its
 * digest is of all bytes, uids and times included: whichever node gave it, and
 * whether that was present or past then, pages of one state are equal.
 *
 * Other reads say nothing of their index, so it is looked for: the first one,
 * not below a floor, where all keys of the scope are as they were read.  To take
 * the first is right, because it leaves the next read of the session the most
 * room.
 *
 * The floor of a linearizable read is what anybody knew when it began; that of a
 * local one is what its session has seen on this node, its own writes included.
 *
 *-------------------------------------------------------------------------
 */
#include "history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a key was read. */
typedef struct Reading
{
	bool		asked;			/* it is in the scope */
	const Item *item;			/* NULL: absent */
} Reading;

static bool
is_as_read(const History *history, const Reading *reading, int key, int64_t index)
{
	const Event *state = history_state(history, key, index);

	if (state == NULL || reading->item == NULL)
		return state == NULL && reading->item == NULL;
	return state->index == reading->item->version &&
		same_value(state->value, reading->item->value);
}

/*
 * The first index, from "floor" on, where everything is as it was read; -1 if
 * there is none.  It is the floor, or that of an event of one of these keys.
 */
static int64_t
find_state(const History *history, const Reading *readings, int64_t floor)
{
	bool		wrong[MAX_KEYS] = {false};
	int			n_wrong = 0;

	for (int key = 0; key < history->n_keys; key++)
	{
		wrong[key] = readings[key].asked && !is_as_read(history, &readings[key], key, floor);
		n_wrong += wrong[key];
	}
	if (n_wrong == 0)
		return floor;
	for (int i = history_above(history, floor); i < history->n_events; i++)
	{
		const Event *event = &history->events[i];
		const Reading *reading = &readings[event->key];
		bool		is_wrong;

		if (!reading->asked)
			continue;
		is_wrong = !is_as_read(history, reading, event->key, event->index);
		/* what was read and is gone for good */
		if (is_wrong && reading->item != NULL && event->index > reading->item->version)
			return -1;
		n_wrong += (int) is_wrong - (int) wrong[event->key];
		wrong[event->key] = is_wrong;
		if (n_wrong == 0)
			return event->index;
	}
	return -1;
}

static int64_t
highest_version(const Operation *read)
{
	int64_t		version = 0;

	for (int i = 0; i < read->n_items; i++)
		if (read->items[i].version > version)
			version = read->items[i].version;
	return version;
}

static void
collect_readings(const History *history, const Operation *read, Reading *readings)
{
	for (int key = 0; key < history->n_keys; key++)
		readings[key].asked = read->scope < 0 || read->scope == key;
	for (int i = 0; i < read->n_items; i++)
		readings[read->items[i].key].item = &read->items[i];
}

/*
 * Returns the index of the state that was read, or "floor" if there is none.
 */
static int64_t
judge_read(const History *history, const Operation *read, int64_t floor)
{
	Reading		readings[MAX_KEYS] = {{false, NULL}};
	int64_t		version = highest_version(read);
	int64_t		index;

	collect_readings(history, read, readings);
	index = find_state(history, readings, floor > version ? floor : version);
	if (index >= 0)
		return index;
	if (find_state(history, readings, version) < 0)
		blame("no_such_state", read->line, "not the state at any index from %" PRId64 " on",
			  version);
	else
		blame(read->verb == VERB_LOCAL ? "back_in_time" : "stale", read->line,
			  "is from before %" PRId64 ", which was known", floor);
	return floor;
}

/*
 * A read that says of which index it is.
 */
static void
judge_page(const History *history, const Operation *read, int64_t floor)
{
	Reading		readings[MAX_KEYS] = {{false, NULL}};

	collect_readings(history, read, readings);
	for (int key = 0; key < history->n_keys; key++)
	{
		if (!readings[key].asked || is_as_read(history, &readings[key], key, read->index))
			continue;
		blame("no_such_state", read->line, "k%d is not as it was at %" PRId64, key, read->index);
		return;
	}
	if (read->verb != VERB_PAST && read->index < floor)
		blame(read->verb == VERB_LPAGE ? "back_in_time" : "stale", read->line,
			  "is of %" PRId64 ", and %" PRId64 " was known", read->index, floor);
}

/* ------------------------------------------------------------------------
 * Bytes
 * ------------------------------------------------------------------------
 */

typedef struct Page
{
	int			state;			/* events up to it */
	const Operation *read;
} Page;

static int
compare_pages(const void *a, const void *b)
{
	const Page *left = a;
	const Page *right = b;

	return left->state - right->state;
}

/*
 * All who read the same state read the same bytes.
 */
static void
judge_digests(const History *history)
{
	Page	   *pages = allocate(sizeof(Page) * ((size_t) history->n_operations + 1));
	int			n = 0;

	for (int i = 0; i < history->n_operations; i++)
	{
		const Operation *read = &history->operations[i];

		if (read->digest[0] != '\0')
			pages[n++] = (Page) {history_above(history, read->index), read};
	}
	qsort(pages, (size_t) n, sizeof(Page), compare_pages);
	for (int i = 1; i < n; i++)
		if (pages[i].state == pages[i - 1].state &&
			strcmp(pages[i].read->digest, pages[i - 1].read->digest) != 0)
			blame("bytes_differ", pages[i].read->line, "at %" PRId64 " on node %d, and line %d"
				  " at %" PRId64 " on node %d", pages[i].read->index, pages[i].read->node,
				  pages[i - 1].read->line, pages[i - 1].read->index, pages[i - 1].read->node);
	free(pages);
}

void
judge_reads(const History *history)
{
	int			n_sessions = 0;
	int64_t    *seen;

	for (int i = 0; i < history->n_operations; i++)
		if (history->operations[i].session >= n_sessions)
			n_sessions = history->operations[i].session + 1;
	seen = allocate(sizeof(int64_t) * (size_t) (n_sessions + 1));

	/* within a session, operations began in order, one after the other */
	for (int i = 0; i < history->n_operations; i++)
	{
		const Operation *operation = &history->operations[i];
		int64_t    *own = &seen[operation->session];
		int64_t		floor = *own;

		if (operation->outcome == OUTCOME_REFUSED || operation->outcome == OUTCOME_UNKNOWN)
			continue;
		if (operation->verb <= VERB_TXN)
		{
			if (operation->index > *own)
				*own = operation->index;
			continue;
		}
		if (operation->verb >= VERB_PAGE)
		{
			if (operation->verb == VERB_PAGE && operation->low > floor)
				floor = operation->low;
			judge_page(history, operation, floor);
			if (operation->verb != VERB_PAST && operation->index > *own)
				*own = operation->index;
			continue;
		}
		if (operation->verb != VERB_LOCAL)
		{
			if (operation->low > floor)
				floor = operation->low;
			if (operation->index > floor)
				floor = operation->index;
			if (operation->index != 0 && operation->index < operation->low)
				blame("stale", operation->line, "a barrier at %" PRId64 ", and %" PRId64
					  " was known when it began", operation->index, operation->low);
		}
		*own = judge_read(history, operation, floor);
	}
	free(seen);
	judge_digests(history);
}
