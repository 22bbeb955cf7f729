/*-------------------------------------------------------------------------
 *
 * main.c
 *	  Torture: arguments, phases, what is there at the end, the summary.
 *
 *	torture run [-s seed] [-t seconds] [-r operations/s] [-b bindir] [-c CONTROL]
 *		[-p] [-f FAULT,...] -o HISTORY FOLDER=CONNINFO ...
 *	torture judge HISTORY
 *
 * One argument for each node: its data directory and how to reach it.  The
 * nodes are node1, node2, ... and the store is empty.  CONTROL is the socket of
 * the proxy between the nodes.  With -p clients wait however long it takes, and
 * each request must come to a certain end, unless its session is lost with the
 * server.  See torture.h.
 *
 *-------------------------------------------------------------------------
 */
#include "torture.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Until then, all nodes and watchers should have arrived when all is quiet. */
#define DRAIN_LIMIT_MS	60000

Check		check = {.seconds = 60,.rate = 150};
Torture		torture;

static FILE *file;
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int n_sessions;
static _Atomic int n_users[MAX_NODES];
static _Atomic bool closed[MAX_NODES];

/* ------------------------------------------------------------------------
 * The history
 * ------------------------------------------------------------------------
 */

void
note(const char *format,...)
{
	va_list		args;

	pthread_mutex_lock(&file_lock);
	va_start(args, format);
	vfprintf(file, format, args);
	va_end(args);
	fputc('\n', file);
	pthread_mutex_unlock(&file_lock);
}

static char *
print_part(char *to, const Part *part)
{
	switch (part->kind)
	{
		case PART_IF_VERSION:
			return to + sprintf(to, " ?k%d=%" PRId64, part->key, part->version);
		case PART_IF_THERE:
			return to + sprintf(to, " ?k%d+", part->key);
		case PART_IF_ABSENT:
			return to + sprintf(to, " ?k%d-", part->key);
		case PART_PUT:
			return to + sprintf(to, " +k%d=%d-%d", part->key, part->value.client,
								part->value.serial);
		case PART_DELETE:
			return to + sprintf(to, " -k%d", part->key);
	}
	return to;
}

/* By a crash, or because another process of its server crashed. */
static bool
is_lost_session(const char *sqlstate)
{
	return strncmp(sqlstate, "08", 2) == 0 || strncmp(sqlstate, "57P", 3) == 0;
}

void
note_operation(const Operation *operation)
{
	char		text[64 * (MAX_PARTS + MAX_KEYS)] = "";
	char	   *to = text;

	if (operation->verb > VERB_TXN)
		to += operation->scope < 0 ? sprintf(to, " *") : sprintf(to, " k%d", operation->scope);
	for (int p = 0; p < operation->n_parts; p++)
		to = print_part(to, &operation->parts[p]);
	for (int i = 0; i < operation->n_items; i++)
		to += sprintf(to, " k%d=%d-%d@%" PRId64, operation->items[i].key,
					  operation->items[i].value.client, operation->items[i].value.serial,
					  operation->items[i].version);
	if (operation->digest[0] != '\0')
		to += sprintf(to, " =%s", operation->digest);
	note("%c %d %d %d %" PRId64 " %" PRId64 " %s %s %s %" PRId64 "%s",
		 operation->verb <= VERB_TXN ? 'W' : 'R', operation->client, operation->session,
		 operation->node, operation->begin_us, operation->end_us, verb_names[operation->verb],
		 outcome_names[operation->outcome], operation->sqlstate, operation->index, text);
	pthread_mutex_lock(&file_lock);
	torture.outcomes[operation->verb][operation->outcome]++;
	if (operation->outcome == OUTCOME_UNKNOWN && !is_lost_session(operation->sqlstate))
		torture.doubts[operation->verb]++;
	pthread_mutex_unlock(&file_lock);
}

/* ------------------------------------------------------------------------
 * Who uses which node
 * ------------------------------------------------------------------------
 */

int
next_session(void)
{
	return ++n_sessions;
}

bool
node_enter(int node)
{
	n_users[node]++;
	if (!closed[node])
		return true;
	n_users[node]--;
	return false;
}

void
node_leave(int node)
{
	n_users[node]--;
}

void
node_close(int node)
{
	closed[node] = true;
	while (n_users[node] > 0)
		(void) wait_in_phase(PHASE_OVER, 10);
}

void
node_open(int node)
{
	closed[node] = false;
}

/* ------------------------------------------------------------------------
 * What is there at the end
 * ------------------------------------------------------------------------
 */

static PGresult *
query_end(Client *client, const char *sql, int64_t number)
{
	char		parameter[24];
	const char *params[] = {parameter};
	Answer		answer;

	sprintf(parameter, "%" PRId64, number);
	answer = client_query(client, 60000, sql, strstr(sql, "$1") != NULL ? 1 : 0, params);
	if (answer.ending != ENDED_WELL)
		violation("node %d cannot be read at the end: %s %s", client->node + 1, answer.sqlstate,
				  answer.message);
	return answer.result;
}

/* A column of words, after a head. */
static void
note_column(const char *head, int node, const PGresult *result)
{
	int			n_rows = PQntuples(result);
	char	   *text = allocate(64 * ((size_t) n_rows + 1));
	char	   *to = text;

	for (int row = 0; row < n_rows; row++)
		to += snprintf(to, 64, " %.60s", PQgetvalue(result, row, 0));
	note("%s %d%s", head, node, text);
	free(text);
}

/* Everything in a row, uids and times included, above what all still have. */
static const char digest_sql[] =
	"SELECT (SELECT coalesce(md5(string_agg(r::text, '' ORDER BY name)), 'nothing')"
	" FROM store.resources r) || (SELECT coalesce(md5(string_agg(e::text, ''"
	" ORDER BY resource_version, ordinal)), 'nothing') FROM store.events e"
	" WHERE resource_version > $1::bigint)";
static const char state_sql[] =
	"SELECT name || '=' || (object #>> '{data,v}') || '@' || resource_version"
	" FROM store.resources ORDER BY name";
static const char events_sql[] =
	"SELECT substr(type, 1, 1) || resource_version || '.' ||"
	" row_number() OVER (PARTITION BY resource_version ORDER BY ordinal) - 1"
	" || ':' || name || '=' || (object #>> '{data,v}')"
	" FROM store.events WHERE resource_version > $1::bigint"
	" ORDER BY resource_version, ordinal";

static void
note_node(int node, int64_t floor, int64_t highest_floor)
{
	Client		client = {.name = "end"};
	PGresult   *result;

	if (!client_connect(&client, node))
	{
		violation("node %d cannot be reached at the end", node + 1);
		return;
	}
	result = query_end(&client, digest_sql, highest_floor);
	if (result != NULL)
		note("F %d %" PRId64 " %s", node, floor, PQgetvalue(result, 0, 0));
	PQclear(result);
	result = client.conn != NULL ? query_end(&client, state_sql, 0) : NULL;
	if (result != NULL)
		note_column("S", node, result);
	PQclear(result);
	result = client.conn != NULL ? query_end(&client, events_sql, floor) : NULL;
	if (result != NULL)
		note_column("E", node, result);
	PQclear(result);
	client_close(&client);
}

static void
note_end(void)
{
	int64_t		floors[MAX_NODES];
	int64_t		highest = 0;

	for (int node = 0; node < check.n_nodes; node++)
	{
		/* one more than the floor, which may be 0 */
		floors[node] = ask(node, "SELECT compacted_revision + 1 FROM store.status") - 1;
		if (floors[node] > highest)
			highest = floors[node];
	}
	for (int node = 0; node < check.n_nodes; node++)
		note_node(node, floors[node], highest);
}

/* ------------------------------------------------------------------------
 * The run
 * ------------------------------------------------------------------------
 */

/*
 * Every node takes part again, and has what the others have.  If one does not
 * there is nothing to wait for.
 */
static void
settle(void)
{
	int64_t		final = 0;

	for (int round = 0; round < 2; round++)
	{
		for (int node = 0; node < check.n_nodes; node++)
		{
			Client		client = {.name = "end"};
			int64_t		index = insist(&client, node, DRAIN_LIMIT_MS, "SELECT store.barrier()");

			client_close(&client);
			if (index == 0)
			{
				violation("node %d does not come back", node + 1);
				enter_phase(PHASE_OVER);
				return;
			}
			if (index > final)
				final = index;
		}
	}
	torture.final = final;
}

static int64_t
highest_term(void)
{
	int64_t		highest = 0;

	for (int node = 0; node < check.n_nodes; node++)
	{
		int64_t		term = ask(node, "SELECT term FROM store.status");

		if (term > highest)
			highest = term;
	}
	return highest;
}

static int64_t
run(void)
{
	pthread_t	clients[N_CLIENTS];
	pthread_t	watchers[N_WATCHERS];
	pthread_t	nemeses[N_NEMESES];
	Client		client = {.name = "start"};
	int64_t		first_term;
	int64_t		limit;

	torture.start = insist(&client, 0, DRAIN_LIMIT_MS, "SELECT store.barrier()");
	client_close(&client);
	if (torture.start == 0)
	{
		fprintf(stderr, "the store does not answer\n");
		exit(2);
	}
	first_term = highest_term();
	note("H %" PRIu64 " %d %d %" PRId64, check.seed, N_KEYS, check.n_nodes, torture.start);
	for (int i = 0; i < N_WATCHERS; i++)
	{
		torture.bookmarks[i] = torture.start;
		watchers[i] = start_thread(watcher_main, (void *) (intptr_t) i);
	}
	for (int i = 0; i < N_CLIENTS; i++)
		clients[i] = start_thread(client_main, (void *) (intptr_t) (i + 1));
	for (int i = 0; i < N_NEMESES; i++)
		nemeses[i] = start_thread(nemesis_main, (void *) (intptr_t) i);

	(void) wait_in_phase(PHASE_TROUBLE, check.seconds * 1000);
	enter_phase(PHASE_QUIET);
	/* the network first: others may wait for it */
	for (int i = N_NEMESES - 1; i >= 0; i--)
		pthread_join(nemeses[i], NULL);
	network_heal();
	shim_heal();
	for (int i = 0; i < N_CLIENTS; i++)
		pthread_join(clients[i], NULL);
	settle();
	if (check.phase == PHASE_QUIET)
		enter_phase(PHASE_DRAIN);

	limit = now_ms() + DRAIN_LIMIT_MS;
	for (int i = 0; i < N_WATCHERS; i++)
	{
		while (pthread_tryjoin_np(watchers[i], NULL) != 0)
		{
			if (now_ms() > limit && check.phase != PHASE_OVER)
			{
				if (torture.final != 0)
					violation("watcher %d got to %" PRId64 " of %" PRId64 " and no further", i,
							  (int64_t) torture.bookmarks[i], (int64_t) torture.final);
				enter_phase(PHASE_OVER);
			}
			(void) wait_in_phase(PHASE_OVER, 20);
		}
	}
	note_end();
	return highest_term() - first_term;
}

/*
 * No client gave up, so the only doubt is that of a session which was lost with
 * its server.
 */
static void
judge_patience(void)
{
	for (int verb = 0; verb < N_VERBS; verb++)
		if (torture.doubts[verb] > 0)
			violation("uncertain: %ld of %s", torture.doubts[verb], verb_names[verb]);
}

/* ------------------------------------------------------------------------
 * The summary
 * ------------------------------------------------------------------------
 */

static void
report(int64_t elections)
{
	char		network[300];

	printf("operations:%*s", 1, "");
	for (int outcome = 0; outcome < N_OUTCOMES; outcome++)
		printf("%10s", outcome_names[outcome]);
	printf("\n");
	for (int verb = 0; verb < N_VERBS; verb++)
	{
		printf("  %-10s", verb_names[verb]);
		for (int outcome = 0; outcome < N_OUTCOMES; outcome++)
			printf("%10ld", torture.outcomes[verb][outcome]);
		printf("\n");
	}
	printf("faults:\n");
	for (int i = 0; i < n_faults; i++)
		if (fault_is_wanted(&faults[i]))
			printf("  %-26s %4d\n", faults[i].name, faults[i].count);
	network_stats(network, sizeof(network));
	if (network[0] != '\0')
		printf("network: %s\n", network + 3);
	printf("elections: %" PRId64 "\n", elections);
}

static void
usage(void)
{
	fprintf(stderr, "usage: torture run [-s seed] [-t seconds] [-r operations/s] [-b bindir]"
			" [-c CONTROL] [-p] [-f FAULT,...] -o HISTORY FOLDER=CONNINFO ...\n"
			"       torture judge HISTORY\n");
	exit(2);
}

static void
parse_arguments(int argc, char **argv)
{
	int			option;

	check.seed = (uint64_t) time(NULL);
	while ((option = getopt(argc, argv, "s:t:r:b:c:pf:o:")) != -1)
	{
		switch (option)
		{
			case 's':
				check.seed = strtoull(optarg, NULL, 10);
				break;
			case 't':
				check.seconds = (int) strtol(optarg, NULL, 10);
				break;
			case 'r':
				check.rate = (int) strtol(optarg, NULL, 10);
				break;
			case 'b':
				check.bindir = optarg;
				break;
			case 'c':
				torture.control_path = optarg;
				break;
			case 'p':
				torture.patient = true;
				break;
			case 'f':
				torture.only = optarg;
				break;
			case 'o':
				torture.history_path = optarg;
				break;
			default:
				usage();
		}
	}
	for (; optind < argc; optind++)
		if (!check_add_node(argv[optind]))
			usage();
	if (check.n_nodes == 0 || check.seconds <= 0 || check.rate <= 0 ||
		torture.history_path == NULL)
		usage();
}

static int
judge_file(const char *path)
{
	History    *history = allocate(sizeof(History));
	int			violations;

	history_read(history, path);
	violations = judge(history);
	printf("judged: %d operations, %d events, %d answers to watchers\n", history->n_operations,
		   history->n_events, history->n_streams);
	return violations;
}

int
main(int argc, char **argv)
{
	int64_t		elections;
	int			violations;

	check_init();
	if (argc == 3 && strcmp(argv[1], "judge") == 0)
	{
		violations = judge_file(argv[2]);
		printf("violations: %d\n", violations);
		return violations > 0 ? 1 : 0;
	}
	if (argc < 3 || strcmp(argv[1], "run") != 0)
		usage();
	parse_arguments(argc - 1, argv + 1);
	printf("seed %" PRIu64 ", %d s, %d operations/s, %d nodes\n", check.seed, check.seconds,
		   check.rate, check.n_nodes);
	fflush(stdout);
	file = fopen(torture.history_path, "w");
	if (file == NULL)
	{
		perror(torture.history_path);
		return 2;
	}
	network_open();
	shim_open();
	elections = run();
	if (torture.patient)
		judge_patience();
	fclose(file);
	violations = check.violations + judge_file(torture.history_path);
	report(elections);
	printf("violations: %d\n", violations);
	return violations > 0 ? 1 : 0;
}
