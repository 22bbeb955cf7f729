/*-------------------------------------------------------------------------
 *
 * log.c
 *	  The shape of the log: which entry has which term.
 *
 * All of Raft's reasoning about logs is about pairs (index, term): two logs
 * that hold the same pair agree up to it (Paper 5.3, Log Matching).  The core
 * therefore keeps the log as a list of runs, stretches of equal term, and
 * never sees an entry.  A lookup is a binary search over the changes of term,
 * of which a healthy group has a handful; most lookups end in the last run.
 *
 * The list is bounded.  When it is full the oldest run is forgotten, but never
 * one at or above the commit index: what may still be compared or voted about
 * has a known term.  A log that cannot grow under that rule does not grow
 * (raft_log_has_room) until something commits.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "log.h"

#include <string.h>

/* The run that holds an entry; runs[0].first <= index <= last_index. */
static uint32_t
find_run(const struct raft_log *log, raft_index index)
{
	uint32_t	low = 0;
	uint32_t	high = log->n_runs - 1;

	if (index >= log->runs[high].first)
		return high;

	while (low < high)
	{
		uint32_t	middle = low + (high - low + 1) / 2;

		if (log->runs[middle].first <= index)
			low = middle;
		else
			high = middle - 1;
	}

	return low;
}

/* The last entry of a run. */
static raft_index
run_end(const struct raft_log *log, uint32_t run)
{
	return run + 1 < log->n_runs ? log->runs[run + 1].first - 1 : log->last_index;
}

static void
drop_oldest_runs(struct raft_log *log, uint32_t count)
{
	log->n_runs -= count;
	memmove(log->runs, log->runs + count, log->n_runs * sizeof(log->runs[0]));
}

/* Whether an entry (not the base) has a run. */
static bool
has_run(const struct raft_log *log, raft_index index)
{
	return log->n_runs > 0 &&
		index >= log->runs[0].first && index <= log->last_index;
}

bool
raft_log_knows(const struct raft_log *log, raft_index index)
{
	return index == log->base_index || has_run(log, index);
}

raft_term
raft_log_term_at(const struct raft_log *log, raft_index index)
{
	if (index == log->base_index)
		return log->base_term;
	if (!has_run(log, index))
		return 0;
	return log->runs[find_run(log, index)].term;
}

raft_term
raft_log_last_term(const struct raft_log *log)
{
	return log->n_runs > 0 ? log->runs[log->n_runs - 1].term : log->base_term;
}

bool
raft_log_has_room(const struct raft_log *log, uint32_t n_runs,
				  raft_index keep_index)
{
	uint32_t	n_dropped;

	if (log->n_runs + n_runs <= RAFT_MAX_TERM_RUNS)
		return true;

	n_dropped = log->n_runs + n_runs - RAFT_MAX_TERM_RUNS;
	return n_dropped < log->n_runs && log->runs[n_dropped].first <= keep_index;
}

void
raft_log_extend(struct raft_log *log, raft_index count, raft_term term)
{
	if (log->n_runs == 0 || log->runs[log->n_runs - 1].term != term)
	{
		if (log->n_runs == RAFT_MAX_TERM_RUNS)
			drop_oldest_runs(log, 1);
		log->runs[log->n_runs].first = log->last_index + 1;
		log->runs[log->n_runs].term = term;
		log->n_runs++;
	}
	log->last_index += count;
}

void
raft_log_truncate(struct raft_log *log, raft_index from)
{
	while (log->n_runs > 0 && log->runs[log->n_runs - 1].first >= from)
		log->n_runs--;
	log->last_index = from - 1;
	if (log->durable_index > log->last_index)
		log->durable_index = log->last_index;
}

void
raft_log_compact(struct raft_log *log, raft_index index, raft_term term)
{
	if (index == log->last_index)
		log->n_runs = 0;
	else if (has_run(log, index + 1))
	{
		drop_oldest_runs(log, find_run(log, index + 1));
		if (log->runs[0].first <= index)
			log->runs[0].first = index + 1;
	}
	log->base_index = index;
	log->base_term = term;
	if (log->durable_index < index)
		log->durable_index = index;
}

void
raft_log_reset(struct raft_log *log, raft_index index, raft_term term)
{
	log->base_index = index;
	log->base_term = term;
	log->last_index = index;
	log->durable_index = index;
	log->n_runs = 0;
}

uint32_t
raft_log_describe(const struct raft_log *log, raft_index first, uint32_t count,
				  struct raft_run *runs, uint32_t *n_runs)
{
	raft_index	end;			/* the last entry to describe */
	uint32_t	run;

	*n_runs = 0;
	if (count == 0 || !has_run(log, first))
		return 0;

	end = first + count - 1;
	if (end > log->last_index)
		end = log->last_index;

	for (run = find_run(log, first);
		 run < log->n_runs && log->runs[run].first <= end;
		 run++)
	{
		if (*n_runs == RAFT_MAX_MESSAGE_RUNS)
		{
			end = log->runs[run].first - 1;
			break;
		}
		runs[*n_runs] = log->runs[run];
		(*n_runs)++;
	}
	if (runs[0].first < first)
		runs[0].first = first;

	return (uint32_t) (end - first + 1);
}

raft_index
raft_log_may_agree(const struct raft_log *log, raft_index index, raft_term term)
{
	uint32_t	run;

	if (index > log->last_index)
		index = log->last_index;
	if (!has_run(log, index))
		return index;			/* at the base, before it, or forgotten */

	/* A whole run at a time: Paper 5.3, the optimization at its end. */
	for (run = find_run(log, index); log->runs[run].term > term; run--)
	{
		index = log->runs[run].first - 1;
		if (run == 0)
			break;
	}

	return index;
}

raft_index
raft_log_first_difference(const struct raft_log *log,
						  const struct raft_message *message)
{
	raft_index	index = message->prev_index + 1;
	raft_index	end = message->prev_index + message->n_entries;
	uint32_t	i;

	for (i = 0; i < message->n_runs; i++)
	{
		raft_index	last_of_run = i + 1 < message->n_runs ?
			message->runs[i + 1].first - 1 : end;

		while (index <= last_of_run)
		{
			raft_index	same_until;

			if (index > log->last_index)
				return index;
			if (has_run(log, index))
			{
				uint32_t	run = find_run(log, index);

				if (log->runs[run].term != message->runs[i].term)
					return index;
				same_until = run_end(log, run);
			}
			else
				same_until = log->n_runs > 0 ?
					log->runs[0].first - 1 : log->last_index;
			index = (same_until < last_of_run ? same_until : last_of_run) + 1;
		}
	}

	return index;
}

void
raft_log_append_message(struct raft_log *log, const struct raft_message *message,
						raft_index first)
{
	raft_index	end = message->prev_index + message->n_entries;
	uint32_t	i;

	for (i = 0; i < message->n_runs; i++)
	{
		raft_index	last_of_run = i + 1 < message->n_runs ?
			message->runs[i + 1].first - 1 : end;

		if (last_of_run >= first)
		{
			raft_log_extend(log, last_of_run - first + 1, message->runs[i].term);
			first = last_of_run + 1;
		}
	}
}
