/*
 * watch.c
 *	  The clients of bench/watch.
 *
 *	bench_watch latency WRITES/S SECONDS WRITER-CONNINFO CONNINFO ...
 *		puts at a steady pace by the first connection string; on each of the
 *		others one session listens and one waits in store.watch().  Prints how
 *		long after a write was acknowledged they heard of it.
 *
 *	bench_watch hold listen|watch KIND COUNT CONNINFO
 *		opens so many sessions, prints "ready", and reads what they are told
 *		until it gets SIGTERM; then prints how much that was.
 *
 * All clients share this machine's clock.
 */
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define N_WRITERS	8
#define MAX_INDEX	2000000
#define MAX_EARS	16

static volatile sig_atomic_t stop;
static sem_t listening;

static double
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec * 1000 + (double) now.tv_nsec / 1e6;
}

static void
fail(const char *message)
{
	fprintf(stderr, "bench_watch: %s\n", message);
	exit(1);
}

static PGconn *
open_session(const char *conninfo)
{
	PGconn	   *conn = PQconnectdb(conninfo);

	if (PQstatus(conn) != CONNECTION_OK)
		fail(PQerrorMessage(conn));
	return conn;
}

static PGresult *
execute(PGconn *conn, const char *sql, const char *param)
{
	PGresult   *result = PQexecParams(conn, sql, param != NULL, NULL, &param, NULL, NULL, 0);

	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
		fail(PQerrorMessage(conn));
	return result;
}

/* ------------------------------------------------------------------------
 * latency
 * ------------------------------------------------------------------------
 */

/* By resource version, in ms; 0: not there */
static double sent[MAX_INDEX];
static double acknowledged[MAX_INDEX];

typedef struct Ear
{
	const char *conninfo;
	bool		listens;
	char		since[24];
	double	   *heard;
} Ear;

typedef struct Pen
{
	const char *conninfo;
	int			number;
	double		interval_ms;
	double		until;
} Pen;

static void *
write_steadily(void *arg)
{
	Pen		   *pen = arg;
	PGconn	   *conn = open_session(pen->conninfo);
	double		due = now_ms() + pen->interval_ms * pen->number / N_WRITERS;

	for (int i = 0; due < pen->until; i++, due += pen->interval_ms)
	{
		double		wait = due - now_ms();
		char		object[300];
		PGresult   *result;
		double		begun;
		long		index;

		if (wait > 0)
		{
			struct timespec nap = {(time_t) (wait / 1000), (long) (wait * 1e6) % 1000000000};

			nanosleep(&nap, NULL);
		}
		snprintf(object, sizeof(object),
				 "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\":"
				 " \"bench-%d-%d\", \"namespace\": \"bench\"}, \"data\": {\"value\": \"%.3f\"}}",
				 pen->number, i % 100, now_ms());
		begun = now_ms();
		result = execute(conn, "SELECT resource_version FROM store.put($1::jsonb)", object);
		index = strtol(PQgetvalue(result, 0, 0), NULL, 10);
		PQclear(result);
		if (index >= MAX_INDEX)
			fail("too many writes");
		acknowledged[index] = now_ms();
		sent[index] = begun;
	}
	PQfinish(conn);
	return NULL;
}

static void
hear_notifications(Ear *ear, PGconn *conn)
{
	struct pollfd waiting = {.fd = PQsocket(conn),.events = POLLIN};
	PGnotify   *notify;

	PQclear(execute(conn, "LISTEN store", NULL));
	sem_post(&listening);
	while (!stop)
	{
		if (poll(&waiting, 1, 200) <= 0)
			continue;
		if (!PQconsumeInput(conn))
			fail(PQerrorMessage(conn));
		while ((notify = PQnotifies(conn)) != NULL)
		{
			const char *version = strstr(notify->extra, "\"resourceVersion\":\"");
			long		index = version ? strtol(version + 19, NULL, 10) : 0;

			if (index > 0 && index < MAX_INDEX)
				ear->heard[index] = now_ms();
			PQfreemem(notify);
		}
	}
}

static void
watch(Ear *ear, PGconn *conn)
{
	sem_post(&listening);
	while (!stop)
	{
		PGresult   *result = execute(conn, "SELECT type, resource_version, object"
									 " FROM store.watch($1::bigint, timeout => '1 s')", ear->since);
		double		now = now_ms();

		for (int row = 0; row < PQntuples(result); row++)
		{
			long		index = strtol(PQgetvalue(result, row, 1), NULL, 10);

			if (strcmp(PQgetvalue(result, row, 0), "BOOKMARK") == 0)
				snprintf(ear->since, sizeof(ear->since), "%ld", index);
			else if (index < MAX_INDEX)
				ear->heard[index] = now;
		}
		PQclear(result);
	}
}

static void *
hear(void *arg)
{
	Ear		   *ear = arg;
	PGconn	   *conn = open_session(ear->conninfo);

	if (ear->listens)
		hear_notifications(ear, conn);
	else
		watch(ear, conn);
	PQfinish(conn);
	return NULL;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return left < right ? -1 : left > right;
}

static void
print_percentiles(const char *what, const double *from, const double *to)
{
	double	   *values = malloc(sizeof(double) * MAX_INDEX);
	int			count = 0;
	int			missing = 0;

	for (int i = 0; i < MAX_INDEX; i++)
	{
		if (from[i] == 0)
			continue;
		if (to[i] == 0)
			missing++;
		else
			values[count++] = to[i] - from[i];
	}
	qsort(values, (size_t) count, sizeof(double), compare_doubles);
	if (count > 0)
		printf("%-44s %8.3f %8.3f %8.3f   %d writes, %d missing\n", what, values[count / 2],
			   values[count * 9 / 10], values[(int) (count * 0.99)], count, missing);
	free(values);
}

static int
measure_latency(int argc, char **argv)
{
	double		rate = strtod(argv[2], NULL);
	double		seconds = strtod(argv[3], NULL);
	int			n_nodes = argc - 5;
	Ear			ears[MAX_EARS];
	Pen			pens[N_WRITERS];
	pthread_t	ear_threads[MAX_EARS];
	pthread_t	pen_threads[N_WRITERS];
	PGconn	   *conn = open_session(argv[4]);
	PGresult   *result = execute(conn, "SELECT store.barrier()", NULL);

	if (n_nodes * 2 > MAX_EARS)
		fail("too many nodes");
	sem_init(&listening, 0, 0);
	for (int i = 0; i < n_nodes * 2; i++)
	{
		ears[i] = (Ear) {.conninfo = argv[5 + i / 2],.listens = i % 2 == 0};
		ears[i].heard = calloc(MAX_INDEX, sizeof(double));
		snprintf(ears[i].since, sizeof(ears[i].since), "%s", PQgetvalue(result, 0, 0));
		pthread_create(&ear_threads[i], NULL, hear, &ears[i]);
	}
	PQclear(result);
	PQfinish(conn);
	for (int i = 0; i < n_nodes * 2; i++)
		sem_wait(&listening);
	for (int i = 0; i < N_WRITERS; i++)
	{
		pens[i] = (Pen) {.conninfo = argv[4],.number = i,
			.interval_ms = 1000.0 * N_WRITERS / rate,.until = now_ms() + seconds * 1000};
		pthread_create(&pen_threads[i], NULL, write_steadily, &pens[i]);
	}
	for (int i = 0; i < N_WRITERS; i++)
		pthread_join(pen_threads[i], NULL);

	/* long enough for what is still on its way; more would be missing */
	nanosleep(&(struct timespec) {2, 0}, NULL);
	stop = 1;
	for (int i = 0; i < n_nodes * 2; i++)
		pthread_join(ear_threads[i], NULL);

	printf("%-44s %8s %8s %8s\n", "in ms", "median", "90 %", "99 %");
	print_percentiles("a write, until its acknowledgement", sent, acknowledged);
	for (int i = 0; i < n_nodes * 2; i++)
	{
		char		what[80];

		snprintf(what, sizeof(what), "acknowledged, until node %d %s", i / 2 + 1,
				 ears[i].listens ? "notifies" : "answers a watch");
		print_percentiles(what, acknowledged, ears[i].heard);
	}
	return 0;
}

/* ------------------------------------------------------------------------
 * hold
 * ------------------------------------------------------------------------
 */

static void
on_term(int signo)
{
	(void) signo;
	stop = 1;
}

static void
ask_for_more(PGconn *conn, const char *kind, const char *since)
{
	const char *params[] = {since, kind};

	if (!PQsendQueryParams(conn, "SELECT type, resource_version FROM"
						   " store.watch($1::bigint, kind => $2, timeout => '1 h')", 2, NULL,
						   params, NULL, NULL, 0))
		fail(PQerrorMessage(conn));
}

/*
 * Take what has arrived; returns how many events that were.
 */
static int
take(PGconn *conn, const char *kind)
{
	char		since[24] = "";
	int			events = 0;
	PGresult   *result;
	PGnotify   *notify;

	if (!PQconsumeInput(conn))
		fail(PQerrorMessage(conn));
	while ((notify = PQnotifies(conn)) != NULL)
	{
		events++;
		PQfreemem(notify);
	}
	while (!PQisBusy(conn) && (result = PQgetResult(conn)) != NULL)
	{
		int			last = PQntuples(result) - 1;

		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			fail(PQerrorMessage(conn));
		snprintf(since, sizeof(since), "%s", PQgetvalue(result, last, 1));
		events += last;
		PQclear(result);
	}
	if (since[0] != '\0')
		ask_for_more(conn, kind, since);
	return events;
}

static int
hold_sessions(char **argv)
{
	bool		listens = strcmp(argv[2], "listen") == 0;
	const char *kind = argv[3];
	int			count = (int) strtol(argv[4], NULL, 10);
	int			poller = epoll_create1(0);
	long		events = 0;

	for (int i = 0; i < count; i++)
	{
		PGconn	   *conn = open_session(argv[5]);
		struct epoll_event interest = {.events = EPOLLIN,.data.ptr = conn};

		if (listens)
		{
			char		sql[100];

			snprintf(sql, sizeof(sql), "LISTEN \"store.%s\"", kind);
			PQclear(execute(conn, sql, NULL));
		}
		else
		{
			PGresult   *result = execute(conn, "SELECT store.barrier()", NULL);

			ask_for_more(conn, kind, PQgetvalue(result, 0, 0));
			PQclear(result);
		}
		epoll_ctl(poller, EPOLL_CTL_ADD, PQsocket(conn), &interest);
	}
	printf("ready\n");
	fflush(stdout);
	signal(SIGTERM, on_term);
	while (!stop)
	{
		struct epoll_event ready[64];
		int			n = epoll_wait(poller, ready, 64, 200);

		for (int i = 0; i < n; i++)
			events += take(ready[i].data.ptr, kind);
	}
	printf("%ld\n", events);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 5 && strcmp(argv[1], "latency") == 0)
		return measure_latency(argc, argv);
	if (argc == 6 && strcmp(argv[1], "hold") == 0)
		return hold_sessions(argv);
	fail("see the head of watch.c for the arguments");
}
