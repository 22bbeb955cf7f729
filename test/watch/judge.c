/*-------------------------------------------------------------------------
 *
 * judge.c
 *	  What should have been delivered.
 *
 * The history is read once, from one node, when all is over.  For every answer
 * that a watcher got, (since, bookmark], the judge walks the events in between
 * and applies the watcher's filter by the rules of entering and leaving; the
 * result must be the rows of that answer, one by one.  That covers order, gaps,
 * duplicates, bookmarks that overtake events, and transactions that are split:
 * each would put an event into another answer than the one it belongs to.
 *
 *-------------------------------------------------------------------------
 */
#include "watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A payload has less room than this for an object; see async.c. */
#define PAYLOAD_BYTES	8000

/* ------------------------------------------------------------------------
 * The history
 * ------------------------------------------------------------------------
 */

static const char history_query[] =
	"SELECT resource_version, ordinal, type, api_group, version, kind, coalesce(namespace, ''),"
	" name, object::text, coalesce(previous::text, ''),"
	" coalesce(jsonb_set(previous, '{metadata,resourceVersion}',"
	" to_jsonb(resource_version::text))::text, ''),"
	" object #>> '{metadata,labels,app}', object #>> '{metadata,labels,tier}',"
	" object #>> '{spec,zone}',"
	" previous #>> '{metadata,labels,app}', previous #>> '{metadata,labels,tier}',"
	" previous #>> '{spec,zone}'"
	" FROM store.events WHERE resource_version > $1 ORDER BY resource_version, ordinal"
	" LIMIT 2000";

static Traits
traits_at(const PGresult *result, int row, int column)
{
	Traits		traits;

	for (int i = 0; i < N_TRAITS; i++)
		traits.value[i] = trait_number((Trait) i, PQgetvalue(result, row, column + i));
	return traits;
}

static void
take_event(History *history, const PGresult *result, int row)
{
	const char *object = PQgetvalue(result, row, 8);
	const char *previous = PQgetvalue(result, row, 9);
	Event		event = {
		.index = strtoll(PQgetvalue(result, row, 0), NULL, 10),
		.ordinal = (int) strtol(PQgetvalue(result, row, 1), NULL, 10),
		.type = PQgetvalue(result, row, 2)[0],
		.key = key_find(PQgetvalue(result, row, 3), PQgetvalue(result, row, 4),
						PQgetvalue(result, row, 5), PQgetvalue(result, row, 6),
						PQgetvalue(result, row, 7)),
		.existed = previous[0] != '\0',
		.object = hash_text(object),
		.previous = previous[0] != '\0' ? hash_text(previous) : 0,
		.left = hash_text(PQgetvalue(result, row, 10)),
		.after = traits_at(result, row, 11),
		.before = traits_at(result, row, 14),
		.size = strlen(object),
	};

	if (event.key < 0)
		violation("an event of %s, which nobody wrote", PQgetvalue(result, row, 7));
	history->events = grow(history->events, history->count, &history->room, sizeof(Event));
	history->events[history->count++] = event;
}

/*
 * In pages that may cut an index in two, which is then read again.
 */
bool
history_read(History *history, Client *client)
{
	int64_t		after = 0;
	int			n_rows;

	do
	{
		char		since[24];
		Answer		answer;

		snprintf(since, sizeof(since), "%" PRId64, after);
		answer = client_query(client, 60000, history_query, 1, (const char *const[]) {since});
		if (answer.ending != ENDED_WELL)
		{
			violation("the history cannot be read: %s %s", answer.sqlstate, answer.message);
			return false;
		}
		n_rows = PQntuples(answer.result);
		for (int i = 0; i < n_rows; i++)
			take_event(history, answer.result, i);
		PQclear(answer.result);
		if (n_rows > 0)
			after = history->events[history->count - 1].index;
		if (n_rows == 2000)
		{
			while (history->events[history->count - 1].index == after)
				history->count--;
			after--;
		}
	} while (n_rows == 2000);
	return true;
}

/* The first event with an index above "index". */
static int
first_after(const History *history, int64_t index)
{
	int			low = 0;
	int			high = history->count;

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

/*
 * Each event says what it replaced: that is what the event before it on the
 * same key left.
 */
void
judge_history(const History *history)
{
	uint64_t	stored[N_KEYS] = {0};

	for (int i = 0; i < history->count; i++)
	{
		const Event *event = &history->events[i];
		char		type = event->type;

		if (event->key < 0)
			continue;
		if (event->previous != stored[event->key] ||
			(type == 'A') != (stored[event->key] == 0))
			violation("the event at %" PRId64 ".%d does not follow from the one before it",
					  event->index, event->ordinal);
		if (i > 0 && (event->index < event[-1].index ||
					  (event->index == event[-1].index && event->ordinal <= event[-1].ordinal)))
			violation("the event at %" PRId64 ".%d is there twice", event->index, event->ordinal);
		stored[event->key] = type == 'D' ? 0 : event->object;
	}
}

void
judge_acks(const History *history, const Writer *writer)
{
	for (int i = 0; i < writer->n_acks; i++)
	{
		const Ack  *ack = &writer->acks[i];
		int			found = 0;

		for (int e = first_after(history, ack->index - 1);
			 e < history->count && history->events[e].index == ack->index; e++)
			if (ack->key < 0 || history->events[e].key == ack->key)
				found++;
		if (found < ack->changes)
			violation("writer %d: %d changes acknowledged at %" PRId64 ", %d in the history",
					  writer->number, ack->changes, ack->index, found);
	}
}

/* ------------------------------------------------------------------------
 * Streams
 * ------------------------------------------------------------------------
 */

/*
 * What a filter makes of an event; false: nothing.
 */
static bool
deliver(const Filter *filter, const Event *event, Row *row)
{
	bool		was;
	bool		is;

	if (event->key < 0 || !filter_has_key(filter, event->key))
		return false;
	was = event->existed && filter_selects(filter, event->key, &event->before);
	is = event->type != 'D' && filter_selects(filter, event->key, &event->after);
	if (!was && !is)
		return false;
	row->index = event->index;
	row->key = (int16_t) event->key;
	row->type = is ? (was ? 'M' : 'A') : 'D';
	row->object = is || event->type == 'D' ? event->object : event->left;
	return true;
}

static bool
same_row(const Row *told, const Row *due, bool may_lack_object)
{
	return told->index == due->index && told->key == due->key && told->type == due->type &&
		(told->object == due->object || (told->object == 0 && may_lack_object));
}

static void
describe(char *flaw, size_t size, const Stream *stream, const Batch *batch, const char *what,
		 const Row *row)
{
	snprintf(flaw, size, "%s (%s %s %s, %s; %s), (%" PRId64 ", %" PRId64 "]%s: %s %c %" PRId64
			 " %s", stream->name,
			 stream->filter.api_version ? stream->filter.api_version : "*",
			 stream->filter.kind ? stream->filter.kind : "*",
			 stream->filter.namespace ? stream->filter.namespace : "*",
			 stream->filter.label_selector, stream->filter.field_selector,
			 batch->since, batch->bookmark, batch->heard ? " heard" : "", what, row->type,
			 row->index, row->key >= 0 ? keys[row->key].name : "?");
}

/*
 * The rows "due" must be those of the batch.
 */
static bool
compare(const Stream *stream, const Batch *batch, const Row *due, const size_t *sizes,
		int n_due, char *flaw, size_t size)
{
	const Row  *told = &stream->rows[batch->first];

	for (int i = 0; i < n_due || i < batch->count; i++)
	{
		if (i >= batch->count)
			describe(flaw, size, stream, batch, "missing", &due[i]);
		else if (i >= n_due)
			describe(flaw, size, stream, batch, "too much", &told[i]);
		else if (!same_row(&told[i], &due[i], batch->heard && sizes[i] > PAYLOAD_BYTES / 2))
			describe(flaw, size, stream, batch, "wrong", &told[i]);
		else
			continue;
		return false;
	}
	return true;
}

/*
 * From 0: what is there at the bookmark, in key order.
 */
static int
state_at(const History *history, const Filter *filter, int64_t index, Row *due, size_t *sizes)
{
	const Event *newest[N_KEYS] = {NULL};
	int			n_due = 0;

	for (int i = 0; i < history->count && history->events[i].index <= index; i++)
		if (history->events[i].key >= 0)
			newest[history->events[i].key] = &history->events[i];
	for (int key = 0; key < N_KEYS; key++)
	{
		const Event *event = newest[key];

		if (event == NULL || event->type == 'D' || !filter_has_key(filter, key) ||
			!filter_selects(filter, key, &event->after))
			continue;
		sizes[n_due] = event->size;
		due[n_due++] = (Row) {.index = event->index,.key = (int16_t) key,.type = 'A',
		.object = event->object};
	}
	return n_due;
}

bool
judge_stream(const History *history, const Stream *stream, long *deliveries, char *flaw,
			 size_t size)
{
	int64_t		complete = stream->n_batches > 0 ? stream->batches[0].since : 0;
	Row		   *due = allocate(sizeof(Row) * ((size_t) history->count + N_KEYS));
	size_t	   *sizes = allocate(sizeof(size_t) * ((size_t) history->count + N_KEYS));
	bool		fine = true;

	for (int b = 0; fine && b < stream->n_batches; b++)
	{
		const Batch *batch = &stream->batches[b];
		int			n_due = 0;
		int64_t		before_last;

		if (batch->since != complete || batch->bookmark < batch->since)
		{
			snprintf(flaw, size, "%s: (%" PRId64 ", %" PRId64 "] follows what ended at %" PRId64,
					 stream->name, batch->since, batch->bookmark, complete);
			fine = false;
			break;
		}
		complete = batch->bookmark;
		if (batch->since == 0)
			n_due = state_at(history, &stream->filter, batch->bookmark, due, sizes);
		else
			for (int e = first_after(history, batch->since);
				 e < history->count && history->events[e].index <= batch->bookmark; e++)
				if (deliver(&stream->filter, &history->events[e], &due[n_due]))
					sizes[n_due++] = history->events[e].size;
		fine = compare(stream, batch, due, sizes, n_due, flaw, size);

		/* a limit is passed only to finish an index */
		before_last = batch->limit > 0 && batch->since > 0 && n_due > batch->limit ?
			due[batch->limit - 1].index : 0;
		if (fine && before_last != 0 && due[n_due - 1].index != before_last)
		{
			describe(flaw, size, stream, batch, "beyond the limit", &due[n_due - 1]);
			fine = false;
		}
		if (fine)
			*deliveries += batch->count;
	}
	free(due);
	free(sizes);
	return fine;
}
