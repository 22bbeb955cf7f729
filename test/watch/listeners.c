/*-------------------------------------------------------------------------
 *
 * listeners.c
 *	  Watching by LISTEN; whatever is missing is read by store.watch().
 *
 * "last" is the index up to which the listener has everything on its channel.
 * A notification whose "previous" is not above that follows without a gap; one
 * that is not above it itself was read before.  Everything else is a gap, and
 * store.watch() from "last" closes it.
 *
 * The notifications of one transaction come together, but a listener that
 * loses its connection cannot know whether it got the last of them.  So it
 * takes back what it has of the newest index, and reads it again.
 *
 *-------------------------------------------------------------------------
 */
#include "watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Silence after which a listener asks whether its node is still there. */
#define SILENCE_MS	3000

/* What a payload says, and where it stands in this connection's chain. */
typedef struct Heard
{
	int64_t		index;
	int64_t		previous;
	int			ordinal;
	Row			row;
} Heard;

typedef struct Chain
{
	int64_t		index;			/* heard last on this connection; 0: nothing */
	int			ordinal;
} Chain;

/*
 * Copy the string after "name": in a payload.  A member that is null is "".
 * Payloads are flat enough, and our names plain enough, to find it by text.
 */
static bool
take_member(const char *payload, const char *name, char *to, size_t size)
{
	char		pattern[32];
	const char *found;
	size_t		length;

	to[0] = '\0';
	snprintf(pattern, sizeof(pattern), "\"%s\":", name);
	found = strstr(payload, pattern);
	if (found == NULL)
		return false;
	found += strlen(pattern);
	if (*found != '"')
		return true;
	length = strcspn(found + 1, "\"");
	if (length >= size)
		return false;
	memcpy(to, found + 1, length);
	to[length] = '\0';
	return true;
}

static bool
parse_payload(char *payload, Heard *heard)
{
	char		type[16];
	char		number[24];
	char		group[32];
	char		version[16];
	char		kind[32];
	char		namespace[32];
	char		name[16];
	char	   *object = strstr(payload, ",\"object\":");
	char	   *ordinal;

	memset(heard, 0, sizeof(*heard));
	if (object != NULL)
	{
		size_t		length;

		/* cut it off, so that nothing below finds members of the object */
		*object = '\0';
		object += strlen(",\"object\":");
		length = strlen(object);
		if (length < 2)
			return false;
		object[length - 1] = '\0';
		heard->row.object = hash_text(object);
	}
	if (!take_member(payload, "type", type, sizeof(type)) ||
		!take_member(payload, "resourceVersion", number, sizeof(number)))
		return false;
	heard->row.type = type[0];
	heard->row.index = heard->index = strtoll(number, NULL, 10);
	if (!take_member(payload, "previous", number, sizeof(number)))
		return false;
	heard->previous = strtoll(number, NULL, 10);
	ordinal = strstr(payload, "\"ordinal\":");
	if (ordinal != NULL)
		heard->ordinal = (int) strtol(ordinal + strlen("\"ordinal\":"), NULL, 10);
	if (!take_member(payload, "group", group, sizeof(group)) ||
		!take_member(payload, "version", version, sizeof(version)) ||
		!take_member(payload, "kind", kind, sizeof(kind)) ||
		!take_member(payload, "namespace", namespace, sizeof(namespace)) ||
		!take_member(payload, "name", name, sizeof(name)))
		return false;
	heard->row.key = (int16_t) key_find(group, version, kind, namespace, name);
	return true;
}

/*
 * Within a connection, nothing comes twice or out of order, and "previous" is
 * at least what this connection heard last.
 */
static void
check_chain(Watcher *watcher, Chain *chain, const Heard *heard)
{
	bool		same = heard->index == chain->index;

	if (chain->index != 0 &&
		(heard->index < chain->index || (same && heard->ordinal <= chain->ordinal)))
		violation("%s: heard %" PRId64 ".%d after %" PRId64 ".%d", watcher->stream.name,
				  heard->index, heard->ordinal, chain->index, chain->ordinal);
	if (chain->index != 0 && heard->previous < chain->index)
		violation("%s: %" PRId64 " names %" PRId64 " as the one before it, but %" PRId64
				  " was heard", watcher->stream.name, heard->index, heard->previous, chain->index);
	if (heard->previous > heard->index)
		violation("%s: %" PRId64 " follows %" PRId64, watcher->stream.name, heard->index,
				  heard->previous);
	chain->index = heard->index;
	chain->ordinal = heard->ordinal;
}

/*
 * The batch that may still grow, or NULL.
 */
static Batch *
open_batch(Watcher *watcher)
{
	Stream	   *stream = &watcher->stream;

	if (stream->n_batches == 0 || !stream->batches[stream->n_batches - 1].heard)
		return NULL;
	return &stream->batches[stream->n_batches - 1];
}

/*
 * Forget what may be half a transaction.
 */
static void
take_back(Watcher *watcher)
{
	Batch	   *batch = open_batch(watcher);

	if (batch == NULL)
		return;
	watcher->last = batch->since;
	stream_drop_batch(&watcher->stream);
}

/*
 * Read everything up to now.  An answer with a limit may end before that, so
 * this goes on until the channel has nothing new.
 */
static bool
repair(Watcher *watcher)
{
	int64_t		before;

	do
	{
		before = watcher->last;
		if (!watcher_ask(watcher, 0))
			return false;
	} while (watcher->limit > 0 && watcher->last > before);
	return true;
}

/*
 * Returns false if the connection was lost in a repair.
 */
static bool
hear(Watcher *watcher, Chain *chain, PGnotify *notify)
{
	Batch	   *batch = open_batch(watcher);
	Heard		heard;

	if (!parse_payload(notify->extra, &heard))
	{
		violation("%s: a payload without sense: %s", watcher->stream.name, notify->extra);
		return true;
	}
	watcher->notifications++;
	check_chain(watcher, chain, &heard);

	if (batch != NULL && batch->bookmark == heard.index)
	{
		stream_add_row(&watcher->stream, heard.row);
		return true;
	}
	if (heard.index <= watcher->last)
		return true;
	if (heard.previous > watcher->last)
	{
		watcher->repairs++;
		if (!repair(watcher))
			return false;
		if (watcher->last < heard.index)
			violation("%s: heard of %" PRId64 ", but store.watch() ends at %" PRId64,
					  watcher->stream.name, heard.index, watcher->last);
		return true;
	}
	batch = stream_open_batch(&watcher->stream, watcher->last, 0);
	batch->bookmark = heard.index;
	batch->heard = true;
	stream_add_row(&watcher->stream, heard.row);
	watcher->last = heard.index;
	return true;
}

static bool
run(Watcher *watcher, const char *sql)
{
	Answer		answer = client_query(&watcher->client, watcher->patience_ms, sql, 0, NULL);

	PQclear(answer.result);
	if (answer.ending == ENDED_REFUSED && !is_outage(answer.sqlstate))
		violation("%s: %s failed: %s %s", watcher->stream.name, sql, answer.sqlstate,
				  answer.message);
	return answer.ending == ENDED_WELL;
}

/*
 * Now and then, not to listen for a while without reading what was missed: the
 * next "previous" must tell.
 */
static bool
be_deaf(Watcher *watcher, Chain *chain, const char *listen)
{
	if (!run(watcher, "UNLISTEN *"))
		return false;
	(void) wait_in_phase(PHASE_TROUBLE, random_int(&watcher->random, 50, 1500));
	chain->index = 0;
	return run(watcher, listen);
}

/*
 * Beyond the end, and not by what may be half a transaction.
 */
static bool
is_done(Watcher *watcher)
{
	return watcher_is_done(watcher) &&
		(check.phase == PHASE_OVER || watcher->last > progress.final ||
		 open_batch(watcher) == NULL);
}

/*
 * One connection, until it is lost, left, or not needed any more.
 */
static void
listen_on(Watcher *watcher, const char *listen)
{
	Chain		chain = {0};
	int64_t		quiet_since;
	PGnotify   *notify;

	if (!run(watcher, listen) || !repair(watcher))
		return;
	quiet_since = now_ms();
	while (!is_done(watcher))
	{
		if (!client_listen(&watcher->client, 200))
			return;
		while (watcher->client.conn != NULL &&
			   (notify = PQnotifies(watcher->client.conn)) != NULL)
		{
			bool		fine = hear(watcher, &chain, notify);

			PQfreemem(notify);
			if (!fine)
				return;
			quiet_since = now_ms();
		}
		if (now_ms() - quiet_since > SILENCE_MS)
		{
			if (!run(watcher, "SELECT 1"))
				return;
			quiet_since = now_ms();
		}
		if (check.phase == PHASE_TROUBLE && random_one_in(&watcher->random, 300) &&
			!be_deaf(watcher, &chain, listen))
			return;
	}
}

static void
write_listen(const Watcher *watcher, char *listen, size_t size)
{
	const Filter *filter = &watcher->stream.filter;

	if (filter->kind == NULL)
		snprintf(listen, size, "LISTEN store");
	else if (filter->namespace == NULL)
		snprintf(listen, size, "LISTEN \"store.%s\"", filter->kind);
	else
		snprintf(listen, size, "LISTEN \"store.%s.%s\"", filter->kind, filter->namespace);
}

/*
 * What is on a channel is given by kind and namespace, and nothing else.
 */
static void
narrow_to_channel(Filter *filter)
{
	filter->n_terms = 0;
	filter->label_selector[0] = filter->field_selector[0] = '\0';
	filter->api_version = NULL;
	if (filter->kind == NULL)
		filter->namespace = NULL;
}

void *
listener_main(void *arg)
{
	Watcher    *watcher = arg;
	char		listen[80];

	if (!watcher_begin(watcher, true))
		return NULL;
	narrow_to_channel(&watcher->stream.filter);
	write_listen(watcher, listen, sizeof(listen));
	while (!is_done(watcher))
	{
		if (!client_reach(&watcher->client, &watcher->random, PHASE_DRAIN))
			break;
		listen_on(watcher, listen);
		take_back(watcher);
		if (check.phase != PHASE_DRAIN || watcher->last < progress.final)
			watcher->resumes++;
		client_close(&watcher->client);
		watcher->client.node = random_int(&watcher->random, 0, check.n_nodes - 1);
	}
	return NULL;
}
