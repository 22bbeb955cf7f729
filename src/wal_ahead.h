/*-------------------------------------------------------------------------
 *
 * wal_ahead.h
 *	  Make files for the WAL before it gets there.
 *
 * A new file of the WAL is filled with zeros and flushed, which takes tens of
 * milliseconds, by whoever first has something to write to it.  That would be
 * the raft worker, with the writes of everybody behind it, and on all members
 * at about the same time, for they write the same.  So the launcher makes them,
 * which nobody waits for.  The server does as much only at its checkpoints, and
 * then only for one file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_WAL_AHEAD_H
#define STORE_WAL_AHEAD_H

#include "store.h"
#include "access/xlogdefs.h"

/* The raft worker has written up to here: let files be made if it is time. */
extern void wal_ahead_wrote(XLogRecPtr position);

/* The launcher: make them.  A failure is logged, and nothing more. */
extern void wal_ahead_tend(void);

#endif							/* STORE_WAL_AHEAD_H */
