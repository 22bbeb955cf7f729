/*-------------------------------------------------------------------------
 *
 * link.h
 *	  One outgoing connection to one member, and the messages on it.
 *
 * The transport's inner half: a link knows its connection, its queue and its
 * clock, and nothing of the other links or of who sleeps how long.  Whoever
 * owns it waits for the socket (link_interest), calls link_serve() when
 * the socket is ready and link_tick() when link_next_tick() has come.  No
 * function here waits for the peer.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_LINK_H
#define STORE_LINK_H

#include "store.h"
#include "transport.h"

typedef struct Link Link;

/* Never: a time that does not come. */
#define LINK_NEVER		PG_INT64_MAX

/* A clock that is never set back, in milliseconds. */
extern int64 link_clock_ms(void);

/*
 * A link lives in a memory context of its own, below parent; it closes its
 * connection when that context goes, one way or the other.
 */
extern Link *link_create(MemoryContext parent, uint64 peer_id, const char *conninfo);
extern void link_destroy(Link *link);

/*
 * Tell where the member is now.  If that is news, the old connection closes;
 * whoever had sent something on it is told so by link_went_down().
 */
extern void link_move(Link *link, const char *conninfo);

extern uint64 link_peer_id(const Link *link);
extern const char *link_address(const Link *link);

/*
 * The member is up: it has said something on its own connection.  Shortens the
 * pause to the shortest there is, or twice what the last attempt held us up.
 */
extern void link_heard(Link *link);

/* Close the connection, if there is one.  What was not answered is lost. */
extern void link_close(Link *link);

/* As transport_room() and transport_send(); both ask for a connection. */
extern Size link_room(Link *link);
extern bool link_send(Link *link, const char *data, Size length);

/* Hand the queue to the connection as far as the socket takes it. */
extern void link_flush(Link *link);

/* The socket is ready for (some of) what link_interest() asked for. */
extern void link_serve(Link *link);

/* Do what is due by now: start connecting, give up waiting. */
extern void link_tick(Link *link, int64 now);

/* When link_tick() should be called next, or LINK_NEVER. */
extern int64 link_next_tick(const Link *link);

/*
 * The WL_SOCKET_* events that the link waits for, and where.  0 if none.
 */
extern uint32 link_interest(const Link *link, pgsocket *socket);

/*
 * Whether the socket may be another one than at the last call.  The number
 * does not tell: libpq, going from one address to the next, is often given
 * the number that it has just closed.
 */
extern bool link_socket_changed(Link *link);

/* Whether an established link has gone down since the last call. */
extern bool link_went_down(Link *link);

/* Has the member told us that it will never take our messages again? */
extern bool link_is_shut_out(const Link *link);
/* Whether the peer has said that we are no member any more. */
extern bool link_is_expelled(const Link *link);

extern void link_status(const Link *link, LinkStatus *status);

#endif							/* STORE_LINK_H */
