/*-------------------------------------------------------------------------
 *
 * wal_ahead.c
 *	  Make files for the WAL before it gets there.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "wal_ahead.h"

#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "status.h"
#include "storage/lwlock.h"

/* Files that are kept ready, behind the one in use. */
#define FILES_AHEAD	2

/* A server that writes next to nothing gets no files. */
void
wal_ahead_wrote(XLogRecPtr position)
{
	static XLogSegNo seen;
	XLogSegNo	current;

	XLByteToSeg(position, current, wal_segment_size);
	if (current == seen)
		return;
	if (seen != 0)
		status_wake(WORKER_LAUNCHER);
	seen = current;
}

static void
make_file(XLogSegNo number)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		/* Opens the file if there is one. */
		(void) close(XLogFileInit(number, GetWALInsertionTimeLine()));
	}
	PG_CATCH();
	{
		ErrorData  *error;

		/* Whoever needs the file will try again, and tell his client. */
		LWLockReleaseAll();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		ereport(LOG,
				(errmsg("could not make a file for the WAL in advance"),
				 errdetail_internal("%s", error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
}

void
wal_ahead_tend(void)
{
	static XLogSegNo seen;
	static XLogSegNo made;
	XLogSegNo	current;

	XLByteToSeg(GetXLogInsertRecPtr(), current, wal_segment_size);
	if (seen != 0 && current != seen)
	{
		for (XLogSegNo number = Max(made, current) + 1; number <= current + FILES_AHEAD; number++)
			make_file(number);
		made = current + FILES_AHEAD;
	}
	seen = current;
}
