/*-------------------------------------------------------------------------
 *
 * main.c
 *	  The checker of watches: arguments, threads, the report.  See watch.h.
 *
 *	watch_check [-s seed] [-t seconds] [-r writes/s] [-b bindir] FOLDER=CONNINFO ...
 *
 * One argument for each node: its data directory and how to reach it.  The
 * store should be empty but for what this program wrote before, and must keep
 * its history for as long as the run takes.
 *
 *-------------------------------------------------------------------------
 */
#include "watch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Until then, all watchers should have arrived when all is quiet. */
#define DRAIN_LIMIT_MS	60000

#define N_STREAMS		(N_WATCHERS + N_LISTENERS)

Check		check = {.seconds = 20,.rate = 60};
Progress	progress;

static Writer writers[N_WRITERS];
static Watcher watchers[N_STREAMS]; /* first those by store.watch() */
static History history;

/* ------------------------------------------------------------------------
 * Arguments
 * ------------------------------------------------------------------------
 */

static void
usage(void)
{
	fprintf(stderr, "usage: watch_check [-s seed] [-t seconds] [-r writes/s] [-b bindir]"
			" FOLDER=CONNINFO ...\n");
	exit(2);
}

static void
parse_arguments(int argc, char **argv)
{
	int			option;

	check.seed = (uint64_t) time(NULL);
	while ((option = getopt(argc, argv, "s:t:r:b:")) != -1)
	{
		if (option == 's')
			check.seed = strtoull(optarg, NULL, 10);
		else if (option == 't')
			check.seconds = (int) strtol(optarg, NULL, 10);
		else if (option == 'r')
			check.rate = (int) strtol(optarg, NULL, 10);
		else if (option == 'b')
			check.bindir = optarg;
		else
			usage();
	}
	for (; optind < argc; optind++)
	{
		if (!check_add_node(argv[optind]))
			usage();
	}
	if (check.n_nodes == 0 || check.seconds <= 0 || check.rate <= 0)
		usage();
}

/* ------------------------------------------------------------------------
 * The run
 * ------------------------------------------------------------------------
 */

/*
 * The last changes, on every channel; what a listener hears of the second one
 * tells it that it has all of the first.
 */
static void
end_stream(Client *client)
{
	Random		random;
	int64_t		limit = now_ms() + DRAIN_LIMIT_MS;
	int64_t		final = 0;

	random_seed(&random, check.seed, 2);
	for (int n = 0; n < 2 && now_ms() < limit;)
	{
		int64_t		index = 0;

		if (client->conn != NULL || client_connect(client, 0))
			index = write_everywhere(client, &random);
		if (index == 0)
		{
			(void) wait_in_phase(PHASE_OVER, 100);
			continue;
		}
		if (n++ == 0)
			final = index;
	}
	if (final == 0)
		violation("nothing can be written when all is quiet");
	progress.final = final;
}

static void
run(void)
{
	pthread_t	writer_threads[N_WRITERS];
	pthread_t	watcher_threads[N_STREAMS];
	pthread_t	nemesis;
	Client		client = {.name = "main"};
	int64_t		limit;

	progress.start = insist(&client, 0, DRAIN_LIMIT_MS, "SELECT store.barrier()");
	if (progress.start == 0)
	{
		fprintf(stderr, "the store does not answer\n");
		exit(2);
	}
	for (int i = 0; i < N_STREAMS; i++)
	{
		bool		listens = i >= N_WATCHERS;

		watchers[i].number = listens ? i - N_WATCHERS : i;
		watcher_threads[i] = start_thread(listens ? listener_main : watcher_main, &watchers[i]);
	}
	for (int i = 0; i < N_WRITERS; i++)
	{
		writers[i].number = i;
		writer_threads[i] = start_thread(writer_main, &writers[i]);
	}
	nemesis = start_thread(nemesis_main, NULL);

	(void) wait_in_phase(PHASE_TROUBLE, check.seconds * 1000);
	enter_phase(PHASE_QUIET);
	pthread_join(nemesis, NULL);
	for (int i = 0; i < N_WRITERS; i++)
		pthread_join(writer_threads[i], NULL);

	client_close(&client);
	for (int node = 0; node < check.n_nodes; node++)
	{
		if (insist(&client, node, DRAIN_LIMIT_MS, "SELECT store.barrier()") == 0)
			violation("node %d does not come back", node + 1);
		client_close(&client);
	}
	end_stream(&client);
	enter_phase(PHASE_DRAIN);

	limit = now_ms() + DRAIN_LIMIT_MS;
	for (int i = 0; i < N_STREAMS; i++)
	{
		while (pthread_tryjoin_np(watcher_threads[i], NULL) != 0)
		{
			if (now_ms() < limit)
				(void) wait_in_phase(PHASE_DRAIN, 20);
			else if (check.phase != PHASE_OVER)
				enter_phase(PHASE_OVER);
			else
				(void) wait_in_phase(PHASE_TROUBLE, 20);
		}
	}
	client_close(&client);
}

/* ------------------------------------------------------------------------
 * The report
 * ------------------------------------------------------------------------
 */

static void
report_writes(void)
{
	Writer		sum = {0};

	for (int i = 0; i < N_WRITERS; i++)
	{
		for (int kind = 0; kind < N_WRITE_KINDS; kind++)
			sum.by_kind[kind] += writers[i].by_kind[kind];
		sum.unchanged += writers[i].unchanged;
		sum.unknown += writers[i].unknown;
		sum.unavailable += writers[i].unavailable;
		sum.n_acks += writers[i].n_acks;
	}
	printf("acknowledged writes:");
	for (int kind = 0; kind < N_WRITE_KINDS; kind++)
		printf(" %s %d%s", write_names[kind], sum.by_kind[kind],
			   kind < N_WRITE_KINDS - 1 ? "," : "\n");
	printf("  with a change for certain: %d; without: %d; unknown: %d; unavailable: %d\n",
		   sum.n_acks, sum.unchanged, sum.unknown, sum.unavailable);
	printf("events: %d\n", history.count);
}

static void
report_faults(void)
{
	printf("faults:");
	for (int fault = 0; fault < N_FAULTS; fault++)
		printf(" %s %d%s", fault_names[fault], fault_counts[fault],
			   fault < N_FAULTS - 1 ? "," : "");
	printf("; leaders seen to change: %d\n", leader_changes);
}

static void
judge_group(const char *title, int first, int count, const Stream **fine, int *n_fine)
{
	long		deliveries = 0;
	long		batches = 0;
	int			notifications = 0;
	int			repairs = 0;
	int			resumes = 0;
	int			connects = 0;
	int			behind = 0;

	for (int i = first; i < first + count; i++)
	{
		Watcher    *watcher = &watchers[i];
		char		flaw[512];

		if (watcher->stream.name[0] == '\0' || watcher->client.connects == 0)
			continue;			/* the run was over before it began */
		if (check.phase == PHASE_OVER && watcher->last < progress.final)
			violation("%s: got to %" PRId64 ", and no further in %d s", watcher->stream.name,
					  watcher->last, DRAIN_LIMIT_MS / 1000);
		if (!judge_stream(&history, &watcher->stream, &deliveries, flaw, sizeof(flaw)))
			violation("%s", flaw);
		else
			fine[(*n_fine)++] = &watcher->stream;
		batches += watcher->stream.n_batches;
		notifications += watcher->notifications;
		repairs += watcher->repairs;
		resumes += watcher->resumes;
		connects += watcher->client.connects;
		behind += watcher->behind;
	}
	printf("%s: %d; deliveries: %ld in %ld batches; connections: %d; resumed: %d;"
		   " ahead of the next node: %d\n",
		   title, count, deliveries, batches, connects, resumes, behind);
	if (notifications > 0)
		printf("  notifications: %d; gaps repaired: %d within a connection, %d after one\n",
			   notifications, repairs, resumes);
}

/*
 * All nodes have the same events.
 */
static void
compare_nodes(void)
{
	static const char query[] =
		"SELECT hashtextextended(string_agg(e::text, '' ORDER BY resource_version, ordinal), 0)"
		" FROM store.events e WHERE resource_version <= (SELECT max(resource_version)"
		" FROM store.events WHERE kind = 'Node' AND name = 'k19' AND resource_version <= %" PRId64
		")";
	char		sql[400];
	int64_t		first = 0;

	snprintf(sql, sizeof(sql), query, (int64_t) progress.final);
	for (int node = 0; node < check.n_nodes; node++)
	{
		Client		client = {.name = "main"};
		int64_t		hash = insist(&client, node, DRAIN_LIMIT_MS, sql);

		client_close(&client);
		if (node == 0)
			first = hash;
		else if (hash != first)
			violation("nodes 1 and %d do not have the same events", node + 1);
	}
}

static void
judge(void)
{
	const Stream *streams[N_STREAMS];
	Client		client = {.name = "judge"};
	int			n_streams = 0;	/* without a flaw */
	int			tried;
	int			found;

	if (!client_connect(&client, 0) || !history_read(&history, &client))
		violation("there is no history to judge by");
	client_close(&client);
	judge_history(&history);
	for (int i = 0; i < N_WRITERS; i++)
		judge_acks(&history, &writers[i]);
	compare_nodes();

	report_writes();
	judge_group("watchers", 0, N_WATCHERS, streams, &n_streams);
	judge_group("listeners", N_WATCHERS, N_LISTENERS, streams, &n_streams);
	report_faults();

	printf("flaws put in:\n");
	found = doctor_streams(&history, streams, n_streams, &tried);
	printf("flaws found: %d of %d\n", found, tried);
	printf("violations: %d\n", check.violations);
	exit(check.violations > 0 || found < tried ? 1 : 0);
}

int
main(int argc, char **argv)
{
	parse_arguments(argc, argv);
	printf("seed %" PRIu64 ", %d s, %d writes/s, %d nodes\n", check.seed, check.seconds,
		   check.rate, check.n_nodes);
	fflush(stdout);

	check_init();
	keys_define();
	run();
	judge();
}
