/*-------------------------------------------------------------------------
 *
 * outbox.h
 *	  Messages of the consensus core on their way to the transport.
 *
 * A message waits here, as the core made it, until its link has room.  Only
 * then are its bytes made: the entries of an APPEND are taken from the tail of
 * the log, or from the log tables, in chunks, so that a member that is far
 * behind costs no more memory than one chunk.
 *
 * The queue of each member is bounded.  What does not fit is dropped, and the
 * core is told that the link is down.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include "store.h"
#include "message.h"
#include "raft/raft.h"
#include "log_tables.h"
#include "transport.h"

/* origin is looked at for every message, so it must stay. */
extern void outbox_init(Transport *transport, const MessageOrigin *origin);

/* Queue a message. */
extern void outbox_add(const struct raft_message *message);

/*
 * Turn queued messages into bytes for as long as there is room, and push them
 * out.  node tells which messages are out of date.  Runs a transaction if
 * entries must be read from the log tables.
 *
 * A follower that would hear nothing but what is committed waits for the next
 * batch, if that is near; see pacing.h.
 */
extern void outbox_pump(const struct raft *node, uint64 term, bool leader);

/* The link to a member went down: forget what was meant for it. */
extern void outbox_clear(uint64 peer);

/*
 * The next member to which something was dropped since the last call, or 0.
 */
extern uint64 outbox_next_dropped(void);

#endif							/* STORE_OUTBOX_H */
