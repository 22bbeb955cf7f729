/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  What this node has done since it started, in numbers.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "stats.h"

#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#define STATS_TRANCHE "store statistics"

/* Between two lines in the log for one reason, in microseconds. */
#define REFUSAL_LOG_PAUSE	(10 * USECS_PER_SEC)

typedef struct StatsShared
{
	pg_atomic_uint64 counters[N_STAT_COUNTERS];
	pg_atomic_uint64 gauges[N_STAT_GAUGES];
	pg_atomic_uint64 requests[N_STAT_REQUESTS][N_STAT_OUTCOMES];
	pg_atomic_uint64 request_time[N_STAT_REQUESTS][N_STAT_OUTCOMES];
	pg_atomic_uint64 latency[N_STAT_REQUESTS][N_STAT_BUCKETS];
	pg_atomic_uint64 refusals[N_STAT_REFUSALS];
	pg_atomic_uint64 refusal_logged[N_STAT_REFUSALS];	/* when; TimestampTz */

	LWLock	   *lock;			/* protects base */
	StatsSnapshot base;			/* what they were at the last reset */
} StatsShared;

static StatsShared *shared = NULL;

static const char *const request_names[N_STAT_REQUESTS] = {
	[STAT_CREATE] = "create",
	[STAT_PUT] = "put",
	[STAT_UPDATE] = "update",
	[STAT_PATCH] = "patch",
	[STAT_DELETE] = "delete",
	[STAT_TXN] = "txn",
	[STAT_COMPACT] = "compact",
	[STAT_READ] = "read",
	[STAT_MEMBERSHIP] = "membership",
};

static const char *const outcome_names[N_STAT_OUTCOMES] = {
	[STAT_OK] = "ok",
	[STAT_CONFLICT] = "conflict",
	[STAT_REFUSED] = "refused",
	[STAT_UNAVAILABLE] = "unavailable",
	[STAT_UNKNOWN] = "unknown",
	[STAT_CANCELED] = "canceled",
};

static const char *const refusal_names[N_STAT_REFUSALS] = {
	[STAT_REFUSED_TOO_LARGE] = "too large",
	[STAT_REFUSED_DAMAGED] = "damaged",
	[STAT_REFUSED_MALFORMED] = "malformed",
	[STAT_REFUSED_FOREIGN] = "foreign",
	[STAT_REFUSED_FORGED] = "forged",
	[STAT_REFUSED_REMOVED] = "removed",
	[STAT_REFUSED_SHUT_OUT] = "shut out",
	[STAT_REFUSED_REPLAYED] = "replayed",
};

static const char *const disk_place_names[N_DISK_PLACES] = {
	[DISK_DATA] = "data directory",
	[DISK_WAL] = "pg_wal",
	[DISK_TABLESPACE] = "tablespace",
};

Size
stats_shmem_size(void)
{
	return sizeof(StatsShared);
}

void
stats_request_locks(void)
{
	RequestNamedLWLockTranche(STATS_TRANCHE, 1);
}

static void
init_all(pg_atomic_uint64 *values, int n)
{
	for (int i = 0; i < n; i++)
		pg_atomic_init_u64(&values[i], 0);
}

void
stats_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("store statistics", stats_shmem_size(), &found);
	if (found)
		return;
	init_all(shared->counters, N_STAT_COUNTERS);
	init_all(shared->gauges, N_STAT_GAUGES);
	init_all(shared->requests[0], N_STAT_REQUESTS * N_STAT_OUTCOMES);
	init_all(shared->request_time[0], N_STAT_REQUESTS * N_STAT_OUTCOMES);
	init_all(shared->latency[0], N_STAT_REQUESTS * N_STAT_BUCKETS);
	init_all(shared->refusals, N_STAT_REFUSALS);
	init_all(shared->refusal_logged, N_STAT_REFUSALS);
	memset(&shared->base, 0, sizeof(shared->base));
	shared->base.reset_at = GetCurrentTimestamp();
	shared->lock = &(GetNamedLWLockTranche(STATS_TRANCHE))->lock;
}

void
stats_add(StatCounter counter, uint64 n)
{
	pg_atomic_uint64 *value = &shared->counters[counter];

	pg_atomic_write_u64(value, pg_atomic_read_u64(value) + n);
}

void
stats_set(StatGauge gauge, uint64 value)
{
	pg_atomic_write_u64(&shared->gauges[gauge], value);
}

uint64
stats_gauge(StatGauge gauge)
{
	return pg_atomic_read_u64(&shared->gauges[gauge]);
}

uint64
stats_lap(instr_time *start)
{
	instr_time	now;
	instr_time	lap;

	INSTR_TIME_SET_CURRENT(now);
	lap = now;
	INSTR_TIME_SUBTRACT(lap, *start);
	*start = now;
	return (uint64) INSTR_TIME_GET_MICROSEC(lap);
}

static StatOutcome
outcome_of(int sqlstate)
{
	switch (sqlstate)
	{
		case 0:
			return STAT_OK;
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
			return STAT_CONFLICT;
		case ERRCODE_STORE_UNAVAILABLE:
			return STAT_UNAVAILABLE;
		case ERRCODE_STORE_UNKNOWN:
			return STAT_UNKNOWN;
		case ERRCODE_QUERY_CANCELED:
			return STAT_CANCELED;
		default:
			return STAT_REFUSED;
	}
}

static int
bucket_of(uint64 time)
{
	int			bucket = 0;

	while (bucket < N_STAT_BUCKETS - 1 && time > (uint64) STAT_FIRST_BUCKET << bucket)
		bucket++;
	return bucket;
}

void
stats_count_request(StatRequest request, int sqlstate, uint64 time)
{
	StatOutcome outcome = outcome_of(sqlstate);

	pg_atomic_fetch_add_u64(&shared->requests[request][outcome], 1);
	pg_atomic_fetch_add_u64(&shared->request_time[request][outcome], time);
	pg_atomic_fetch_add_u64(&shared->latency[request][bucket_of(time)], 1);
}

bool
stats_count_refusal(StatRefusal reason)
{
	pg_atomic_uint64 *logged = &shared->refusal_logged[reason];
	uint64		now = (uint64) GetCurrentTimestamp();
	uint64		before = pg_atomic_read_u64(logged);

	pg_atomic_fetch_add_u64(&shared->refusals[reason], 1);

	/* a clock that was set back ends the pause, too */
	return (now - before > REFUSAL_LOG_PAUSE) &&
		pg_atomic_compare_exchange_u64(logged, &before, now);
}

/* What the values are, less what they were at the last reset. */
static void
read_all(pg_atomic_uint64 *values, const uint64 *base, uint64 *to, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = pg_atomic_read_u64(&values[i]) - base[i];
}

static void
read_since(const StatsSnapshot *base, StatsSnapshot *to)
{
	read_all(shared->counters, base->counters, to->counters, N_STAT_COUNTERS);
	read_all(shared->requests[0], base->requests[0], to->requests[0],
			 N_STAT_REQUESTS * N_STAT_OUTCOMES);
	read_all(shared->request_time[0], base->request_time[0], to->request_time[0],
			 N_STAT_REQUESTS * N_STAT_OUTCOMES);
	read_all(shared->latency[0], base->latency[0], to->latency[0],
			 N_STAT_REQUESTS * N_STAT_BUCKETS);
	read_all(shared->refusals, base->refusals, to->refusals, N_STAT_REFUSALS);
	to->reset_at = base->reset_at;
}

void
stats_read(StatsSnapshot *snapshot)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	read_since(&shared->base, snapshot);
	LWLockRelease(shared->lock);
}

void
stats_reset(void)
{
	StatsSnapshot zero = {0};

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	read_since(&zero, &shared->base);
	shared->base.reset_at = GetCurrentTimestamp();
	LWLockRelease(shared->lock);
}

const char *
stats_request_name(StatRequest request)
{
	return request_names[request];
}

const char *
stats_outcome_name(StatOutcome outcome)
{
	return outcome_names[outcome];
}

const char *
stats_disk_place_name(DiskPlace place)
{
	return disk_place_names[place];
}

const char *
stats_refusal_name(StatRefusal reason)
{
	return refusal_names[reason];
}
