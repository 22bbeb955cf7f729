/*-------------------------------------------------------------------------
 *
 * expiry.c
 *	  Resources whose time to live is over.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "worker.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "command.h"
#include "compat.h"
#include "executor/spi.h"
#include "expiry.h"
#include "inbox.h"
#include "machine.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Deletions proposed at once. */
#define BATCH_ROWS	1000

/* When to look whether they have happened, if there may be more, and if not. */
#define MORE_MS		200
#define RETRY_MS	1000

/* Between two looks; and the longest nap, so that a clock that jumps is seen. */
#define PAUSE_MS	20
#define MAX_NAP_MS	60000

static TimestampTz retry_at = DT_NOEND; /* by when what was proposed is lost */
static TimestampTz not_before = DT_NOBEGIN; /* do not look again */

/* The earliest expires_at after a time. */
static TimestampTz
first_after(TimestampTz time)
{
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		args[] = {TimestampTzGetDatum(time)};
	bool		isnull;
	Datum		first;

	if (SPI_execute_with_args("SELECT min(expires_at) FROM store.resources WHERE expires_at > $1",
							  1, types, args, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not look for what expires next");
	first = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return isnull ? DT_NOEND : DatumGetTimestampTz(first);
}

void
expiry_open(void)
{
	SPI_connect();
	machine_set_first_expiry(first_after(DT_NOBEGIN));
	SPI_finish();
}

/* Nobody waits for the answer: the request id is 0.  False if there is no room. */
static bool
propose_deletion(HeapTuple row, TupleDesc desc, TimestampTz now)
{
	bool		isnull;
	StringInfoData encoded;
	Command		command = {
		.version = status_version(),
		.op = COMMAND_DELETE,
		.reason = REASON_GARBAGE_COLLECTOR,
		.time = now,
		.has_expected = true
	};

	command.key.api_group = SPI_getvalue(row, desc, 1);
	command.key.version = SPI_getvalue(row, desc, 2);
	command.key.kind = SPI_getvalue(row, desc, 3);
	command.key.namespace = SPI_getvalue(row, desc, 4);
	command.key.name = SPI_getvalue(row, desc, 5);
	command.expected = DatumGetInt64(SPI_getbinval(row, desc, 6, &isnull));

	initStringInfo(&encoded);
	command_encode(&encoded, &command);
	return inbox_put(INBOX_WRITE, 0, 0, encoded.data, encoded.len);
}

/* Propose to delete what is due; returns how much that is, at most a batch. */
static uint64
propose_due(TimestampTz now)
{
	Oid			types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		args[] = {TimestampTzGetDatum(now), Int32GetDatum(BATCH_ROWS)};
	uint64		n;

	if (SPI_execute_with_args("SELECT api_group, version, kind, namespace, name, resource_version"
							  " FROM store.resources WHERE expires_at <= $1"
							  " ORDER BY expires_at LIMIT $2",
							  2, types, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for what has expired");
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		if (!propose_deletion(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, now))
			break;
	}
	return n;
}

void
expiry_tend(void)
{
	TimestampTz now;
	uint64		n;

	if (TIMESTAMP_IS_NOEND(machine_first_expiry()) && TIMESTAMP_IS_NOEND(retry_at))
		return;
	now = GetCurrentTimestamp();
	if (now < Min(machine_first_expiry(), retry_at) || now < not_before ||
		status_version() == 0)
		return;
	if (!status_is_leader())
	{
		/*
		 * Somebody else's task, but we may become the leader: see whether it
		 * gets done.
		 */
		worker_begin("looking for what expires next");
		expiry_open();
		worker_commit();
		retry_at = DT_NOEND;
		not_before = TimestampTzPlusMilliseconds(now, RETRY_MS);
		return;
	}

	worker_begin("looking for what has expired");
	SPI_connect();
	n = propose_due(now);
	machine_set_first_expiry(first_after(now));
	SPI_finish();
	worker_commit();

	retry_at = n == 0 ? DT_NOEND :
		TimestampTzPlusMilliseconds(now, n == BATCH_ROWS ? MORE_MS : RETRY_MS);
	not_before = TimestampTzPlusMilliseconds(now, PAUSE_MS);
}

long
expiry_nap(void)
{
	TimestampTz due = Max(Min(machine_first_expiry(), retry_at), not_before);

	if (TIMESTAMP_IS_NOEND(due))
		return -1;
	return Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due) + 1, MAX_NAP_MS);
}
