/*-------------------------------------------------------------------------
 *
 * sim_live.c
 *	  The liveness phase: what a healed majority owes.
 *
 * Misfortune ends for a set of members that holds a majority of every
 * configuration that may be in force.  The others stay away, or are half
 * connected and a nuisance.  Then, each in bounded time:
 *
 *	1. every healed member gets a write of its own acknowledged and a read
 *	   answered, which takes a leader, commit, and apply on that member;
 *	2. peace: the same leader in the same term for a while, whatever the
 *	   nuisances send, and although a voter does not hear that leader, comes
 *	   back, and has nothing to catch up with;
 *	3. a guest joins as a learner, catches up, is promoted, and is removed;
 *	4. leadership moves on request, or the order comes to nothing because the
 *	   heir cannot speak, and everybody gets on as in 1;
 *	5. silence, in which everybody learns of all that was committed;
 *	6. a member comes back with an older disk: the leader says so, counts it
 *	   for nothing, and gives it everything once more.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

/* In election timeouts; a run that takes longer has failed. */
#define PATIENCE		30
#define PEACE			12

enum stage
{
	STAGE_RECOVER,
	STAGE_SETTLE,
	STAGE_PEACE,
	STAGE_RETURN,
	STAGE_JOIN,
	STAGE_PROMOTE,
	STAGE_LEAVE,
	STAGE_TRANSFER,
	STAGE_AGAIN,
	STAGE_SILENCE,
	STAGE_AMNESIA
};

static const char *const stage_names[] = {"recovery", "settling", "peace", "return", "joining",
"promotion", "leaving", "transfer", "work after the transfer", "silence",
"amnesia"};

static uint64_t
election_us(void)
{
	return (uint64_t) sim.options.raft.election_timeout_ms * 1000;
}

/*
 * Do healed voters suffice for this configuration?  Whoever becomes a voter by
 * it does not count unless that is certain: it may hold a later entry than the
 * proposer, and by its own log not be one to stand (see membership.c).
 */
static bool
majority_healed(const struct raft_config *config)
{
	const struct raft_config *certain = &sim.configs[sim.committed_config];
	uint32_t	n = 0;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		const struct raft_member *member = &config->members[i];
		int			at = config_find(certain, member->id);

		n += member->role == RAFT_VOTER && sim.nodes[member->id - 1].healed &&
			at >= 0 && certain->members[at].role == RAFT_VOTER;
	}
	return 2 * n > config_voters(config);
}

/* Could this cluster make progress, whichever configuration prevails? */
static bool
enough_healed(void)
{
	uint32_t	i;
	uint32_t	c;

	if (!majority_healed(&sim.configs[sim.committed_config]))
		return false;
	for (i = 0; i < sim.n_nodes; i++)
	{
		const struct log *logs[2] = {&sim.nodes[i].disk, &sim.nodes[i].log};
		int			l;

		for (l = 0; l < 2; l++)
			for (c = 0; c < logs[l]->n_configs; c++)
				if (logs[l]->configs[c].index > sim.committed_config_index &&
					!majority_healed(&sim.configs[logs[l]->configs[c].config]))
					return false;
	}
	return true;
}

/* Who is left out: switched off, or connected in one direction only. */
static void
leave_out(struct node *node)
{
	uint32_t	i;
	uint64_t	how = random_below(4);

	for (i = 0; i < MAX_NODES; i++)
	{
		if (i == node->slot)
			continue;
		if (how != 1)
			sim.cut[i][node->slot] = true;	/* deaf */
		if (how != 2)
			sim.cut[node->slot][i] = true;	/* not heard */
	}
	if (how == 0 && node->up)
		node_crash(node);
}

/*
 * Clocks go nearly right from here: with one at half the speed of another the
 * timeouts mean nothing.
 */
static void
set_clock(struct node *node)
{
	uint64_t	now_ms = node_clock(node);
	uint64_t	skew = sim.options.skew < 100 ? sim.options.skew : 100;

	node->rate = random_between(1024 - skew, 1024 + skew);
	node->offset_ms = 0;
	node->offset_ms = now_ms - node_clock(node);	/* may wrap; so does the sum */
}

void
live_start(void)
{
	uint32_t	i;
	uint32_t	tries;

	trace("---- liveness phase");
	sim.liveness = true;
	sim.live_configs = sim.n_configs;
	sim.options.loss = sim.options.duplication = sim.options.straggler = 0;
	sim.options.crash_in_flush = 0;
	sim.options.keep_needed = true;
	if (sim.options.delay_max_us > election_us() / 40)
		sim.options.delay_max_us = election_us() / 40;
	if (sim.options.delay_min_us > sim.options.delay_max_us)
		sim.options.delay_min_us = sim.options.delay_max_us;
	if (sim.options.flush_max_us > election_us() / 40)
		sim.options.flush_max_us = election_us() / 40;
	if (sim.options.flush_min_us > sim.options.flush_max_us)
		sim.options.flush_min_us = sim.options.flush_max_us;
	net_heal();
	for (i = 0; i < sim.n_nodes; i++)
		sim.nodes[i].healed = !sim.nodes[i].retired;
	for (tries = random_chance(512) ? 0 : 8; tries > 0; tries--)
	{
		struct node *node = &sim.nodes[random_below(sim.n_nodes)];

		if (!node->healed)
			continue;
		node->healed = false;
		if (!enough_healed())
			node->healed = true;
	}
	for (i = 0; i < sim.n_nodes; i++)
	{
		struct node *node = &sim.nodes[i];

		set_clock(node);
		if (node->up)
			node_retime(node);
		node->paused_until = node->slow_until = 0;
		node->fail_next_flush = node->crash_next_flush = false;
		node->wrote = node->read = false;
		if (node->up && node->muted)
			node_crash(node);
		if (!node->up && !node->retired)
			node_start(node);
		trace("n%u: %s, %s", node->slot + 1, node->retired ? "retired" :
			  node->healed ? "healed" : "left out",
			  config_find(&sim.configs[sim.committed_config], i + 1) < 0 ? "no member" : "member");
		if (!node->healed)
			leave_out(node);
	}
	sim.stage = STAGE_RECOVER;
	sim.stage_began_us = sim.liveness_began_us = sim.now_us;
	event_push(sim.now_us + election_us(), EV_EXAMINE, 0, 0);
}

static void
next_stage(enum stage stage)
{
	trace("---- %s", stage_names[stage]);
	sim.stage = stage;
	sim.stage_began_us = sim.now_us;
}

/* Is there a healed member that still has no write or read?  Ask again. */
static struct node *
waiting(void)
{
	const struct raft_config *config = &sim.configs[sim.committed_config];
	struct node *found = NULL;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		struct node *node = &sim.nodes[config->members[i].id - 1];

		if (!node->healed || (node->wrote && node->read))
			continue;
		found = node;
		if (!node->wrote)
			load_write(node, 1);
		if (!node->read)
			load_read(node);
	}
	return found;
}

static void
ask_again(void)
{
	uint32_t	i;

	for (i = 0; i < sim.n_nodes; i++)
		sim.nodes[i].wrote = sim.nodes[i].read = false;
}

/* The one leader that the healed members agree on, or NULL. */
static struct node *
agreed_leader(void)
{
	struct node *leader = NULL;
	uint32_t	i;

	for (i = 0; i < sim.n_nodes; i++)
		if (sim.nodes[i].healed && sim.nodes[i].state == RAFT_LEADER &&
			(leader == NULL || sim.nodes[i].term > leader->term))
			leader = &sim.nodes[i];
	return leader;
}

/* Propose that the guest has this role, or leaves if role is -1. */
static void
propose_guest(int role)
{
	struct node *leader = agreed_leader();
	struct raft_config config;
	int			at;

	if (leader == NULL)
		return;
	config = raft_config(&leader->raft)->config;
	at = config_find(&config, sim.guest);
	if (role == RAFT_LEARNER && at < 0)
	{
		config.members[config.n_members].id = sim.guest;
		config.members[config.n_members++].role = RAFT_LEARNER;
	}
	else if (role == RAFT_VOTER && leader->promotable != 0)
	{
		/* Others may have their turn first. */
		at = config_find(&config, leader->promotable);
		config.members[at].role = RAFT_VOTER;
	}
	else if (role == -1 && at >= 0)
	{
		config.n_members--;
		memmove(&config.members[at], &config.members[at + 1],
				(config.n_members - (uint32_t) at) * sizeof(struct raft_member));
	}
	else
		return;
	inbox_add(leader, ITEM_CONFIG)->a = config_add(&config);
}

/* A leader names a learner that has caught up: the operator does not wait. */
void
live_promotable(void)
{
	if (sim.stage == STAGE_PROMOTE)
		propose_guest(RAFT_VOTER);
}

/* Is this what was last committed about the guest? */
static bool
guest_is(int role)
{
	const struct raft_config *config = &sim.configs[sim.committed_config];
	int			at = config_find(config, sim.guest);

	return at < 0 ? role == -1 : (int) config->members[at].role == role;
}

static void
start_guest(void)
{
	struct node *node = node_new(1);

	if (node == NULL)
		fail(SIM_HARNESS, "no room for the guest");
	node->healed = true;
	node_start(node);
	sim.guest = node->slot + 1;
}

static void
set_cut(uint32_t a, uint32_t b, bool is_cut)
{
	sim.cut[a][b] = sim.cut[b][a] = is_cut;
}

/* A voter that nobody needs loses sight of the leader. */
static void
cast_out(const struct node *leader)
{
	uint32_t	tries;

	for (tries = random_chance(200) ? 0 : 8; tries > 0; tries--)
	{
		struct node *node = &sim.nodes[random_below(sim.n_nodes)];

		if (!node->healed || !node->voter || node == leader)
			continue;
		node->healed = false;
		if (!enough_healed())
		{
			node->healed = true;
			continue;
		}
		sim.outcast = node->slot + 1;
		set_cut(node->slot, leader->slot, true);
		trace("n%u no longer hears the leader", node->slot + 1);
		break;
	}
	sim.quiet = random_chance(512);
}

static void
take_back(void)
{
	if (sim.outcast == 0)
		return;
	set_cut((uint32_t) sim.outcast - 1, (uint32_t) sim.stable_leader - 1, false);
	sim.nodes[sim.outcast - 1].healed = true;
}

/* The heir finds its tongue again. */
static void
unmute_heir(void)
{
	uint32_t	i;

	for (i = 0; sim.mute_heir != 0 && i < sim.n_nodes; i++)
		if (sim.nodes[i].healed)
			sim.cut[sim.mute_heir - 1][i] = false;
}

/*
 * Leadership goes to some healed voter.  Or that hears the order and cannot make
 * use of it: the group must get on without it, and then take it back.  Or it
 * never hears the order: the leader must give up waiting.
 */
static void
transfer(struct node *leader)
{
	const struct raft_config *config = &sim.configs[sim.committed_config];
	const struct raft_member *member = &config->members[random_below(config->n_members)];
	struct node *heir = node_of(member->id);
	uint64_t	how = random_below(3);
	uint32_t	i;

	sim.heir = sim.mute_heir = 0;
	if (member->role != RAFT_VOTER || !heir->healed)
		return;
	inbox_add(leader, ITEM_TRANSFER)->a = member->id;
	if (how == 0)
	{
		trace("n%u cannot be heard", heir->slot + 1);
		sim.mute_heir = member->id;
		for (i = 0; i < sim.n_nodes; i++)
			sim.cut[heir->slot][i] = true;
		return;
	}
	if (how == 1 && heir != leader)
	{
		heir->healed = false;
		if (enough_healed())
		{
			trace("n%u does not hear", heir->slot + 1);
			for (i = 0; i < sim.n_nodes; i++)
				sim.cut[i][heir->slot] = true;
			return;
		}
		heir->healed = true;
	}
	if (heir->disk.last + 20 > sim.n_committed)
		sim.heir = member->id;
}

/* With the others healthy, the loss of one disk is no loss of data. */
static void
make_amnesiac(const struct node *leader)
{
	const struct raft_config *config = &sim.configs[sim.committed_config];
	const struct raft_member *member = &config->members[random_below(config->n_members)];
	struct node *node = node_of(member->id);

	if (leader == NULL || node == leader || !node->healed || !leader->voter ||
		sim.committed_config_index < leader->config_index)
		return;
	node->healed = false;
	if (enough_healed())
	{
		node_crash(node);
		if (disk_forget(node))
			sim.amnesiac = member->id;
		node_start(node);
	}
	node->healed = true;
}

static void
check_peace(const struct node *leader)
{
	uint32_t	i;

	if (leader == NULL || leader->slot + 1 != sim.stable_leader ||
		leader->term != sim.stable_term)
		fail(SIM_LIVENESS, "leader %llu of term %llu was disturbed: now %u in term %llu",
			 (unsigned long long) sim.stable_leader, (unsigned long long) sim.stable_term,
			 leader == NULL ? 0 : leader->slot + 1,
			 leader == NULL ? 0 : (unsigned long long) leader->term);
	for (i = 0; i < sim.n_nodes; i++)
		if (sim.nodes[i].healed && sim.nodes[i].voter && sim.nodes[i].term > sim.stable_term &&
			config_find(&sim.configs[sim.committed_config], i + 1) >= 0)
			fail(SIM_LIVENESS, "node %u went on to term %llu in peace", i + 1,
				 (unsigned long long) sim.nodes[i].term);
}

static void
stage_is_over(struct node *leader)
{
	uint64_t	took = (sim.now_us - sim.stage_began_us) / election_us();

	if (sim.stage != STAGE_PEACE && sim.stage != STAGE_RETURN && sim.stage != STAGE_SETTLE &&
		took > sim.stats.worst_recovery)
		sim.stats.worst_recovery = took;
	switch ((enum stage) sim.stage)
	{
		case STAGE_RECOVER:
			next_stage(STAGE_SETTLE);
			break;
		case STAGE_SETTLE:
			if (leader == NULL)
				fail(SIM_LIVENESS, "no leader after all has settled");
			sim.stable_leader = leader->slot + 1;
			sim.stable_term = leader->term;
			cast_out(leader);
			next_stage(STAGE_PEACE);
			break;
		case STAGE_PEACE:
			take_back();
			next_stage(STAGE_RETURN);
			break;
		case STAGE_RETURN:
			sim.quiet = false;
			start_guest();
			next_stage(STAGE_JOIN);
			break;
		case STAGE_JOIN:
			next_stage(STAGE_PROMOTE);
			break;
		case STAGE_PROMOTE:
			next_stage(STAGE_LEAVE);
			break;
		case STAGE_LEAVE:
			if (leader != NULL)
				transfer(leader);
			next_stage(STAGE_TRANSFER);
			break;
		case STAGE_TRANSFER:
			unmute_heir();
			ask_again();
			next_stage(STAGE_AGAIN);
			break;
		case STAGE_AGAIN:
			sim.quiet = true;
			next_stage(STAGE_SILENCE);
			break;
		case STAGE_SILENCE:
			make_amnesiac(leader);
			next_stage(STAGE_AMNESIA);
			break;
		case STAGE_AMNESIA:
			sim.done = true;
			break;
	}
}

/* Every read is answered in time, if only by a refusal. */
static void
check_patience(void)
{
	uint64_t	since = sim.now_us - 5 * election_us();
	uint32_t	i;

	if (sim.now_us < sim.liveness_began_us + 15 * election_us())
		return;					/* the last pauses and slow writes end */
	for (i = 0; i < sim.n_nodes; i++)
		if (sim.nodes[i].up && sim.nodes[i].n_reads > 0 && sim.nodes[i].reads[0].asked_us < since)
			fail(SIM_LIVENESS, "node %u has not answered read %llu", i + 1,
				 (unsigned long long) sim.nodes[i].reads[0].id);
}

/* Has every healed member applied all that is committed, without new entries? */
static bool
all_applied(void)
{
	const struct raft_config *config = &sim.configs[sim.committed_config];
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		const struct node *node = &sim.nodes[config->members[i].id - 1];

		if (node->healed && node->machine.index < sim.n_committed)
			return false;
	}
	return true;
}

/* Once per election timeout: what is owed by now? */
void
live_examine(void)
{
	uint64_t	passed = (sim.now_us - sim.stage_began_us) / election_us();
	struct node *leader = agreed_leader();
	struct node *late = NULL;
	uint64_t	patience = PATIENCE;
	bool		over = false;

	event_push(sim.now_us + election_us(), EV_EXAMINE, 0, 0);
	check_patience();
	if (RAFT_MAX_BATCH < 100)
		patience += sim.n_committed / 10;	/* tiny limits: a long way to catch up */
	switch ((enum stage) sim.stage)
	{
		case STAGE_RECOVER:
		case STAGE_AGAIN:
			late = waiting();
			over = late == NULL;
			break;
		case STAGE_PEACE:
			check_peace(leader);
			over = passed >= PEACE;
			break;
		case STAGE_RETURN:
			check_peace(leader);
			over = passed >= PEACE / 2;
			break;
		case STAGE_SETTLE:
			over = passed >= PEACE;
			break;
		case STAGE_JOIN:
			over = guest_is(RAFT_LEARNER);
			if (!over)
				propose_guest(RAFT_LEARNER);
			break;
		case STAGE_PROMOTE:
			over = guest_is(RAFT_VOTER);
			if (!over)
				propose_guest(RAFT_VOTER);
			break;
		case STAGE_LEAVE:
			/* Whoever leaves is told so. */
			over = guest_is(-1) && sim.nodes[sim.guest - 1].state == RAFT_DETACHED;
			if (!guest_is(-1))
				propose_guest(-1);
			break;
		case STAGE_TRANSFER:
			over = passed >= 4;
			if (over && sim.heir != 0 && (leader == NULL || leader->slot + 1 != sim.heir))
				fail(SIM_LIVENESS, "leadership was to move to %llu, but it is with %u",
					 (unsigned long long) sim.heir, leader == NULL ? 0 : leader->slot + 1);
			break;
		case STAGE_SILENCE:
			over = all_applied();
			break;
		case STAGE_AMNESIA:
			over = sim.amnesiac == 0 || (sim.loss_noticed && all_applied());
			break;
	}
	if (over)
		stage_is_over(leader);
	else if (passed > patience)
		fail(SIM_LIVENESS, "%s takes more than %d election timeouts; leader is %u, "
			 "waiting is %u (wrote: %d, read: %d)", stage_names[sim.stage], (int) patience,
			 leader == NULL ? 0 : leader->slot + 1, late == NULL ? 0 : late->slot + 1,
			 late != NULL && late->wrote, late != NULL && late->read);
}
