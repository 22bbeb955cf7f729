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

#include <signal.h>

const char *const fault_names[N_FAULTS] = {
	"kill", "kill of the leader", "stop", "restart", "leadership", "crash", "notify worker"
};
int			fault_counts[N_FAULTS];

/* ------------------------------------------------------------------------
 * Faults
 * ------------------------------------------------------------------------
 */

static bool
kill_node(int node, Random *random)
{
	int			away_ms = random_int(random, 100, 3000);
	pid_t		postmaster = server_running_pid(node);

	if (postmaster == 0 || kill(postmaster, SIGKILL) != 0)
		return false;
	(void) wait_in_phase(PHASE_TROUBLE, away_ms);
	server_start(node);
	return true;
}

static bool
stop_node(int node, Random *random)
{
	int			away_ms = random_int(random, 300, 5000);
	pid_t		stopped[MAX_PROCESSES];
	pid_t		postmaster = server_running_pid(node);
	int			count;

	if (postmaster == 0 || kill(postmaster, SIGSTOP) != 0)
		return false;
	count = server_processes(postmaster, stopped);
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
			if (!server_control(node, "restart", "fast"))
				server_start(node);
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
