/*-------------------------------------------------------------------------
 *
 * sim_time.c
 *	  Chance, the queue of things to come, and how a run fails.
 *
 * Events are ordered by time, and by the order in which they were made where
 * the time is the same, so that nothing is left to the heap's whims.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>

#include "sim.h"

/* xoshiro256** by Blackman and Vigna, seeded by splitmix64 */
void
random_start(uint64_t seed)
{
	int			i;

	for (i = 0; i < 4; i++)
	{
		uint64_t	z = (seed += UINT64_C(0x9e3779b97f4a7c15));

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		sim.random[i] = z ^ (z >> 31);
	}
}

static uint64_t
rotate(uint64_t x, int by)
{
	return (x << by) | (x >> (64 - by));
}

uint64_t
random_word(void)
{
	uint64_t   *s = sim.random;
	uint64_t	result = rotate(s[1] * 5, 7) * 9;
	uint64_t	t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

/* 0 .. n - 1; the bias of the remainder does not matter here */
uint64_t
random_below(uint64_t n)
{
	return n == 0 ? 0 : (random_word() >> 11) % n;
}

uint64_t
random_between(uint64_t low, uint64_t high)
{
	return low + random_below(high - low + 1);
}

bool
random_chance(uint32_t of_1024)
{
	return of_1024 > 0 && random_below(1024) < of_1024;
}

/* A waiting time: mostly near the mean, now and then very short or long. */
uint64_t
random_gap(uint64_t mean)
{
	switch (random_below(8))
	{
		case 0:
			return 1 + mean / 16;
		case 1:
			return 1 + mean * random_between(2, 4);
		default:
			return 1 + random_below(2 * mean);
	}
}

static bool
earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void
event_push(uint64_t at, enum event_kind kind, uint32_t slot, uint64_t arg)
{
	struct event event = {.at = at,.seq = sim.seq++,.kind = kind,.slot = slot,.arg = arg};
	uint32_t	i = sim.n_heap++;

	sim.heap = grow(sim.heap, &sim.heap_room, sim.n_heap, sizeof(struct event));
	while (i > 0 && earlier(&event, &sim.heap[(i - 1) / 2]))
	{
		sim.heap[i] = sim.heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	sim.heap[i] = event;
}

bool
event_pop(struct event *event)
{
	struct event last;
	uint32_t	i = 0;

	if (sim.n_heap == 0)
		return false;
	*event = sim.heap[0];
	last = sim.heap[--sim.n_heap];
	for (;;)
	{
		uint32_t	child = 2 * i + 1;

		if (child >= sim.n_heap)
			break;
		if (child + 1 < sim.n_heap && earlier(&sim.heap[child + 1], &sim.heap[child]))
			child++;
		if (!earlier(&sim.heap[child], &last))
			break;
		sim.heap[i] = sim.heap[child];
		i = child;
	}
	sim.heap[i] = last;
	return true;
}

/* One line of the readable trace, if it is wanted. */
void
trace(const char *format,...)
{
	va_list		args;

	if (!sim.trace || sim.step < sim.trace_from)
		return;
	printf("%8llu %10.3f ", (unsigned long long) sim.step, (double) sim.now_us / 1000.0);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/* End this run. */
void
fail(enum sim_class class, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vsnprintf(sim.failure_text, sizeof(sim.failure_text), format, args);
	va_end(args);
	sim.failure = class;
	longjmp(sim.failed, 1);
}

/* Make room for at least "needed" elements; new ones are zero. */
void *
grow(void *array, uint32_t *room, uint32_t needed, size_t size)
{
	uint32_t	wanted = *room == 0 ? 64 : *room;

	if (needed <= *room)
		return array;
	while (wanted < needed)
		wanted *= 2;
	array = realloc(array, wanted * size);
	if (array == NULL)
	{
		fprintf(stderr, "raft_sim: out of memory\n");
		exit(SIM_HARNESS);
	}
	memset((char *) array + *room * size, 0, (wanted - *room) * size);
	*room = wanted;
	return array;
}

void
list_add(struct list *list, uint32_t value)
{
	list->at = grow(list->at, &list->room, list->n + 1, sizeof(uint32_t));
	list->at[list->n++] = value;
}

const char *
state_name(enum raft_state state)
{
	static const char *const names[] = {"detached", "follower", "precandidate",
	"candidate", "LEADER"};

	return (unsigned) state <= RAFT_LEADER ? names[state] : "?";
}

const char *
message_name(enum raft_message_type type)
{
	static const char *const names[] = {"prevote", "prevote-reply", "vote", "vote-reply",
	"append", "append-reply", "read", "read-reply", "timeout-now", "snapshot", "snapshot-reply"};

	return (unsigned) type <= RAFT_MSG_LAST ? names[type] : "?";
}

const char *
status_name(enum raft_status status)
{
	static const char *const names[] = {"ok", "not-leader", "busy", "not-ready",
	"in-progress", "invalid", "stale", "BROKEN"};

	return (unsigned) status <= RAFT_BROKEN ? names[status] : "?";
}
