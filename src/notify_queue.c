/*-------------------------------------------------------------------------
 *
 * notify_queue.c
 *	  Room in the server's notification queue, and who takes it.
 *
 * Asking how full the queue is takes its locks and looks at every listener, so
 * it is not done for every batch, but once in so many bytes.  Nobody tells when
 * a listener has caught up; while there is no room, it is asked for anew after
 * a while, and not when more events come.
 *
 * async.c does not tell which listener is the last.  One that reads is where
 * everybody else is, so it is one that cannot read: it is in a transaction, the
 * oldest of these, or its client does not take what is sent to it.
 *
 * Others may fill what the store leaves.  Then the notify worker's COMMIT fails
 * as theirs does, after part of what it had to say may have gone into the queue;
 * listeners pass over that, because its transaction did not commit.  The worker
 * is started again, has its position from before, and says all of it.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "notify_queue.h"

#include "catalog/pg_type.h"
#include "clock.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "listeners.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "worker.h"

/* Between two questions, while there is room. */
#define BYTES_PER_LOOK	(8 * BLCKSZ)

/* The same while there is none. */
#define LOOK_MS			200

static Size unseen_bytes = BYTES_PER_LOOK;
static uint64 next_look_ms;		/* 0: there was room */

static const char *const blame_query =
	"SELECT pg_catalog.format('process %s, which listens in database \"%s\", has been %s since %s',"
	" pid, datname, CASE state WHEN 'idle' THEN 'waiting for its client' ELSE state END,"
	" coalesce(xact_start, state_change))"
	" FROM pg_catalog.pg_stat_activity WHERE pid = ANY ($1)"
	" AND (state <> 'idle' AND xact_start IS NOT NULL OR wait_event = 'ClientWrite')"
	" ORDER BY state = 'idle', xact_start LIMIT 1";

/* Who is to blame, as a sentence; palloc'd. */
static char *
blame(void)
{
	Oid			type = INT4ARRAYOID;
	int			n;
	int		   *pids = listeners_pids(&n);
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));
	Datum		argument;
	char	   *result = NULL;

	for (int i = 0; i < n; i++)
		elements[i] = Int32GetDatum(pids[i]);
	argument = PointerGetDatum(construct_array(elements, n, INT4OID, sizeof(int32), true,
											   TYPALIGN_INT));
	SPI_connect();
	if (SPI_execute_with_args(blame_query, 1, &type, &argument, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for the process that fills the notification queue");
	if (SPI_processed == 1)
		result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (result != NULL)
	{
		char	   *copy = SPI_palloc(strlen(result) + 1);

		memcpy(copy, result, strlen(result) + 1);
		result = copy;
	}
	SPI_finish();
	return result ? result : pstrdup("no process that listens is seen to hold it up");
}

static void
report(double usage)
{
	char	   *problem;

	worker_begin("looking for the process that fills the notification queue");
	problem = psprintf("notifications wait: the server's queue is %.3g%% full; %s",
					   usage * 100, blame());
	status_set_queue_problem(problem);
	worker_commit();
}

void
notify_queue_added(Size n_bytes)
{
	unseen_bytes += n_bytes;
}

long
notify_queue_delay(void)
{
	uint64		now_ms;
	double		usage;

	if (next_look_ms == 0 && unseen_bytes < BYTES_PER_LOOK)
		return 0;
	now_ms = monotonic_ms();
	if (now_ms < next_look_ms)
		return (long) (next_look_ms - now_ms);

	/* It has no argument to look at. */
	usage = DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage, (Datum) 0));
	if (usage > store_notify_queue_limit)
	{
		report(usage);
		next_look_ms = now_ms + LOOK_MS;
		return LOOK_MS;
	}
	unseen_bytes = 0;
	next_look_ms = 0;
	status_set_queue_problem(NULL);
	return 0;
}
