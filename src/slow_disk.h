/*-------------------------------------------------------------------------
 *
 * slow_disk.h
 *	  When a leader's disk is so slow that another member should lead.
 *
 * A leader's disk holds up every write of every client, and a slow one is not
 * noticed by the others as a dead one is (etcd#7617).  It hands over after
 * several writes in a row that took longer than half an election timeout; and
 * then not again for a while, in case all disks are like that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_SLOW_DISK_H
#define STORE_SLOW_DISK_H

#include "store.h"

/* Slow writes in a row. */
#define SLOW_DISK_WRITES	3

/*
 * A write to the log took so long; times in milliseconds.  Returns whether the
 * leader, if that is what this node is, should hand over.
 */
extern bool slow_disk_noticed(uint64 write_ms, uint64 now_ms, uint64 election_timeout_ms,
							  bool leads);

#endif							/* STORE_SLOW_DISK_H */
