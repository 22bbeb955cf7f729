/*-------------------------------------------------------------------------
 *
 * message.c
 *	  Making messages, and judging received ones.
 *
 * When a message may leave
 * ------------------------
 * A message promises something about the disk of its sender when a crash that
 * loses what is not yet flushed could make the sender act against it.  There
 * are two kinds of promises:
 *
 *	- A vote, and the request for votes, which contains the candidate's own:
 *	  "I voted for you in this term".  They always wait for the flush.
 *
 *	- The term that every other message is stamped with: "I left all earlier
 *	  terms behind".  It waits for the flush until the disk is known to hold
 *	  the term.  The core is not told when a term is flushed, but it can tell
 *	  from two facts (term_durable): an entry of the current term is durable,
 *	  for it was appended in that term and duties are done in order; or
 *	  another member granted a vote in it, for the request had waited for the
 *	  flush.  Hence a leader that others elected sends its entries before its
 *	  own flush, and a leader that elected itself alone waits with its first.
 *
 * What an acknowledgement says of the log needs no mark: it speaks of
 * durable_index only, which is durable already.  Pre-votes promise nothing.
 *
 * What is a sane message
 * ----------------------
 * The network, an old member, or a hostile one can send anything.  A message
 * is looked at as a whole before any of it has an effect, so that nonsense is
 * refused without a change.  Whether it comes from a member is not asked
 * here: a member that joins, or one that missed a change of configuration,
 * has to listen to strangers (Thesis 4.1).
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

/*
 * No group holds so many elections while one of its members is away.  A forged
 * term that were believed would use up the terms there are.
 */
#define RAFT_MAX_TERM_JUMP	(UINT64_C(1) << 32)

/* Indexes and terms beyond this are nonsense; their sums cannot overflow. */
#define RAFT_SANE_LIMIT			(UINT64_MAX / 4)

/*
 * Add a message to the update, with nothing but its addresses and term.
 * Returns NULL if the update is full; then the message is as good as lost on
 * the way, and what repeats lost messages will repeat this one.  And NULL if
 * the disk failed: such a member has nothing to say.
 */
struct raft_message *
raft_message_new(const struct raft *node, struct raft_update *update,
				 enum raft_message_type type, raft_id to)
{
	struct raft_message *message;

	if (update->n_messages == RAFT_MAX_MESSAGES || node->disk_failed)
		return NULL;

	message = &update->messages[update->n_messages++];
	message->type = type;
	message->from = node->id;
	message->to = to;
	message->term = node->term;
	message->prev_index = 0;
	message->prev_term = 0;
	message->n_entries = 0;
	message->n_runs = 0;
	message->commit = 0;
	message->context = 0;
	message->accepted = false;
	message->transfer = false;
	message->match = 0;
	message->promise_ms = 0;
	message->hint_index = 0;
	message->hint_term = 0;

	switch (type)
	{
		case RAFT_MSG_VOTE:
		case RAFT_MSG_VOTE_REPLY:
			message->after_flush = true;
			break;
		case RAFT_MSG_PREVOTE:
		case RAFT_MSG_PREVOTE_REPLY:
			message->after_flush = false;
			break;
		default:
			message->after_flush = !node->term_durable;
			break;
	}

	return message;
}

/* A position is a pair: only the start of every log has index 0 or term 0. */
static bool
position_is_sane(raft_index index, raft_term term)
{
	return index <= RAFT_SANE_LIMIT && (index == 0) == (term == 0);
}

/* The terms of an APPEND's entries: without gaps, never descending. */
static bool
runs_are_sane(const struct raft_message *message)
{
	raft_index	end = message->prev_index + message->n_entries;
	uint32_t	i;

	if (message->n_entries > RAFT_MAX_BATCH ||
		message->n_runs > RAFT_MAX_MESSAGE_RUNS ||
		(message->n_entries == 0) != (message->n_runs == 0))
		return false;
	if (message->n_runs == 0)
		return true;

	if (message->runs[0].first != message->prev_index + 1 ||
		message->runs[0].term == 0 ||
		message->runs[0].term < message->prev_term ||
		message->runs[message->n_runs - 1].first > end ||
		message->runs[message->n_runs - 1].term > message->term)
		return false;

	for (i = 1; i < message->n_runs; i++)
	{
		if (message->runs[i].first <= message->runs[i - 1].first ||
			message->runs[i].term <= message->runs[i - 1].term)
			return false;
	}

	return true;
}

/* The configurations among an APPEND's entries. */
static bool
configs_are_sane(const struct raft_event *event)
{
	const struct raft_message *message = &event->u.received.message;
	const struct raft_config_entry *configs = event->u.received.configs;
	raft_index	after = message->prev_index;
	uint32_t	i;

	if (event->u.received.n_configs > 2)
		return false;

	for (i = 0; i < event->u.received.n_configs; i++)
	{
		if (configs[i].index <= after ||
			configs[i].index > message->prev_index + message->n_entries ||
			!raft_config_is_sane(&configs[i].config))
			return false;
		after = configs[i].index;
	}

	return true;
}

/* Whether a received message makes sense at all. */
bool
raft_message_is_sane(const struct raft *node, const struct raft_event *event)
{
	const struct raft_message *message = &event->u.received.message;

	if (message->to != node->id ||
		message->from == node->id || message->from == 0 ||
		message->term == 0 || message->term > node->term + RAFT_MAX_TERM_JUMP ||
		message->term > RAFT_SANE_LIMIT)
		return false;

	switch (message->type)
	{
		case RAFT_MSG_PREVOTE:
		case RAFT_MSG_VOTE:
			/* A candidate's log ends before the term it stands for. */
			return position_is_sane(message->prev_index, message->prev_term) &&
				message->prev_term < message->term;

		case RAFT_MSG_APPEND:
			return position_is_sane(message->prev_index, message->prev_term) &&
				message->prev_term <= message->term &&
				message->commit <= RAFT_SANE_LIMIT &&
				runs_are_sane(message) && configs_are_sane(event);

		case RAFT_MSG_SNAPSHOT:
			return position_is_sane(message->prev_index, message->prev_term) &&
				message->prev_term <= message->term;

		case RAFT_MSG_APPEND_REPLY:
			return message->accepted || message->prev_index == 0 ||
				(position_is_sane(message->hint_index, message->hint_term) &&
				 message->hint_index < message->prev_index);

		case RAFT_MSG_READ_REPLY:
			return message->commit <= RAFT_SANE_LIMIT;

		case RAFT_MSG_PREVOTE_REPLY:
		case RAFT_MSG_VOTE_REPLY:
		case RAFT_MSG_READ:
		case RAFT_MSG_TIMEOUT_NOW:
		case RAFT_MSG_SNAPSHOT_REPLY:
			return true;
	}

	return false;
}
