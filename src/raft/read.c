/*-------------------------------------------------------------------------
 *
 * read.c
 *	  Linearizable reads without a write (Thesis 6.4, ReadIndex).
 *
 * A read is linearizable if it sees every write that was acknowledged before
 * the read was requested.  The leader knows such an index, its commit index,
 * under two conditions:
 *
 *	- An entry of its own term has committed.  Before that it may not know yet
 *	  how far its predecessors had committed.  Reads are held until then.
 *
 *	- It was still the leader at some time after the request.  It begins a
 *	  round, a number that every APPEND carries and every answer returns, and
 *	  waits until a majority has answered that round or a later one.
 *
 * A round asks no more voters than it takes, as long as nothing is being written;
 * see raft_begin_round().
 *
 * One round serves every read that was there when it began.  Reads that come
 * while a round is under way wait for the next one, which begins as soon as
 * this one is confirmed: under load rounds follow each other and each serves
 * many reads, without load a read costs one exchange.
 *
 * A question of a voter is as good as its answer to a round that began when the
 * question was asked: that voter was then in this term.  Where it and the leader
 * are a majority, as in any group of three, nobody else need be asked.
 *
 * A leader that has a lease knows without asking that there is no other; then
 * a read costs it nothing, and another member one message and its answer.
 *
 * A member that is not the leader asks the leader.  Its requests carry numbers
 * that begin at a random one and are not used again, so that an answer to an
 * earlier life of the process cannot be taken for one to this.
 *
 * Reads are dropped (answered with index 0) whenever the role, the term or the
 * leader changes, and after an election timeout: the asker asks again.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

#include <string.h>

/* Reads of other members that a leader takes on at a time. */
#define RAFT_MAX_REMOTE_READS	(2 * RAFT_MAX_MEMBERS)

static void
reply_to_read(const struct raft *node, struct raft_update *update,
			  raft_id to, uint64_t context, raft_index index)
{
	struct raft_message *reply;

	reply = raft_message_new(node, update, RAFT_MSG_READ_REPLY, to);
	if (reply == NULL)
		return;
	reply->context = context;
	reply->commit = index;
	reply->accepted = index != 0;
}

/*
 * Tell the asker the index, 0 if there is none.  Another member is not told of
 * that: it cannot be served before it hears of the next leader, and then it
 * drops what it asked of this one.
 */
static void
answer(const struct raft *node, struct raft_update *update,
	   const struct raft_read *read, raft_index index)
{
	if (read->from != 0)
	{
		if (index != 0)
			reply_to_read(node, update, read->from, read->id, index);
	}
	else if (update->n_reads < RAFT_MAX_READS)
	{
		update->reads[update->n_reads].id = read->id;
		update->reads[update->n_reads].index = index;
		update->n_reads++;
	}
}

/* Answer the oldest "count" reads and forget them. */
static void
answer_oldest(struct raft *node, struct raft_update *update, uint32_t count,
			  raft_index index)
{
	uint32_t	i;

	for (i = 0; i < count; i++)
		answer(node, update, &node->reads[i], index);

	node->n_reads -= count;
	node->n_confirming -= count < node->n_confirming ? count : node->n_confirming;
	memmove(node->reads, node->reads + count,
			node->n_reads * sizeof(node->reads[0]));
}

static void
add_read(struct raft *node, uint64_t id, raft_id from, uint64_t context)
{
	struct raft_read *read = &node->reads[node->n_reads++];

	read->id = id;
	read->from = from;
	read->context = context;
	read->since_ms = node->now_ms;
}

static uint32_t
count_remote_reads(const struct raft *node)
{
	uint32_t	count = 0;
	uint32_t	i;

	for (i = 0; i < node->n_reads; i++)
	{
		if (node->reads[i].from != 0)
			count++;
	}

	return count;
}

void
raft_drop_reads(struct raft *node, struct raft_update *update)
{
	if (node->n_reads > 0)
		answer_oldest(node, update, node->n_reads, 0);
}

uint64_t
raft_reads_deadline(const struct raft *node)
{
	return node->n_reads == 0 ? UINT64_MAX :
		node->reads[0].since_ms + node->options.election_timeout_ms;
}

/* Drop the reads that have waited for an election timeout. */
void
raft_expire_reads(struct raft *node, struct raft_update *update)
{
	uint32_t	count = 0;

	while (count < node->n_reads &&
		   node->now_ms - node->reads[count].since_ms >=
		   node->options.election_timeout_ms)
		count++;

	if (count > 0)
		answer_oldest(node, update, count, 0);
}

/* Leader: answer what is confirmed, and begin the next round if any wait. */
void
raft_poll_reads(struct raft *node, struct raft_update *update)
{
	if (node->n_reads > 0 && node->now_ms < raft_lease_until(node))
		answer_oldest(node, update, node->n_reads, node->commit_index);

	while (node->n_reads > 0)
	{
		if (node->n_confirming > 0)
		{
			if (raft_quorum_reached(node, RAFT_BY_ROUND) < node->read_round)
				return;
			answer_oldest(node, update, node->n_confirming, node->read_index);
			continue;
		}

		/* Thesis 6.4, step 1: not before an entry of this term committed. */
		if (node->commit_index < node->term_start)
			return;

		/* Steps 2 and 3: remember the commit index, ask for a quorum. */
		node->n_confirming = node->n_reads;
		node->read_index = node->commit_index;
		raft_begin_round(node, update);
		node->read_round = node->round;
	}
}

enum raft_status
raft_on_read_requested(struct raft *node, const struct raft_event *event,
					   struct raft_update *update)
{
	struct raft_message *message;

	if (node->leader == 0)
		return RAFT_NOT_LEADER;
	if (node->n_reads == RAFT_MAX_READS)
		return RAFT_BUSY;

	if (node->state == RAFT_LEADER)
	{
		add_read(node, event->u.read.id, 0, 0);
		raft_poll_reads(node, update);
		return RAFT_OK;
	}

	message = raft_message_new(node, update, RAFT_MSG_READ, node->leader);
	if (message == NULL)
		return RAFT_BUSY;
	message->context = ++node->read_context;
	add_read(node, event->u.read.id, 0, node->read_context);

	return RAFT_OK;
}

/* Are the two of them, who are in this term, a majority? */
static bool
asker_suffices(const struct raft *node, raft_id asker)
{
	const struct raft_config *config = &node->config.config;
	uint32_t	n_voters = 0;
	uint32_t	n_here = 0;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		if (config->members[i].role != RAFT_VOTER)
			continue;
		n_voters++;
		if (i == node->self || config->members[i].id == asker)
			n_here++;
	}

	return 2 * n_here > n_voters;
}

/* A member asks.  Who cannot answer says so at once. */
enum raft_status
raft_on_read(struct raft *node, const struct raft_message *message,
			 struct raft_update *update)
{
	if (node->state == RAFT_LEADER && message->term == node->term &&
		node->commit_index >= node->term_start &&
		asker_suffices(node, message->from))
	{
		reply_to_read(node, update, message->from, message->context,
					  node->commit_index);
		return RAFT_OK;
	}

	if (node->state != RAFT_LEADER || message->term < node->term ||
		node->n_reads == RAFT_MAX_READS ||
		count_remote_reads(node) == RAFT_MAX_REMOTE_READS)
	{
		reply_to_read(node, update, message->from, message->context, 0);
		return RAFT_OK;
	}

	add_read(node, message->context, message->from, 0);
	raft_poll_reads(node, update);

	return RAFT_OK;
}

/* The leader of this term answers one of our requests. */
enum raft_status
raft_on_read_reply(struct raft *node, const struct raft_message *message,
				   struct raft_update *update)
{
	uint32_t	i;

	if (node->state == RAFT_LEADER || message->from != node->leader)
		return RAFT_STALE;

	for (i = 0; i < node->n_reads; i++)
	{
		if (node->reads[i].context != message->context)
			continue;

		answer(node, update, &node->reads[i], message->commit);
		node->n_reads--;
		memmove(node->reads + i, node->reads + i + 1,
				(node->n_reads - i) * sizeof(node->reads[0]));
		return RAFT_OK;
	}

	return RAFT_STALE;
}
