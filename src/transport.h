/*-------------------------------------------------------------------------
 *
 * transport.h
 *	  One-way messages to the other members, over libpq.
 *
 * This node keeps one outgoing connection to each member it has something to
 * say to: non-blocking, in pipeline mode, to the member's ordinary port.  A
 * message is one call of store.raft_receive(bytea) there; what the member has
 * to say in return comes over its own connection to us.
 *
 * Nothing here ever waits.  A message that finds no connection or a full queue
 * is dropped, and the consensus core, told that the link is down, sends again.
 *
 * Used by one process, the raft worker, which sleeps in transport_wait().
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TRANSPORT_H
#define STORE_TRANSPORT_H

#include "store.h"

typedef struct Transport Transport;

/* What is known of a link, for display and for the core. */
typedef struct LinkStatus
{
	bool		connected;
	bool		shut_out;		/* it refuses this start of ours for good */
	uint64		sent_messages;
	uint64		sent_bytes;
	uint64		dropped_messages;
	int64		round_trip_us;	/* of the newest message timed; -1: none yet */
	Size		queued_bytes;	/* handed over, not yet acknowledged by the peer */
	char		last_error[256];	/* empty when there is none */
} LinkStatus;

/* Allocated in (a child of) the current memory context. */
extern Transport *transport_create(void);

/* Close every connection at once. */
extern void transport_destroy(Transport *transport);

/*
 * Tell where a member is; a new conninfo closes the old link.  Connecting
 * happens on the first message, and again, with growing pauses (100 ms to 2 s), after a
 * failure.  The connection string used is: conninfo, then dbname, then
 * store.peer_options, then our own fallback options (connect_timeout,
 * keepalives, tcp_user_timeout, application_name "store link from NAME").
 */
extern void transport_set_peer(Transport *transport, uint64 id, const char *conninfo);
extern void transport_remove_peer(Transport *transport, uint64 id);

/* Where the member's link goes, or NULL if there is none. */
extern const char *transport_address(Transport *transport, uint64 id);

/*
 * Find out whether a member is reached at another address: connect to it there,
 * beside its link, and send this message.  If that is accepted the link is
 * moved, and the member is returned once by transport_next_passed() (0: none).
 * A trial connects when it is asked for, and not again before it is asked for
 * again; one with another address takes the place of the one before.
 */
extern void transport_try_peer(Transport *transport, uint64 id, const char *conninfo,
							   const char *data, Size length);
extern uint64 transport_next_passed(Transport *transport);

/* The peer after "id" in ascending order of ids (0: the first), or 0. */
extern uint64 transport_next_peer(Transport *transport, uint64 id);

/* Has any peer said that this node is no member of its cluster any more? */
extern bool transport_is_expelled(Transport *transport);

/*
 * A message from the member arrived, so it is up: do not wait out a long pause
 * before calling it again.
 */
extern void transport_heard_from(Transport *transport, uint64 id);

/*
 * Bytes that may be sent to the member now without being dropped; 0 while
 * there is no connection (asking starts one).
 */
extern Size transport_room(Transport *transport, uint64 id);

/*
 * Queue a message; the bytes are copied.  False if dropped.
 * Nothing leaves before transport_flush().
 */
extern bool transport_send(Transport *transport, uint64 id, const char *data, Size length);

/* Push out what is queued, as far as the sockets take it. */
extern void transport_flush(Transport *transport);

/*
 * Sleep until the process latch is set, a socket wants attention, or
 * timeout_ms have passed; then serve the sockets.  Exits the process if the
 * postmaster dies.  Does not reset the latch.
 */
extern void transport_wait(Transport *transport, long timeout_ms);

/*
 * The next member whose link went down since the last call (what was in
 * flight may be lost), or 0.
 */
extern uint64 transport_next_link_down(Transport *transport);

/* A member that refuses us for good (ERRCODE_STORE_SHUT_OUT), or 0. */
extern uint64 transport_shut_out_by(Transport *transport);

extern void transport_status(Transport *transport, uint64 id, LinkStatus *status);

#endif							/* STORE_TRANSPORT_H */
