/*
 * watch.c
 *	  Watch resources of one kind, with libpq, and lose nothing.
 *
 *		cc watch.c -lpq -o watch
 *		./watch 'host=a,b,c dbname=postgres connect_timeout=3' ConfigMap shop
 *
 * Prints a line for each change: its type, resource version, and name.
 *
 * All there is to it is one number.  "since" is the version up to which
 * everything was seen.  It moves only when a whole answer has arrived, and only
 * to the bookmark at its end.  So after a lost connection the same question is
 * asked again, of any node: libpq tries the hosts of the connection string in
 * turn.  A program that must survive its own end as well stores "since"
 * together with what it made of the changes.
 */
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char query[] =
	"SELECT type, resource_version, name, object"
	" FROM store.watch($1::bigint, kind => $2, namespace => $3, timeout => '30 s')";

/*
 * Take an answer.  Its last row is the bookmark, with no object.
 */
static void
take(const PGresult *answer, char since[32])
{
	for (int row = 0; row < PQntuples(answer); row++)
	{
		const char *type = PQgetvalue(answer, row, 0);
		const char *version = PQgetvalue(answer, row, 1);

		if (strcmp(type, "BOOKMARK") == 0)
			snprintf(since, 32, "%s", version);
		else
			printf("%s %s %s\n", type, version, PQgetvalue(answer, row, 2));
	}
	fflush(stdout);
}

/*
 * What to do about an error.  False: nothing will help.
 */
static bool
recover(PGconn *conn, const PGresult *answer, char since[32])
{
	const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);

	fprintf(stderr, "%s", PQerrorMessage(conn));
	if (state != NULL && strcmp(state, "RS410") == 0)
	{
		/* Away for too long: what happened is forgotten, what is there is not. */
		printf("RELIST\n");
		strcpy(since, "0");
		return true;
	}
	if (state != NULL && strcmp(state, "RS504") == 0)
		return true;			/* a node that lags behind; ask again */
	if (state != NULL && PQstatus(conn) == CONNECTION_OK && strncmp(state, "57P", 3) != 0)
		return false;
	PQreset(conn);
	if (PQstatus(conn) != CONNECTION_OK)
		sleep(1);
	return true;
}

int
main(int argc, char **argv)
{
	char		since[32] = "0";	/* first of all, what is there now */
	bool		goes_on = true;
	PGconn	   *conn;

	if (argc != 4)
	{
		fprintf(stderr, "usage: %s CONNINFO KIND NAMESPACE\n", argv[0]);
		return 2;
	}
	conn = PQconnectdb(argv[1]);
	while (goes_on)
	{
		const char *params[] = {since, argv[2], argv[3]};
		PGresult   *answer = PQexecParams(conn, query, 3, NULL, params, NULL, NULL, 0);

		if (PQresultStatus(answer) == PGRES_TUPLES_OK)
			take(answer, since);
		else
			goes_on = recover(conn, answer, since);
		PQclear(answer);
	}
	PQfinish(conn);
	return 1;
}
