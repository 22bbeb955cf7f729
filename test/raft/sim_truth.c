/*-------------------------------------------------------------------------
 *
 * sim_truth.c
 *	  What must hold of the cluster as a whole.
 *
 * The simulator knows what no member knows: which entries are committed, who
 * voted for whom with a vote that left, and who led in which term.  Figure 3
 * of the paper is checked here at each step, at a cost that does not depend on
 * the length of the logs:
 *
 *	Election Safety		one leader per term, elected by votes that were sent
 *	Leader Append-Only	sim_log.c
 *	Log Matching		sim_log.c
 *	Leader Completeness	a leader holds what earlier terms committed
 *	State Machine Safety	committed once is committed for ever
 *
 * and with them that a commit rests on disks, not on hopes, that a vote is
 * never given twice in any life of a member, and that a read comes after every
 * write that was finished before the read began.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define LLU(x) ((unsigned long long) (x))

/* A message leaves: what it promises must be on disk (contract, duty 3). */
void
check_leaving(const struct node *node, const struct raft_message *message)
{
	unsigned	slot = node->slot + 1;
	bool		grant = message->type == RAFT_MSG_VOTE_REPLY && message->accepted;
	raft_id		vote = grant ? message->to : slot;
	uint8_t    *voted = &sim.voted_for[node->slot][message->term < MAX_TERM ? message->term : 0];

	if (message->type == RAFT_MSG_PREVOTE || message->type == RAFT_MSG_PREVOTE_REPLY)
		return;					/* they promise nothing */
	if (message->term > node->disk_term)
		fail(SIM_CONTRACT, "node %u sends %s of term %llu, on disk is %llu", slot,
			 message_name(message->type), LLU(message->term), LLU(node->disk_term));
	if (!grant && message->type != RAFT_MSG_VOTE)
		return;
	if (*voted != 0 && *voted != vote)
		fail(SIM_SAFETY, "one vote per term: node %u voted for %u and %llu in term %llu", slot,
			 *voted, LLU(vote), LLU(message->term));
	if (message->term == node->disk_term && node->disk_vote != vote)
		fail(SIM_CONTRACT, "node %u votes for %llu, on disk is %llu", slot, LLU(vote),
			 LLU(node->disk_vote));
	*voted = (uint8_t) vote;
}

/* Leader Completeness (Paper 5.4): what earlier terms committed is there. */
static void
check_completeness(const struct node *node, raft_term term)
{
	raft_index	index = sim.n_committed;

	while (index > 0 && sim.committed[index].commit_term >= term)
		index--;
	if (index > 0 && !log_holds(&node->log, index, sim.committed[index].chain))
		fail(SIM_SAFETY, "leader completeness: %u leads in term %llu without entry %llu, "
			 "committed in term %llu", node->slot + 1, LLU(term), LLU(index),
			 LLU(sim.committed[index].commit_term));
}

static void
check_elected(const struct node *node, const struct raft_update *update)
{
	raft_index	index;
	const struct raft_config *config;
	uint32_t	votes = 0;
	uint32_t	i;

	config = &sim.configs[log_config_at(&node->log, node->log.last, &index)];
	for (i = 0; i < config->n_members; i++)
	{
		const struct raft_member *member = &config->members[i];

		if (member->role != RAFT_VOTER)
			continue;
		votes += member->id == node->slot + 1 ? update->vote == member->id :
			sim.voted_for[member->id - 1][update->term] == node->slot + 1;
	}
	if (2 * votes <= config_voters(config))
		fail(SIM_SAFETY, "node %u leads in term %llu with %u votes of %u", node->slot + 1,
			 LLU(update->term), votes, config_voters(config));
	if (update->append != RAFT_APPEND_NOOP)
		fail(SIM_CONTRACT, "node %u begins term %llu without a no-op", node->slot + 1,
			 LLU(update->term));
	check_completeness(node, update->term);
}

/*
 * Thesis 6.4.1: nobody is elected while the lease of an earlier leader lasts.
 * Most of those who break this rule get away with it, for it takes a commit and
 * a read in what remains of the lease to tell; but not here.
 */
static void
check_alone(const struct node *node, raft_term term)
{
	uint32_t	i;

	for (i = 0; i < sim.n_nodes; i++)
		if (i != node->slot && sim.nodes[i].up && sim.nodes[i].term < term &&
			node_clock(&sim.nodes[i]) < sim.nodes[i].lease_until)
			fail(SIM_SAFETY, "node %u is elected while the lease of node %u for term %llu lasts",
				 node->slot + 1, i + 1, LLU(sim.nodes[i].term));
}

/* Election Safety; "node" is still what it was before the step. */
void
check_leader(const struct node *node, const struct raft_update *update)
{
	uint8_t    *leader = &sim.leader_of[update->term];

	if (update->state != RAFT_LEADER)
		return;
	if (*leader != 0 && *leader != node->slot + 1)
		fail(SIM_SAFETY, "election safety: %u and %u both lead in term %llu", *leader,
			 node->slot + 1, LLU(update->term));
	if (update->leader != node->slot + 1)
		fail(SIM_CONTRACT, "node %u leads, but names %llu", node->slot + 1, LLU(update->leader));
	if (node->state == RAFT_LEADER && node->term == update->term)
		return;
	if (*leader != 0)
		fail(SIM_SAFETY, "node %u leads in term %llu a second time", node->slot + 1,
			 LLU(update->term));
	*leader = (uint8_t) (node->slot + 1);
	sim.stats.elections++;
	check_elected(node, update);
	check_alone(node, update->term);
}

/* What a leader believes of the others' disks is true. */
void
check_progress(const struct node *node)
{
	const struct raft_config *config = &sim.configs[node->config];
	struct raft_peer_progress progress;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		const struct node *peer = node_of(config->members[i].id);
		raft_index	match;

		if (!raft_progress(&node->raft, config->members[i].id, &progress))
			fail(SIM_CONTRACT, "node %u knows nothing of %u", node->slot + 1, peer->slot + 1);
		match = progress.match_index;
		if (match >= progress.next_index && peer != node)
			fail(SIM_CONTRACT, "node %u: match %llu, next %llu of %u", node->slot + 1, LLU(match),
				 LLU(progress.next_index), peer->slot + 1);

		/* A newer leader may have overwritten what was acknowledged. */
		if (match > node->log.last ||
			(match >= node->log.base && peer->term == node->term &&
			 peer->slot + 1 != sim.amnesiac &&
			 !log_holds(&peer->disk, match, log_chain(&node->log, match))))
			fail(SIM_SAFETY, "node %u believes that %u holds %llu, which it does not",
				 node->slot + 1, peer->slot + 1, LLU(match));
	}
}

/* Who may stand or rule: a voter, or one whose removal is not yet certain. */
void
check_office(const struct node *node)
{
	if (node->state < RAFT_PRE_CANDIDATE || node->voter)
		return;
	if (node->config_index > node->commit && node->voter_before)
		return;
	fail(SIM_SAFETY, "node %u is %s, but no voter", node->slot + 1, state_name(node->state));
}

/*
 * A leader gives up its term only when it must: because it no longer reaches a
 * quorum, slept for too long, cannot write, or has been removed for certain.
 * After a long sleep it must, unless it is alone.
 */
void
check_abdication(const struct node *node, const struct raft_event *event, raft_term term_before)
{
	bool		slept = event->now_ms - node->stepped_ms >= node->options.election_timeout_ms;

	if (node->was_leader && node->state == RAFT_LEADER && node->term == term_before && slept &&
		(config_voters(&sim.configs[node->config]) > 1 || !node->voter))
		fail(SIM_CONTRACT, "node %u still leads after a sleep of %llu ms", node->slot + 1,
			 LLU(event->now_ms - node->stepped_ms));
	if (!node->was_leader || node->state == RAFT_LEADER || node->term != term_before ||
		event->type == RAFT_TIMER || event->type == RAFT_DISK_FAILED || slept ||
		(!node->voter && node->config_index <= node->commit))
		return;
	fail(SIM_CONTRACT, "node %u gives up term %llu for no reason", node->slot + 1,
		 (unsigned long long) node->term);
}

/* The commit of new ground rests on the disks of a quorum (Paper 5.3, 5.4.2). */
static void
check_quorum(const struct node *node, const struct raft_update *update, raft_index index)
{
	raft_index	at;
	uint64_t	chain = log_chain(&node->log, index);
	const struct raft_config *config;
	uint32_t	holders = 0;
	uint32_t	i;

	if (node->state != RAFT_LEADER && update->state != RAFT_LEADER)
		fail(SIM_SAFETY, "node %u, no leader, is the first to commit %llu", node->slot + 1,
			 LLU(index));
	if (log_term(&node->log, index) != update->term)
		fail(SIM_SAFETY, "node %u commits entry %llu of term %llu by counting in term %llu",
			 node->slot + 1, LLU(index), LLU(log_term(&node->log, index)), LLU(update->term));
	config = &sim.configs[log_config_at(&node->log, node->log.last, &at)];
	for (i = 0; i < config->n_members; i++)
		if (config->members[i].role == RAFT_VOTER)
			holders += log_holds(&sim.nodes[config->members[i].id - 1].disk, index, chain);
	if (2 * holders <= config_voters(config))
		fail(SIM_SAFETY, "node %u commits %llu, which is on %u disks of %u voters",
			 node->slot + 1, LLU(index), holders, config_voters(config));
	for (i = 0; i < sim.n_nodes; i++)
		if (sim.nodes[i].up && sim.nodes[i].state == RAFT_LEADER &&
			sim.nodes[i].term > update->term && !log_holds(&sim.nodes[i].log, index, chain))
			fail(SIM_SAFETY, "node %u commits %llu, which the newer leader %u does not hold",
				 node->slot + 1, LLU(index), i + 1);
}

static void
commit_entry(const struct entry *entry, raft_term commit_term)
{
	struct committed *c = &sim.committed[++sim.n_committed];

	c->chain = entry->chain;
	c->hash = sim.committed[sim.n_committed - 1].hash;
	if (entry->kind == ENTRY_COMMAND)
		c->hash = (c->hash ^ entry->value ^ sim.n_committed) * UINT64_C(0x9e3779b97f4a7c15);
	c->entry_term = entry->term;
	c->commit_term = commit_term;
	if (entry->kind == ENTRY_CONFIG)
	{
		sim.committed_config = entry->config;
		sim.committed_config_index = sim.n_committed;
	}
}

/* What the raft worker tells its backends: at once, before a message leaves. */
void
lease_publish(struct node *node)
{
	node->lease_until = raft_lease_until(&node->raft);
	node->lease_index = node->commit;
}

/*
 * A backend reads under the lease of its node, whatever the raft worker does
 * meanwhile: it may hang in a flush, or be stopped.  What was committed
 * anywhere by now must be known here.
 */
bool
lease_read(const struct node *node)
{
	if (!node->up || node_clock(node) >= node->lease_until)
		return false;
	if (node->lease_index < sim.n_committed)
		fail(SIM_SAFETY, "linearizability: node %u reads at %llu under its lease of term %llu, "
			 "%llu was committed", node->slot + 1, LLU(node->lease_index), LLU(node->term),
			 LLU(sim.n_committed));
	return true;
}

/* This member knows of a commit.  Would any other miss it? */
static void
check_leases(const struct node *node)
{
	uint32_t	i;

	for (i = 0; i < sim.n_nodes; i++)
		if (i != node->slot)
			(void) lease_read(&sim.nodes[i]);
}

/* State Machine Safety; takes over the commit index of the update. */
void
check_commit(struct node *node, const struct raft_update *update)
{
	raft_index	index = update->commit_index;
	raft_index	known = index < sim.n_committed ? index : sim.n_committed;

	if (index < node->commit)
		fail(SIM_SAFETY, "node %u: commit goes back from %llu to %llu", node->slot + 1,
			 LLU(node->commit), LLU(index));
	if (index == node->commit)
		return;
	if (index > node->log.last || index < node->log.base)
		fail(SIM_SAFETY, "node %u commits %llu, its log is %llu..%llu", node->slot + 1,
			 LLU(index), LLU(node->log.base), LLU(node->log.last));
	if (known >= node->log.base && log_chain(&node->log, known) != sim.committed[known].chain)
		fail(SIM_SAFETY, "node %u commits %llu, but what was committed there is lost",
			 node->slot + 1, LLU(known));
	if (index > sim.n_committed)
	{
		check_quorum(node, update, index);
		while (sim.n_committed < index)
			commit_entry(&node->log.e[sim.n_committed + 1], update->term);
	}
	node->commit = index;
	check_leases(node);
}

/* One entry was applied. */
void
check_applied(const struct node *node)
{
	const struct machine *machine = &node->machine;

	if (machine->index > sim.n_committed)
		fail(SIM_SAFETY, "node %u applies %llu, which is not committed", node->slot + 1,
			 LLU(machine->index));
	if (machine->chain != sim.committed[machine->index].chain ||
		machine->hash != sim.committed[machine->index].hash)
		fail(SIM_SAFETY, "node %u: its state machine differs at %llu", node->slot + 1,
			 LLU(machine->index));
}

void
read_forget(struct node *node, uint64_t id)
{
	uint32_t	i;

	for (i = 0; i < node->n_reads; i++)
	{
		if (node->reads[i].id != id)
			continue;
		memmove(&node->reads[i], &node->reads[i + 1],
				(node->n_reads - i - 1) * sizeof(struct pending_read));
		node->n_reads--;
		return;
	}
}

/*
 * An answer to a read.  It is linearizable if the index covers what anybody
 * knew to be committed when it was asked for; that includes every write that
 * was acknowledged by then, and every read that was answered.
 */
void
check_read(struct node *node, const struct raft_read_result *result)
{
	uint32_t	i;
	raft_index	floor;

	for (i = 0; i < node->n_reads && node->reads[i].id != result->id; i++)
		;
	if (i == node->n_reads)
		fail(SIM_CONTRACT, "node %u answers read %llu, which is not asked for (any more)",
			 node->slot + 1, LLU(result->id));
	floor = node->reads[i].floor;
	read_forget(node, result->id);
	if (result->index == 0)
	{
		sim.stats.reads_refused++;
		return;
	}
	sim.stats.reads++;
	node->read = true;
	if (result->index < floor)
		fail(SIM_SAFETY, "linearizability: node %u answers a read at %llu; when it was asked for, "
			 "%llu was committed", node->slot + 1, LLU(result->index), LLU(floor));
	if (result->index > sim.n_committed)
		fail(SIM_SAFETY, "node %u answers a read at %llu, which is not committed",
			 node->slot + 1, LLU(result->index));
}
