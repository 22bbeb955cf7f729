/*-------------------------------------------------------------------------
 *
 * sim_check.c
 *	  What the contract says of one update.
 *
 * raft.h promises more than safety: what is in which duty, what waits for the
 * flush, what an entry or a message must look like.  A core that breaks such a
 * promise may get away with it in most runs; here it does not.  Whoever calls
 * these has not yet taken over what the update says, so that "node" is still
 * the member before the step, except where noted.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define LLU(x) ((unsigned long long) (x))

void
check_hard_state(const struct node *node, const struct raft_event *event,
				 const struct raft_update *update)
{
	unsigned	slot = node->slot + 1;

	if (update->term >= MAX_TERM)
		fail(SIM_LIVENESS, "node %u reached term %llu", slot, LLU(update->term));
	if (update->term < node->term)
		fail(SIM_SAFETY, "node %u: term goes back from %llu to %llu", slot,
			 LLU(node->term), LLU(update->term));
	if (update->term == node->term && node->vote != 0 && update->vote != node->vote)
		fail(SIM_SAFETY, "node %u: vote in term %llu changes from %llu to %llu", slot,
			 LLU(node->term), LLU(node->vote), LLU(update->vote));
	if ((update->term != node->term || update->vote != node->vote) && !update->save_vote)
		fail(SIM_CONTRACT, "node %u: term or vote change, but are not to be saved", slot);
	if (update->term > sim.highest_term)
		sim.highest_term = update->term;

	if (update->n_messages > RAFT_MAX_MESSAGES || update->n_reads > RAFT_MAX_READS)
		fail(SIM_CONTRACT, "node %u: an update overflows", slot);
	if (node->muted && (update->save_vote || update->truncate_from != 0 ||
						update->append != RAFT_APPEND_NONE || update->n_messages > 0))
		fail(SIM_CONTRACT, "node %u has duties after its disk failed", slot);
	if (event->type == RAFT_DISK_FAILED && update->state == RAFT_LEADER)
		fail(SIM_CONTRACT, "node %u stays leader although its disk failed", slot);
	sim.loss_noticed |= update->lost_data != 0 && update->lost_data == sim.amnesiac;
	if (update->lost_data != 0 && update->lost_data != sim.amnesiac)
		fail(SIM_CONTRACT, "node %u accuses %llu of having lost data, which it has not", slot,
			 LLU(update->lost_data));
}

/* Only what conflicts with an APPEND may go (Paper 5.3). */
void
check_truncate(const struct node *node, const struct raft_event *event,
			   const struct raft_update *update)
{
	const struct raft_message *message = &event->u.received.message;
	raft_index	from = update->truncate_from;
	raft_term	term = 0;
	uint32_t	i;

	if (from <= node->log.base || from > node->log.last)
		fail(SIM_CONTRACT, "node %u: truncation from %llu outside of the log %llu..%llu",
			 node->slot + 1, LLU(from), LLU(node->log.base + 1), LLU(node->log.last));
	if (from <= node->commit)
		fail(SIM_SAFETY, "node %u: truncation from %llu, committed is %llu",
			 node->slot + 1, LLU(from), LLU(node->commit));
	if (event->type != RAFT_RECEIVED || message->type != RAFT_MSG_APPEND ||
		from <= message->prev_index || from > message->prev_index + message->n_entries)
		fail(SIM_CONTRACT, "node %u: truncation from %llu for no reason",
			 node->slot + 1, LLU(from));
	for (i = 0; i < message->n_runs && message->runs[i].first <= from; i++)
		term = message->runs[i].term;
	if (term == log_term(&node->log, from))
		fail(SIM_CONTRACT, "node %u: truncation from %llu, which does not conflict",
			 node->slot + 1, LLU(from));
}

/*
 * Thesis 4.2.1: who may become a voter holds what was committed two election
 * timeouts ago, for a round of catching up takes less than one, and it ended
 * less than one ago.
 */
static void
check_caught_up(const struct node *leader, raft_id id)
{
	const struct node *member = node_of(id);

	if (id != sim.amnesiac && (member == NULL || member->disk.last == 0 ||
							   member->disk.last < leader->marks[2]))
		fail(SIM_CONTRACT, "node %u: promotion of %llu, which has %llu and lacks %llu",
			 leader->slot + 1, LLU(id), LLU(member == NULL ? 0 : member->disk.last),
			 LLU(leader->marks[2]));
}

/* Thesis 4.1: one member at a time, and only on committed ground. */
static void
check_config_change(const struct node *node, const struct raft_config *new)
{
	const struct raft_config *old = &sim.configs[node->config];
	unsigned	slot = node->slot + 1;
	uint32_t	changes = 0;
	uint32_t	i;

	if (node->config_index > node->commit)
		fail(SIM_SAFETY, "node %u: a configuration while that of %llu is not committed",
			 slot, LLU(node->config_index));
	if (log_term(&node->log, node->commit) != node->term)
		fail(SIM_SAFETY, "node %u: a configuration before an entry of term %llu committed",
			 slot, LLU(node->term));
	for (i = 0; i < old->n_members; i++)
		changes += config_find(new, old->members[i].id) < 0;
	for (i = 0; i < new->n_members; i++)
	{
		int			at = config_find(old, new->members[i].id);
		const struct node *member = node_of(new->members[i].id);

		if (at >= 0 && old->members[at].role == new->members[i].role)
			continue;
		changes++;
		if (new->members[i].role == RAFT_VOTER)
			check_caught_up(node, member->slot + 1);
	}
	if (changes > 1 || config_voters(new) == 0)
		fail(SIM_SAFETY, "node %u: an illegal change of configuration (%u changes)",
			 slot, changes);
}

void
check_append(const struct node *node, const struct raft_event *event,
			 const struct raft_update *update)
{
	const struct raft_message *message = &event->u.received.message;
	uint64_t	n = update->append_last - update->append_first + 1;
	bool		own = update->append != RAFT_APPEND_RECEIVED;
	unsigned	slot = node->slot + 1;

	if (update->append != RAFT_APPEND_PROPOSED && event->type == RAFT_PROPOSED &&
		update->status == RAFT_OK && event->u.proposed.count > 0)
		fail(SIM_CONTRACT, "node %u accepts a proposal without appending it", slot);
	if (update->append != RAFT_APPEND_CONFIG && event->type == RAFT_CONFIG_PROPOSED &&
		update->status == RAFT_OK)
		fail(SIM_CONTRACT, "node %u accepts a configuration without appending it", slot);
	if (update->append == RAFT_APPEND_NONE)
		return;

	if (update->append_first != node->log.last + 1 || update->append_last < update->append_first)
		fail(SIM_CONTRACT, "node %u: append of %llu..%llu after %llu", slot,
			 LLU(update->append_first), LLU(update->append_last), LLU(node->log.last));
	if (own && (update->state != RAFT_LEADER || update->append_term != update->term))
		fail(SIM_CONTRACT, "node %u, no leader of term %llu, makes entries", slot,
			 LLU(update->append_term));
	switch (update->append)
	{
		case RAFT_APPEND_RECEIVED:
			if (event->type != RAFT_RECEIVED || message->type != RAFT_MSG_APPEND ||
				update->append_first <= message->prev_index ||
				update->append_last != message->prev_index + message->n_entries)
				fail(SIM_CONTRACT, "node %u: append of %llu..%llu, which it did not receive",
					 slot, LLU(update->append_first), LLU(update->append_last));
			if (message->term < node->term)
				fail(SIM_SAFETY, "node %u of term %llu takes entries from a leader of %llu",
					 slot, LLU(node->term), LLU(message->term));
			break;
		case RAFT_APPEND_PROPOSED:
			if (event->type != RAFT_PROPOSED || update->status != RAFT_OK ||
				n != event->u.proposed.count ||
				(event->u.proposed.term != 0 && event->u.proposed.term != update->term))
				fail(SIM_CONTRACT, "node %u: append of %llu proposals", slot, LLU(n));
			if (!node->voter)
				fail(SIM_CONTRACT, "node %u leads until it has left, but takes new entries", slot);
			if (update->append_last - node->commit > RAFT_MAX_UNCOMMITTED)
				fail(SIM_CONTRACT, "node %u: %llu uncommitted entries", slot,
					 LLU(update->append_last - node->commit));
			break;
		case RAFT_APPEND_CONFIG:
			if (event->type != RAFT_CONFIG_PROPOSED || update->status != RAFT_OK || n != 1)
				fail(SIM_CONTRACT, "node %u appends an unasked configuration", slot);
			check_config_change(node, &event->u.config);
			break;
		case RAFT_APPEND_NOOP:
		case RAFT_APPEND_NONE:
			if (n != 1)
				fail(SIM_CONTRACT, "node %u appends %llu no-ops", slot, LLU(n));
			break;
	}
}

/* The entries of an APPEND are there, and described as they are. */
static void
check_entries(const struct node *node, const struct raft_message *message)
{
	const struct log *log = &node->log;
	raft_index	end = message->prev_index + message->n_entries;
	raft_index	index;
	uint32_t	run = 0;

	if (message->prev_index < log->base ||
		message->prev_index + message->n_entries > log->last ||
		message->prev_term != log_term(log, message->prev_index))
		fail(SIM_CONTRACT, "node %u: append %llu/%llu+%u does not fit its log %llu..%llu",
			 node->slot + 1, LLU(message->prev_index), LLU(message->prev_term),
			 message->n_entries, LLU(log->base), LLU(log->last));
	if (message->n_entries > RAFT_MAX_BATCH || message->n_runs > RAFT_MAX_MESSAGE_RUNS ||
		(message->n_entries == 0) != (message->n_runs == 0))
		fail(SIM_CONTRACT, "node %u: append of %u entries in %u runs", node->slot + 1,
			 message->n_entries, message->n_runs);
	for (index = message->prev_index + 1; index <= end; index++)
	{
		if (run + 1 < message->n_runs && message->runs[run + 1].first == index)
			run++;
		if (message->runs[run].term != log_term(log, index) || message->runs[0].first >
			message->prev_index + 1)
			fail(SIM_CONTRACT, "node %u: append calls entry %llu one of term %llu", node->slot + 1,
				 LLU(index), LLU(message->runs[run].term));
	}
	if (run + 1 < message->n_runs)
		fail(SIM_CONTRACT, "node %u: append with idle runs", node->slot + 1);
}

/* A vote, or the promise of one, goes to nobody whose log is behind (5.4.1). */
static void
check_granted(const struct node *node, const struct raft_event *event)
{
	const struct raft_message *asked = &event->u.received.message;
	raft_term	last_term = log_term(&node->log, node->log.last);

	if (asked->prev_term < last_term ||
		(asked->prev_term == last_term && asked->prev_index < node->log.last))
		fail(SIM_SAFETY, "node %u, whose log ends at %llu/%llu, grants a vote to one at %llu/%llu",
			 node->slot + 1, LLU(node->log.last), LLU(last_term), LLU(asked->prev_index),
			 LLU(asked->prev_term));
}

/* "Accepted" says: durable, and equal to the log of the leader of this term. */
static void
check_acknowledgement(const struct node *node, const struct raft_message *message)
{
	const struct node *leader = node_of(message->to);

	if (message->match > node->synced)
		fail(SIM_CONTRACT, "node %u acknowledges %llu, durable is %llu", node->slot + 1,
			 LLU(message->match), LLU(node->synced));
	if (leader->up && leader->state == RAFT_LEADER && leader->term == message->term &&
		message->match >= leader->log.base && message->match >= node->log.base &&
		!log_holds(&leader->log, message->match, log_chain(&node->log, message->match)))
		fail(SIM_SAFETY, "node %u acknowledges %llu, where it differs from its leader %u",
			 node->slot + 1, LLU(message->match), leader->slot + 1);
}

/* Of the member after the step. */
void
check_message(const struct node *node, const struct raft_event *event,
			  const struct raft_message *message)
{
	unsigned	slot = node->slot + 1;
	const struct node *to = node_of(message->to);
	bool		leads = node->was_leader || node->state == RAFT_LEADER;

	if (message->from != slot || to == NULL || to == node)
		fail(SIM_CONTRACT, "node %u: message from %llu to %llu", slot, LLU(message->from),
			 LLU(message->to));
	if (message->term != node->term && message->type != RAFT_MSG_PREVOTE &&
		!(message->type == RAFT_MSG_PREVOTE_REPLY && message->accepted) &&
		!(message->type == RAFT_MSG_READ_REPLY && message->commit == 0))
		fail(SIM_CONTRACT, "node %u of term %llu sends %s of term %llu", slot, LLU(node->term),
			 message_name(message->type), LLU(message->term));
	if ((message->type == RAFT_MSG_APPEND || message->type == RAFT_MSG_SNAPSHOT ||
		 message->type == RAFT_MSG_TIMEOUT_NOW) && !leads)
		fail(SIM_CONTRACT, "node %u, no leader, sends %s", slot, message_name(message->type));

	switch (message->type)
	{
		case RAFT_MSG_PREVOTE:
		case RAFT_MSG_VOTE:
			if (message->prev_index != node->log.last ||
				message->prev_term != log_term(&node->log, node->log.last))
				fail(SIM_CONTRACT, "node %u: %s with a wrong last entry", slot,
					 message_name(message->type));
			if (message->type == RAFT_MSG_VOTE && (node->vote != slot || !message->after_flush))
				fail(SIM_CONTRACT, "node %u asks for votes before it has its own", slot);
			break;
		case RAFT_MSG_PREVOTE_REPLY:
		case RAFT_MSG_VOTE_REPLY:
			if (message->accepted)
				check_granted(node, event);
			if (message->accepted && message->type == RAFT_MSG_VOTE_REPLY &&
				(node->vote != message->to || !message->after_flush))
				fail(SIM_CONTRACT, "node %u grants a vote that is not on disk", slot);
			break;
		case RAFT_MSG_APPEND:
			check_entries(node, message);
			if (message->commit > node->commit)
				fail(SIM_CONTRACT, "node %u tells of commit %llu, its own is %llu", slot,
					 LLU(message->commit), LLU(node->commit));
			break;
		case RAFT_MSG_APPEND_REPLY:
			if (message->accepted)
				check_acknowledgement(node, message);
			break;
		case RAFT_MSG_TIMEOUT_NOW:
			if (!log_holds(&to->disk, node->log.last,
						   log_chain(&node->log, node->log.last)))
				fail(SIM_CONTRACT, "node %u hands over to %llu, which has not caught up", slot,
					 LLU(message->to));
			break;
		case RAFT_MSG_SNAPSHOT:
		case RAFT_MSG_SNAPSHOT_REPLY:
		case RAFT_MSG_READ:
		case RAFT_MSG_READ_REPLY:
			break;
	}
}

/* The core's view of the log, against the log. */
void
check_core(const struct node *node, const struct raft_update *update)
{
	unsigned	slot = node->slot + 1;

	if (raft_last_index(&node->raft) != node->log.last ||
		raft_first_index(&node->raft) != node->log.base + 1)
		fail(SIM_CONTRACT, "node %u takes its log for %llu..%llu, it is %llu..%llu", slot,
			 LLU(raft_first_index(&node->raft)), LLU(raft_last_index(&node->raft)),
			 LLU(node->log.base + 1), LLU(node->log.last));
	if (raft_term_at(&node->raft, node->log.last) != log_term(&node->log, node->log.last))
		fail(SIM_CONTRACT, "node %u takes its last entry for one of term %llu", slot,
			 LLU(raft_term_at(&node->raft, node->log.last)));
	if (raft_durable_index(&node->raft) > node->synced)
		fail(SIM_CONTRACT, "node %u takes %llu for durable, %llu is", slot,
			 LLU(raft_durable_index(&node->raft)), LLU(node->synced));
	if (update->promotable != 0)
	{
		const struct raft_config *config = &raft_config(&node->raft)->config;
		int			at = config_find(config, update->promotable);

		if (update->state != RAFT_LEADER || at < 0 || config->members[at].role != RAFT_LEARNER)
			fail(SIM_CONTRACT, "node %u: %llu is not promotable", slot, LLU(update->promotable));
		check_caught_up(node, update->promotable);
	}
}

/*
 * The newest configuration known to be committed: that at the commit index, or
 * a later one if a still later one was seen, for it was proposed on top of it.
 */
static void
check_committed_config(const struct node *node)
{
	const struct raft_config_entry *entry = raft_committed_config(&node->raft);
	raft_index	index;
	uint32_t	config = log_config_at(&node->log, node->commit, &index);

	if (entry->index > node->log.base)
	{
		if (entry->index < index || entry->index > sim.n_committed)
			fail(SIM_CONTRACT, "node %u: its committed configuration is of entry %llu, not %llu",
				 node->slot + 1, LLU(entry->index), LLU(index));
		config = log_config_at(&node->log, entry->index, &index);
	}
	if (!config_equal(&entry->config, &sim.configs[config]))
		fail(SIM_CONTRACT, "node %u: its committed configuration is not that of entry %llu",
			 node->slot + 1, LLU(entry->index));
}

/* The core's view of the configurations, against the log; after the step. */
void
check_config(struct node *node, bool announced)
{
	const struct raft_config_entry *entry = raft_config(&node->raft);
	raft_index	index;
	uint32_t	config = log_config_at(&node->log, node->log.last, &index);
	uint32_t	before;
	int			at;

	if (!config_equal(&entry->config, &sim.configs[config]) ||
		(index > 0 && entry->index != index))
		fail(SIM_CONTRACT, "node %u: its configuration is of entry %llu, not of %llu",
			 node->slot + 1, LLU(index), LLU(entry->index));
	if (!announced && !config_equal(&sim.configs[node->config], &sim.configs[config]))
		fail(SIM_CONTRACT, "node %u: its configuration changed in silence", node->slot + 1);
	if (node->config != config || node->config_index != index || announced)
	{
		at = config_find(&sim.configs[config], node->slot + 1);
		node->config = config;
		node->config_index = index;
		node->voter = at >= 0 && sim.configs[config].members[at].role == RAFT_VOTER;
		before = index == 0 ? config : log_config_at(&node->log, index - 1, &index);
		at = config_find(&sim.configs[before], node->slot + 1);
		node->voter_before = at >= 0 && sim.configs[before].members[at].role == RAFT_VOTER;
	}

	check_committed_config(node);
}

/* Messages of the core's own making are never nonsense. */
void
check_status(const struct node *node, const struct raft_event *event, enum raft_status status)
{
	bool		fine = status == RAFT_OK || status == RAFT_STALE || node->muted;

	switch (event->type)
	{
		case RAFT_PROPOSED:
		case RAFT_READ_REQUESTED:
		case RAFT_CONFIG_PROPOSED:
		case RAFT_TRANSFER_REQUESTED:
			return;
		case RAFT_RECEIVED:
			/* A message that asks for something can be refused like an event. */
			fine = status != RAFT_INVALID;
			break;
		case RAFT_LINK_DOWN:
			fine = true;		/* transports outlive memberships */
			break;
		case RAFT_DURABLE:
			break;
		default:
			fine = status == RAFT_OK || node->muted;
			break;
	}
	if (!fine)
		fail(SIM_CONTRACT, "node %u answers an event of type %d with %s", node->slot + 1,
			 (int) event->type, status_name(status));
}
