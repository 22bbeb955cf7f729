/*-------------------------------------------------------------------------
 *
 * membership.c
 *	  Which configuration is in force, and changing it (Thesis, chapter 4).
 *
 * The group changes by one member at a time: one joins as a learner, a learner
 * that has caught up becomes a voter, a voter becomes a learner, one leaves.
 * Any majority of the old configuration then shares a member with any majority
 * of the new one, so the new one can be used as soon as its entry is in the
 * log, committed or not, on every member that has the entry.
 *
 * That argument needs two rules:
 *
 *	- One change at a time: none is accepted before the previous one committed.
 *
 *	- None before an entry of the leader's own term committed.  Otherwise two
 *	  leaders of different terms could each append a change that the other does
 *	  not know (Ongaro's message to raft-dev of July 2015).  The no-op of a new
 *	  term takes care of it, and also commits a change that a crashed leader
 *	  left half done.
 *
 * At most one configuration in a log is then uncommitted, so it is enough to
 * remember the one before it: truncating the log can bring back just that one.
 * A snapshot stores the newest committed one, and after a restart the newest
 * in the log counts as uncommitted until the commit index passes it.
 *
 * One thing it does not solve: a promotion that only its proposer holds needs
 * the vote of the learner it promotes, which may hold a later entry and does
 * not stand itself, for by its own log it is a learner.  If the member that
 * made that later entry is away, the rest waits for it, majority or not (see
 * test/raft/traces/promotion_unheard.txt).  Two leaders must fail in a row for
 * that, each with its last entry on nobody who could have voted for it.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

#include <string.h>

/* At least one voter; members in ascending order, each once. */
bool
raft_config_is_sane(const struct raft_config *config)
{
	bool		has_voter = false;
	uint32_t	i;

	if (config->n_members > RAFT_MAX_MEMBERS)
		return false;

	for (i = 0; i < config->n_members; i++)
	{
		const struct raft_member *member = &config->members[i];

		if (member->id <= (i == 0 ? 0 : config->members[i - 1].id) ||
			(member->role != RAFT_VOTER && member->role != RAFT_LEARNER))
			return false;
		if (member->role == RAFT_VOTER)
			has_voter = true;
	}

	return has_voter;
}

static uint32_t
find_member(const struct raft_config *config, raft_id id)
{
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		if (config->members[i].id == id)
			return i;
	}

	return RAFT_NO_SLOT;
}

/* A member's slot in the configuration in force, or RAFT_NO_SLOT. */
uint32_t
raft_slot_of(const struct raft *node, raft_id id)
{
	return find_member(&node->config.config, id);
}

bool
raft_is_voter(const struct raft *node, uint32_t slot)
{
	return slot != RAFT_NO_SLOT &&
		node->config.config.members[slot].role == RAFT_VOTER;
}

/* The newest configuration known to be committed. */
const struct raft_config_entry *
raft_config_at_commit(const struct raft *node)
{
	return node->config.index <= node->commit_index ?
		&node->config : &node->previous_config;
}

/*
 * Whether this member may stand for election.  A voter may; and so may one
 * that ceases to be a voter by a change that is not known to be committed.  It
 * can be the only one alive whose log a majority of the old configuration
 * would accept (Thesis 4.2.2, Figure 4.6).  Its own vote does not count then.
 */
bool
raft_may_campaign(const struct raft *node)
{
	const struct raft_config *previous = &node->previous_config.config;
	uint32_t	slot;

	if (raft_is_voter(node, node->self))
		return true;
	if (node->config.index <= node->commit_index)
		return false;

	slot = find_member(previous, node->id);
	return slot != RAFT_NO_SLOT && previous->members[slot].role == RAFT_VOTER;
}

void
raft_find_self(struct raft *node)
{
	node->self = raft_slot_of(node, node->id);
}

/* The configuration changed: where does that leave us? */
static void
find_place(struct raft *node, struct raft_update *update)
{
	enum raft_state state;

	update->config_changed = true;
	raft_find_self(node);
	if (node->state == RAFT_LEADER)
		return;					/* until the change commits; Thesis 4.2.2 */

	state = node->self == RAFT_NO_SLOT ? RAFT_DETACHED : RAFT_FOLLOWER;
	if (state != node->state)
	{
		raft_drop_reads(node, update);
		node->state = state;
		raft_reset_election_timer(node);
	}
}

/* A configuration entry was appended: it is in force; Thesis 4.1. */
void
raft_adopt_config(struct raft *node, struct raft_update *update,
				  const struct raft_config_entry *entry)
{
	node->previous_config = node->config;
	node->config = *entry;
	find_place(node, update);
}

/* Entries were removed, maybe the configuration with them; Thesis 4.1. */
void
raft_roll_back_config(struct raft *node, struct raft_update *update,
					  raft_index truncate_from)
{
	if (node->config.index < truncate_from)
		return;

	node->config = node->previous_config;
	find_place(node, update);
}

/* Whether a learner may become a voter without slowing the group down. */
static bool
is_promotable(const struct raft *node, uint32_t slot)
{
	return slot != node->self && !raft_is_voter(node, slot) &&
		raft_has_caught_up(node, slot);
}

/* Leader: a learner that may be proposed as a voter now, or 0. */
raft_id
raft_promotable(const struct raft *node)
{
	uint32_t	i;

	if (node->state != RAFT_LEADER || node->transfer_target != 0 ||
		node->config.index > node->commit_index ||
		node->term_start > node->commit_index)
		return 0;

	for (i = 0; i < node->config.config.n_members; i++)
	{
		if (is_promotable(node, i))
			return node->config.config.members[i].id;
	}

	return 0;
}

/* How a proposed configuration differs from the one in force. */
struct change
{
	uint32_t	n_members;		/* how many members differ; at most one */
	uint32_t	slot;			/* its slot in the longer of the two */
	bool		joins;
	bool		leaves;
};

static struct change
compare(const struct raft_config *old, const struct raft_config *new)
{
	struct change change = {0, 0, false, false};
	uint32_t	i = 0;
	uint32_t	j = 0;

	while (i < old->n_members || j < new->n_members)
	{
		if (j == new->n_members ||
			(i < old->n_members && old->members[i].id < new->members[j].id))
		{
			change.n_members++;
			change.leaves = true;
			change.slot = i++;
		}
		else if (i == old->n_members || new->members[j].id < old->members[i].id)
		{
			change.n_members++;
			change.joins = true;
			change.slot = j++;
		}
		else
		{
			if (old->members[i].role != new->members[j].role)
			{
				change.n_members++;
				change.slot = i;
			}
			i++;
			j++;
		}
	}

	return change;
}

/*
 * Whether the leader may propose this change.  None at all is one, too: what
 * the shell keeps with the members, such as an address, has changed.  Who joins
 * does so as a learner, and becomes a voter when it has caught up (Thesis
 * 4.2.1): an empty voter would make majorities larger without being able to
 * join one.
 */
static bool
is_legal(const struct raft *node, const struct raft_config *config,
		 const struct change *change)
{
	if (change->n_members != 1)
		return change->n_members == 0;
	if (change->joins)
		return config->members[change->slot].role == RAFT_LEARNER;
	if (change->leaves || config->members[change->slot].role == RAFT_LEARNER)
		return true;
	return is_promotable(node, change->slot);
}

/* Heartbeats for a member that was removed, before it is given up. */
#define FAREWELLS				20

/*
 * Keep what is known of each member with the member.  One that leaves goes on
 * to receive the log until it knows that its removal has committed: otherwise
 * it would never hear of it, and go on to ask for elections.
 */
static void
move_peers(struct raft *node, const struct change *change, uint32_t n_before,
		   raft_id id)
{
	struct raft_peer *peer = &node->peers[change->slot];

	if (change->joins)
	{
		memmove(peer + 1, peer, (n_before - change->slot) * sizeof(*peer));
		raft_start_peer(node, change->slot);
		if (node->leaving == id)
			node->leaving = 0;
	}
	else if (change->leaves)
	{
		if (id != node->id)
		{
			node->peers[RAFT_LEAVING_SLOT] = *peer;
			node->leaving = id;
			node->leaving_index = node->config.index;
			node->n_farewells = FAREWELLS;
		}
		memmove(peer, peer + 1, (n_before - change->slot - 1) * sizeof(*peer));
	}
}

enum raft_status
raft_on_config_proposed(struct raft *node, const struct raft_event *event,
						struct raft_update *update)
{
	struct raft_config_entry entry;
	struct change change;
	uint32_t	n_before = node->config.config.n_members;
	raft_id		id;

	if (node->state != RAFT_LEADER)
		return RAFT_NOT_LEADER;
	if (!raft_config_is_sane(&event->u.config))
		return RAFT_INVALID;
	if (node->transfer_target != 0 || node->config.index > node->commit_index)
		return RAFT_IN_PROGRESS;
	if (node->term_start > node->commit_index)
		return RAFT_NOT_READY;

	change = compare(&node->config.config, &event->u.config);
	if (!is_legal(node, &event->u.config, &change))
		return RAFT_INVALID;
	id = change.leaves ? node->config.config.members[change.slot].id :
		event->u.config.members[change.slot].id;
	if (!raft_append_own(node, update, RAFT_APPEND_CONFIG, 1))
		return RAFT_BUSY;

	entry.index = node->log.last_index;
	entry.config = event->u.config;
	raft_adopt_config(node, update, &entry);
	move_peers(node, &change, n_before, id);
	raft_replicate_to_all(node, update);

	/* A smaller group may have a majority for what the larger had not. */
	raft_advance_commit(node, update);
	if (node->state == RAFT_LEADER)
		raft_poll_reads(node, update);

	return RAFT_OK;
}

/*
 * Thesis 4.2.2: a leader that is no longer a voter rules until the change has
 * committed, for nobody else may know of it before.  Then it hands over, so
 * that the group need not wait for a timeout, and steps down.
 */
void
raft_leave_if_removed(struct raft *node, struct raft_update *update)
{
	if (node->state != RAFT_LEADER || raft_is_voter(node, node->self) ||
		node->config.index > node->commit_index)
		return;

	raft_hand_over(node, update);
	raft_become_follower(node, update, node->term, 0);
}
