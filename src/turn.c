/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  The duties of one turn of the raft worker, gathered and carried out.
 *
 * If the durable step fails, that is an ERROR, which ends the worker: what a
 * failed flush left behind is unknown, so the write is never tried again.  The
 * new worker starts from what the disk has.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "turn.h"

#include "access/xlog.h"
#include "clock.h"
#include "common/pg_prng.h"
#include "outbox.h"
#include "pending.h"
#include "roster.h"
#include "stats.h"
#include "tail.h"
#include "utils/memutils.h"
#include "wal_ahead.h"
#include "worker.h"

static struct
{
	/* across turns */
	uint64		written;		/* the last entry in the tables */
	uint64		commit;
	uint64		write_ms;		/* how long the last write took */

	/* duties of this turn */
	bool		save_vote;
	uint64		truncate_from;	/* in the tables; 0: nothing */

	/* as the last update had them */
	uint64		term;
	uint64		vote;
	enum raft_state state;
	uint64		leader_id;		/* 0: nobody known */

	/* messages that wait for the flush */
	uint32		n_deferred;
	uint32		max_deferred;
	struct raft_message *deferred;
}			turn;

void
turn_init(uint64 last_index)
{
	memset(&turn, 0, sizeof(turn));
	turn.written = last_index;
	turn.max_deferred = RAFT_MAX_MESSAGES;
	turn.deferred = palloc(turn.max_deferred * sizeof(struct raft_message));
	tail_init(last_index);
}

void
turn_restore(struct raft *node, const RaftLogContents *contents, uint64 applied_index,
			 const struct raft_options *options)
{
	struct raft_restored restored = {
		.id = contents->state.node_id,
		.term = contents->state.term,
		.vote = contents->state.vote,
		.base_index = contents->state.base_index,
		.base_term = contents->state.base_term,
		.last_index = contents->last_index,
		.applied_index = applied_index,
		.n_runs = contents->n_runs,
		.runs = contents->runs
	};
	struct raft_violation violation = {0};

	restored.config.index = contents->membership_index;
	membership_config(&contents->membership, &restored.config.config);
	restored.previous_config.index = contents->previous_membership_index;
	membership_config(&contents->previous_membership, &restored.previous_config.config);

	if (raft_init(node, &restored, options, monotonic_ms(),
				  pg_prng_uint64(&pg_global_prng_state), &violation) != RAFT_OK)
		ereport(FATAL,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the stored state of this member contradicts itself: %s",
						violation.rule ? violation.rule : "unknown"),
				 errdetail("Expected " UINT64_FORMAT ", found " UINT64_FORMAT ".",
						   violation.expected, violation.found)));
}

static void
truncate(uint64 from)
{
	tail_truncate(from);
	roster_truncate(from);
	if (from <= turn.written)
	{
		turn.written = from - 1;
		if (turn.truncate_from == 0 || from < turn.truncate_from)
			turn.truncate_from = from;
	}
}

static void
append(const struct raft_update *update, const LogEntry *entries)
{
	uint64		count = update->append_last - update->append_first + 1;

	for (uint64 i = 0; i < count; i++)
	{
		LogEntry	entry = {.kind = ENTRY_NOOP};

		if (update->append != RAFT_APPEND_NOOP)
			entry = entries[i];
		entry.index = update->append_first + i;
		if (update->append != RAFT_APPEND_RECEIVED)
			entry.term = update->append_term;
		tail_append(&entry);
		stats_add(STAT_LOG_BYTES, entry.length);
		if (entry.kind == ENTRY_MEMBERSHIP)
			roster_append(entry.index, entry.data, entry.length);
	}
}

static void
defer(const struct raft_message *message)
{
	if (turn.n_deferred == turn.max_deferred)
	{
		turn.max_deferred *= 2;
		turn.deferred = repalloc(turn.deferred,
								 turn.max_deferred * sizeof(struct raft_message));
	}
	turn.deferred[turn.n_deferred++] = *message;
}

/*
 * An election is won in the very step in which it begins if there is nobody
 * else to ask.
 */
static void
count_elections(const struct raft_update *update)
{
	bool		new_term = (update->term != turn.term);

	if (update->state == RAFT_CANDIDATE && (new_term || turn.state != RAFT_CANDIDATE))
		stats_add(STAT_ELECTIONS, 1);
	else if (update->state == RAFT_LEADER && turn.state != RAFT_LEADER &&
			 turn.state != RAFT_CANDIDATE)
		stats_add(STAT_ELECTIONS, 1);
	if (update->leader != 0 && (new_term || turn.leader_id == 0))
		stats_add(STAT_LEADERS, 1);
}

void
turn_absorb(const struct raft_update *update, const LogEntry *entries)
{
	count_elections(update);
	if (update->save_vote)
		turn.save_vote = true;
	turn.term = update->term;
	turn.vote = update->vote;
	turn.state = update->state;
	turn.leader_id = update->leader;
	turn.commit = update->commit_index;

	if (update->truncate_from != 0)
		truncate(update->truncate_from);
	if (update->append != RAFT_APPEND_NONE)
		append(update, entries);

	for (uint32 i = 0; i < update->n_messages; i++)
	{
		if (update->messages[i].after_flush)
			defer(&update->messages[i]);
		else
			outbox_add(&update->messages[i]);
	}
	for (uint32 i = 0; i < update->n_reads; i++)
		pending_read_result(update->reads[i].id, update->reads[i].index);
}

/*
 * Write what is not in the tables yet, a bounded number of entries at a time.
 */
static void
write_tail(void)
{
	LogEntry	entries[256];
	uint64		last = tail_last();

	while (turn.written < last)
	{
		uint32		n = 0;

		while (n < lengthof(entries) && turn.written + n < last)
		{
			entries[n] = *tail_get(turn.written + n + 1);
			n++;
		}
		log_tables_append(entries, n);
		turn.written += n;
	}
}

/*
 * Duty 2, in one transaction.  Its commit is the flush.
 */
static void
make_durable(void)
{
	uint64		written = turn.written;
	uint64		append_time;
	uint64		flush_time;
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	worker_begin("writing the log");
	if (turn.truncate_from != 0)
		log_tables_truncate(turn.truncate_from);
	if (turn.save_vote)
		log_tables_save_vote(turn.term, turn.vote);
	write_tail();
	append_time = stats_lap(&start);
	worker_commit();
	flush_time = stats_lap(&start);

	stats_add(STAT_LOG_WRITES, 1);
	stats_add(STAT_LOG_ENTRIES, turn.written - written);
	stats_add(STAT_LOG_APPEND_TIME, append_time);
	stats_add(STAT_LOG_FLUSH_TIME, flush_time);
	wal_ahead_wrote(XactLastCommitEnd);
	turn.write_ms = (append_time + flush_time) / 1000;
	turn.truncate_from = 0;
	turn.save_vote = false;
}

bool
turn_flush(const struct raft *node, raft_index *index, raft_term *term)
{
	bool		wrote = (turn.written < tail_last());

	outbox_pump(node, turn.term, turn.state == RAFT_LEADER);

	if (wrote || turn.save_vote || turn.truncate_from != 0)
		make_durable();

	if (turn.n_deferred > 0)
	{
		for (uint32 i = 0; i < turn.n_deferred; i++)
			outbox_add(&turn.deferred[i]);
		turn.n_deferred = 0;
		outbox_pump(node, turn.term, turn.state == RAFT_LEADER);
	}

	if (!wrote)
		return false;
	tail_trim(turn.written);
	*index = turn.written;
	*term = raft_term_at(node, turn.written);
	return true;
}

uint64
turn_write_ms(void)
{
	return turn.write_ms;
}

uint64
turn_committed(void)
{
	return Min(turn.commit, turn.written);
}

uint64
turn_written(void)
{
	return turn.written;
}
