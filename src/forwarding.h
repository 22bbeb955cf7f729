/*-------------------------------------------------------------------------
 *
 * forwarding.h
 *	  Writes on their way from a member to its leader.
 *
 * A message can get lost: with a connection, in a full inbox, in a queue that
 * drops its oldest.  So a write that is not answered is sent again, to the same
 * leader in the same term, and that leader takes it on once.  It need not
 * remember longer than its term, for a write that was forwarded in a term enters
 * the log in that term or never (pending.h).
 *
 * Belongs to the raft worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_FORWARDING_H
#define STORE_FORWARDING_H

#include "store.h"
#include "message.h"
#include "transport.h"

/*
 * Send the leader of "term" what waits, and once more what may have been lost.
 * "batch" has room for RAFT_MAX_BATCH entries.
 */
extern void forwarding_send(Transport *transport, const MessageOrigin *origin, uint64 self,
							uint64 leader, uint64 term, uint64 now_ms, LogEntry *batch);

/* As the leader of "term", take on what another member sent. */
extern void forwarding_receive(const Message *message, uint64 term);

#endif							/* STORE_FORWARDING_H */
