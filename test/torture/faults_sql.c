/*-------------------------------------------------------------------------
 *
 * faults_sql.c
 *	  What users and operators do to a server.
 *
 *-------------------------------------------------------------------------
 */
#include "torture.h"

#include <inttypes.h>
#include <stdio.h>

#define MAX_TAKEN	200

/*
 * Open a transaction with one statement in it, keep it, and leave it.
 */
static bool
hold_transaction(int node, const char *begin, const char *sql, int ms)
{
	Client		client = {.name = "nemesis"};
	Answer		answer = {.ending = ENDED_LOST};

	if (client_connect(&client, node))
		answer = client_query(&client, 2000, begin, 0, NULL);
	PQclear(answer.result);
	if (answer.ending == ENDED_WELL)
	{
		answer = client_query(&client, 2000, sql, 0, NULL);
		PQclear(answer.result);
	}
	if (answer.ending == ENDED_WELL)
		(void) wait_in_phase(PHASE_TROUBLE, ms);
	client_close(&client);
	return answer.ending == ENDED_WELL;
}

bool
fault_lock(int node, Random *random)
{
	static const char *const locks[] = {
		"LOCK TABLE store.resources IN ACCESS EXCLUSIVE MODE",
		"LOCK TABLE store.resources IN SHARE MODE",
		"LOCK TABLE store.events IN ACCESS EXCLUSIVE MODE",
		"SELECT 1 FROM store.resources FOR UPDATE",
	};
	const char *lock = locks[random_int(random, 0, 3)];

	return hold_transaction(node, "BEGIN", lock, random_int(random, 300, 5000));
}

bool
fault_long_transaction(int node, Random *random)
{
	return hold_transaction(node, "BEGIN ISOLATION LEVEL REPEATABLE READ",
							"SELECT count(*) FROM store.resources, store.status",
							random_int(random, 1000, 10000));
}

bool
fault_no_connections(int node, Random *random)
{
	static Client taken[MAX_TAKEN];
	int			n = 0;

	while (n < MAX_TAKEN)
	{
		snprintf(taken[n].name, sizeof(taken[n].name), "taken");
		if (!client_connect(&taken[n], node))
			break;
		n++;
	}
	(void) wait_in_phase(PHASE_TROUBLE, random_int(random, 300, 4000));
	for (int i = 0; i < n; i++)
		client_close(&taken[i]);
	return n > 0;
}

/* What other nodes have open here: links, copies, verbs. */
bool
fault_end_links(int node, Random *random)
{
	(void) random;
	return ask(node, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
			   " WHERE application_name ~ '^store '") > 0;
}

/* All that the watchers have seen. */
bool
fault_compact(int node, Random *random)
{
	int64_t		seen = torture.bookmarks[0];
	char		sql[100];

	(void) random;
	for (int i = 1; i < N_WATCHERS; i++)
		if (torture.bookmarks[i] < seen)
			seen = torture.bookmarks[i];
	snprintf(sql, sizeof(sql), "SELECT store.compact(%" PRId64 ")", seen);
	return ask(node, sql) > 0;
}
