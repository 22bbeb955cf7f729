/*-------------------------------------------------------------------------
 *
 * quorum.c
 *	  What a majority has reached.
 *
 * Votes, commit, check-quorum, leases and the confirmation of reads are one question:
 * what is the largest value that a majority of the voters has reached?  For
 * votes the value is 0 or 1, for commit an index, for check-quorum and leases a
 * time, for reads the number of a round.  The answer is an order statistic: sort the
 * values in descending order, take the one in the middle.
 *
 * Learners never count, and neither does a leader that is not (or no longer) a
 * voter of its own configuration (Thesis 4.2.2).
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

/*
 * The largest value that more than half of the values reach; 0 of none.
 * Reorders the values.
 */
uint64_t
raft_majority_reached(uint64_t *values, uint32_t n_values)
{
	uint32_t	i;

	if (n_values == 0)
		return 0;

	for (i = 1; i < n_values; i++)
	{
		uint64_t	value = values[i];
		uint32_t	j = i;

		while (j > 0 && values[j - 1] < value)
		{
			values[j] = values[j - 1];
			j--;
		}
		values[j] = value;
	}

	return values[n_values / 2];
}

/* What this member itself contributes to a quorum. */
static uint64_t
own_value(const struct raft *node, enum raft_measure measure)
{
	switch (measure)
	{
		case RAFT_BY_VOTE:
			return 1;
		case RAFT_BY_MATCH:
			return node->log.durable_index;
		case RAFT_BY_CONTACT:
			return node->now_ms;
		case RAFT_BY_ROUND:
			return node->round;
		case RAFT_BY_PROMISE:
			return raft_own_promise(node);
	}
	return 0;
}

static uint64_t
peer_value(const struct raft_peer *peer, enum raft_measure measure)
{
	switch (measure)
	{
		case RAFT_BY_VOTE:
			return peer->granted ? 1 : 0;
		case RAFT_BY_MATCH:
			return peer->match_index;
		case RAFT_BY_CONTACT:
			return peer->contact_ms;
		case RAFT_BY_ROUND:
			return peer->round;
		case RAFT_BY_PROMISE:
			return peer->stays_until_ms;
	}
	return 0;
}

/* The largest value of a measure that a majority of the voters has reached. */
uint64_t
raft_quorum_reached(const struct raft *node, enum raft_measure measure)
{
	const struct raft_config *config = &node->config.config;
	uint64_t	values[RAFT_MAX_MEMBERS];
	uint32_t	n_values = 0;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		if (config->members[i].role != RAFT_VOTER)
			continue;
		values[n_values++] = i == node->self ?
			own_value(node, measure) : peer_value(&node->peers[i], measure);
	}

	return raft_majority_reached(values, n_values);
}

/* Whether this member decides everything alone. */
bool
raft_is_sole_voter(const struct raft *node)
{
	const struct raft_config *config = &node->config.config;
	uint32_t	i;

	if (!raft_is_voter(node, node->self))
		return false;

	for (i = 0; i < config->n_members; i++)
	{
		if (i != node->self && config->members[i].role == RAFT_VOTER)
			return false;
	}

	return true;
}
