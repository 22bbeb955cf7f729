/*-------------------------------------------------------------------------
 *
 * leader.c
 *	  Replication as the leader sees it, and commit.
 *
 * For each other member the leader keeps where the logs agree (match_index)
 * and what to send next (next_index), in one of three modes:
 *
 *	PROBE		The point where the logs agree is not known.  One message at
 *				a time; a refusal moves next_index back by a whole term
 *				(Paper 5.3), an acceptance ends the search.
 *
 *	REPLICATE	It is known.  Messages leave without waiting for answers, up
 *				to RAFT_MAX_INFLIGHT of them; next_index runs ahead of
 *				match_index.  A refusal means that one was lost: PROBE.
 *
 *	COPY		What the member needs is no longer in the log.  It is told to
 *				fetch a copy of the state (Paper 7), and joins again at
 *				whatever point it then accepts.
 *
 * A heartbeat is an APPEND without entries at next_index - 1, so a member that
 * lost messages refuses it, and nothing else is needed to notice loss: there is
 * no timer per message.  Heartbeats also repeat whatever else was lost: the
 * newest commit index, the newest round of reads, the order to fetch a copy.
 *
 * Commit (Paper 5.4.2): an entry is committed once a majority holds it durably
 * and it is of this leader's own term; earlier entries only together with such
 * a one.  Every term therefore begins with an empty entry.  The leader counts
 * itself like any other member, by what its own disk has confirmed (Thesis
 * 10.2.1), and may commit what it does not yet hold durably itself.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

/* Messages with entries to one member in one step: to all, and in answer. */
#define BURST_TO_ALL			2
#define BURST_IN_ANSWER			8

/*
 * The peers in turn: every member but this one, then one that is leaving.
 * Returns the first slot from this one on that has one, or RAFT_NO_SLOT.
 */
static uint32_t
peer_from(const struct raft *node, uint32_t slot)
{
	if (slot == node->self)
		slot++;
	if (slot < node->config.config.n_members)
		return slot;
	return slot <= RAFT_LEAVING_SLOT && node->leaving != 0 ?
		RAFT_LEAVING_SLOT : RAFT_NO_SLOT;
}

/* The peer with this id, or RAFT_NO_SLOT. */
static uint32_t
peer_of(const struct raft *node, raft_id id)
{
	uint32_t	slot = raft_slot_of(node, id);

	if (slot == RAFT_NO_SLOT && id != 0 && id == node->leaving)
		return RAFT_LEAVING_SLOT;
	return slot;
}

static raft_id
id_of(const struct raft *node, uint32_t slot)
{
	return slot == RAFT_LEAVING_SLOT ?
		node->leaving : node->config.config.members[slot].id;
}

/* Whether a member answered within an election timeout. */
bool
raft_in_contact(const struct raft *node, uint32_t slot)
{
	const struct raft_peer *peer = &node->peers[slot];

	return peer->heard &&
		node->now_ms - peer->contact_ms < node->options.election_timeout_ms;
}

/*
 * Thesis 4.2.1: the next round of catching up, to what is now the end of the
 * log.
 */
static void
set_goal(const struct raft *node, struct raft_peer *peer, bool caught_up)
{
	peer->caught_up = caught_up;
	peer->goal_index = node->log.last_index;
	peer->goal_since_ms = node->now_ms;
}

/* Whether the round under way is still short enough. */
static bool
goal_is_fresh(const struct raft *node, const struct raft_peer *peer)
{
	return node->now_ms - peer->goal_since_ms < node->options.election_timeout_ms;
}

/*
 * Whether a member holds what was the end of the log a short while ago.  What
 * it acknowledged counts, not how it is sent to: messages that overtake each
 * other, or a link that broke, bring it back to PROBE without taking away
 * anything that it holds.
 */
bool
raft_has_caught_up(const struct raft *node, uint32_t slot)
{
	const struct raft_peer *peer = &node->peers[slot];

	return peer->caught_up && goal_is_fresh(node, peer);
}

static void
start_probing(struct raft_peer *peer, raft_index next_index)
{
	peer->mode = RAFT_PROBE;
	peer->next_index = next_index;
	peer->probe_sent = false;
	peer->commit_sent = 0;
	peer->inflight_first = 0;
	peer->n_inflight = 0;
}

/* Begin with a member of which nothing is known; Paper, Figure 2: next. */
void
raft_start_peer(struct raft *node, uint32_t slot)
{
	struct raft_peer *peer = &node->peers[slot];

	peer->match_index = 0;
	peer->granted = false;
	peer->heard = false;
	peer->contact_ms = node->now_ms;
	peer->round = 0;
	peer->match_round = 0;
	peer->lost_data = false;
	peer->stays_until_ms = 0;
	set_goal(node, peer, false);
	start_probing(peer, node->log.last_index);
}

/*
 * Send an APPEND of up to max_entries entries.  Returns how many it covers, or
 * -1 if there was no room for it.
 */
static int
send_append(struct raft *node, struct raft_update *update, uint32_t slot,
			uint32_t max_entries)
{
	struct raft_peer *peer = &node->peers[slot];
	struct raft_message *message;

	message = raft_message_new(node, update, RAFT_MSG_APPEND, id_of(node, slot));
	if (message == NULL)
		return -1;

	/* To a member that fetches a copy: where our log begins. */
	message->prev_index = peer->mode == RAFT_COPY ?
		node->log.base_index : peer->next_index - 1;
	message->prev_term = raft_log_term_at(&node->log, message->prev_index);
	message->n_entries = raft_log_describe(&node->log, peer->next_index,
										   max_entries, message->runs,
										   &message->n_runs);
	message->commit = node->commit_index;
	message->context = node->round;
	peer->commit_sent = node->commit_index;

	return (int) message->n_entries;
}

/* Tell a member to fetch a copy; Paper 7. */
static void
send_snapshot(struct raft *node, struct raft_update *update, uint32_t slot)
{
	raft_index	index = node->applied_index;
	struct raft_message *message;

	if (!raft_log_knows(&node->log, index))
		index = node->log.base_index;

	message = raft_message_new(node, update, RAFT_MSG_SNAPSHOT,
							   id_of(node, slot));
	if (message == NULL)
		return;
	message->prev_index = index;
	message->prev_term = raft_log_term_at(&node->log, index);
}

/*
 * Whether the log still has what the member needs next.  The base counts only
 * for its term.
 */
static bool
can_serve(const struct raft *node, const struct raft_peer *peer)
{
	return raft_log_knows(&node->log, peer->next_index - 1) &&
		(peer->next_index > node->log.last_index ||
		 raft_log_knows(&node->log, peer->next_index));
}

/* Switch to COPY if the log no longer has what the member needs. */
static bool
begin_copy_if_needed(struct raft *node, struct raft_update *update,
					 uint32_t slot)
{
	struct raft_peer *peer = &node->peers[slot];

	if (peer->mode == RAFT_COPY || can_serve(node, peer))
		return false;

	peer->mode = RAFT_COPY;
	peer->inflight_first = 0;
	peer->n_inflight = 0;
	set_goal(node, peer, false);
	send_snapshot(node, update, slot);
	return true;
}

static bool
may_send_entries(const struct raft *node, const struct raft_peer *peer)
{
	if (peer->next_index > node->log.last_index)
		return false;

	switch (peer->mode)
	{
		case RAFT_PROBE:
			return !peer->probe_sent;
		case RAFT_REPLICATE:
			return peer->n_inflight < RAFT_MAX_INFLIGHT;
		case RAFT_COPY:
			return false;
	}
	return false;
}

/* Send a member what it lacks: entries, or at least the commit index. */
static void
replicate(struct raft *node, struct raft_update *update, uint32_t slot,
		  uint32_t burst)
{
	struct raft_peer *peer = &node->peers[slot];
	uint32_t	n_sent = 0;

	if (begin_copy_if_needed(node, update, slot))
		return;

	while (n_sent < burst && may_send_entries(node, peer))
	{
		int			n_entries = send_append(node, update, slot, RAFT_MAX_BATCH);
		uint32_t	last;

		if (n_entries <= 0)
			return;
		n_sent++;

		if (peer->mode == RAFT_PROBE)
		{
			peer->probe_sent = true;
			return;
		}
		peer->next_index += (raft_index) n_entries;
		last = (peer->inflight_first + peer->n_inflight) % RAFT_MAX_INFLIGHT;
		peer->inflight[last] = peer->next_index - 1;
		peer->n_inflight++;
	}

	/* Nothing to send with it: tell the commit index by itself, at once. */
	if (n_sent == 0 && peer->mode == RAFT_REPLICATE &&
		peer->commit_sent < node->commit_index)
		send_append(node, update, slot, 0);
}

void
raft_replicate_to_all(struct raft *node, struct raft_update *update)
{
	uint32_t	slot;

	for (slot = peer_from(node, 0); slot != RAFT_NO_SLOT;
		 slot = peer_from(node, slot + 1))
		replicate(node, update, slot, BURST_TO_ALL);
}

/* How many voters besides this member make a majority with it. */
static uint32_t
count_missing(const struct raft *node)
{
	const struct raft_config *config = &node->config.config;
	uint32_t	n_voters = 0;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		if (config->members[i].role == RAFT_VOTER)
			n_voters++;
	}

	return n_voters / 2 + (raft_is_voter(node, node->self) ? 0 : 1);
}

/*
 * Of the voters that are not to be asked yet, mark the one that answered the
 * newest round.
 */
static void
mark_next(const struct raft *node, bool *asked)
{
	const struct raft_config *config = &node->config.config;
	uint32_t	best = RAFT_NO_SLOT;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		if (i == node->self || asked[i] || config->members[i].role != RAFT_VOTER)
			continue;
		if (best == RAFT_NO_SLOT || node->peers[i].round > node->peers[best].round)
			best = i;
	}
	if (best != RAFT_NO_SLOT)
		asked[best] = true;
}

/* Whom does this voter follow?  By an APPEND without entries. */
static void
ask(struct raft *node, struct raft_update *update, uint32_t slot)
{
	begin_copy_if_needed(node, update, slot);
	send_append(node, update, slot, 0);
}

/*
 * Begin a round of confirmation.  While nothing is being written as many voters
 * are asked as it takes, those that answered last; should one of them fail, the
 * next heartbeat asks all.  Otherwise all are asked now, because some may be busy
 * with their disks.
 */
void
raft_begin_round(struct raft *node, struct raft_update *update)
{
	bool		asked[RAFT_MAX_MEMBERS] = {false};
	uint32_t	n_wanted = RAFT_MAX_MEMBERS;
	uint32_t	i;

	if (node->commit_index == node->log.last_index)
		n_wanted = count_missing(node);
	for (i = 0; i < n_wanted; i++)
		mark_next(node, asked);

	raft_number_round(node);
	for (i = 0; i < node->config.config.n_members; i++)
	{
		if (asked[i])
			ask(node, update, i);
	}
}

/* Who was to confirm reads cannot be reached: ask the other voters. */
static void
ask_others(struct raft *node, struct raft_update *update, uint32_t slot)
{
	const struct raft_config *config = &node->config.config;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		if (i != node->self && i != slot && config->members[i].role == RAFT_VOTER)
			ask(node, update, i);
	}
}

/* Paper 5.2: prevent elections; and repeat what may have been lost. */
static void
send_heartbeats(struct raft *node, struct raft_update *update)
{
	uint32_t	slot;

	node->heartbeat_deadline_ms = node->now_ms +
		node->options.heartbeat_interval_ms;
	raft_number_round(node);

	/* Somebody who left may have gone for good. */
	if (node->leaving != 0 && node->leaving_index <= node->commit_index &&
		node->n_farewells-- == 0)
		node->leaving = 0;

	for (slot = peer_from(node, 0); slot != RAFT_NO_SLOT;
		 slot = peer_from(node, slot + 1))
	{
		if (!begin_copy_if_needed(node, update, slot) &&
			node->peers[slot].mode == RAFT_COPY)
			send_snapshot(node, update, slot);
		send_append(node, update, slot, 0);
	}
}

/* The timers of a leader. */
void
raft_leader_timeout(struct raft *node, struct raft_update *update)
{
	/* Check-quorum, Thesis 6.2: a leader nobody answers is none. */
	if (node->now_ms >= node->quorum_deadline_ms)
	{
		uint64_t	contact_ms = raft_quorum_reached(node, RAFT_BY_CONTACT);
		uint64_t	timeout_ms = node->options.election_timeout_ms;

		if (node->now_ms - contact_ms >= timeout_ms)
		{
			raft_become_follower(node, update, node->term, 0);
			return;
		}
		node->quorum_deadline_ms = contact_ms + timeout_ms;
	}

	/* Thesis 3.10: a transfer that takes too long is given up. */
	if (node->transfer_target != 0 && node->now_ms >= node->transfer_deadline_ms)
		node->transfer_target = 0;

	if (node->now_ms >= node->heartbeat_deadline_ms)
		send_heartbeats(node, update);
}

/*
 * Append entries of our own.  They may leave before our disk has them, but we
 * count ourselves only when it does (Thesis 10.2.1).
 */
bool
raft_append_own(struct raft *node, struct raft_update *update,
				enum raft_append kind, uint32_t count)
{
	if (!raft_log_has_room(&node->log, 1, node->commit_index))
		return false;

	update->append = kind;
	update->append_first = node->log.last_index + 1;
	update->append_last = node->log.last_index + count;
	update->append_term = node->term;
	raft_log_extend(&node->log, count, node->term);
	return true;
}

/* A majority voted for us; raft_campaign() made sure of room for the no-op. */
void
raft_become_leader(struct raft *node, struct raft_update *update)
{
	uint32_t	i;

	raft_drop_reads(node, update);
	node->state = RAFT_LEADER;
	node->leader = node->id;
	node->transfer_target = 0;
	node->leaving = 0;
	node->lease_forfeited = false;
	node->round = 0;
	node->round_ms[0] = node->now_ms;
	node->n_confirming = 0;
	node->election_deadline_ms = UINT64_MAX;
	node->heartbeat_deadline_ms = node->now_ms +
		node->options.heartbeat_interval_ms;
	node->quorum_deadline_ms = node->now_ms + node->options.election_timeout_ms;

	/* Paper 8: an empty entry at the start of the term. */
	raft_append_own(node, update, RAFT_APPEND_NOOP, 1);
	node->term_start = node->log.last_index;

	for (i = 0; i < node->config.config.n_members; i++)
		raft_start_peer(node, i);
	raft_replicate_to_all(node, update);
}

enum raft_status
raft_on_proposed(struct raft *node, const struct raft_event *event,
				 struct raft_update *update)
{
	uint32_t	count = event->u.proposed.count;

	if (node->state != RAFT_LEADER)
		return RAFT_NOT_LEADER;
	if (event->u.proposed.term != 0 && event->u.proposed.term != node->term)
		return RAFT_STALE;
	if (count == 0)
		return RAFT_INVALID;
	/*
	 * Thesis 3.10: nothing new, so that the target can catch up.  A leader
	 * that waits for its own removal to commit will need a successor too.
	 */
	if (node->transfer_target != 0 || !raft_is_voter(node, node->self))
		return RAFT_IN_PROGRESS;
	if (count > RAFT_MAX_UNCOMMITTED ||
		node->log.last_index - node->commit_index > RAFT_MAX_UNCOMMITTED - count)
		return RAFT_BUSY;
	if (!raft_append_own(node, update, RAFT_APPEND_PROPOSED, count))
		return RAFT_BUSY;

	raft_replicate_to_all(node, update);
	return RAFT_OK;
}

/* Commit what a majority holds; Paper 5.3, 5.4.2. */
void
raft_advance_commit(struct raft *node, struct raft_update *update)
{
	raft_index	index = raft_quorum_reached(node, RAFT_BY_MATCH);

	if (index <= node->commit_index)
		return;

	/* Figure 8: only an entry of our own term commits by counting. */
	if (raft_log_term_at(&node->log, index) != node->term)
		return;

	node->commit_index = index;
	raft_replicate_to_all(node, update);
	raft_leave_if_removed(node, update);
}

/*
 * A member holds the log up to "index" durably, as it said in answer to a
 * round.  What it said before it lost data is void.
 */
static void
acknowledged(struct raft *node, struct raft_peer *peer, raft_index index,
			 uint64_t round)
{
	if (peer->lost_data && round <= peer->match_round)
		return;
	peer->lost_data = false;

	if (index > peer->match_index)
	{
		peer->match_index = index;
		peer->match_round = node->round;
	}
	if (peer->next_index <= peer->match_index)
		peer->next_index = peer->match_index + 1;

	/* A copy is done only if what follows it is still in the log. */
	if (peer->mode == RAFT_COPY && !raft_log_knows(&node->log, index))
		return;
	if (peer->mode != RAFT_REPLICATE)
	{
		if (peer->mode == RAFT_COPY)
			peer->next_index = peer->match_index + 1;
		peer->mode = RAFT_REPLICATE;
		peer->inflight_first = 0;
		peer->n_inflight = 0;
	}
	while (peer->n_inflight > 0 &&
		   peer->inflight[peer->inflight_first] <= peer->match_index)
	{
		peer->inflight_first = (peer->inflight_first + 1) % RAFT_MAX_INFLIGHT;
		peer->n_inflight--;
	}

	/*
	 * Thesis 4.2.1: it has caught up when it reaches what was the end of the
	 * log less than an election timeout ago.  Rounds go on after that, so that
	 * a member which falls behind again is noticed.
	 */
	if (peer->match_index >= peer->goal_index)
		set_goal(node, peer, goal_is_fresh(node, peer));
}

/*
 * A member refused an APPEND: find an earlier point where the logs may agree.
 *
 * An honest refusal never points below match_index: the member holds that
 * entry, whose term is not above that of any later entry of ours.  So one that
 * does is either old, from before the acknowledgement, or proof that the disk
 * of the member went back.  It is proof if it answers a round that began after
 * the acknowledgement came in.  Then match_index goes back too: the member
 * counts for no entry that it does not acknowledge anew.  What was committed
 * with its help may be lost with one more disk, and its vote may have been
 * given twice, which is why the shell is told.
 */
static enum raft_status
refused(struct raft *node, struct raft_update *update, uint32_t slot,
		const struct raft_message *message)
{
	struct raft_peer *peer = &node->peers[slot];
	raft_index	next_index;

	if (message->prev_index == 0)
		return RAFT_STALE;		/* it refused an earlier term */
	if (peer->mode == RAFT_COPY)
		return RAFT_OK;			/* as expected: it is still fetching */

	if (message->prev_index <= peer->match_index ||
		message->hint_index < peer->match_index)
	{
		if (message->context <= peer->match_round ||
			message->hint_index >= peer->match_index)
			return RAFT_STALE;
		peer->match_index = 0;
		peer->match_round = node->round;
		peer->lost_data = true;
		set_goal(node, peer, false);
		update->lost_data = id_of(node, slot);
	}
	else if (peer->mode == RAFT_PROBE &&
			 message->prev_index != peer->next_index - 1)
		return RAFT_STALE;		/* not the answer to the last probe */

	next_index = raft_log_may_agree(&node->log, message->hint_index,
									message->hint_term) + 1;
	if (next_index > message->prev_index)
		next_index = message->prev_index;
	if (next_index <= peer->match_index)
		next_index = peer->match_index + 1;
	start_probing(peer, next_index);

	return RAFT_OK;
}

/* What follows every answer of a member. */
static void
after_reply(struct raft *node, struct raft_update *update, uint32_t slot)
{
	raft_advance_commit(node, update);
	if (node->state != RAFT_LEADER)
		return;
	raft_poll_reads(node, update);
	replicate(node, update, slot, BURST_IN_ANSWER);
	raft_poll_transfer(node, update);
}

enum raft_status
raft_on_append_reply(struct raft *node, const struct raft_message *message,
					 struct raft_update *update)
{
	uint32_t	slot = peer_of(node, message->from);
	enum raft_status status = RAFT_OK;
	struct raft_peer *peer;

	if (node->state != RAFT_LEADER || slot == RAFT_NO_SLOT)
		return RAFT_STALE;
	if (message->context > node->round ||
		message->match > node->log.last_index ||
		message->prev_index > node->log.last_index)
		return RAFT_INVALID;

	peer = &node->peers[slot];
	peer->heard = true;
	peer->contact_ms = node->now_ms;
	if (peer->round < message->context)
		peer->round = message->context;
	raft_note_promise(node, peer, message);

	if (message->accepted)
		acknowledged(node, peer, message->match, message->context);
	else
		status = refused(node, update, slot, message);
	/* Whoever leaves and knows that this is final needs nothing more. */
	if (slot == RAFT_LEAVING_SLOT && message->accepted &&
		message->commit >= node->leaving_index)
		node->leaving = 0;
	else
		after_reply(node, update, slot);

	return status;
}

/* A member has what a copy had to offer. */
enum raft_status
raft_on_snapshot_reply(struct raft *node, const struct raft_message *message,
					   struct raft_update *update)
{
	uint32_t	slot = peer_of(node, message->from);

	if (node->state != RAFT_LEADER || slot == RAFT_NO_SLOT)
		return RAFT_STALE;
	if (message->context > node->round ||
		message->match > node->log.last_index)
		return RAFT_INVALID;

	node->peers[slot].heard = true;
	node->peers[slot].contact_ms = node->now_ms;
	if (message->accepted)
		acknowledged(node, &node->peers[slot], message->match,
					 message->context);
	after_reply(node, update, slot);

	return RAFT_OK;
}

/* What was on its way to a member may be lost: begin again where we know. */
enum raft_status
raft_on_link_down(struct raft *node, raft_id id, struct raft_update *update)
{
	uint32_t	slot = raft_slot_of(node, id);

	if (node->state != RAFT_LEADER)
	{
		if (id != 0 && id == node->leader)
			raft_drop_reads(node, update);
		return RAFT_OK;
	}
	if (slot == RAFT_NO_SLOT || slot == node->self)
		return RAFT_STALE;

	if (node->peers[slot].mode != RAFT_COPY)
		start_probing(&node->peers[slot], node->peers[slot].match_index + 1);
	if (node->n_confirming > 0)
		ask_others(node, update, slot);
	return RAFT_OK;
}
