/*-------------------------------------------------------------------------
 *
 * lease.c
 *	  Leader leases: reads without a round (Thesis 6.4.1).
 *
 * Who hears a leader promises, by every answer to it, to vote for nobody else
 * and not to stand itself for an election timeout from when it heard it.  The
 * leader knows when it asked.  So from the time it sent the round that a
 * majority has answered, and for as long as those promises last, nobody else
 * can be elected, and its commit index covers every write that was ever
 * acknowledged: a read needs no round.
 *
 * The promise is stickiness (Thesis 4.2.3), kept more strictly than liveness
 * alone would need:
 *
 *	- It does not end when the member learns of a later term, nor when it
 *	  forgets the leader; only time ends it.
 *	- A member that starts has forgotten whom it heard, so it is bound as if it
 *	  had heard a leader just now.  Not so one that is alone by its own log: an
 *	  entry of the term of a leader who has promised anything to it would say
 *	  otherwise, and no lease begins before such an entry has committed.
 *	- It is measured by the member's own election timeout, and the answer says
 *	  how long that was: members may be set differently.
 *
 * The lease counts from the time at which the round began, which is before any
 * of its messages left and thus before any promise made in answer.  There is
 * none
 *
 *	- before an entry of this term has committed: what earlier leaders had
 *	  committed is not known, nor is any configuration certain;
 *	- once the order to succeed this leader has left, for the rest of the term:
 *	  votes by transfer override promises, and the order may arrive late;
 *	- for a leader that is not a voter of its own configuration;
 *	- by the majority of any configuration but the one in force.  Another
 *	  candidate may know the one before it, of which every majority shares a
 *	  member with every majority of this one.
 *
 * Clocks.  All this compares time that passes here with time that passes there.
 * It is assumed that no member's clock runs faster or slower than true time by
 * more than an eighth, and that it counts the time for which the machine sleeps.
 * Then of two clocks one is at most 9/7 as fast as the other, and three quarters
 * of a timeout here are over before a whole one is over there; what remains
 * pays for whole milliseconds.  (The Linux kernel slews a clock by a tenth at
 * the most.)
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

/* What of a promise a leader relies on. */
static uint64_t
safe_part(uint64_t promise_ms)
{
	return promise_ms * 3 / 4;
}

/* A leader was heard: from now on no vote for anybody else, for a while. */
void
raft_promise(struct raft *node)
{
	uint64_t	until_ms = node->now_ms + node->options.election_timeout_ms;

	node->promise_ms = node->options.election_timeout_ms;
	if (node->promised_until_ms < until_ms)
		node->promised_until_ms = until_ms;
}

/* What the leader itself makes of it: it stays as long as it knows of no other. */
uint64_t
raft_own_promise(const struct raft *node)
{
	return node->now_ms + safe_part(node->options.election_timeout_ms);
}

/* Number a round, and remember when it began. */
void
raft_number_round(struct raft *node)
{
	node->round++;
	node->round_ms[node->round % RAFT_KNOWN_ROUNDS] = node->now_ms;
}

/*
 * A member answers a round of this term: how long will it stay?  An answer to a
 * round so old that its time is forgotten says nothing; the next one will.
 */
void
raft_note_promise(struct raft *node, struct raft_peer *peer,
				  const struct raft_message *message)
{
	uint64_t	promise_ms = message->promise_ms;
	uint64_t	until_ms;

	if (node->round - message->context >= RAFT_KNOWN_ROUNDS)
		return;

	/* Nobody needs more; a cut-off leader ends within its own timeout. */
	if (promise_ms > node->options.election_timeout_ms)
		promise_ms = node->options.election_timeout_ms;
	until_ms = node->round_ms[message->context % RAFT_KNOWN_ROUNDS] +
		safe_part(promise_ms);
	if (peer->stays_until_ms < until_ms)
		peer->stays_until_ms = until_ms;
}

uint64_t
raft_lease_until(const struct raft *node)
{
	if (node->state != RAFT_LEADER || node->lease_forfeited ||
		node->commit_index < node->term_start ||
		!raft_is_voter(node, node->self))
		return 0;

	/* Alone it takes neither promises nor clocks. */
	if (!node->options.leader_lease && !raft_is_sole_voter(node))
		return 0;

	return raft_quorum_reached(node, RAFT_BY_PROMISE);
}
