/*-------------------------------------------------------------------------
 *
 * oracle.c
 *	  A second opinion on quorums and on the shape of the log.
 *
 * Two pieces of the core are arithmetic that is easy to get almost right: what
 * a majority has reached (quorum.c), and which entry has which term when only
 * the beginnings of terms are kept (log.c).  Here both are done again in the
 * dumbest way there is: count, and keep the term of every entry.  Random cases
 * must give the same answers.
 *
 *		raft_oracle [SEED [CASES]]
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define MAX_ENTRIES	8000

#define LLU(x) ((unsigned long long) (x))

static uint64_t seed;
static uint64_t state;

static uint64_t
draw(uint64_t n)
{
	uint64_t	z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return n == 0 ? 0 : z % n;
}

static void
same(const char *what, uint64_t expected, uint64_t found)
{
	if (expected == found)
		return;
	printf("seed %llu: %s: expected %llu, found %llu\n", LLU(seed), what, LLU(expected),
		   LLU(found));
	exit(1);
}

/*
 * Quorums
 */

/* The largest value that more than half of them reach. */
static uint64_t
naive_majority(const uint64_t *values, uint32_t n)
{
	uint64_t	best = 0;
	uint32_t	i;
	uint32_t	j;

	for (i = 0; i < n; i++)
	{
		uint32_t	reached = 0;

		for (j = 0; j < n; j++)
			reached += values[j] >= values[i];
		if (2 * reached > n && values[i] > best)
			best = values[i];
	}
	return best;
}

static void
quorum_case(void)
{
	static struct raft node;
	static const enum raft_measure measures[] = {RAFT_BY_VOTE, RAFT_BY_MATCH, RAFT_BY_CONTACT,
	RAFT_BY_ROUND};
	uint64_t	values[4][RAFT_MAX_MEMBERS];
	uint64_t	range = 1 + draw(10);
	uint32_t	n_voters = 0;
	bool		alone;
	uint32_t	i;
	int			m;

	memset(&node, 0, sizeof(node));
	node.id = 1 + draw(12);
	node.now_ms = 1000 + draw(range);
	node.log.durable_index = draw(range);
	node.round = draw(range);
	node.config.config.n_members = (uint32_t) draw(RAFT_MAX_MEMBERS + 1);
	node.self = RAFT_NO_SLOT;
	for (i = 0; i < node.config.config.n_members; i++)
	{
		struct raft_member *member = &node.config.config.members[i];
		struct raft_peer *peer = &node.peers[i];

		member->id = i + 1;
		member->role = draw(3) == 0 ? RAFT_LEARNER : RAFT_VOTER;
		if (member->id == node.id)
			node.self = i;
		peer->granted = draw(2) == 0;
		peer->match_index = draw(range);
		peer->contact_ms = 1000 + draw(range);
		peer->round = draw(range);
		if (member->role != RAFT_VOTER)
			continue;
		values[0][n_voters] = i == node.self ? 1 : peer->granted;
		values[1][n_voters] = i == node.self ? node.log.durable_index : peer->match_index;
		values[2][n_voters] = i == node.self ? node.now_ms : peer->contact_ms;
		values[3][n_voters] = i == node.self ? node.round : peer->round;
		n_voters++;
	}
	for (m = 0; m < 4; m++)
		same("what a majority has reached", naive_majority(values[m], n_voters),
			 raft_quorum_reached(&node, measures[m]));
	alone = n_voters == 1 && node.self != RAFT_NO_SLOT &&
		node.config.config.members[node.self].role == RAFT_VOTER;
	same("sole voter", alone, raft_is_sole_voter(&node));
}

/*
 * The log: the term of every entry, and from where on the core remembers
 */

static struct
{
	raft_index	base;
	raft_term	base_term;
	raft_index	last;
	raft_index	known;			/* the first entry whose run is remembered */
	raft_term	term[MAX_ENTRIES + 1];
}			naive;

static bool
naive_has(raft_index index)
{
	return index > naive.base && index >= naive.known && index <= naive.last;
}

static raft_term
naive_term(raft_index index)
{
	if (index == naive.base)
		return naive.base_term;
	return naive_has(index) ? naive.term[index] : 0;
}

static uint32_t
naive_runs(void)
{
	uint32_t	n = 0;
	raft_index	i;

	for (i = naive.base + 1; i <= naive.last; i++)
		if (naive_has(i) && (!naive_has(i - 1) || naive.term[i] != naive.term[i - 1]))
			n++;
	return n;
}

/* Forget the oldest run. */
static void
naive_forget(void)
{
	raft_index	i = naive.known > naive.base ? naive.known : naive.base + 1;
	raft_term	term = naive.term[i];

	while (i <= naive.last && naive.term[i] == term)
		i++;
	naive.known = i;
}

static raft_term
naive_last_term(void)
{
	return naive_has(naive.last) ? naive.term[naive.last] : naive.base_term;
}

static void
naive_extend(raft_index count, raft_term term)
{
	bool		new_run = !naive_has(naive.last) || naive.term[naive.last] != term;

	if (new_run && naive_runs() == RAFT_MAX_TERM_RUNS)
		naive_forget();
	while (count-- > 0)
		naive.term[++naive.last] = term;
}

static void
naive_compact(raft_index index, raft_term term)
{
	naive.base = index;
	naive.base_term = term;
	if (naive.known <= index)
		naive.known = index + 1;
}

/* A message with entries like ours, or with some that differ. */
static void
make_message(struct raft_message *message)
{
	raft_index	index;
	raft_index	end;
	raft_term	term;

	memset(message, 0, sizeof(*message));
	message->prev_index = naive.base + draw(naive.last - naive.base + 1);
	if (draw(10) == 0 && naive.base > 3)
		message->prev_index = naive.base - 1 - draw(3);
	message->n_entries = (uint32_t) draw(RAFT_MAX_BATCH < 40 ? RAFT_MAX_BATCH + 1 : 40);
	term = naive_term(message->prev_index);
	end = message->prev_index + message->n_entries;
	for (index = message->prev_index + 1; index <= end; index++)
	{
		raft_term	ours = naive_term(index);

		if (index <= naive.last && ours >= term && draw(30) != 0)
			term = ours;
		else if (draw(8) == 0)
			term += 1 + draw(2);
		if (term == 0)
			term = 1;
		if (message->n_runs == 0 || message->runs[message->n_runs - 1].term != term)
		{
			if (message->n_runs == RAFT_MAX_MESSAGE_RUNS)
				break;
			message->runs[message->n_runs].first = index;
			message->runs[message->n_runs++].term = term;
		}
	}
	message->n_entries = (uint32_t) (index - message->prev_index - 1);
}

static raft_term
message_term(const struct raft_message *message, raft_index index)
{
	raft_term	term = 0;
	uint32_t	i;

	for (i = 0; i < message->n_runs && message->runs[i].first <= index; i++)
		term = message->runs[i].term;
	return term;
}

static void
ask_difference(const struct raft_log *log, const struct raft_message *message)
{
	raft_index	end = message->prev_index + message->n_entries;
	raft_index	index;

	for (index = message->prev_index + 1; index <= end; index++)
		if (index > naive.last ||
			(naive_has(index) && naive.term[index] != message_term(message, index)))
			break;
	same("first difference", index, raft_log_first_difference(log, message));
}

static void
ask_describe(const struct raft_log *log)
{
	struct raft_run runs[RAFT_MAX_MESSAGE_RUNS];
	struct raft_run expected[RAFT_MAX_MESSAGE_RUNS];
	raft_index	first = naive.base + draw(naive.last - naive.base + 2);
	uint32_t	count = (uint32_t) draw(50);
	uint32_t	n_runs = 0;
	uint32_t	n_expected = 0;
	raft_index	i;

	for (i = first; i < first + count && naive_has(first) && naive_has(i); i++)
	{
		if (i > first && naive.term[i] == naive.term[i - 1])
			continue;
		if (n_expected == RAFT_MAX_MESSAGE_RUNS)
			break;
		expected[n_expected].first = i;
		expected[n_expected++].term = naive.term[i];
	}
	same("entries described", i - first, raft_log_describe(log, first, count, runs, &n_runs));
	same("runs described", n_expected, n_runs);
	for (i = 0; i < n_runs; i++)
	{
		same("first of a run", expected[i].first, runs[i].first);
		same("term of a run", expected[i].term, runs[i].term);
	}
}

static void
ask(const struct raft_log *log)
{
	raft_index	index = draw(naive.last + 5);
	raft_term	term = draw(naive_last_term() + 3);
	raft_index	expected;
	uint32_t	more;
	uint32_t	runs = naive_runs();
	raft_index	first_kept = naive.known > naive.base ? naive.known : naive.base + 1;
	uint32_t	drop;

	same("base", naive.base, log->base_index);
	same("last", naive.last, log->last_index);
	same("last term", naive_last_term(), raft_log_last_term(log));
	same("known", index == naive.base || naive_has(index), raft_log_knows(log, index));
	same("term", naive_term(index), raft_log_term_at(log, index));
	same("runs", runs, log->n_runs);

	expected = index < naive.last ? index : naive.last;
	while (naive_has(expected) && naive.term[expected] > term)
		expected--;
	same("may agree", expected, raft_log_may_agree(log, index, term));

	/* Would "more" runs fit without forgetting the term of "index"? */
	more = (uint32_t) draw(RAFT_MAX_MESSAGE_RUNS + 1);
	drop = runs + more > RAFT_MAX_TERM_RUNS ? runs + more - RAFT_MAX_TERM_RUNS : 0;
	if (drop < runs || drop == 0)
	{
		uint32_t	left = drop;

		for (; left > 0; left--)
		{
			term = naive.term[first_kept];
			while (naive.term[first_kept] == term)
				first_kept++;
		}
		same("room", drop == 0 || first_kept <= index, raft_log_has_room(log, more, index));
	}
	ask_describe(log);
}

static void
change(struct raft_log *log)
{
	raft_index	low = naive.known > naive.base + 1 ? naive.known + 1 : naive.base + 1;
	struct raft_message message;
	raft_index	index;
	raft_index	end;
	raft_term	term;
	raft_term	before;

	switch (draw(6))
	{
		case 0:
		case 1:
			term = naive_last_term() + (draw(2) == 0 || naive.last == naive.base ? 1 + draw(2) : 0);
			index = 1 + draw(5);
			naive_extend(index, term);
			raft_log_extend(log, index, term);
			break;
		case 2:
			if (low > naive.last)
				break;
			index = draw(2) == 0 ? naive.last : low + draw(naive.last - low + 1);
			naive.last = index - 1;
			raft_log_truncate(log, index);
			break;
		case 3:
			if (draw(20) != 0)
				break;
			index = naive.base + draw(naive.last - naive.base + 1);
			term = naive_term(index) != 0 ? naive_term(index) : naive.base_term;
			if (term == 0)
				break;
			raft_log_compact(log, index, term);
			naive_compact(index, term);
			break;
		case 4:
			if (draw(200) != 0)
				break;
			naive_compact(naive.last + draw(10), naive_last_term() + draw(3));
			naive.last = naive.base;
			raft_log_reset(log, naive.base, naive.base_term);
			break;
		default:
			make_message(&message);
			ask_difference(log, &message);
			index = raft_log_first_difference(log, &message);
			end = message.prev_index + message.n_entries;
			before = index > naive.base + 1 ? naive_term(index - 1) : 0;
			if (index > end || index < low || message.prev_index > naive.last ||
				message.prev_index < naive.base || message_term(&message, index) < before)
				break;
			if (index <= naive.last)
			{
				raft_log_truncate(log, index);
				naive.last = index - 1;
			}
			raft_log_append_message(log, &message, index);
			for (; index <= end; index++)
				naive_extend(1, message_term(&message, index));
			break;
	}
}

static void
log_case(void)
{
	static struct raft_log log;
	int			steps = (int) draw(900);

	memset(&naive, 0, sizeof(naive));
	raft_log_reset(&log, 0, 0);
	naive.known = 1;
	while (steps-- > 0 && naive.last < MAX_ENTRIES - 100)
	{
		change(&log);
		ask(&log);
	}
}

int
main(int argc, char **argv)
{
	uint64_t	first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t	count = argc > 2 ? strtoull(argv[2], NULL, 10) : 2000;
	int			i;

	for (seed = first; seed < first + count; seed++)
	{
		state = seed;
		for (i = 0; i < 100; i++)
			quorum_case();
		log_case();
	}
	printf("%llu passed, 0 failed\n", LLU(count));
	return 0;
}
