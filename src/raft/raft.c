/*-------------------------------------------------------------------------
 *
 * raft.c
 *	  The step function: an event in, an update out.
 *
 * Each step takes note of the time, hands the event to the room in charge of
 * it (see core.h), fills in what every update contains, and then checks that
 * the member is still in a state that Raft allows.  The checks are few and
 * cheap and always on.  One that fails is reported with its numbers as
 * RAFT_BROKEN; what the shell then does (the worker starts anew from its disk,
 * the simulator stops with its seed) is not the core's business.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

enum raft_status
raft_broken(struct raft_update *update, const char *rule,
			uint64_t expected, uint64_t found)
{
	update->violation = (struct raft_violation) {rule, expected, found};
	return RAFT_BROKEN;
}

/*
 * Begin an update.  The arrays are not touched: their counts say what of them
 * is valid.
 */
static void
begin_update(struct raft_update *update)
{
	update->status = RAFT_OK;
	update->violation = (struct raft_violation) {NULL, 0, 0};
	update->save_vote = false;
	update->truncate_from = 0;
	update->append = RAFT_APPEND_NONE;
	update->append_first = 0;
	update->append_last = 0;
	update->append_term = 0;
	update->n_messages = 0;
	update->n_reads = 0;
	update->config_changed = false;
	update->promotable = 0;
	update->lost_data = 0;
	update->snapshot_from = 0;
}

static void
finish_update(const struct raft *node, struct raft_update *update)
{
	update->term = node->term;
	update->vote = node->vote;
	update->commit_index = node->commit_index;
	update->state = node->state;
	update->leader = node->leader;
	update->promotable = raft_promotable(node);
}

/* What must hold of every member, and of every leader, after every step. */
static enum raft_status
check_invariants(const struct raft *node, struct raft_update *update,
				 raft_term term_before, raft_index commit_before)
{
	const struct raft_log *log = &node->log;
	uint32_t	i;

	if (node->term < term_before)
		return raft_broken(update, "the term never goes back",
						   term_before, node->term);
	if (node->commit_index < commit_before)
		return raft_broken(update, "the commit index never goes back",
						   commit_before, node->commit_index);
	if (update->truncate_from != 0 && update->truncate_from <= commit_before)
		return raft_broken(update, "committed entries stay",
						   commit_before, update->truncate_from);
	if (log->base_index > node->applied_index)
		return raft_broken(update, "base <= applied",
						   node->applied_index, log->base_index);
	if (node->applied_index > node->commit_index)
		return raft_broken(update, "applied <= commit",
						   node->commit_index, node->applied_index);
	if (node->commit_index > log->last_index)
		return raft_broken(update, "commit <= last",
						   log->last_index, node->commit_index);
	if (log->durable_index > log->last_index)
		return raft_broken(update, "durable <= last",
						   log->last_index, log->durable_index);
	if (raft_log_last_term(log) > node->term)
		return raft_broken(update, "no entry is of a later term",
						   node->term, raft_log_last_term(log));
	if ((node->state == RAFT_CANDIDATE || node->state == RAFT_LEADER) &&
		node->vote != node->id)
		return raft_broken(update, "a candidate votes for itself",
						   node->id, node->vote);
	if (node->state != RAFT_LEADER)
		return update->status;

	for (i = 0; i < node->config.config.n_members; i++)
	{
		const struct raft_peer *peer = &node->peers[i];

		if (i == node->self)
			continue;
		if (peer->match_index >= peer->next_index)
			return raft_broken(update, "match < next",
							   peer->next_index, peer->match_index);
		if (peer->next_index > log->last_index + 1)
			return raft_broken(update, "next <= last + 1",
							   log->last_index + 1, peer->next_index);
	}

	return update->status;
}

/*
 * A message of an earlier term.  Its sender learns the current one where it
 * would otherwise go on in vain (Paper 5.1; etcd's deadlock of a member with a
 * higher term and a shorter log is what silence leads to).
 */
static enum raft_status
answer_old_term(struct raft *node, const struct raft_message *message,
				struct raft_update *update)
{
	struct raft_message *reply;

	switch (message->type)
	{
		case RAFT_MSG_APPEND:
		case RAFT_MSG_SNAPSHOT:
			reply = raft_message_new(node, update, RAFT_MSG_APPEND_REPLY,
									 message->from);
			if (reply != NULL)
				reply->commit = node->commit_index;
			break;
		case RAFT_MSG_VOTE:
			raft_message_new(node, update, RAFT_MSG_VOTE_REPLY, message->from);
			break;
		case RAFT_MSG_READ:
			raft_on_read(node, message, update);
			break;
		default:
			break;
	}

	return RAFT_STALE;
}

/*
 * A message of a later term.  Paper 5.1: enter it, as a follower.  Except:
 *
 * - Thesis 4.2.3: a request for votes does not count while a leader is heard,
 *   unless that leader ordered it.
 * - Answers of strangers do not count.  We asked members only, so these are
 *   echoes of an earlier configuration, and who left the group must not
 *   disturb it.
 */
static bool
may_enter_term(const struct raft *node, const struct raft_message *message)
{
	switch (message->type)
	{
		case RAFT_MSG_VOTE:
			return message->transfer || !raft_hears_leader(node);
		case RAFT_MSG_APPEND:
		case RAFT_MSG_SNAPSHOT:
			return true;
		default:
			return raft_slot_of(node, message->from) != RAFT_NO_SLOT;
	}
}

static enum raft_status
receive(struct raft *node, const struct raft_event *event,
		struct raft_update *update)
{
	const struct raft_message *message = &event->u.received.message;

	if (!raft_message_is_sane(node, event))
		return RAFT_INVALID;

	/* The terms of pre-votes are hypothetical, save that of a refusal. */
	if (message->type == RAFT_MSG_PREVOTE)
		return raft_on_prevote(node, message, update);
	if (message->type == RAFT_MSG_PREVOTE_REPLY && message->accepted)
		return raft_on_prevote_reply(node, message, update);

	if (message->term < node->term)
		return answer_old_term(node, message, update);
	if (message->term > node->term)
	{
		if (!may_enter_term(node, message))
			return RAFT_STALE;
		raft_become_follower(node, update, message->term, 0);
	}

	switch (message->type)
	{
		case RAFT_MSG_PREVOTE:
		case RAFT_MSG_PREVOTE_REPLY:
			return RAFT_OK;		/* its term was all it had to say */
		case RAFT_MSG_VOTE:
			return raft_on_vote(node, message, update);
		case RAFT_MSG_VOTE_REPLY:
			return raft_on_vote_reply(node, message, update);
		case RAFT_MSG_APPEND:
			return raft_on_append(node, event, update);
		case RAFT_MSG_APPEND_REPLY:
			return raft_on_append_reply(node, message, update);
		case RAFT_MSG_READ:
			return raft_on_read(node, message, update);
		case RAFT_MSG_READ_REPLY:
			return raft_on_read_reply(node, message, update);
		case RAFT_MSG_TIMEOUT_NOW:
			return raft_on_timeout_now(node, message, update);
		case RAFT_MSG_SNAPSHOT:
			return raft_on_snapshot(node, message, update);
		case RAFT_MSG_SNAPSHOT_REPLY:
			return raft_on_snapshot_reply(node, message, update);
	}

	return RAFT_INVALID;
}

static enum raft_status
timer(struct raft *node, struct raft_update *update)
{
	raft_expire_reads(node, update);
	if (node->state == RAFT_LEADER)
		raft_leader_timeout(node, update);
	else if (node->now_ms >= node->election_deadline_ms)
		raft_election_timeout(node, update);

	return RAFT_OK;
}

/*
 * The disk confirms the log up to a position.  One whose term is not the
 * entry's speaks of a suffix that was overwritten since.
 */
static enum raft_status
durable(struct raft *node, const struct raft_event *event,
		struct raft_update *update)
{
	raft_index	index = event->u.position.index;
	raft_term	term = event->u.position.term;

	if (index <= node->log.base_index || term == 0 ||
		raft_log_term_at(&node->log, index) != term)
		return RAFT_STALE;

	/* Duties are done in order, so the term that the entry has came first. */
	if (term == node->term)
		node->term_durable = true;
	if (index <= node->log.durable_index)
		return RAFT_OK;

	node->log.durable_index = index;
	if (node->state == RAFT_LEADER)
	{
		raft_advance_commit(node, update);
		if (node->state == RAFT_LEADER)
			raft_poll_reads(node, update);
	}
	else
		raft_acknowledge_durable(node, update);

	return RAFT_OK;
}

static enum raft_status
applied(struct raft *node, const struct raft_event *event,
		struct raft_update *update)
{
	raft_index	index = event->u.position.index;

	if (index > node->commit_index)
		return raft_broken(update, "applied <= commit",
						   node->commit_index, index);

	/* A compaction may have told of this, and more, before. */
	if (index > node->applied_index)
		node->applied_index = index;
	return RAFT_OK;
}

static enum raft_status
compacted(struct raft *node, const struct raft_event *event,
		  struct raft_update *update)
{
	raft_index	index = event->u.position.index;
	raft_term	term = event->u.position.term;

	if (index <= node->log.base_index)
		return RAFT_STALE;
	if (index > node->commit_index)
		return raft_broken(update, "base <= commit",
						   node->commit_index, index);
	if (raft_log_knows(&node->log, index) &&
		raft_log_term_at(&node->log, index) != term)
		return raft_broken(update, "the base has its own term",
						   raft_log_term_at(&node->log, index), term);

	/* Only what is applied is removed, so this may be news of that, too. */
	if (index > node->applied_index)
		node->applied_index = index;
	raft_log_compact(&node->log, index, term);
	return RAFT_OK;
}

/*
 * A durable write failed, and what is on the disk is unknown from here on.  A
 * leader must not count itself nor accept more; a follower must not promise.
 * So the member steps down and is mute (raft_message_new makes nothing) until
 * its process starts anew from what the disk then holds.
 */
static enum raft_status
disk_failed(struct raft *node, struct raft_update *update)
{
	node->disk_failed = true;
	raft_become_follower(node, update, node->term, 0);
	return RAFT_OK;
}

static enum raft_status
dispatch(struct raft *node, const struct raft_event *event,
		 struct raft_update *update)
{
	if (node->disk_failed && event->type != RAFT_APPLIED)
		return event->type == RAFT_PROPOSED ||
			event->type == RAFT_READ_REQUESTED ||
			event->type == RAFT_CONFIG_PROPOSED ||
			event->type == RAFT_TRANSFER_REQUESTED ?
			RAFT_NOT_LEADER : RAFT_STALE;

	switch (event->type)
	{
		case RAFT_TIMER:
			return timer(node, update);
		case RAFT_RECEIVED:
			return receive(node, event, update);
		case RAFT_DURABLE:
			return durable(node, event, update);
		case RAFT_APPLIED:
			return applied(node, event, update);
		case RAFT_PROPOSED:
			return raft_on_proposed(node, event, update);
		case RAFT_READ_REQUESTED:
			return raft_on_read_requested(node, event, update);
		case RAFT_CONFIG_PROPOSED:
			return raft_on_config_proposed(node, event, update);
		case RAFT_TRANSFER_REQUESTED:
			return raft_on_transfer_requested(node, event, update);
		case RAFT_LINK_DOWN:
			return raft_on_link_down(node, event->u.peer.peer, update);
		case RAFT_COMPACTED:
			return compacted(node, event, update);
		case RAFT_SNAPSHOT_INSTALLED:
			return raft_on_installed(node, event, update);
		case RAFT_DISK_FAILED:
			return disk_failed(node, update);
	}

	return RAFT_INVALID;
}

enum raft_status
raft_step(struct raft *node, const struct raft_event *event,
		  struct raft_update *update)
{
	raft_term	term_before = node->term;
	raft_index	commit_before = node->commit_index;
	uint64_t	before_ms = node->now_ms;

	begin_update(update);
	if (event->now_ms > node->now_ms)
		node->now_ms = event->now_ms;
	node->random = event->random;

	/*
	 * A leader that slept through an election timeout (stuck in an fsync, a
	 * stopped process, a sleeping machine) has a successor for all it knows.
	 * It must not serve what queued up meanwhile.
	 */
	if (node->state == RAFT_LEADER && !raft_is_sole_voter(node) &&
		node->now_ms - before_ms >= node->options.election_timeout_ms)
		raft_become_follower(node, update, node->term, 0);

	update->status = dispatch(node, event, update);
	finish_update(node, update);
	if (update->status != RAFT_BROKEN)
		update->status = check_invariants(node, update, term_before,
										  commit_before);
	return update->status;
}

uint64_t
raft_deadline(const struct raft *node)
{
	uint64_t	deadline_ms = node->election_deadline_ms;
	uint64_t	reads_ms = raft_reads_deadline(node);

	if (node->disk_failed)
		return UINT64_MAX;

	if (node->state == RAFT_LEADER)
	{
		deadline_ms = node->heartbeat_deadline_ms;
		if (node->quorum_deadline_ms < deadline_ms)
			deadline_ms = node->quorum_deadline_ms;
		if (node->transfer_target != 0 &&
			node->transfer_deadline_ms < deadline_ms)
			deadline_ms = node->transfer_deadline_ms;
	}

	return reads_ms < deadline_ms ? reads_ms : deadline_ms;
}

raft_term
raft_term_at(const struct raft *node, raft_index index)
{
	return raft_log_term_at(&node->log, index);
}

raft_index
raft_first_index(const struct raft *node)
{
	return node->log.base_index + 1;
}

raft_index
raft_last_index(const struct raft *node)
{
	return node->log.last_index;
}

raft_index
raft_durable_index(const struct raft *node)
{
	return node->log.durable_index;
}

const struct raft_config_entry *
raft_config(const struct raft *node)
{
	return &node->config;
}

const struct raft_config_entry *
raft_committed_config(const struct raft *node)
{
	return raft_config_at_commit(node);
}

bool
raft_progress(const struct raft *node, raft_id id,
			  struct raft_peer_progress *progress)
{
	uint32_t	slot = raft_slot_of(node, id);
	const struct raft_peer *peer;

	if (node->state != RAFT_LEADER || slot == RAFT_NO_SLOT)
		return false;

	progress->id = id;
	if (slot == node->self)
	{
		progress->match_index = node->log.durable_index;
		progress->next_index = node->log.last_index + 1;
		progress->last_contact_ms = node->now_ms;
		progress->snapshotting = false;
		return true;
	}

	peer = &node->peers[slot];
	progress->match_index = peer->match_index;
	progress->next_index = peer->next_index;
	progress->last_contact_ms = peer->heard ? peer->contact_ms : 0;
	progress->snapshotting = peer->mode == RAFT_COPY;
	return true;
}

raft_index
raft_needed_index(const struct raft *node)
{
	raft_index	index = node->applied_index;
	uint32_t	i;

	if (node->state != RAFT_LEADER)
		return index;

	for (i = 0; i < node->config.config.n_members; i++)
	{
		if (i != node->self && node->peers[i].match_index + 1 < index)
			index = node->peers[i].match_index + 1;
	}

	return index;
}
