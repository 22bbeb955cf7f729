/*-------------------------------------------------------------------------
 *
 * client.c
 *	  A connection with deadlines that moves from node to node.
 *
 * A stopped node answers nothing and closes nothing, so every wait here has an
 * end: who waits longer gives the connection up, as a good client does.
 *
 *-------------------------------------------------------------------------
 */
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
client_close(Client *client)
{
	if (client->conn != NULL)
		PQfinish(client->conn);
	client->conn = NULL;
}

/* That a server goes away is what this is about; nobody wants to read it. */
static void
ignore_notice(void *arg, const char *message)
{
	(void) arg;
	(void) message;
}

bool
client_connect(Client *client, int node)
{
	const char *const keywords[] = {"dbname", "application_name", "connect_timeout", NULL};
	const char *values[] = {check.nodes[node].conninfo, client->name, "2", NULL};

	client_close(client);
	client->node = node;
	client->conn = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(client->conn) != CONNECTION_OK)
	{
		client_close(client);
		return false;
	}
	(void) PQsetNoticeProcessor(client->conn, ignore_notice, NULL);
	client->connects++;
	return true;
}

bool
client_reach(Client *client, Random *random, Phase until)
{
	while (client->conn == NULL)
	{
		if (check.phase > (int) until)
			return false;
		if (client_connect(client, client->node))
			break;
		client->node = random_int(random, 0, check.n_nodes - 1);
		(void) wait_in_phase(until, 100);
	}
	return true;
}

/*
 * Wait until the socket is readable.  False: the deadline has passed.
 */
static bool
wait_readable(PGconn *conn, int64_t deadline)
{
	for (;;)
	{
		struct pollfd waiting = {.fd = PQsocket(conn),.events = POLLIN};
		int64_t		left = deadline - now_ms();
		int			ready;

		if (left <= 0)
			return false;
		ready = poll(&waiting, 1, (int) left);
		if (ready > 0)
			return true;
		if (ready < 0 && errno != EINTR)
			return false;
	}
}

static void
describe_error(Answer *answer, const char *sqlstate, const char *message)
{
	snprintf(answer->sqlstate, sizeof(answer->sqlstate), "%s", sqlstate ? sqlstate : "08006");
	snprintf(answer->message, sizeof(answer->message), "%s", message);
	answer->message[strcspn(answer->message, "\n")] = '\0';
}

Answer
client_query(Client *client, int timeout_ms, const char *sql, int n_params,
			 const char *const *params)
{
	Answer		answer = {.ending = ENDED_WELL};
	int64_t		deadline = now_ms() + timeout_ms;
	PGresult   *result;

	if (!PQsendQueryParams(client->conn, sql, n_params, NULL, params, NULL, NULL, 0))
		goto lost;
	for (;;)
	{
		while (PQisBusy(client->conn))
		{
			if (!wait_readable(client->conn, deadline) || !PQconsumeInput(client->conn))
				goto lost;
		}
		result = PQgetResult(client->conn);
		if (result == NULL)
			break;
		if (PQresultStatus(result) == PGRES_TUPLES_OK ||
			PQresultStatus(result) == PGRES_COMMAND_OK)
		{
			PQclear(answer.result);
			answer.result = result;
			continue;
		}
		answer.ending = ENDED_REFUSED;
		describe_error(&answer, PQresultErrorField(result, PG_DIAG_SQLSTATE),
					   PQresultErrorMessage(result));
		PQclear(result);
	}
	if (PQstatus(client->conn) != CONNECTION_OK)
		goto lost;
	if (answer.ending != ENDED_WELL)
	{
		PQclear(answer.result);
		answer.result = NULL;
	}
	return answer;

lost:
	PQclear(answer.result);
	answer.result = NULL;
	answer.ending = ENDED_LOST;
	if (answer.sqlstate[0] == '\0')
		describe_error(&answer, NULL, "the connection was lost");
	client_close(client);
	return answer;
}

bool
client_listen(Client *client, int timeout_ms)
{
	if (!wait_readable(client->conn, now_ms() + timeout_ms))
		return true;
	if (PQconsumeInput(client->conn))
		return true;
	client_close(client);
	return false;
}

bool
is_outage(const char *sqlstate)
{
	static const char *const states[] = {
		"57P01", "57P02", "57P03", "57P05", /* shutting down, crashed, starting */
		"53300",				/* too many connections: all came here */
		"RS503", "RS504", "RS500",
		"55000",				/* its workers are not up yet */
	};

	if (strncmp(sqlstate, "08", 2) == 0)
		return true;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(sqlstate, states[i]) == 0)
			return true;
	return false;
}

int64_t
client_ask(Client *client, int node, int timeout_ms, const char *sql)
{
	int64_t		number = 0;
	Answer		answer;

	if (client->conn == NULL && !client_connect(client, node))
		return 0;
	answer = client_query(client, timeout_ms, sql, 0, NULL);
	if (answer.ending == ENDED_WELL && PQntuples(answer.result) == 1)
		number = strtoll(PQgetvalue(answer.result, 0, 0), NULL, 10);
	PQclear(answer.result);
	return number;
}

int64_t
ask(int node, const char *sql)
{
	Client		client = {.name = "nemesis"};
	int64_t		number = client_ask(&client, node, 2000, sql);

	client_close(&client);
	return number;
}

int64_t
insist(Client *client, int node, int limit_ms, const char *sql)
{
	int64_t		limit = now_ms() + limit_ms;
	int64_t		number = 0;

	while (number == 0 && now_ms() < limit)
	{
		number = client_ask(client, node, 20000, sql);
		if (number == 0)
			(void) wait_in_phase(PHASE_OVER, 100);
	}
	return number;
}
