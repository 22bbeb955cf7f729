/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  Is this the server that the stored state of the member belongs to?
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "starts.h"

/*
 * Without a birth time (some file systems, some systems) the inode must do.
 */
static void
read_place(char *place, Size size)
{
	struct stat st;

	if (stat(XLOG_CONTROL_FILE, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat file \"%s\": %m", XLOG_CONTROL_FILE)));
	snprintf(place, size, "inode %llu", (unsigned long long) st.st_ino);

#ifdef STATX_BTIME
	{
		struct statx stx;

		if (statx(AT_FDCWD, XLOG_CONTROL_FILE, 0, STATX_BTIME, &stx) == 0 &&
			(stx.stx_mask & STATX_BTIME) != 0)
			snprintf(place, size, "inode %llu, born at %lld.%09u",
					 (unsigned long long) st.st_ino,
					 (long long) stx.stx_btime.tv_sec, stx.stx_btime.tv_nsec);
	}
#endif
}

void
identity_here(ServerIdentity *here)
{
	memset(here, 0, sizeof(*here));
	here->system_identifier = GetSystemIdentifier();
	here->timeline = GetWALInsertionTimeLine();
	here->database = MyDatabaseId;
	read_place(here->place, sizeof(here->place));
}

/*
 * The most telling difference.  A template is looked for before the rest,
 * because the server is the same then.
 */
char *
identity_difference(const ServerIdentity *stored)
{
	ServerIdentity here;

	identity_here(&here);
	if (here.system_identifier != stored->system_identifier)
		return psprintf("it last ran on the server with system identifier " UINT64_FORMAT
						", and this is " UINT64_FORMAT,
						stored->system_identifier, here.system_identifier);
	if (here.database != stored->database)
		return psprintf("it last ran in the database with OID %u, and this is a copy with OID %u",
						stored->database, here.database);
	if (here.timeline != stored->timeline)
		return psprintf("it last ran on timeline %u, and this server is on timeline %u:"
						" restored from a backup, or promoted from a standby",
						stored->timeline, here.timeline);
	if (strcmp(here.place, stored->place) != 0)
		return pstrdup("its data folder was copied or restored from a backup since it last ran");
	return NULL;
}

uint64
identity_next_start(uint64 start)
{
	uint64		random = pg_prng_uint64(&pg_global_prng_state);

	return START_NUMBER(START_COUNT(start) + 1, random);
}
