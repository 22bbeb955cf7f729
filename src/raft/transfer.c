/*-------------------------------------------------------------------------
 *
 * transfer.c
 *	  Giving leadership to another member (Thesis 3.10).
 *
 * The leader accepts no new entries, waits until the target holds all it has,
 * and orders it to stand for election at once.  The target skips the pre-vote,
 * and its requests for votes are marked, so that members who still hear the
 * old leader grant them.  With every entry durable on the target it wins
 * unless something fails.
 *
 * If it has not won after an election timeout the leader gives the transfer up
 * and accepts entries again.  An order that arrives later does no harm: it
 * leads to an election, and elections are always safe; but it ends the lease of
 * this leader for good, see lease.c.  While the transfer lasts, every answer of
 * the target repeats the order.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

/*
 * Whether a member can succeed this leader soon: one that is silent cannot, nor
 * one that has to fetch a copy first.
 */
static bool
is_fit(const struct raft *node, uint32_t slot)
{
	return slot != node->self && raft_is_voter(node, slot) &&
		raft_in_contact(node, slot) && node->peers[slot].mode != RAFT_COPY;
}

/* The voter that is furthest and fit; RAFT_NO_SLOT if there is none. */
static uint32_t
best_successor(const struct raft *node)
{
	uint32_t	best = RAFT_NO_SLOT;
	uint32_t	i;

	for (i = 0; i < node->config.config.n_members; i++)
	{
		if (is_fit(node, i) &&
			(best == RAFT_NO_SLOT ||
			 node->peers[i].match_index > node->peers[best].match_index))
			best = i;
	}

	return best;
}

/* The order itself.  It overrides every promise that a lease rests on. */
static void
order(struct raft *node, struct raft_update *update, raft_id successor)
{
	node->lease_forfeited = true;
	raft_message_new(node, update, RAFT_MSG_TIMEOUT_NOW, successor);
}

/* Leave the term to whoever is fit to end it, if anybody is. */
void
raft_hand_over(struct raft *node, struct raft_update *update)
{
	uint32_t	slot = best_successor(node);

	if (slot != RAFT_NO_SLOT &&
		node->peers[slot].match_index == node->log.last_index)
		order(node, update, node->config.config.members[slot].id);
}

/* Give the order once the target holds all there is. */
void
raft_poll_transfer(struct raft *node, struct raft_update *update)
{
	uint32_t	slot;

	if (node->transfer_target == 0)
		return;

	slot = raft_slot_of(node, node->transfer_target);
	if (node->peers[slot].match_index == node->log.last_index)
		order(node, update, node->transfer_target);
}

enum raft_status
raft_on_transfer_requested(struct raft *node, const struct raft_event *event,
						   struct raft_update *update)
{
	uint32_t	slot;

	if (node->state != RAFT_LEADER)
		return RAFT_NOT_LEADER;
	if (node->transfer_target != 0)
		return RAFT_IN_PROGRESS;

	slot = event->u.peer.peer == 0 ? best_successor(node) :
		raft_slot_of(node, event->u.peer.peer);
	if (slot == RAFT_NO_SLOT || !is_fit(node, slot))
		return RAFT_INVALID;

	node->transfer_target = node->config.config.members[slot].id;
	node->transfer_deadline_ms = node->now_ms + node->options.election_timeout_ms;
	raft_poll_transfer(node, update);

	return RAFT_OK;
}

/* The leader of this term orders us to succeed it. */
enum raft_status
raft_on_timeout_now(struct raft *node, const struct raft_message *message,
					struct raft_update *update)
{
	if (node->state != RAFT_FOLLOWER || message->from != node->leader ||
		!raft_is_voter(node, node->self))
		return RAFT_STALE;

	raft_campaign(node, update, true);
	return RAFT_OK;
}
