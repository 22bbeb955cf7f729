/*-------------------------------------------------------------------------
 *
 * api.h
 *	  What the SQL functions share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_H
#define STORE_API_H

#include "store.h"
#include "fmgr.h"
#include "machine.h"
#include "utils/jsonb.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

/*
 * ERROR unless this server can take part in a cluster (it is no standby), and
 * the session can wait for the apply worker without waiting for itself.
 */
extern void api_check_member(const char *function);

/* The same, and the transaction is not read-only. */
extern void api_check_write(const char *function);

/*
 * ERROR RS503 if the state of this node differs from that of a majority of the
 * members: nobody is to be told what it has.
 */
extern void api_check_serving(void);

/*
 * Wait until this node has applied all that was acknowledged anywhere before
 * the call, and return that index.
 */
extern uint64 api_barrier(void);

/* The barrier, if store.read_consistency asks for it. */
extern void api_begin_read(void);

/*
 * Sleep until this node has applied an index, or ERROR RS504 after timeout_ms.
 */
extern void api_wait_applied(int64 index, long timeout_ms);

/*
 * Begin to read at an index: a barrier as above, then wait for the index, and
 * take a snapshot that has it.  The snapshot is registered; *position says
 * where the tables are in it.  Does not judge whether the index is below the
 * floor.
 */
extern Snapshot api_snapshot_at(int64 index, MachinePosition *position);

/*
 * ERROR RS410 if the history begins above the index.  Call it with the floor
 * of the snapshot before reading, and with api_floor() after it: segments that
 * were emptied meanwhile look empty to the snapshot, too.
 */
extern void api_check_floor(int64 index, uint64 floor);
extern uint64 api_floor(void);

/* The resource as store.get() has it, NULL if there is none. */
extern Jsonb *api_get(const ResourceKey *key);

/* An argument that must not be null, or ERROR. */
extern char *api_text_argument(FunctionCallInfo fcinfo, int argno, const char *name);

/* The same, but NULL if it is null. */
extern char *api_optional_text(FunctionCallInfo fcinfo, int argno);

/* An interval in milliseconds; ERROR if negative.  Months count 30 days. */
extern long api_interval_ms(Interval *interval, const char *name);

#endif							/* STORE_API_H */
