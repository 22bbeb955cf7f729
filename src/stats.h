/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  What this node has done since it started, in numbers.
 *
 * Counters and gauges in shared memory.  Each but those of requests is written
 * by one process, the worker that owns it, with a plain load and store: no
 * lock, no locked instruction, once a batch.  Requests are counted by the
 * backends that make them, with atomic additions, once a request, which takes
 * the spinlock of the inbox anyway.
 *
 * Counters only grow.  A reset keeps what they were, and readers are given the
 * difference, so that nobody but its owner ever writes a counter.
 *
 * Times are in microseconds.  Nothing here outlives the server's start.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_STATS_H
#define STORE_STATS_H

#include "store.h"
#include "portability/instr_time.h"
#include "utils/timestamp.h"

typedef enum StatCounter
{
	/* raft worker */
	STAT_ELECTIONS,				/* that this node stood for */
	STAT_LEADERS,				/* leaders it has followed or been, one a term */
	STAT_LOG_WRITES,			/* durable transactions */
	STAT_LOG_ENTRIES,
	STAT_LOG_BYTES,
	STAT_LOG_APPEND_TIME,
	STAT_LOG_FLUSH_TIME,
	STAT_BLOCKERS_CANCELED,
	STAT_BLOCKERS_TERMINATED,

	/* apply worker */
	STAT_APPLY_BATCHES,
	STAT_APPLY_ENTRIES,
	STAT_APPLY_CHANGES,			/* entries with an event */
	STAT_APPLY_TIME,

	/* notify worker */
	STAT_NOTIFY_BATCHES,
	STAT_NOTIFICATIONS,
	STAT_NOTIFY_BYTES,
	STAT_NOTIFY_GAPS,			/* times that history went before it was told */
	N_STAT_COUNTERS
} StatCounter;

/* Where a node writes; they may share a file system. */
typedef enum DiskPlace
{
	DISK_DATA,
	DISK_WAL,
	DISK_TABLESPACE,			/* of store.database */
	N_DISK_PLACES
} DiskPlace;

/* What is so now; raft worker, as often as it publishes its state. */
typedef enum StatGauge
{
	STAT_PENDING_WRITES,		/* not proposed yet */
	STAT_PENDING_BYTES,			/* of all that wait for an answer */
	STAT_PENDING_READS,
	STAT_UNCOMMITTED_BYTES,
	STAT_LAST_BLOCKER_PID,		/* 0: none yet */
	STAT_LAST_BLOCKER_TIME,		/* TimestampTz */
	STAT_DISK_SIZE,				/* one for each DiskPlace, in bytes */
	STAT_DISK_FREE = STAT_DISK_SIZE + N_DISK_PLACES,	/* the same */
	N_STAT_GAUGES = STAT_DISK_FREE + N_DISK_PLACES
} StatGauge;

/* What backends ask the workers for. */
typedef enum StatRequest
{
	STAT_CREATE,
	STAT_PUT,
	STAT_UPDATE,
	STAT_PATCH,
	STAT_DELETE,
	STAT_TXN,
	STAT_COMPACT,
	STAT_READ,					/* a barrier; local reads ask nobody */
	STAT_MEMBERSHIP,
	N_STAT_REQUESTS
} StatRequest;

typedef enum StatOutcome
{
	STAT_OK,
	STAT_CONFLICT,				/* 40001 */
	STAT_REFUSED,				/* any other refusal */
	STAT_UNAVAILABLE,			/* RS503 */
	STAT_UNKNOWN,				/* RS500 */
	STAT_CANCELED,				/* by the user */
	N_STAT_OUTCOMES
} StatOutcome;

/* Why a message of another member is not taken. */
typedef enum StatRefusal
{
	STAT_REFUSED_TOO_LARGE,
	STAT_REFUSED_DAMAGED,		/* not as it was sent, or never sent */
	STAT_REFUSED_MALFORMED,
	STAT_REFUSED_FOREIGN,		/* of another cluster, or to somebody else */
	STAT_REFUSED_FORGED,		/* in the name of whom the session may not speak for */
	STAT_REFUSED_REMOVED,
	STAT_REFUSED_SHUT_OUT,
	STAT_REFUSED_REPLAYED,
	N_STAT_REFUSALS
} StatRefusal;

/*
 * The histogram of latencies: bucket i has what took at most 2^i * 125
 * microseconds, and more than fits into the bucket before it; the last one has
 * the rest.
 */
#define N_STAT_BUCKETS		18
#define STAT_FIRST_BUCKET	125

typedef struct StatsSnapshot
{
	uint64		counters[N_STAT_COUNTERS];
	uint64		requests[N_STAT_REQUESTS][N_STAT_OUTCOMES];
	uint64		request_time[N_STAT_REQUESTS][N_STAT_OUTCOMES];
	uint64		latency[N_STAT_REQUESTS][N_STAT_BUCKETS];
	uint64		refusals[N_STAT_REFUSALS];
	TimestampTz reset_at;		/* or when the server started */
} StatsSnapshot;

extern Size stats_shmem_size(void);
extern void stats_shmem_init(void);
extern void stats_request_locks(void);

/* For the process that owns the counter or the gauge. */
extern void stats_add(StatCounter counter, uint64 n);
extern void stats_set(StatGauge gauge, uint64 value);

/* Microseconds since start, which becomes now. */
extern uint64 stats_lap(instr_time *start);

/* For backends: a request came to its end, with this SQLSTATE (0: well). */
extern void stats_count_request(StatRequest request, int sqlstate, uint64 time);

/*
 * For backends: a message was refused.  Returns whether that should be logged;
 * so it is for each reason once in a while.
 */
extern bool stats_count_refusal(StatRefusal reason);

/* Since the last reset. */
extern void stats_read(StatsSnapshot *snapshot);
extern uint64 stats_gauge(StatGauge gauge);
extern void stats_reset(void);

extern const char *stats_request_name(StatRequest request);
extern const char *stats_outcome_name(StatOutcome outcome);
extern const char *stats_refusal_name(StatRefusal reason);
extern const char *stats_disk_place_name(DiskPlace place);

#endif							/* STORE_STATS_H */
