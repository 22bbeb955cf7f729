/*-------------------------------------------------------------------------
 *
 * follower.c
 *	  Replication as everybody but the leader sees it.
 *
 * An APPEND says: after this entry, of this term, come these.  If we hold the
 * entry before, our log and the leader's agree up to there (Paper 5.3, Log
 * Matching); what follows and differs is removed, what is missing is appended.
 * matched_index is how far this agreement with the current leader is known to
 * reach.
 *
 * An acknowledgement promises a durable entry, so it speaks of
 * min(matched_index, durable_index), and new entries are acknowledged only when
 * RAFT_DURABLE reports them.  A heartbeat, and an APPEND that brought nothing
 * new, are answered at once under the same rule.  An APPEND that only tells
 * what is committed, in a round that was answered, gets no answer: there is
 * nothing to say.
 *
 * What is committed is never removed.  An APPEND that contradicts a committed
 * entry or an earlier APPEND of its leader, or a second leader in one term,
 * means that Raft itself was broken somewhere (a cloned member, a lost disk):
 * RAFT_BROKEN, and no change.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

/* The leader of the current term speaks. */
static enum raft_status
hear_leader(struct raft *node, struct raft_update *update, raft_id leader)
{
	/* Paper 5.2, Election Safety: at most one leader in a term. */
	if (node->state == RAFT_LEADER ||
		(node->leader != 0 && node->leader != leader))
		return raft_broken(update, "one leader in a term", node->leader, leader);

	raft_become_follower(node, update, node->term, leader);
	raft_reset_election_timer(node);
	raft_promise(node);
	return RAFT_OK;
}

static raft_index
agreed_and_durable(const struct raft *node)
{
	return node->matched_index < node->log.durable_index ?
		node->matched_index : node->log.durable_index;
}

static void
acknowledge(struct raft *node, struct raft_update *update)
{
	struct raft_message *reply;

	reply = raft_message_new(node, update, RAFT_MSG_APPEND_REPLY, node->leader);
	if (reply == NULL)
		return;
	reply->accepted = true;
	reply->match = agreed_and_durable(node);
	reply->context = node->leader_round;
	reply->promise_ms = node->promise_ms;
	reply->commit = node->commit_index;
	node->acked_index = reply->match;
	node->acked_round = reply->context;
}

/* The disk has more than before: tell the leader, if it waits for that. */
void
raft_acknowledge_durable(struct raft *node, struct raft_update *update)
{
	if (node->state != RAFT_LEADER && node->leader != 0 &&
		agreed_and_durable(node) > node->acked_index)
		acknowledge(node, update);
}

/*
 * Would an answer to this APPEND tell the leader only what it was told?  Whoever
 * leaves is waited for until it says that it knows.
 */
static bool
was_answered(const struct raft *node, const struct raft_message *message)
{
	return node->state != RAFT_DETACHED && message->n_entries == 0 &&
		message->context <= node->acked_round &&
		agreed_and_durable(node) <= node->acked_index;
}

/*
 * Refuse an APPEND, and point at the last entry the logs may have in common:
 * not above the term the leader expected (Paper 5.3, at its end), and not below
 * our commit index, up to which all logs agree.
 */
static void
refuse(struct raft *node, struct raft_update *update,
	   const struct raft_message *message)
{
	struct raft_message *reply;
	raft_index	hint;

	hint = raft_log_may_agree(&node->log, message->prev_index - 1,
							  message->prev_term);
	if (hint < node->commit_index)
		hint = node->commit_index;

	reply = raft_message_new(node, update, RAFT_MSG_APPEND_REPLY, node->leader);
	if (reply == NULL)
		return;
	reply->prev_index = message->prev_index;
	reply->context = node->leader_round;
	reply->promise_ms = node->promise_ms;
	reply->commit = node->commit_index;
	reply->hint_index = hint;
	reply->hint_term = raft_log_term_at(&node->log, hint);
}

/*
 * Take over the entries of an APPEND from "first" on: the first that we lack
 * or hold with another term.  Configurations come into force at once (Thesis
 * 4.1), and go out of force when their entry is removed.
 */
static enum raft_status
take_entries(struct raft *node, const struct raft_event *event,
			 raft_index first, struct raft_update *update)
{
	const struct raft_message *message = &event->u.received.message;
	uint32_t	i;

	if (!raft_log_has_room(&node->log, message->n_runs, node->commit_index))
		return RAFT_BUSY;

	if (first <= node->log.last_index)
	{
		/* Paper 5.3, Figure 2: an entry that conflicts, and all after it. */
		raft_log_truncate(&node->log, first);
		update->truncate_from = first;
		raft_roll_back_config(node, update, first);
	}

	update->append = RAFT_APPEND_RECEIVED;
	update->append_first = first;
	update->append_last = message->prev_index + message->n_entries;
	raft_log_append_message(&node->log, message, first);

	for (i = 0; i < event->u.received.n_configs; i++)
	{
		if (event->u.received.configs[i].index >= first)
			raft_adopt_config(node, update, &event->u.received.configs[i]);
	}

	return RAFT_OK;
}

/* Paper 5.3, Figure 2: AppendEntries. */
enum raft_status
raft_on_append(struct raft *node, const struct raft_event *event,
			   struct raft_update *update)
{
	const struct raft_message *message = &event->u.received.message;
	raft_index	end = message->prev_index + message->n_entries;
	raft_index	first;
	bool		known = raft_log_knows(&node->log, message->prev_index);
	bool		agrees = known &&
		raft_log_term_at(&node->log, message->prev_index) == message->prev_term;
	enum raft_status status;

	/* Paper 5.4, Leader Completeness: no leader contradicts a commit. */
	if (message->prev_index <= node->commit_index)
	{
		if (known && !agrees)
			return raft_broken(update, "committed entries agree",
							   raft_log_term_at(&node->log, message->prev_index),
							   message->prev_term);
		agrees = true;
	}
	first = raft_log_first_difference(&node->log, message);
	if (agrees && first <= end && first <= node->commit_index)
		return raft_broken(update, "committed entries stay",
						   node->commit_index, first);

	/* Paper 5.3, Leader Append-Only: nor does it contradict itself. */
	if (agrees && first <= end && first <= node->matched_index)
		return raft_broken(update, "a leader only appends",
						   node->matched_index, first);

	status = hear_leader(node, update, message->from);
	if (status != RAFT_OK)
		return status;
	if (node->leader_round < message->context)
		node->leader_round = message->context;

	if (!agrees)
	{
		refuse(node, update, message);
		return RAFT_OK;
	}

	if (first <= end)
	{
		status = take_entries(node, event, first, update);
		if (status != RAFT_OK)
			return status;
	}
	if (node->matched_index < end)
		node->matched_index = end;

	/* Paper 5.3: never beyond what is known to agree with the leader. */
	if (node->commit_index < message->commit)
	{
		raft_index	commit = message->commit < node->matched_index ?
			message->commit : node->matched_index;

		if (node->commit_index < commit)
			node->commit_index = commit;
	}

	if (first > end && !was_answered(node, message))
		acknowledge(node, update);

	return RAFT_OK;
}

/*
 * The log has no longer what we need.  Unless we have it after all: a copy at
 * or below our commit index would take us back.
 */
enum raft_status
raft_on_snapshot(struct raft *node, const struct raft_message *message,
				 struct raft_update *update)
{
	struct raft_message *reply;
	enum raft_status status;

	status = hear_leader(node, update, message->from);
	if (status != RAFT_OK)
		return status;

	if (raft_wants_snapshot(node, message->prev_index, message->prev_term))
	{
		update->snapshot_from = message->from;
		return RAFT_OK;
	}

	/* Paper 5.3, Log Matching: the same entry, so the same up to it. */
	if (node->matched_index < message->prev_index &&
		raft_log_term_at(&node->log, message->prev_index) == message->prev_term)
		node->matched_index = message->prev_index;

	reply = raft_message_new(node, update, RAFT_MSG_SNAPSHOT_REPLY,
							 message->from);
	if (reply != NULL)
	{
		reply->accepted = true;
		reply->match = agreed_and_durable(node);
		reply->commit = node->commit_index;
		reply->context = node->leader_round;
	}
	return RAFT_OK;
}

bool
raft_wants_snapshot(const struct raft *node, raft_index index, raft_term term)
{
	return index > node->commit_index &&
		raft_log_term_at(&node->log, index) != term;
}

/*
 * A copy took the place of log and state (Paper 7).  It holds only committed
 * entries, so it agrees with every leader to come.
 */
enum raft_status
raft_on_installed(struct raft *node, const struct raft_event *event,
				  struct raft_update *update)
{
	raft_index	index = event->u.snapshot.index;
	struct raft_message *reply;

	if (node->state == RAFT_LEADER ||
		!raft_wants_snapshot(node, index, event->u.snapshot.term))
		return RAFT_STALE;
	if (event->u.snapshot.term == 0 ||
		event->u.snapshot.term < node->log.base_term ||
		!raft_config_is_sane(&event->u.snapshot.config.config))
		return RAFT_INVALID;

	/* The member it came from may be ahead of us; Paper 5.1. */
	if (event->u.snapshot.term > node->term)
		raft_become_follower(node, update, event->u.snapshot.term, 0);

	raft_log_reset(&node->log, index, event->u.snapshot.term);
	node->commit_index = index;
	node->applied_index = index;
	node->matched_index = index;
	node->acked_index = index;

	/* Its configuration is committed: a truncation returns to itself. */
	node->previous_config = event->u.snapshot.config;
	raft_adopt_config(node, update, &event->u.snapshot.config);
	node->previous_config = node->config;

	if (node->leader == 0)
		return RAFT_OK;
	reply = raft_message_new(node, update, RAFT_MSG_SNAPSHOT_REPLY, node->leader);
	if (reply != NULL)
	{
		reply->accepted = true;
		reply->match = index;
		reply->commit = index;
		reply->context = node->leader_round;
	}
	return RAFT_OK;
}
