/*-------------------------------------------------------------------------
 *
 * comparison.c
 *	  Whether the members come to the same state.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "comparison.h"

#include "chain.h"
#include "roster.h"
#include "status.h"

/* How often the leader tells an index. */
#define ROUND_MS	1000

/*
 * So many of the newest indexes are remembered: a member may be that many
 * seconds behind and is still compared.
 */
#define N_ROUNDS	16

/* An index so far ahead of our log is none that we can speak to soon, if ever. */
#define MAX_AHEAD	65536

/* Members do not speak of chains before all of them understand it. */
#define CHAIN_VERSION	3

typedef struct Heard
{
	uint64		member;
	uint64		chain;
} Heard;

typedef struct Round
{
	uint64		index;			/* 0: unused */
	bool		said;			/* our own value is among them */
	uint32		n_heard;
	Heard		heard[RAFT_MAX_MEMBERS];
} Round;

typedef struct Differing
{
	uint64		member;			/* 0: none */
	uint64		index;			/* where that was seen first */
	bool		outvoted;		/* a majority has another value */
} Differing;

static struct
{
	Transport  *transport;
	MessageOrigin origin;
	uint64		node_id;
	uint64		opened_ms;
	uint64		outvoted_at;	/* this node, at that index; 0: it is not */
	Round		rounds[N_ROUNDS];
	Differing	differing[RAFT_MAX_MEMBERS];
}			comparison;

void
comparison_init(Transport *transport, const MessageOrigin *origin, uint64 node_id)
{
	memset(&comparison, 0, sizeof(comparison));
	comparison.transport = transport;
	comparison.origin = *origin;
	comparison.node_id = node_id;
}

/* ------------------------------------------------------------------------
 * What is known
 * ------------------------------------------------------------------------
 */

/*
 * The round at this index; the oldest one makes room for it.  NULL if all that
 * are remembered are newer.
 */
static Round *
round_at(uint64 index)
{
	Round	   *oldest = &comparison.rounds[0];

	for (int i = 0; i < N_ROUNDS; i++)
	{
		Round	   *round = &comparison.rounds[i];

		if (round->index == index)
			return round;
		if (round->index < oldest->index)
			oldest = round;
	}
	if (index < oldest->index)
		return NULL;
	memset(oldest, 0, sizeof(*oldest));
	oldest->index = index;
	return oldest;
}

static const Heard *
heard_from(const Round *round, uint64 member)
{
	for (uint32 i = 0; i < round->n_heard; i++)
	{
		if (round->heard[i].member == member)
			return &round->heard[i];
	}
	return NULL;
}

/*
 * Returns whether that is new.
 */
static bool
note_value(Round *round, uint64 member, uint64 chain)
{
	if (heard_from(round, member) != NULL || round->n_heard == lengthof(round->heard))
		return false;
	round->heard[round->n_heard++] = (Heard) {member, chain};
	return true;
}

static void
note_differing(uint64 member, uint64 index, bool outvoted)
{
	Differing  *place = NULL;

	for (int i = 0; i < lengthof(comparison.differing); i++)
	{
		Differing  *differing = &comparison.differing[i];

		if (differing->member == member)
		{
			differing->outvoted |= outvoted;
			return;
		}
		if (place == NULL && (differing->member == 0 ||
							  membership_find(roster_current(), differing->member) == NULL))
			place = differing;
	}
	if (place == NULL)
		return;
	*place = (Differing) {member, index, outvoted};
	ereport(LOG,
			(errmsg("the state of member \"%s\" differs from that of %s at index " UINT64_FORMAT,
					roster_name(member), outvoted ? "a majority of the members" : "this node",
					index)));
}

/* ------------------------------------------------------------------------
 * Judging
 * ------------------------------------------------------------------------
 */

/* How many voters have this value. */
static uint32
count_voters(const Round *round, uint64 chain)
{
	uint32		n = 0;

	for (uint32 i = 0; i < round->n_heard; i++)
	{
		const Member *member = membership_find(roster_current(), round->heard[i].member);

		if (member != NULL && member->role == RAFT_VOTER && round->heard[i].chain == chain)
			n++;
	}
	return n;
}

/* The value that more than half of the voters have, or NULL. */
static const Heard *
find_majority(const Round *round)
{
	uint32		n_voters = membership_n_voters(roster_current());

	for (uint32 i = 0; i < round->n_heard; i++)
	{
		if (2 * count_voters(round, round->heard[i].chain) > n_voters)
			return &round->heard[i];
	}
	return NULL;
}

static void
judge(const Round *round)
{
	const Heard *right = find_majority(round);
	const Heard *mine = heard_from(round, comparison.node_id);
	const Heard *standard = right ? right : mine;

	if (standard == NULL)
		return;
	for (uint32 i = 0; i < round->n_heard; i++)
	{
		const Heard *heard = &round->heard[i];

		if (heard->chain == standard->chain ||
			membership_find(roster_current(), heard->member) == NULL)
			continue;
		if (heard->member != comparison.node_id)
			note_differing(heard->member, round->index, right != NULL);
		else if (comparison.outvoted_at == 0)
			comparison.outvoted_at = round->index;
	}
}

/* ------------------------------------------------------------------------
 * Telling and hearing
 * ------------------------------------------------------------------------
 */

static void
tell(uint64 member, uint64 index, uint64 chain)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	message_encode_chain(&buffer, &comparison.origin, comparison.node_id, member, index, chain);
	(void) transport_send(comparison.transport, member, buffer.data, buffer.len);
	pfree(buffer.data);
}

static void
tell_all(const Round *round)
{
	const Membership *membership = roster_current();
	const Heard *mine = heard_from(round, comparison.node_id);

	for (uint32 i = 0; i < membership->n_members; i++)
	{
		if (membership->members[i].id != comparison.node_id)
			tell(membership->members[i].id, round->index, mine->chain);
	}
}

/*
 * Say our value where it was asked for and we have come to it.  If it was too
 * long ago, there will be another round.
 */
static void
say_ours(Round *round, uint64 applied_index)
{
	ChainLink	link;

	if (round->index == 0 || round->said || round->index > applied_index)
		return;
	round->said = true;
	if (!chain_at(round->index, &link))
		return;
	(void) note_value(round, comparison.node_id, link.chain);
	tell_all(round);
	judge(round);
}

static bool
has_heard_all(const Round *round)
{
	const Membership *membership = roster_current();

	for (uint32 i = 0; i < membership->n_members; i++)
	{
		if (heard_from(round, membership->members[i].id) == NULL)
			return false;
	}
	return true;
}

/*
 * Tell where we are.  If nothing was applied since the last time, those that
 * have not answered are asked once more.
 */
static void
open_round(uint64 applied_index, uint64 now_ms)
{
	Round	   *round;

	if (applied_index == 0 || now_ms - comparison.opened_ms < ROUND_MS)
		return;
	comparison.opened_ms = now_ms;
	round = round_at(applied_index);
	if (round != NULL && round->said && !has_heard_all(round) &&
		heard_from(round, comparison.node_id) != NULL)
		tell_all(round);
}

/*
 * A leader that says the same again has not heard everybody's answer.
 */
void
comparison_received(const Message *message, uint64 leader)
{
	uint64		from = message->header.from;
	const Heard *mine;
	Round	   *round;

	if (from == comparison.node_id || membership_find(roster_current(), from) == NULL ||
		message->link_index > pg_atomic_read_u64(&progress->last_index) + MAX_AHEAD)
		return;
	round = round_at(message->link_index);
	if (round == NULL)
		return;
	mine = heard_from(round, comparison.node_id);
	if (note_value(round, from, message->link_chain))
		judge(round);
	else if (mine != NULL && from == leader)
		tell(from, round->index, mine->chain);
}

uint64
comparison_tend(bool leader, uint64 applied_index, uint64 now_ms)
{
	const Membership *membership = roster_current();

	if (membership->n_members < 2 || membership->version < CHAIN_VERSION)
		return 0;
	if (leader)
		open_round(applied_index, now_ms);
	for (int i = 0; i < N_ROUNDS; i++)
		say_ours(&comparison.rounds[i], applied_index);
	return comparison.outvoted_at;
}

const char *
comparison_problem(bool *undecided)
{
	StringInfoData text;

	*undecided = false;
	initStringInfo(&text);
	for (int i = 0; i < lengthof(comparison.differing); i++)
	{
		const Differing *differing = &comparison.differing[i];

		if (differing->member == 0 ||
			membership_find(roster_current(), differing->member) == NULL)
			continue;
		*undecided |= !differing->outvoted;
		appendStringInfo(&text, "%sthe state of member \"%s\" differs from that of %s since index "
						 UINT64_FORMAT " or before",
						 text.len > 0 ? "; " : "", roster_name(differing->member),
						 differing->outvoted ? "a majority of the voters" : "this node",
						 differing->index);
	}
	if (*undecided)
		appendStringInfoString(&text, "; no majority says who is right: see store.verify()");
	return text.len > 0 ? text.data : NULL;
}
