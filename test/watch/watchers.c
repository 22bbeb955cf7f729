/*-------------------------------------------------------------------------
 *
 * watchers.c
 *	  Watching by store.watch(), as doc/watch.md tells clients to.
 *
 * The loop that loses nothing: ask for what comes after "last"; keep the answer
 * only if all of it arrived; go on from its bookmark.  Whatever goes wrong, ask
 * again from the same "last", on another node.
 *
 * Each answer is kept as a batch: what the node said is all there is in
 * (since, bookmark].
 *
 *-------------------------------------------------------------------------
 */
#include "watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------
 * Streams
 * ------------------------------------------------------------------------
 */

/* FNV-1a, 64 bits; never 0 */
uint64_t
hash_text(const char *text)
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);

	for (const unsigned char *s = (const unsigned char *) text; *s != '\0'; s++)
		hash = (hash ^ *s) * UINT64_C(0x100000001b3);
	return hash != 0 ? hash : 1;
}

Batch *
stream_open_batch(Stream *stream, int64_t since, int limit)
{
	Batch	   *batch;

	stream->batches = grow(stream->batches, stream->n_batches, &stream->batches_room,
						   sizeof(Batch));
	batch = &stream->batches[stream->n_batches++];
	*batch = (Batch) {.since = since,.bookmark = -1,.first = stream->n_rows,.limit = limit};
	return batch;
}

void
stream_add_row(Stream *stream, Row row)
{
	stream->rows = grow(stream->rows, stream->n_rows, &stream->rows_room, sizeof(Row));
	stream->rows[stream->n_rows++] = row;
	stream->batches[stream->n_batches - 1].count++;
}

void
stream_drop_batch(Stream *stream)
{
	stream->n_rows -= stream->batches[--stream->n_batches].count;
}

/* ------------------------------------------------------------------------
 * store.watch()
 * ------------------------------------------------------------------------
 */

enum
{
	COLUMN_TYPE, COLUMN_INDEX, COLUMN_GROUP, COLUMN_VERSION, COLUMN_KIND, COLUMN_NAMESPACE,
	COLUMN_NAME, COLUMN_OBJECT
};

static const char watch_query[] =
	"SELECT type, resource_version, api_group, version, kind, coalesce(namespace, ''), name,"
	" object::text"
	" FROM store.watch($1::bigint, kind => $2, namespace => $3, api_version => $4,"
	" label_selector => $5, field_selector => $6, \"limit\" => $7::int,"
	" timeout => $8::interval)";

static int64_t
index_at(const PGresult *result, int row)
{
	return strtoll(PQgetvalue(result, row, COLUMN_INDEX), NULL, 10);
}

/*
 * Keep an answer as a batch.  The bookmark is its last row and its only one.
 */
static void
keep_answer(Watcher *watcher, const PGresult *result)
{
	Stream	   *stream = &watcher->stream;
	int			n_rows = PQntuples(result);
	Batch	   *batch = stream_open_batch(stream, watcher->last, watcher->limit);

	for (int i = 0; i < n_rows; i++)
	{
		const char *type = PQgetvalue(result, i, COLUMN_TYPE);
		bool		bookmark = strcmp(type, "BOOKMARK") == 0;

		if (bookmark != (i == n_rows - 1))
			violation("%s: row %d of %d after " "%" PRId64 " is %s", stream->name, i + 1, n_rows,
					  watcher->last, type);
		if (bookmark)
			batch->bookmark = index_at(result, i);
		else
			stream_add_row(stream, (Row) {
				.index = index_at(result, i),
				.type = type[0],
				.key = (int16_t) key_find(PQgetvalue(result, i, COLUMN_GROUP),
										  PQgetvalue(result, i, COLUMN_VERSION),
										  PQgetvalue(result, i, COLUMN_KIND),
										  PQgetvalue(result, i, COLUMN_NAMESPACE),
										  PQgetvalue(result, i, COLUMN_NAME)),
				.object = hash_text(PQgetvalue(result, i, COLUMN_OBJECT)),
			});
	}
	if (batch->bookmark < watcher->last)
	{
		violation("%s: after %" PRId64 " came a bookmark at %" PRId64, stream->name, watcher->last,
				  batch->bookmark);
		stream_drop_batch(stream);
		return;
	}
	watcher->last = batch->bookmark;
	/* an answer that says nothing new need not be kept */
	if (batch->count == 0 && batch->bookmark == batch->since)
		stream_drop_batch(stream);
}

static const char *
or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : NULL;
}

bool
watcher_ask(Watcher *watcher, int timeout_ms)
{
	const Filter *filter = &watcher->stream.filter;
	char		since[24];
	char		limit[16];
	char		timeout[24];
	const char *params[] = {since, filter->kind, filter->namespace, filter->api_version,
	or_null(filter->label_selector), or_null(filter->field_selector), NULL, timeout};
	Answer		answer;

	snprintf(since, sizeof(since), "%" PRId64, watcher->last);
	snprintf(timeout, sizeof(timeout), "%d ms", timeout_ms);
	if (watcher->limit > 0)
	{
		snprintf(limit, sizeof(limit), "%d", watcher->limit);
		params[6] = limit;
	}
	answer = client_query(&watcher->client, timeout_ms + watcher->patience_ms, watch_query, 8,
						  params);
	if (answer.ending == ENDED_WELL)
	{
		keep_answer(watcher, answer.result);
		PQclear(answer.result);
		return true;
	}
	if (strcmp(answer.sqlstate, "RS504") == 0)
		watcher->behind++;
	else if (answer.ending == ENDED_REFUSED && !is_outage(answer.sqlstate))
		violation("%s: store.watch(%s) failed: %s %s", watcher->stream.name, since,
				  answer.sqlstate, answer.message);
	return false;
}

/* ------------------------------------------------------------------------
 * A watcher's life
 * ------------------------------------------------------------------------
 */

/*
 * From the beginning, from the state as it is, from somewhere in the past, or
 * from now; some of them only after a while.
 */
static void
choose_start(Watcher *watcher)
{
	int64_t		start = progress.start;
	int64_t		newest = progress.newest;

	if (newest < start)
		newest = start;
	switch (random_int(&watcher->random, 0, 3))
	{
		case 0:
			watcher->last = 0;
			break;
		case 1:
			watcher->last = start;
			break;
		case 2:
			watcher->last = start + (int64_t) (random_next(&watcher->random) %
											   (uint64_t) (newest - start + 1));
			break;
		default:
			watcher->last = newest;
			break;
	}
}

bool
watcher_begin(Watcher *watcher, bool listens)
{
	Random	   *random = &watcher->random;
	Filter	   *filter = &watcher->stream.filter;
	int			delay_ms = 0;

	random_seed(random, check.seed, (listens ? 3000 : 2000) + (uint64_t) watcher->number);
	snprintf(watcher->stream.name, sizeof(watcher->stream.name), "%s %d",
			 listens ? "listener" : "watcher", watcher->number);
	snprintf(watcher->client.name, sizeof(watcher->client.name), "%s", watcher->stream.name);
	watcher->client.node = watcher->number % check.n_nodes;
	watcher->patience_ms = random_int(random, 2000, 10000);
	watcher->timeout_ms = random_one_in(random, 8) ? 0 : random_int(random, 200, 3000);
	if (random_one_in(random, 2))
		watcher->limit = random_int(random, 1, 20);
	filter_draw(filter, random);
	if (!random_one_in(random, 2))
		delay_ms = random_int(random, 0, check.seconds * 500);
	if (delay_ms > 0 && !wait_in_phase(PHASE_TROUBLE, delay_ms))
		return false;
	choose_start(watcher);
	return true;
}

bool
watcher_is_done(Watcher *watcher)
{
	if (check.phase == PHASE_OVER)
		return true;
	return check.phase == PHASE_DRAIN && watcher->last >= progress.final;
}

void *
watcher_main(void *arg)
{
	Watcher    *watcher = arg;

	if (!watcher_begin(watcher, false))
		return NULL;
	while (!watcher_is_done(watcher))
	{
		if (!client_reach(&watcher->client, &watcher->random, PHASE_DRAIN))
			break;
		if (!watcher_ask(watcher, watcher->timeout_ms))
		{
			client_close(&watcher->client);
			watcher->client.node = random_int(&watcher->random, 0, check.n_nodes - 1);
			watcher->resumes++;
		}
		else if (watcher->timeout_ms == 0)
			(void) wait_in_phase(PHASE_TROUBLE, 100);
		/* now and then a client moves for no reason at all */
		else if (random_one_in(&watcher->random, 200))
			client_close(&watcher->client);
	}
	client_close(&watcher->client);
	return NULL;
}
