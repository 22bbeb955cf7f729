/*-------------------------------------------------------------------------
 *
 * watchers.c
 *	  Clients that follow the history by store.watch(), from node to node.
 *
 * What they are told is noted.  It is also how the judge knows the events that
 * were compacted since, so nothing is compacted that they have not seen.
 *
 *-------------------------------------------------------------------------
 */
#include "torture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char watch_query[] =
	"SELECT type, resource_version, name, object #>> '{data,v}'"
	" FROM store.watch($1::bigint, 'ConfigMap', 'torture', \"limit\" => $2::int,"
	" timeout => $3::interval)";

/*
 * Note one answer.  The ordinal of an event is its place within its index: a
 * watcher is told all events of an index at once.  Returns the bookmark.
 */
static int64_t
note_answer(int number, int node, int64_t since, const PGresult *result)
{
	int			n_rows = PQntuples(result);
	int64_t		bookmark = since;
	int64_t		last = 0;
	int			ordinal = 0;
	char	   *text = allocate(64 * (size_t) (n_rows + 1));
	char	   *to = text;

	for (int row = 0; row < n_rows; row++)
	{
		const char *type = PQgetvalue(result, row, 0);
		int64_t		index = strtoll(PQgetvalue(result, row, 1), NULL, 10);

		if (strcmp(type, "BOOKMARK") == 0)
		{
			bookmark = index;
			continue;
		}
		ordinal = index == last ? ordinal + 1 : 0;
		last = index;
		to += snprintf(to, 64, " %c%" PRId64 ".%d:%.8s=%.20s", type[0], index, ordinal,
					   PQgetvalue(result, row, 2), PQgetvalue(result, row, 3));
	}
	note("V %d %d %" PRId64 " %" PRId64 "%s", number, node, since, bookmark, text);
	free(text);
	return bookmark;
}

static void
watch_once(int number, Client *client, Random *random)
{
	int64_t		since = torture.bookmarks[number];
	char		parameter[24];
	const char *params[] = {parameter, random_one_in(random, 3) ? "5" : NULL,
	random_one_in(random, 2) ? "1 s" : "50 ms"};
	Answer		answer;

	if (client->conn == NULL && !client_connect(client, client->node))
	{
		client->node = random_int(random, 0, check.n_nodes - 1);
		return;
	}
	sprintf(parameter, "%" PRId64, since);
	answer = client_query(client, 8000, watch_query, 3, params);
	if (answer.ending == ENDED_WELL)
		torture.bookmarks[number] = note_answer(number, client->node, since, answer.result);
	else if (answer.ending == ENDED_REFUSED && !is_outage(answer.sqlstate) &&
			 strcmp(answer.sqlstate, "57014") != 0)
		violation("watcher %d at %" PRId64 " was refused: %s %s", number, since, answer.sqlstate,
				  answer.message);
	PQclear(answer.result);
	if (answer.ending != ENDED_WELL || random_one_in(random, 20))
	{
		client_close(client);
		client->node = random_int(random, 0, check.n_nodes - 1);
	}
}

void *
watcher_main(void *arg)
{
	int			number = (int) (intptr_t) arg;
	Client		client = {.node = number % check.n_nodes};
	Random		random;

	snprintf(client.name, sizeof(client.name), "watcher %d", number);
	random_seed(&random, check.seed, 2000 + (uint64_t) number);
	while (torture.final == 0 || torture.bookmarks[number] < torture.final)
	{
		int			node = client.node;

		if (node_enter(node))
		{
			watch_once(number, &client, &random);
			if (client.node != node)
				client_close(&client);
			node_leave(node);
		}
		else
		{
			client_close(&client);
			client.node = random_int(&random, 0, check.n_nodes - 1);
		}
		if (!wait_in_phase(PHASE_DRAIN, 30))
			break;
	}
	client_close(&client);
	return NULL;
}
