/*-------------------------------------------------------------------------
 *
 * sim.c
 *	  raft_sim: a deterministic simulator of a cluster.
 *
 *		raft_sim [-v [STEP]] SEED		one seed; -v: its trace, from STEP on
 *		raft_sim [-k] [-j JOBS] FIRST COUNT
 *										many seeds; -k: go on after a failure
 *		raft_sim -s SKEW ...			leases, and clocks that are wrong by up to
 *										SKEW/1024, more than a lease can bear
 *
 * Every choice comes from the seed, the options of the run too, so that each
 * seed is a world of its own: one with a perfect network and a bad disk, one
 * that only ever loses acknowledgements, one in which operators go wild.  A
 * failure names the seed, the step, and what was violated; running the seed
 * again comes to the same step.  The exit code is the class of the failure,
 * see enum sim_class.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE

#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

struct sim sim;

static const char *const class_names[] = {"passed", "usage", "SAFETY", "LIVENESS", "BROKEN",
"CONTRACT", "HARNESS"};

/* The error of clocks that leases allow for, in 1/1024; see lease.c. */
#define LEASE_SKEW	128

/* Of all seeds, if not 0. */
static uint32_t forced_skew;

/* Often nothing, else up to "most". */
static uint32_t
draw(uint32_t most)
{
	return random_chance(400) ? 0 : (uint32_t) random_between(1, most);
}

static void
draw_options(struct sim_options *o)
{
	uint64_t	timeout_us;
	uint32_t	i;

	memset(o, 0, sizeof(*o));
	o->n_nodes = (uint32_t) random_between(1, 7);
	if (o->n_nodes < 3 && random_chance(600))
		o->n_nodes = (uint32_t) random_between(3, 5);
	if (random_chance(20))
		o->n_nodes = (uint32_t) random_between(8, 20);
	o->n_founders = random_chance(300) ? 1 : o->n_nodes;
	o->raft.election_timeout_ms = (uint32_t) random_between(30, 500);
	o->raft.heartbeat_interval_ms =
		(uint32_t) random_between(1 + o->raft.election_timeout_ms / 12,
								  o->raft.election_timeout_ms / 3);
	timeout_us = (uint64_t) o->raft.election_timeout_ms * 1000;
	o->safety_steps = UINT64_C(500) << random_below(6);

	o->loss = draw(random_chance(100) ? 400 : 80);
	o->duplication = draw(150);
	o->split = draw(1024);
	o->straggler = draw(random_chance(200) ? 400 : 60);
	o->fifo = random_chance(512);
	o->delay_min_us = random_below(timeout_us / 100);
	o->delay_max_us = o->delay_min_us + random_below(timeout_us / (random_chance(200) ? 2 : 15));
	o->flush_min_us = random_below(timeout_us / 100);
	o->flush_max_us = o->flush_min_us + random_below(timeout_us / (random_chance(200) ? 2 : 15));
	o->apply_max_us = random_below(timeout_us / 2);
	o->gather_max_us = random_below(timeout_us / 20);
	o->skew = draw(random_chance(200) ? 700 : 150);
	o->raft.leader_lease = random_chance(512);
	/* Most leases meet clocks that are as wrong as they may be. */
	if (o->raft.leader_lease && (o->skew > LEASE_SKEW || random_chance(800)))
		o->skew = LEASE_SKEW;
	if (forced_skew != 0)
	{
		o->raft.leader_lease = true;
		o->skew = forced_skew;
	}
	o->torn = random_chance(512);
	o->send_at_once = random_chance(512);
	o->late_durable = draw(800);
	o->crash_in_flush = draw(30);
	o->noise = random_chance(150) ? 20 : 0;

	o->client_gap_us = timeout_us / random_between(1, 20);
	o->reads = (uint32_t) random_between(0, 800);
	o->burst = random_chance(60) ? 30 : 0;
	o->operator_gap_us = timeout_us * random_between(1, random_chance(512) ? 4 : 100);
	o->restart_gap_us = timeout_us / (random_chance(512) ? 1 : random_between(2, 40));
	o->fault_gap_us = timeout_us * random_between(1, 10) / 3;
	for (i = 0; i < N_FAULTS; i++)
		o->weights[i] = draw(10);
	if (o->weights[FAULT_CRASH_ALL] > 2)
		o->weights[FAULT_CRASH_ALL] = 2;
	o->compact_after = random_chance(600) ? (uint32_t) random_between(1, 30) : 0;
	o->keep_needed = random_chance(512);
}

/* Forget the last run, but not its memory, and found a cluster. */
static void
start_run(uint64_t seed)
{
	struct raft_config config = {0};
	uint32_t	i;

	for (i = 0; i < MAX_NODES; i++)
		node_free_memory(&sim.nodes[i]);
	if (sim.registry == NULL)
	{
		sim.registry = calloc(MAX_INDEX, sizeof(uint32_t));
		sim.committed = calloc(MAX_INDEX, sizeof(struct committed));
		sim.configs = calloc(MAX_CONFIGS, sizeof(struct raft_config));
	}
	registry_reset();
	memset(sim.leader_of, 0, sizeof(sim.leader_of));
	memset(sim.voted_for, 0, sizeof(sim.voted_for));
	sim.seed = seed;
	sim.now_us = 1;
	sim.step = sim.seq = 0;
	sim.n_heap = sim.n_nodes = sim.n_packets = sim.n_items = sim.n_configs = 0;
	sim.free_packet = sim.free_item = UINT32_MAX;
	memset(sim.fifo_at, 0, sizeof(sim.fifo_at));
	net_heal();
	sim.n_committed = 0;
	sim.committed_config = 0;
	sim.committed_config_index = 0;
	sim.highest_acked = sim.highest_term = sim.n_commands = 0;
	sim.liveness = sim.done = false;
	sim.live_configs = 0;
	sim.quiet = false;
	sim.outcast = sim.heir = sim.mute_heir = sim.amnesiac = 0;
	sim.loss_noticed = false;
	sim.failure = SIM_PASSED;
	sim.failure_text[0] = '\0';

	random_start(seed);
	draw_options(&sim.options);
	sim.stats.seeds++;

	/* Configuration 0 is that of the founders, 1 that of everybody else. */
	config.n_members = sim.options.n_founders;
	for (i = 0; i < config.n_members; i++)
	{
		config.members[i].id = i + 1;
		config.members[i].role = RAFT_VOTER;
	}
	config_add(&config);
	config.n_members = 0;
	config_add(&config);
	for (i = 0; i < sim.options.n_founders; i++)
		node_start(node_new(0));
	load_start();
}

static void
handle(const struct event *event)
{
	struct node *node = &sim.nodes[event->slot];
	bool		of_node = event->kind >= EV_TURN && event->kind <= EV_RESTART;

	if (of_node && event->arg != node->life)
		return;					/* meant for an earlier life */
	if (of_node && event->kind != EV_RESTART && node->paused_until > sim.now_us)
	{
		event_push(node->paused_until, event->kind, event->slot, event->arg);
		return;
	}
	switch (event->kind)
	{
		case EV_DELIVER:
			net_deliver((uint32_t) event->arg);
			break;
		case EV_TURN:
			node_turn(node);
			break;
		case EV_WAKE:
			node_wake(node);
			break;
		case EV_FLUSHED:
			node_flushed(node);
			break;
		case EV_APPLY:
			disk_apply(node);
			break;
		case EV_COPIED:
			inbox_add(node, ITEM_SNAPSHOT);
			break;
		case EV_RESTART:
			if (sim.liveness)
				break;
			if (node->up)
				node_crash(node);
			node_start(node);
			break;
		case EV_CLIENT:
			load_client();
			break;
		case EV_OPERATOR:
			if (!sim.liveness)
				load_operator();
			break;
		case EV_FAULT:
			if (!sim.liveness)
				load_fault();
			break;
		case EV_HEAL:
			if (!sim.liveness && event->arg == sim.cut_number)
				net_heal();
			break;
		case EV_DEAFEN:
			if (!sim.liveness)
				load_deafen(event->slot, event->arg != 0);
			break;
		case EV_EXAMINE:
			live_examine();
			break;
	}
}

static void
run_phases(uint64_t seed)
{
	struct event event;
	uint64_t	still = 0;
	uint64_t	latest;

	start_run(seed);
	latest = UINT64_C(1000000) * sim.options.raft.election_timeout_ms;
	while (!sim.done)
	{
		if (!event_pop(&event))
			fail(SIM_HARNESS, "nothing is left to happen");
		still = event.at == sim.now_us ? still + 1 : 0;
		if (still > 1000000)
			fail(SIM_LIVENESS, "time stands still");
		sim.now_us = event.at;
		handle(&event);
		if (!sim.liveness && (sim.step >= sim.options.safety_steps || sim.now_us > latest))
			live_start();
		if (sim.step > sim.options.safety_steps + 2000000)
			fail(SIM_LIVENESS, "no end after %llu steps", (unsigned long long) sim.step);
	}
}

/* One seed, from its beginning to its end or failure. */
static enum sim_class
run(uint64_t seed)
{
	if (setjmp(sim.failed) != 0)
		return sim.failure;
	run_phases(seed);
	return SIM_PASSED;
}

static void
report_failure(uint64_t seed)
{
	printf("seed %llu FAILED at step %llu: %s: %s\n", (unsigned long long) seed,
		   (unsigned long long) sim.step, class_names[sim.failure], sim.failure_text);
	fflush(stdout);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
report_stats(const struct sim_stats *s, double took)
{
	static const char *const names[] = {"crashes", "power cuts", "pauses", "slow disks",
	"disk failures", "partitions", "one-way cuts", "bridges", "coups", "exiles"};
	int			i;

#define LLU(x) ((unsigned long long) (x))
	printf("%llu seeds, %llu events, %.0f events/s, %llu entries, %llu elections\n",
		   LLU(s->seeds), LLU(s->events), took > 0 ? (double) s->events / took : 0.0,
		   LLU(s->entries), LLU(s->elections));
	printf("faults:");
	for (i = 0; i < N_FAULTS; i++)
		printf(" %llu %s,", LLU(s->faults[i]), names[i]);
	printf(" %llu torn writes, %llu packets lost, %llu doubled\n", LLU(s->torn), LLU(s->lost),
		   LLU(s->duplicated));
	printf("work: %llu proposals (%llu refused), %llu reads (%llu refused), "
		   "%llu under a lease, %llu configurations, "
		   "%llu transfers, %llu snapshots, %llu compactions\n", LLU(s->proposals),
		   LLU(s->refused), LLU(s->reads), LLU(s->reads_refused),
		   LLU(s->reads_leased), LLU(s->config_changes),
		   LLU(s->transfers), LLU(s->snapshots), LLU(s->compactions));
	printf("longest stage of the liveness phase: %llu election timeouts\n",
		   LLU(s->worst_recovery));
	printf("violations:");
	for (i = SIM_SAFETY; i <= SIM_HARNESS; i++)
		printf(" %llu %s%s", LLU(s->failed_class[i]), class_names[i],
			   i < SIM_HARNESS ? "," : "\n");
	printf("%llu passed, %llu failed\n", LLU(s->seeds - s->failed), LLU(s->failed));
}

/* When to begin no further seed, by seconds(); 0: run them all. */
static double stop_at;

static enum sim_class
run_many(uint64_t first, uint64_t count, uint64_t stride, bool keep_going,
		 volatile uint64_t *current)
{
	enum sim_class worst = SIM_PASSED;
	uint64_t	i;

	for (i = 0; i < count && (stop_at <= 0 || seconds() < stop_at); i += stride)
	{
		enum sim_class class;

		*current = first + i;
		class = run(first + i);
		if (class == SIM_PASSED)
			continue;
		sim.stats.failed++;
		sim.stats.failed_class[class]++;
		report_failure(first + i);
		worst = class;
		if (!keep_going)
			break;
	}
	return worst;
}

/* One of several processes; shared with the one that started it. */
struct job
{
	pid_t		process;
	uint64_t	seed;			/* the one under way */
	struct sim_stats stats;		/* when it is done */
};

static void
add_stats(struct sim_stats *total, const struct sim_stats *more)
{
	uint64_t	worst = total->worst_recovery > more->worst_recovery ?
		total->worst_recovery : more->worst_recovery;
	size_t		i;

	for (i = 0; i < sizeof(struct sim_stats) / sizeof(uint64_t); i++)
		((uint64_t *) total)[i] += ((const uint64_t *) more)[i];
	total->worst_recovery = worst;
}

/* The same in several processes; their statistics meet in shared memory. */
static enum sim_class
run_parallel(uint64_t first, uint64_t count, uint32_t jobs, bool keep_going,
			 struct sim_stats *total)
{
	enum sim_class worst = SIM_PASSED;
	struct job *all = mmap(NULL, jobs * sizeof(struct job), PROT_READ | PROT_WRITE,
						   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t	n;

	for (n = 0; n < jobs; n++)
	{
		all[n].process = fork();
		if (all[n].process == 0)
		{
			enum sim_class class = count > n ?
				run_many(first + n, count - n, jobs, keep_going, &all[n].seed) : SIM_PASSED;

			all[n].stats = sim.stats;
			exit((int) class);
		}
	}
	for (n = 0; n < jobs; n++)
	{
		int			status;

		waitpid(all[n].process, &status, 0);
		if (WIFEXITED(status))
		{
			if (WEXITSTATUS(status) != 0)
				worst = (enum sim_class) WEXITSTATUS(status);
			add_stats(total, &all[n].stats);
			continue;
		}
		printf("seed %llu FAILED: HARNESS: died of signal %d\n", (unsigned long long) all[n].seed,
			   WTERMSIG(status));
		total->seeds++;
		total->failed++;
		total->failed_class[SIM_HARNESS]++;
		worst = SIM_HARNESS;
	}
	return worst;
}

static int
usage(void)
{
	fprintf(stderr, "usage: raft_sim [-v [STEP]] SEED\n"
			"       raft_sim [-k] [-j JOBS] [-t SECONDS] FIRST COUNT\n"
			"       -s SKEW: with leases, and clocks wrong by up to SKEW/1024\n");
	return SIM_USAGE;
}

static int
run_one(uint64_t seed)
{
	enum sim_class class;

	printf("seed %llu\n", (unsigned long long) seed);
	fflush(stdout);
	class = run(seed);
	if (class == SIM_PASSED)
		printf("seed %llu passed after %llu steps\n", (unsigned long long) seed,
			   (unsigned long long) sim.step);
	else
		report_failure(seed);
	return (int) class;
}

int
main(int argc, char **argv)
{
	uint64_t	numbers[3];
	uint32_t	n = 0;
	uint32_t	jobs = 1;
	bool		keep_going = false;
	struct sim_stats total = {0};
	double		began = seconds();
	enum sim_class class;
	int			i;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], "-v") == 0)
			sim.trace = true;
		else if (strcmp(argv[i], "-k") == 0)
			keep_going = true;
		else if (strcmp(argv[i], "-j") == 0 && i + 1 < argc)
			jobs = (uint32_t) strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "-t") == 0 && i + 1 < argc)
			stop_at = began + strtod(argv[++i], NULL);
		else if (strcmp(argv[i], "-s") == 0 && i + 1 < argc)
			forced_skew = (uint32_t) strtoul(argv[++i], NULL, 10);
		else if (argv[i][0] == '-' || n == 2)
			return usage();
		else
			numbers[n++] = strtoull(argv[i], NULL, 10);
	}
	if (n == 2 && sim.trace)
	{
		sim.trace_from = numbers[0];
		numbers[0] = numbers[1];
		n = 1;
	}
	if (n == 1)
		return run_one(numbers[0]);
	if (n == 0 || jobs == 0)
		return usage();

	printf("seeds %llu..%llu\n", (unsigned long long) numbers[0],
		   (unsigned long long) (numbers[0] + numbers[1] - 1));
	fflush(stdout);
	class = run_parallel(numbers[0], numbers[1], jobs, keep_going, &total);
	report_stats(&total, seconds() - began);
	return (int) class;
}
