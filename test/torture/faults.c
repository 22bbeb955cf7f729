/*-------------------------------------------------------------------------
 *
 * faults.c
 *	  Faults of processes, members, disks and clocks.
 *
 *-------------------------------------------------------------------------
 */
#include "torture.h"
#include "shim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REPLACE_LIMIT_MS	150000
#define HOLD_ALL_LIMIT_MS	10000

static pthread_mutex_t held[MAX_NODES] = {
	PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
	PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
	PTHREAD_MUTEX_INITIALIZER
};
static ShimOrders *orders[MAX_NODES];

bool
node_hold(int node)
{
	return pthread_mutex_trylock(&held[node]) == 0;
}

void
node_release(int node)
{
	pthread_mutex_unlock(&held[node]);
}

/* ------------------------------------------------------------------------
 * Postmasters
 * ------------------------------------------------------------------------
 */

/* The postmaster, and with it those of its processes that watch for that. */
static bool
kill_postmaster(int node)
{
	pid_t		postmaster = server_running_pid(node);

	return postmaster != 0 && kill(postmaster, SIGKILL) == 0;
}

/* All processes, before any can write what it has not written. */
static bool
kill_processes(int node)
{
	pid_t		found[MAX_PROCESSES];
	pid_t		postmaster = server_running_pid(node);
	int			count;

	if (postmaster == 0)
		return false;
	count = server_processes(postmaster, found);
	for (int i = 0; i < count; i++)
		(void) kill(found[i], SIGKILL);
	return true;
}

bool
fault_kill(int node, Random *random)
{
	int			away_ms = random_int(random, 100, 3000);
	bool		done = false;

	if (!node_hold(node))
		return false;
	if (kill_postmaster(node))
	{
		(void) wait_in_phase(PHASE_TROUBLE, away_ms);
		server_start(node);
		done = true;
	}
	node_release(node);
	return done;
}

bool
fault_kill_leader(int node, Random *random)
{
	node = find_leader();
	return node >= 0 && fault_kill(node, random);
}

/*
 * All nodes or none.  One may be in the hands of another nemesis for a while; as
 * nobody else wants more than one, there is no deadlock.
 */
static int
hold_all(void)
{
	int64_t		limit = now_ms() + HOLD_ALL_LIMIT_MS;
	int			n = 0;

	while (n < check.n_nodes)
	{
		if (node_hold(n))
			n++;
		else if (now_ms() > limit || !wait_in_phase(PHASE_TROUBLE, 20))
			break;
	}
	if (n == check.n_nodes)
		return n;
	while (n-- > 0)
		node_release(n);
	return 0;
}

bool
fault_kill_all(int node, Random *random)
{
	int			away_ms = random_int(random, 0, 1000);
	int			n = hold_all();
	bool		killed[MAX_NODES] = {false};

	(void) node;
	for (int i = 0; i < n; i++)
		killed[i] = kill_processes(i);
	if (n > 0)
		(void) wait_in_phase(PHASE_TROUBLE, away_ms);
	for (int i = 0; i < n; i++)
	{
		if (killed[i])
			server_start(i);
		node_release(i);
	}
	return n > 0;
}

static int
stop_processes(int node, pid_t *stopped)
{
	pid_t		postmaster = server_running_pid(node);
	int			count;

	if (postmaster == 0 || kill(postmaster, SIGSTOP) != 0)
		return 0;
	count = server_processes(postmaster, stopped);
	for (int i = 1; i < count; i++)
		(void) kill(stopped[i], SIGSTOP);
	return count;
}

static void
continue_processes(const pid_t *stopped, int count)
{
	for (int i = count - 1; i >= 0; i--)
		(void) kill(stopped[i], SIGCONT);
}

bool
fault_stop(int node, Random *random)
{
	int			away_ms = random_int(random, 300, 5000);
	pid_t		stopped[MAX_PROCESSES];
	int			count;

	if (!node_hold(node))
		return false;
	count = stop_processes(node, stopped);
	if (count > 0)
		(void) wait_in_phase(PHASE_TROUBLE, away_ms);
	continue_processes(stopped, count);
	node_release(node);
	return count > 0;
}

bool
fault_stop_all(int node, Random *random)
{
	static pid_t stopped[MAX_NODES][MAX_PROCESSES];
	int			away_ms = random_int(random, 300, 4000);
	int			counts[MAX_NODES] = {0};
	int			n = hold_all();

	(void) node;
	for (int i = 0; i < n; i++)
		counts[i] = stop_processes(i, stopped[i]);
	if (n > 0)
		(void) wait_in_phase(PHASE_TROUBLE, away_ms);
	for (int i = 0; i < n; i++)
	{
		continue_processes(stopped[i], counts[i]);
		node_release(i);
	}
	return n > 0;
}

bool
fault_restart(int node, Random *random)
{
	const char *mode = random_one_in(random, 2) ? "fast" : "immediate";

	if (!node_hold(node))
		return false;
	/*
	 * PostgreSQL 15 waits for its checkpointer for ever if it is to shut down
	 * while it recovers from the crash of a process.
	 */
	if (!server_control(node, "restart", mode))
	{
		(void) server_control(node, "stop", "immediate");
		server_start(node);
	}
	node_release(node);
	return true;
}

/* ------------------------------------------------------------------------
 * Workers
 * ------------------------------------------------------------------------
 */

static bool
signal_worker(int node, const char *type, int sig)
{
	pid_t		worker = worker_pid(node, type);

	return worker > 1 && kill(worker, sig) == 0;
}

/* The one that leads half of the time: that is where it hurts. */
static bool
stop_worker(int node, const char *type, Random *random)
{
	int			away_ms = random_int(random, 500, 4000);
	int			leader = random_one_in(random, 2) ? find_leader() : -1;
	pid_t		worker = worker_pid(leader >= 0 ? leader : node, type);

	if (worker <= 1 || kill(worker, SIGSTOP) != 0)
		return false;
	(void) wait_in_phase(PHASE_TROUBLE, away_ms);
	(void) kill(worker, SIGCONT);
	return true;
}

bool
fault_stop_raft(int node, Random *random)
{
	return stop_worker(node, "raft", random);
}

bool
fault_stop_apply(int node, Random *random)
{
	return stop_worker(node, "apply", random);
}

bool
fault_crash_raft(int node, Random *random)
{
	(void) random;
	return signal_worker(node, "raft", SIGKILL);
}

bool
fault_crash_apply(int node, Random *random)
{
	(void) random;
	return signal_worker(node, "apply", SIGKILL);
}

/*
 * As an error would.  Half of the time it is held up before, so that much waits
 * for it when it ends.
 */
static bool
end_worker(int node, const char *type, Random *random)
{
	pid_t		worker = worker_pid(node, type);
	bool		ended;

	if (worker <= 1)
		return false;
	if (random_one_in(random, 2) && kill(worker, SIGSTOP) == 0)
		(void) wait_in_phase(PHASE_TROUBLE, random_int(random, 50, 500));
	ended = kill(worker, SIGTERM) == 0;
	(void) kill(worker, SIGCONT);
	return ended;
}

bool
fault_end_raft(int node, Random *random)
{
	return end_worker(node, "raft", random);
}

bool
fault_end_apply(int node, Random *random)
{
	return end_worker(node, "apply", random);
}

/* ------------------------------------------------------------------------
 * Members
 * ------------------------------------------------------------------------
 */

bool
fault_transfer(int node, Random *random)
{
	int			leader = find_leader();

	(void) random;
	(void) node;
	return leader >= 0 && ask(leader, "SELECT 1 FROM store.transfer_leadership()") == 1;
}

/* Say a statement to a node, patiently; the answer is a number, 0 for none. */
static int64_t
tell(int node, const char *sql)
{
	Client		client = {.name = "nemesis"};
	int64_t		number = client_ask(&client, node, 60000, sql);

	client_close(&client);
	return number;
}

/*
 * Take a member out, make its store anew, and let it join.  What was begun is
 * gone through with, or else clients would meet half a node.
 */
static bool
replace(int node, const char *name, int helper, const char *address)
{
	int64_t		limit = now_ms() + REPLACE_LIMIT_MS;
	char		remove_sql[200];
	char		join_sql[400];
	bool		removed = false;
	bool		dropped = false;

	snprintf(remove_sql, sizeof(remove_sql),
			 "SELECT 1 FROM (SELECT store.remove_member('%s')) r", name);
	snprintf(join_sql, sizeof(join_sql),
			 "SELECT 1 FROM (SELECT set_config('store.request_timeout', '40s', false)) s,"
			 " LATERAL (SELECT store.join('%s')) j", address);
	while (now_ms() < limit)
	{
		(void) wait_in_phase(PHASE_OVER, 200);
		if (!removed)
			removed = tell(helper, remove_sql) == 1;
		else if (!dropped)
		{
			(void) tell(node, "DROP EXTENSION store");
			dropped = tell(node, "SELECT 1 + count(*) FROM pg_extension"
						   " WHERE extname = 'store'") == 1;
		}
		else if (tell(node, "SELECT count(*) FROM pg_extension WHERE extname = 'store'") == 0)
			(void) tell(node, "CREATE EXTENSION store");
		else if (tell(node, join_sql) == 1 ||
				 tell(node, "SELECT count(*) FROM store.members m, store.status s"
					  " WHERE m.name = s.name AND m.role = 'voter'"
					  " AND 1 < (SELECT count(*) FROM store.members)") == 1)
			return true;
	}
	violation("%s could not be replaced: %s", name, !removed ? "it is not removed" :
			  !dropped ? "its extension is not dropped" : "it does not join");
	return false;
}

static void
ask_text(int node, const char *sql, char *text, size_t size)
{
	Client		client = {.name = "nemesis"};
	Answer		answer = {.ending = ENDED_LOST};

	text[0] = '\0';
	if (client_connect(&client, node))
		answer = client_query(&client, 2000, sql, 0, NULL);
	if (answer.ending == ENDED_WELL && PQntuples(answer.result) == 1)
		snprintf(text, size, "%s", PQgetvalue(answer.result, 0, 0));
	PQclear(answer.result);
	client_close(&client);
}

bool
fault_replace(int node, Random *random)
{
	int			helper = (node + random_int(random, 1, check.n_nodes - 1)) % check.n_nodes;
	char		name[64];
	char		address[256];
	bool		done = false;

	if (check.n_nodes < 3 || !node_hold(node))
		return false;
	ask_text(node, "SELECT name FROM store.status", name, sizeof(name));
	ask_text(helper, "SELECT m.conninfo FROM store.members m, store.status s"
			 " WHERE m.name = s.name", address, sizeof(address));
	if (name[0] != '\0' && address[0] != '\0')
	{
		node_close(node);
		/* no session may outlive what its node was */
		(void) tell(node, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
					" WHERE application_name ~ '^(client|watcher)'");
		done = replace(node, name, helper, address);
		node_open(node);
	}
	node_release(node);
	return done;
}

/* ------------------------------------------------------------------------
 * Disks and clocks
 * ------------------------------------------------------------------------
 */

void
shim_open(void)
{
	for (int node = 0; node < check.n_nodes; node++)
	{
		char		path[1200];
		int			fd;
		void	   *map;

		snprintf(path, sizeof(path), "%s/" SHIM_FILE, check.nodes[node].folder);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return;
		map = mmap(NULL, sizeof(ShimOrders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
		if (map == MAP_FAILED)
			return;
		orders[node] = map;
	}
	torture.has_shim = true;
}

void
shim_heal(void)
{
	for (int node = 0; node < check.n_nodes; node++)
		if (orders[node] != NULL)
			*orders[node] = (ShimOrders) {0};
}

bool
fault_slow_disk(int node, Random *random)
{
	int			leader = random_one_in(random, 2) ? find_leader() : -1;

	if (leader >= 0)
		node = leader;
	orders[node]->sync_delay_ms = random_int(random, 10, 700);
	(void) wait_in_phase(PHASE_TROUBLE, random_int(random, 500, 6000));
	orders[node]->sync_delay_ms = 0;
	return true;
}

/*
 * A server whose WAL cannot be written or flushed panics, and may not come
 * up again by itself while its disk is like that.
 */
static bool
spoil_disk(int node, volatile int32_t *order, Random *random)
{
	int			away_ms = random_int(random, 200, 4000);

	if (!node_hold(node))
		return false;
	*order = 1;
	(void) wait_in_phase(PHASE_TROUBLE, away_ms);
	*order = 0;
	if (ask(node, "SELECT 1") != 1)
		server_start(node);
	node_release(node);
	return true;
}

bool
fault_broken_disk(int node, Random *random)
{
	return spoil_disk(node, &orders[node]->sync_fails, random);
}

bool
fault_full_disk(int node, Random *random)
{
	return spoil_disk(node, &orders[node]->disk_is_full, random);
}

bool
fault_clock(int node, Random *random)
{
	static const int seconds[] = {1, 10, 120, 3600, 86400, 31536000};
	int64_t		step = seconds[random_int(random, 0, 5)];

	orders[node]->clock_step_us = (random_one_in(random, 2) ? step : -step) * 1000000;
	(void) wait_in_phase(PHASE_TROUBLE, random_int(random, 500, 8000));
	orders[node]->clock_step_us = 0;
	return true;
}
