/*-------------------------------------------------------------------------
 *
 * election.c
 *	  Terms, votes and the timers that lead to them.
 *
 * An election is how a group replaces a leader that it lost, and the one way
 * in which a member can harm a leader that it did not lose.  Three mechanisms
 * together keep a member with a bad link, or one that comes back from a pause
 * or a partition, from deposing a leader that a majority still hears; each of
 * them alone leaves a gap (one-way cuts have brought down real clusters):
 *
 *	- Pre-vote (Thesis 9.6): before it raises its term a member asks whether it
 *	  could win.  A member that cannot win never makes the term grow.
 *
 *	- Stickiness (Thesis 4.2.3): who heard a leader less than an election
 *	  timeout ago grants nothing, not even a look at the higher term, unless
 *	  the leader itself asked for the election.  Leases rest on this being a
 *	  promise, see lease.c.
 *
 *	- Check-quorum (Thesis 6.2): a leader that a majority has not answered for
 *	  an election timeout steps down, so that nobody sticks to it for nothing.
 *
 * Refusals always carry the true term of the sender, so that a member that
 * fell behind in terms but not in log learns what to ask for, and a group
 * cannot deadlock between a longer log and a higher term.
 *
 * Term and vote are one fact and become durable together: save_vote stands for
 * both.  The vote is forgotten only when the term grows.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

/* The next election is due after a time drawn from [t, 2t); Paper 5.2. */
void
raft_reset_election_timer(struct raft *node)
{
	uint64_t	timeout_ms = node->options.election_timeout_ms;

	node->election_deadline_ms = node->now_ms + timeout_ms +
		node->random % timeout_ms;
}

/* Enter a term.  The vote is cleared here and nowhere else. */
static void
enter_term(struct raft *node, struct raft_update *update, raft_term term,
		   raft_id vote)
{
	node->term = term;
	node->vote = vote;
	node->term_durable = false;
	update->save_vote = true;

	/* What was known of an earlier term's leader no longer counts. */
	node->leader = 0;
	node->matched_index = node->commit_index;
	node->acked_index = 0;
	node->acked_round = 0;
	node->leader_round = 0;
}

/*
 * Follow the leader of a term (0: whoever it will be).  The election timer
 * goes on, except that a leader has none to go on with.
 */
void
raft_become_follower(struct raft *node, struct raft_update *update,
					 raft_term term, raft_id leader)
{
	enum raft_state state = node->self == RAFT_NO_SLOT ?
		RAFT_DETACHED : RAFT_FOLLOWER;
	bool		was_leader = node->state == RAFT_LEADER;
	bool		changed = term > node->term || state != node->state ||
		leader != node->leader;

	if (term > node->term)
		enter_term(node, update, term, 0);
	if (changed)
		raft_drop_reads(node, update);

	node->state = state;
	node->leader = leader;
	node->by_transfer = false;
	node->transfer_target = 0;
	if (was_leader)
	{
		/* A leader's log agrees with itself, but only commits are certain. */
		node->matched_index = node->commit_index;
		node->acked_index = 0;
		node->acked_round = 0;
		raft_reset_election_timer(node);
	}
}

/* Whether a leader was heard lately, and must be able to rely on that. */
bool
raft_hears_leader(const struct raft *node)
{
	if (node->state == RAFT_LEADER)
		return true;			/* check-quorum would have deposed it */

	return node->now_ms < node->promised_until_ms;
}

/* Paper 5.4.1: whether a candidate's log holds all that may be committed. */
static bool
is_up_to_date(const struct raft *node, const struct raft_message *message)
{
	raft_term	last_term = raft_log_last_term(&node->log);

	if (message->prev_term != last_term)
		return message->prev_term > last_term;
	return message->prev_index >= node->log.last_index;
}

/* Ask every other voter for a vote or a pre-vote. */
static void
request_votes(struct raft *node, struct raft_update *update,
			  enum raft_message_type type)
{
	const struct raft_config *config = &node->config.config;
	uint32_t	i;

	for (i = 0; i < config->n_members; i++)
	{
		struct raft_message *message;

		node->peers[i].granted = false;
		if (i == node->self || config->members[i].role != RAFT_VOTER)
			continue;

		message = raft_message_new(node, update, type, config->members[i].id);
		if (message == NULL)
			continue;
		if (type == RAFT_MSG_PREVOTE)
			message->term = node->term + 1;
		message->prev_index = node->log.last_index;
		message->prev_term = raft_log_last_term(&node->log);
		message->transfer = node->by_transfer;
	}
}

static bool
has_won(const struct raft *node)
{
	return raft_quorum_reached(node, RAFT_BY_VOTE) == 1;
}

/*
 * Stand for the next term.  Paper 5.2; by_transfer: Thesis 3.10.
 */
void
raft_campaign(struct raft *node, struct raft_update *update, bool by_transfer)
{
	raft_reset_election_timer(node);

	/* A leader begins its term with an entry, which must be describable. */
	if (!raft_log_has_room(&node->log, 1, node->commit_index))
		return;

	raft_drop_reads(node, update);
	enter_term(node, update, node->term + 1, node->id);
	node->state = RAFT_CANDIDATE;
	node->by_transfer = by_transfer;
	request_votes(node, update, RAFT_MSG_VOTE);
	if (has_won(node))
		raft_become_leader(node, update);
}

/*
 * No leader was heard for an election timeout.  Who may stand asks whether it
 * could win (Thesis 9.6); others can only forget the leader.
 */
void
raft_election_timeout(struct raft *node, struct raft_update *update)
{
	/* The timeout was made shorter after more had been promised. */
	if (node->now_ms < node->promised_until_ms)
	{
		node->election_deadline_ms = node->promised_until_ms +
			node->random % node->options.election_timeout_ms;
		return;
	}

	raft_drop_reads(node, update);
	node->leader = 0;

	if (!raft_may_campaign(node))
	{
		node->election_deadline_ms = UINT64_MAX;
		return;
	}

	/* Alone there is nobody to ask and nobody to disturb. */
	if (raft_is_sole_voter(node))
	{
		raft_campaign(node, update, false);
		return;
	}

	node->state = RAFT_PRE_CANDIDATE;
	node->by_transfer = false;
	raft_reset_election_timer(node);
	request_votes(node, update, RAFT_MSG_PREVOTE);
}

/*
 * Would this member vote for the sender in the term it asks about?  Nothing
 * changes here: neither the term nor the vote nor the timer (Thesis 9.6).
 */
enum raft_status
raft_on_prevote(struct raft *node, const struct raft_message *message,
				struct raft_update *update)
{
	struct raft_message *reply;
	bool		granted = message->term > node->term &&
		!raft_hears_leader(node) && is_up_to_date(node, message);

	reply = raft_message_new(node, update, RAFT_MSG_PREVOTE_REPLY, message->from);
	if (reply != NULL)
	{
		reply->accepted = granted;
		if (granted)
			reply->term = message->term;
	}

	return RAFT_OK;
}

/* A refusal with a higher term was dealt with before: see receive(). */
enum raft_status
raft_on_prevote_reply(struct raft *node, const struct raft_message *message,
					  struct raft_update *update)
{
	uint32_t	slot = raft_slot_of(node, message->from);

	if (node->state != RAFT_PRE_CANDIDATE || slot == RAFT_NO_SLOT ||
		!message->accepted || message->term != node->term + 1)
		return RAFT_STALE;

	node->peers[slot].granted = true;
	if (has_won(node))
		raft_campaign(node, update, false);

	return RAFT_OK;
}

/*
 * A request for a vote in the current term; receive() has entered that term
 * if it was new, or refused to if a leader was heard lately.  Candidates need
 * not belong to our configuration, nor we to our own: a member may be needed
 * before it learns of that (Thesis 4.2.2).
 */
enum raft_status
raft_on_vote(struct raft *node, const struct raft_message *message,
			 struct raft_update *update)
{
	struct raft_message *reply;
	bool		granted;

	/*
	 * Paper 5.2, 5.4.1.  Who knows the term's leader knows who won it.  Who
	 * learned of the term from others is bound by what it promised before.
	 */
	granted = (node->vote == message->from ||
			   (node->vote == 0 && node->leader == 0)) &&
		is_up_to_date(node, message) &&
		(message->transfer || !raft_hears_leader(node));

	if (granted)
	{
		if (node->state == RAFT_PRE_CANDIDATE)
			raft_become_follower(node, update, node->term, 0);
		if (node->vote == 0)
		{
			node->vote = message->from;
			update->save_vote = true;
		}
		raft_reset_election_timer(node);
	}

	reply = raft_message_new(node, update, RAFT_MSG_VOTE_REPLY, message->from);
	if (reply != NULL)
		reply->accepted = granted;

	return RAFT_OK;
}

enum raft_status
raft_on_vote_reply(struct raft *node, const struct raft_message *message,
				   struct raft_update *update)
{
	uint32_t	slot = raft_slot_of(node, message->from);

	if (node->state != RAFT_CANDIDATE || slot == RAFT_NO_SLOT ||
		!message->accepted)
		return RAFT_STALE;

	/* The request had waited for the flush of this term: see message.c. */
	node->term_durable = true;
	node->peers[slot].granted = true;
	if (has_won(node))
		raft_become_leader(node, update);

	return RAFT_OK;
}
