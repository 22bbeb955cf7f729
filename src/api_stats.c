/*-------------------------------------------------------------------------
 *
 * api_stats.c
 *	  What the store.stat_* views show, and store.stat_reset().
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "store.h"

#include "api_row.h"
#include "compat.h"
#include "funcapi.h"
#include "inbox.h"
#include "listeners.h"
#include "request.h"
#include "stats.h"
#include "status.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "watchers.h"

STORE_FUNCTION(store_stat_get_raft);
STORE_FUNCTION(store_stat_get_peers);
STORE_FUNCTION(store_stat_get_apply);
STORE_FUNCTION(store_stat_get_requests);
STORE_FUNCTION(store_stat_get_latency);
STORE_FUNCTION(store_stat_get_watch);
STORE_FUNCTION(store_stat_get_disk);
STORE_FUNCTION(store_stat_get_refused);
STORE_FUNCTION(store_stat_reset);

static void
put_counter(Row *row, const StatsSnapshot *stats, StatCounter counter)
{
	row_put_bigint(row, stats->counters[counter]);
}

static uint64
difference(uint64 ahead, uint64 behind)
{
	return ahead > behind ? ahead - behind : 0;
}

Datum
store_stat_get_raft(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	StatsSnapshot stats;
	Row			row = {0};
	uint64		last = pg_atomic_read_u64(&progress->last_index);
	uint64		committed = pg_atomic_read_u64(&progress->commit_index);
	uint32		n_waiting;
	uint32		n_answers;

	status_read(node);
	stats_read(&stats);
	row_put_text(&row, status_state_name(node));
	row_put_bool(&row, node->running && node->state == RAFT_LEADER);
	row_put(&row, Int64GetDatum((int64) node->leader), node->leader == 0);
	row_put_bigint(&row, node->term);
	row_put_bigint(&row, node->first_index);
	row_put_bigint(&row, last);
	row_put_bigint(&row, committed);
	row_put_bigint(&row, difference(last, committed));
	row_put_bigint(&row, stats_gauge(STAT_UNCOMMITTED_BYTES));
	row_put_bigint(&row, stats_gauge(STAT_PENDING_WRITES));
	row_put_bigint(&row, stats_gauge(STAT_PENDING_BYTES));
	row_put_bigint(&row, stats_gauge(STAT_PENDING_READS));
	row_put_bigint(&row, inbox_used());
	row_put_bigint(&row, inbox_dropped());
	put_counter(&row, &stats, STAT_ELECTIONS);
	put_counter(&row, &stats, STAT_LEADERS);
	put_counter(&row, &stats, STAT_LOG_WRITES);
	put_counter(&row, &stats, STAT_LOG_ENTRIES);
	put_counter(&row, &stats, STAT_LOG_BYTES);
	row_put_duration(&row, stats.counters[STAT_LOG_APPEND_TIME]);
	row_put_duration(&row, stats.counters[STAT_LOG_FLUSH_TIME]);
	row_put_time(&row, stats.reset_at);
	request_count(&n_waiting, &n_answers);
	row_put_bigint(&row, n_waiting);
	row_put_bigint(&row, n_answers);
	return row_return(fcinfo, &row);
}

Datum
store_stat_get_peers(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	uint64		last = pg_atomic_read_u64(&progress->last_index);
	bool		leader;

	InitMaterializedSRF(fcinfo, 0);
	status_read(node);
	leader = (node->running && node->state == RAFT_LEADER);
	for (uint32 i = 0; i < node->n_members; i++)
	{
		const MemberStatus *member = &node->members[i];
		Row			row = {0};

		if (member->member.id == node->node_id)
			continue;
		row_put_bigint(&row, member->member.id);
		row_put_text(&row, member->member.name);
		row_put_bool(&row, member->member.role == RAFT_VOTER);
		row_put_bool(&row, member->connected);
		row_put(&row, Int64GetDatum((int64) member->match_index), !leader);
		row_put(&row, Int64GetDatum((int64) member->next_index), !leader);
		row_put(&row, Int64GetDatum((int64) difference(last, member->match_index)), !leader);
		row_put(&row, Int64GetDatum(member->lag_bytes), !leader || member->lag_bytes < 0);
		row_put(&row, Float8GetDatum((double) member->round_trip_us / 1000.0),
				member->round_trip_us < 0);
		row_put(&row, TimestampTzGetDatum(member->last_contact),
				!leader || member->last_contact == 0);
		row_put(&row, BoolGetDatum(member->copying), !leader);
		row_put_bigint(&row, member->sent_messages);
		row_put_bigint(&row, member->sent_bytes);
		row_put_bigint(&row, member->dropped_messages);
		row_put_bigint(&row, member->queued_bytes);
		row_put_text(&row, member->last_error);
		row_store(fcinfo, &row);
	}
	return (Datum) 0;
}

Datum
store_stat_get_apply(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	StatsSnapshot stats;
	Row			row = {0};
	uint64		committed = pg_atomic_read_u64(&progress->commit_index);
	uint64		applied = pg_atomic_read_u64(&progress->applied_index);
	uint64		blocker = stats_gauge(STAT_LAST_BLOCKER_PID);

	status_read(node);
	stats_read(&stats);
	row_put_bigint(&row, applied);
	row_put_bigint(&row, difference(committed, applied));
	put_counter(&row, &stats, STAT_APPLY_BATCHES);
	put_counter(&row, &stats, STAT_APPLY_ENTRIES);
	put_counter(&row, &stats, STAT_APPLY_CHANGES);
	row_put_duration(&row, stats.counters[STAT_APPLY_TIME]);
	row_put_bigint(&row, pg_atomic_read_u64(&progress->apply_lives));
	put_counter(&row, &stats, STAT_BLOCKERS_CANCELED);
	put_counter(&row, &stats, STAT_BLOCKERS_TERMINATED);
	row_put(&row, Int32GetDatum((int32) blocker), blocker == 0);
	row_put_time(&row, (TimestampTz) stats_gauge(STAT_LAST_BLOCKER_TIME));
	row_put_text(&row, node->apply_problem);
	row_put_time(&row, stats.reset_at);
	return row_return(fcinfo, &row);
}

/* All that can be, so that a graph begins with 0 and not with a hole. */
Datum
store_stat_get_requests(PG_FUNCTION_ARGS)
{
	StatsSnapshot stats;

	InitMaterializedSRF(fcinfo, 0);
	stats_read(&stats);
	for (int request = 0; request < N_STAT_REQUESTS; request++)
	{
		for (int outcome = 0; outcome < N_STAT_OUTCOMES; outcome++)
		{
			Row			row = {0};

			row_put_text(&row, stats_request_name((StatRequest) request));
			row_put_text(&row, stats_outcome_name((StatOutcome) outcome));
			row_put_bigint(&row, stats.requests[request][outcome]);
			row_put_duration(&row, stats.request_time[request][outcome]);
			row_put_time(&row, stats.reset_at);
			row_store(fcinfo, &row);
		}
	}
	return (Datum) 0;
}

Datum
store_stat_get_latency(PG_FUNCTION_ARGS)
{
	StatsSnapshot stats;

	InitMaterializedSRF(fcinfo, 0);
	stats_read(&stats);
	for (int request = 0; request < N_STAT_REQUESTS; request++)
	{
		uint64		total = 0;

		for (int bucket = 0; bucket < N_STAT_BUCKETS; bucket++)
		{
			Row			row = {0};

			total += stats.latency[request][bucket];
			row_put_text(&row, stats_request_name((StatRequest) request));
			if (bucket == N_STAT_BUCKETS - 1)
				row_put(&row, Float8GetDatum(get_float8_infinity()), false);
			else
				row_put_duration(&row, (uint64) STAT_FIRST_BUCKET << bucket);
			row_put_bigint(&row, total);
			row_store(fcinfo, &row);
		}
	}
	return (Datum) 0;
}

Datum
store_stat_get_watch(PG_FUNCTION_ARGS)
{
	StatsSnapshot stats;
	Row			row = {0};
	uint64		newest = pg_atomic_read_u64(&progress->last_event);
	uint64		notified = pg_atomic_read_u64(&progress->notified_index);

	stats_read(&stats);
	row_put_bigint(&row, watchers_count());
	row_put_bigint(&row, listeners_count());
	row_put_bigint(&row, newest);
	row_put_bigint(&row, notified);
	row_put_bigint(&row, listeners_any() ? difference(newest, notified) : 0);
	put_counter(&row, &stats, STAT_NOTIFY_BATCHES);
	put_counter(&row, &stats, STAT_NOTIFICATIONS);
	put_counter(&row, &stats, STAT_NOTIFY_BYTES);
	put_counter(&row, &stats, STAT_NOTIFY_GAPS);
	row_put(&row, DirectFunctionCall1(pg_notification_queue_usage, (Datum) 0), false);
	row_put_time(&row, stats.reset_at);
	return row_return(fcinfo, &row);
}

Datum
store_stat_get_disk(PG_FUNCTION_ARGS)
{
	uint64		limit = (uint64) store_min_free_space * 1024 * 1024;

	InitMaterializedSRF(fcinfo, 0);
	for (int place = 0; place < N_DISK_PLACES; place++)
	{
		uint64		size = stats_gauge((StatGauge) (STAT_DISK_SIZE + place));
		uint64		n_free = stats_gauge((StatGauge) (STAT_DISK_FREE + place));
		Row			row = {0};

		if (size == 0)
			continue;			/* nobody has looked yet */
		row_put_text(&row, stats_disk_place_name((DiskPlace) place));
		row_put_bigint(&row, size);
		row_put_bigint(&row, n_free);
		row_put_bigint(&row, limit);
		row_put_bool(&row, n_free < limit);
		row_store(fcinfo, &row);
	}
	return (Datum) 0;
}

Datum
store_stat_get_refused(PG_FUNCTION_ARGS)
{
	StatsSnapshot stats;

	InitMaterializedSRF(fcinfo, 0);
	stats_read(&stats);
	for (int reason = 0; reason < N_STAT_REFUSALS; reason++)
	{
		Row			row = {0};

		row_put_text(&row, stats_refusal_name((StatRefusal) reason));
		row_put_bigint(&row, stats.refusals[reason]);
		row_put_time(&row, stats.reset_at);
		row_store(fcinfo, &row);
	}
	return (Datum) 0;
}

Datum
store_stat_reset(PG_FUNCTION_ARGS)
{
	stats_reset();
	PG_RETURN_VOID();
}
