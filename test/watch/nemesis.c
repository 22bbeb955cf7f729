/*-------------------------------------------------------------------------
 *
 * nemesis.c
 *	  Faults: nodes are killed, stopped, restarted; leadership moves.
 *
 * One node at a time is in trouble, so that a majority could always go on; the
 * next fault need not wait until the one before is forgotten.  When the phase
 * of trouble ends, the fault at hand is healed, and all nodes run.
 *
 *-------------------------------------------------------------------------
 */
#include "watch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

#define MAX_PROCESSES	400
#define START_LIMIT_MS	120000

const char *const fault_names[N_FAULTS] = {
	"kill", "kill of the leader", "stop", "restart", "leadership", "crash", "notify worker"
};
int			fault_counts[N_FAULTS];
int			leader_changes;

static int	last_leader = -1;

/* ------------------------------------------------------------------------
 * Processes
 * ------------------------------------------------------------------------
 */

static pid_t
postmaster_pid(int node)
{
	char		path[1024];
	FILE	   *file;
	long		pid = 0;

	snprintf(path, sizeof(path), "%s/postmaster.pid", check.nodes[node].folder);
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld", &pid) != 1)
		pid = 0;
	fclose(file);
	return (pid_t) pid;
}

static pid_t
parent_of(pid_t pid)
{
	char		path[64];
	char		line[512];
	char	   *after_name;
	long		parent = 0;
	FILE	   *file;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long) pid);
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) != NULL && (after_name = strrchr(line, ')')) != NULL)
		(void) sscanf(after_name + 1, " %*c %ld", &parent);
	fclose(file);
	return (pid_t) parent;
}

/*
 * The postmaster comes first, so that it does not see its children stop.
 */
static int
processes_of(pid_t postmaster, pid_t *found)
{
	DIR		   *folder = opendir("/proc");
	struct dirent *entry;
	int			count = 0;

	found[count++] = postmaster;
	while (folder != NULL && (entry = readdir(folder)) != NULL && count < MAX_PROCESSES)
	{
		if (!isdigit((unsigned char) entry->d_name[0]))
			continue;
		pid_t		pid = (pid_t) strtol(entry->d_name, NULL, 10);

		if (parent_of(pid) == postmaster)
			found[count++] = pid;
	}
	if (folder != NULL)
		closedir(folder);
	return count;
}

/*
 * Run pg_ctl and wait for it.  What it says is in the server's log.
 */
static bool
pg_ctl(int node, const char *command)
{
	char		program[1024];
	char		log[1024];
	char	   *const start[] = {program, "-D", check.nodes[node].folder, "-l", log,
	"-m", "fast", "-w", "-s", (char *) command, NULL};
	posix_spawn_file_actions_t actions;
	pid_t		pid;
	int			status = -1;

	snprintf(program, sizeof(program), "%s%spg_ctl", check.bindir ? check.bindir : "",
			 check.bindir ? "/" : "");
	snprintf(log, sizeof(log), "%s/watch_check.log", check.nodes[node].folder);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, program, &actions, NULL, start, environ) == 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	posix_spawn_file_actions_destroy(&actions);
	return status == 0;
}

/*
 * What is left of a killed server may hold its shared memory for a moment.
 */
static void
start_node(int node)
{
	int64_t		limit = now_ms() + START_LIMIT_MS;

	while (!pg_ctl(node, "start"))
	{
		if (now_ms() > limit)
		{
			violation("node %d does not start", node + 1);
			return;
		}
		(void) wait_in_phase(PHASE_OVER, 100);
	}
}

/* ------------------------------------------------------------------------
 * Asking nodes
 * ------------------------------------------------------------------------
 */

/*
 * The number that a query gives on a node, 0 if there is none.
 */
static long
ask(int node, const char *sql)
{
	Client		client = {.name = "nemesis"};
	long		number = 0;

	if (client_connect(&client, node))
	{
		Answer		answer = client_query(&client, 2000, sql, 0, NULL);

		if (answer.ending == ENDED_WELL && PQntuples(answer.result) == 1)
			number = strtol(PQgetvalue(answer.result, 0, 0), NULL, 10);
		PQclear(answer.result);
	}
	client_close(&client);
	return number;
}

static int
find_leader(void)
{
	for (int node = 0; node < check.n_nodes; node++)
	{
		if (ask(node, "SELECT 1 FROM store.status WHERE state = 'leader'") == 0)
			continue;
		if (last_leader >= 0 && last_leader != node)
			leader_changes++;
		last_leader = node;
		return node;
	}
	return -1;
}

static pid_t
worker_pid(int node, const char *type)
{
	char		sql[200];

	snprintf(sql, sizeof(sql),
			 "SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'store %s worker'", type);
	return (pid_t) ask(node, sql);
}

/* ------------------------------------------------------------------------
 * Faults
 * ------------------------------------------------------------------------
 */

/*
 * Is this still the postmaster that runs?  A number from a file may be out of
 * date, and belong to anybody.
 */
static bool
signal_postmaster(int node, int sig)
{
	pid_t		pid = postmaster_pid(node);

	return pid > 1 && ask(node, "SELECT 1") == 1 && kill(pid, sig) == 0;
}

static bool
kill_node(int node, Random *random)
{
	int			away_ms = random_int(random, 100, 3000);

	if (!signal_postmaster(node, SIGKILL))
		return false;
	(void) wait_in_phase(PHASE_TROUBLE, away_ms);
	start_node(node);
	return true;
}

static bool
stop_node(int node, Random *random)
{
	int			away_ms = random_int(random, 300, 5000);
	pid_t		stopped[MAX_PROCESSES];
	pid_t		postmaster = postmaster_pid(node);
	int			count;

	if (postmaster <= 1 || ask(node, "SELECT 1") != 1 || kill(postmaster, SIGSTOP) != 0)
		return false;
	count = processes_of(postmaster, stopped);
	for (int i = 1; i < count; i++)
		(void) kill(stopped[i], SIGSTOP);
	(void) wait_in_phase(PHASE_TROUBLE, away_ms);
	for (int i = count - 1; i >= 0; i--)
		(void) kill(stopped[i], SIGCONT);
	return true;
}

/*
 * A leader whose raft worker does not move for longer than an election timeout
 * is replaced, while its sessions go on.
 */
static bool
move_leadership(Random *random)
{
	int			away_ms = random_int(random, 1500, 4000);
	int			leader = find_leader();
	pid_t		worker;

	if (leader < 0)
		return false;
	if (random_one_in(random, 2) &&
		ask(leader, "SELECT count(*) FROM pg_proc WHERE proname = 'transfer_leadership'"
			" AND pronamespace = 'store'::regnamespace") > 0)
	{
		bool		done = ask(leader, "SELECT 1 FROM store.transfer_leadership()") == 1;

		(void) find_leader();
		return done;
	}
	worker = worker_pid(leader, "raft");
	if (worker <= 1 || kill(worker, SIGSTOP) != 0)
		return false;
	(void) wait_in_phase(PHASE_TROUBLE, away_ms);
	(void) kill(worker, SIGCONT);
	(void) find_leader();
	return true;
}

static bool
crash_node(int node, Random *random)
{
	static const char *const types[] = {"raft", "apply", "notify"};
	pid_t		worker = worker_pid(node, types[random_int(random, 0, 2)]);

	return worker > 1 && kill(worker, SIGKILL) == 0;
}

static bool
end_notify_worker(int node)
{
	pid_t		worker = worker_pid(node, "notify");

	return worker > 1 && kill(worker, SIGTERM) == 0;
}

static bool
do_fault(Fault fault, int node, Random *random)
{
	switch (fault)
	{
		case FAULT_KILL:
			return kill_node(node, random);
		case FAULT_KILL_LEADER:
			node = find_leader();
			return node >= 0 && kill_node(node, random);
		case FAULT_STOP:
			return stop_node(node, random);
		case FAULT_RESTART:
			if (!pg_ctl(node, "restart"))
				start_node(node);
			return true;
		case FAULT_LEADERSHIP:
			return move_leadership(random);
		case FAULT_CRASH:
			return crash_node(node, random);
		default:
			return end_notify_worker(node);
	}
}

void *
nemesis_main(void *unused)
{
	Random		random;

	(void) unused;
	random_seed(&random, check.seed, 1);
	(void) find_leader();

	/* in a short run, too, every kind of fault comes once before any comes again */
	for (int turn = random_int(&random, 0, N_FAULTS - 1);; turn++)
	{
		Fault		fault = turn % (2 * N_FAULTS) < N_FAULTS ?
			(Fault) (turn % N_FAULTS) : (Fault) random_int(&random, 0, N_FAULTS - 1);
		int			node = random_int(&random, 0, check.n_nodes - 1);

		if (!wait_in_phase(PHASE_TROUBLE, random_int(&random, 200, 2500)))
			break;
		if (do_fault(fault, node, &random))
			fault_counts[fault]++;
	}
	(void) find_leader();
	return NULL;
}
