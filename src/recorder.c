/*-------------------------------------------------------------------------
 *
 * recorder.c
 *	  Recording the events of the raft worker's core (store.record_directory).
 *
 * The format is in raft/record.h; raft_replay, built from test/raft, plays a
 * recording back.  A recording holds no payloads: what users store is not in
 * it.
 *
 * Trouble with the file ends the recording, never the worker.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "recorder.h"

#include <fcntl.h>

#include "lib/stringinfo.h"
#include "raft/record.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* A recording longer than this is continued in another file. */
#define RECORDING_LIMIT	(256 * 1024 * 1024)

static File file = -1;			/* not open */
static off_t file_size;
static StringInfoData buffer;	/* of this turn, not yet in the file */
static char directory[MAXPGPATH];	/* of this recording */
static bool failed;				/* in this directory: do not try again */

static void
end_recording(void)
{
	if (file >= 0)
		FileClose(file);
	file = -1;
}

static void
report_failure(void)
{
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("the recording of consensus events in \"%s\" ends: %m", directory)));
	failed = true;
	end_recording();
}

static void
write_buffer(void)
{
	int			written = FileWrite(file, buffer.data, buffer.len, file_size,
									PG_WAIT_EXTENSION);

	if (written != buffer.len)
	{
		if (written >= 0)
			errno = ENOSPC;
		report_failure();
		return;
	}
	file_size += written;
	resetStringInfo(&buffer);
}

static void
begin_recording(const struct raft *node)
{
	struct raft_record_header header;
	char		path[MAXPGPATH];

	snprintf(path, sizeof(path), "%s/raft-" INT64_FORMAT ".rec",
			 directory, (int64) GetCurrentTimestamp());
	file = PathNameOpenFile(path, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY);
	if (file < 0)
	{
		report_failure();
		return;
	}
	ereport(LOG, (errmsg("recording consensus events in \"%s\"", path)));
	if (buffer.data == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&buffer);
		MemoryContextSwitchTo(oldcontext);
	}
	resetStringInfo(&buffer);
	file_size = 0;
	raft_record_header_fill(&header);
	appendBinaryStringInfo(&buffer, (char *) &header, sizeof(header));
	appendBinaryStringInfo(&buffer, (const char *) node, sizeof(*node));
}

void
recorder_tend(const struct raft *node)
{
	if (strcmp(directory, store_record_directory) != 0)
	{
		end_recording();
		failed = false;
		strlcpy(directory, store_record_directory, sizeof(directory));
	}
	if (directory[0] == '\0' || failed)
		return;

	if (file >= 0 && buffer.len > 0)
		write_buffer();
	if (file >= 0 && file_size > RECORDING_LIMIT)
		end_recording();
	if (file < 0 && !failed)
		begin_recording(node);
}

void
recorder_cut(void)
{
	if (file >= 0)
		write_buffer();
	end_recording();
}

void
recorder_step(const struct raft_event *event, const struct raft_update *update)
{
	struct raft_record_step step;

	if (file < 0)
		return;
	step.event_size = raft_record_event_size(event);
	step.digest = raft_update_digest(update);
	appendBinaryStringInfo(&buffer, (char *) &step, sizeof(step));
	appendBinaryStringInfo(&buffer, (const char *) event, (int) step.event_size);
}
