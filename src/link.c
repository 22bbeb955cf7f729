/*-------------------------------------------------------------------------
 *
 * link.c
 *	  One outgoing connection to one member, and the messages on it.
 *
 * A link goes through these states:
 *
 *	DOWN		no connection.  Somebody who asks for room or sends a message
 *				makes the next link_tick() start one, unless the last attempt
 *				failed only just now.
 *	CONNECTING	PQconnectPoll() decides what comes next.
 *	PREPARING	the session is open, in pipeline mode; the statement that every
 *				message executes is being prepared.  Whoever cannot prepare it
 *				(no extension there, a database that is none of ours) is found
 *				out here, before a message is lost on him.
 *	UP			messages flow.
 *
 * Each message is one execution of that statement.  The server executes it as
 * soon as it has it, and what it does (it writes to shared memory) stands,
 * whatever becomes of the next.  Its answer tells us no more than that the
 * queue has become shorter, so it can wait: a Sync, which makes the server
 * answer and end its transaction, follows only when there has been none for
 * LINK_SYNC_MS or LINK_SYNC_SIZE bytes.  That spares both sides a system call
 * and a wake-up for most messages.  An error is sent at once, Sync or not.
 *
 * Messages wait in our own queue and not in libpq's buffer: libpq sends
 * whenever it sees fit, whereas the owner's promise is that nothing leaves
 * before it says so; and libpq's buffer never shrinks and is moved to its front
 * with every partial write.  libpq gets more only when it has got rid of what
 * it had.  What is not answered yet, in the queue or on its way, is bounded by
 * LINK_QUEUE_SIZE and one message, so a peer that has stopped reading costs
 * that much and no more.
 *
 * A peer that answers with an error (another cluster's id, no permission, its
 * workers not running) keeps its connection, but gets no message for a pause
 * that grows with every error in a row.  The same pauses lie between attempts
 * to connect.  Only a message that was accepted resets them: a connection that
 * opens and then accepts nothing is no success.
 *
 * A peer that is stopped but whose kernel is alive keeps the connection open
 * and answers nothing.  As long as its receive buffer is not full, TCP does not
 * notice; LINK_STALL_LIMIT_MS does.
 *
 * Known property: libpq resolves host names while it starts to connect, or
 * turns to the next host, and waits for the name server (and for the LDAP
 * server, if a service file names one).  With a numeric address, hostaddr or a
 * socket directory nothing waits.  The delay cannot be cut short, only kept
 * rare: the pause after a failure is a multiple of it, and the log says
 * what it comes from.
 *
 * Memory: the link and its messages are in a context of its own.  The PGconn
 * is malloc'd, so a callback of that context closes it.  A connection counts as
 * one of fd.c's external descriptors as long as link->conn is set.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "link.h"

#include <limits.h>

#include "catalog/pg_type_d.h"
#include "conninfo.h"
#include "lib/ilist.h"
#include "libpq-fe.h"
#include "peer_error.h"
#include "portability/instr_time.h"
#include "seal.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"

/* Unanswered bytes with which a link takes no more. */
#define LINK_QUEUE_SIZE			(4 * 1024 * 1024)

/* Bytes of messages handed to libpq between two looks at the socket. */
#define LINK_BATCH_SIZE			(64 * 1024)

/* Pause after the first failure; doubled with each further one. */
#define LINK_MIN_PAUSE_MS		100
#define LINK_MAX_PAUSE_MS		2000

/*
 * A delay in libpq that is worth telling, and how much of our time such delays
 * may take: one part in so many.
 */
#define LINK_LONG_DELAY_MS		200
#define LINK_DELAY_FACTOR		20
#define LINK_MAX_DELAY_PAUSE_MS	60000

/* The server is to answer after so long, or so many bytes. */
#define LINK_SYNC_MS			50
#define LINK_SYNC_SIZE			(64 * 1024)

/* A peer that answers none of the messages on their way for so long is lost. */
#define LINK_STALL_LIMIT_MS		30000

#define LINK_STATEMENT			"receive"
#define LINK_QUERY				"SELECT " STORE_SCHEMA ".raft_receive($1)"

/*
 * What the session runs with.  Nobody is there to be timed out, and no setting
 * that an ordinary user may not set, lest the connection fail.
 */
#define LINK_SETTINGS \
	"-c statement_timeout=0 -c lock_timeout=0 " \
	"-c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0"

typedef enum LinkState
{
	LINK_DOWN,
	LINK_CONNECTING,
	LINK_PREPARING,
	LINK_UP
} LinkState;

/* A message that has not been answered yet. */
typedef struct LinkMessage
{
	dlist_node	node;			/* in queue or in_flight */
	Size		length;
	char	   *data;			/* NULL once libpq has a copy */
} LinkMessage;

typedef char LinkError[sizeof(((LinkStatus *) NULL)->last_error)];

struct Link
{
	MemoryContext context;
	MemoryContextCallback reset_callback;
	uint64		peer_id;
	char	   *conninfo;

	LinkState	state;
	PGconn	   *conn;			/* NULL if and only if LINK_DOWN */
	uint32		interest;		/* WL_SOCKET_* */
	bool		socket_changed;
	bool		went_down;
	bool		shut_out;		/* the peer will never take our messages again */
	bool		expelled;		/* the peer said so */

	/*
	 * Oldest message first.  Both are empty unless LINK_UP; queue is also
	 * empty during a pause.
	 */
	dlist_head	queue;			/* not yet given to libpq */
	dlist_head	in_flight;		/* given to libpq, not answered */
	int			n_in_flight;
	Size		queued_bytes;	/* of both */
	Size		unsynced_bytes; /* given to libpq since the last Sync */
	int64		synced_at;		/* when that was */

	int			delay_ms;		/* what libpq has kept us waiting for, in the
								 * latest attempt to connect */
	bool		delay_logged;	/* since the link was last up */

	bool		wanted;			/* somebody asked while we could not send */
	int			n_failures;		/* since a message was last accepted */
	int64		pause_until;	/* no attempt (DOWN), no message (UP) before */
	int64		give_up_at;		/* CONNECTING, PREPARING: end of the attempt;
								 * UP: when to miss an answer, if any is due */

	/* One message at a time is timed, from libpq to the answer to its Sync. */
	LinkMessage *timed;			/* NULL: none is on its way */
	instr_time	timed_since;
	int64		round_trip_us;	/* -1: not known */

	uint64		sent_messages;
	uint64		sent_bytes;
	uint64		dropped_messages;	/* not accepted, whatever the reason */

	LinkError	last_error;
	LinkError	logged_error;	/* the last one that was written to the log */
	LinkError	farewell;		/* what the server said before it hung up */
};

static void link_take_results(Link *link);

int64
link_clock_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

/* libpq's notice receiver, which also gets what a dying idle session says. */
static void
link_notice(void *arg, const PGresult *result)
{
	Link	   *link = (Link *) arg;

	if (peer_error_is_farewell(result))
		peer_error_describe(link->farewell, sizeof(LinkError), result);
}

/*
 * Write last_error to the log, unless that is what we wrote last.  The format
 * takes the member's id.
 */
static void
link_log_error(Link *link, const char *format)
{
	if (strcmp(link->last_error, link->logged_error) == 0)
		return;
	strlcpy(link->logged_error, link->last_error, sizeof(LinkError));

	ereport(LOG,
			(errmsg(format, link->peer_id),
			 errdetail_internal("%s", link->last_error)));
}

static void
link_pause(Link *link)
{
	int			doublings = Min(link->n_failures, 10);
	int			pause_ms = Min(LINK_MIN_PAUSE_MS << doublings, LINK_MAX_PAUSE_MS);
	int			delay_ms = Min(link->delay_ms, LINK_MAX_DELAY_PAUSE_MS / LINK_DELAY_FACTOR);

	link->n_failures++;
	link->pause_until = link_clock_ms() + Max(pause_ms, delay_ms * LINK_DELAY_FACTOR);
}

/* libpq returns from a step of connecting that began at start. */
static void
link_count_delay(Link *link, int64 start)
{
	int			delay_ms = (int) Min(link_clock_ms() - start, INT_MAX / 2);

	link->delay_ms = Max(link->delay_ms, delay_ms);
	if (delay_ms < LINK_LONG_DELAY_MS || link->delay_logged)
		return;
	link->delay_logged = true;
	ereport(LOG,
			(errmsg("connecting to member " UINT64_FORMAT " has stopped this worker for %d ms",
					link->peer_id, delay_ms),
			 errhint("If a name server is slow, give the members' addresses as numbers, or add hostaddr.")));
}

static void
link_forget(Link *link, LinkMessage *message, bool accepted)
{
	if (message == link->timed)
	{
		instr_time	now;

		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, link->timed_since);
		if (accepted)
			link->round_trip_us = (int64) INSTR_TIME_GET_MICROSEC(now);
		link->timed = NULL;
	}
	link->queued_bytes -= message->length;
	if (!accepted)
		link->dropped_messages++;
	if (message->data != NULL)
		pfree(message->data);
	pfree(message);
}

static void
link_drop_messages(Link *link, dlist_head *messages)
{
	while (!dlist_is_empty(messages))
		link_forget(link,
					dlist_container(LinkMessage, node, dlist_pop_head_node(messages)),
					false);
}

void
link_heard(Link *link)
{
	int64		pause_ms = Max(LINK_MIN_PAUSE_MS, 2 * link->delay_ms);

	link->pause_until = Min(link->pause_until, link_clock_ms() + pause_ms);
}

void
link_close(Link *link)
{
	if (link->conn == NULL)
		return;

	/* Does not wait: the farewell is sent only if the socket takes it. */
	PQfinish(link->conn);
	ReleaseExternalFD();
	link->conn = NULL;

	if (link->state == LINK_UP)
		link->went_down = true;
	link->state = LINK_DOWN;
	link->interest = 0;
	link->socket_changed = true;
	link->unsynced_bytes = 0;
	link_drop_messages(link, &link->queue);
	link_drop_messages(link, &link->in_flight);
	link->n_in_flight = 0;
	Assert(link->queued_bytes == 0);
}

/* The connection, or the attempt to make one, has failed. */
static void
link_fail(Link *link, const char *reason)
{
	bool		was_up = (link->state == LINK_UP);

	peer_error_fold(link->last_error, sizeof(LinkError), reason);
	link_close(link);
	link_pause(link);
	link_log_error(link, was_up ?
				   "lost connection to member " UINT64_FORMAT :
				   "could not connect to member " UINT64_FORMAT);
}

/*
 * libpq has given up on the connection.  Answers may still be among what had
 * arrived before, and so may the server's own words, which tell more than
 * "server closed the connection unexpectedly".
 */
static void
link_lost(Link *link)
{
	LinkError	reason;

	peer_error_fold(reason, sizeof(LinkError), PQerrorMessage(link->conn));
	if (link->state != LINK_CONNECTING)
		link_take_results(link);
	if (link->conn != NULL)
		link_fail(link, link->farewell[0] != '\0' ? link->farewell : reason);
}

/* Let the server answer what it has been sent. */
static void
link_sync(Link *link)
{
	bool		sent;

#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	sent = PQsendPipelineSync(link->conn);
#else
	sent = PQpipelineSync(link->conn);
#endif
	link->unsynced_bytes = 0;
	link->synced_at = link_clock_ms();
	if (!sent)
		link_lost(link);
}

/* The oldest message on its way has got its answer. */
static void
link_answered(Link *link, bool accepted)
{
	if (link->n_in_flight == 0)
	{
		link_fail(link, "unexpected answer from server");
		return;
	}

	link_forget(link,
				dlist_container(LinkMessage, node,
								dlist_pop_head_node(&link->in_flight)),
				accepted);
	link->n_in_flight--;
	if (accepted)
	{
		link->n_failures = 0;
		link->last_error[0] = '\0';
	}
	link->give_up_at = link_clock_ms() + LINK_STALL_LIMIT_MS;
}

/*
 * The peer has answered a message with an error.  It skips what follows, up to
 * the next Sync.
 */
static void
link_refused(Link *link, const PGresult *result)
{
	peer_error_describe(link->last_error, sizeof(LinkError), result);
	if (peer_error_is_exclusion(result))
		link->shut_out = true;
	if (peer_error_sqlstate(result) == ERRCODE_STORE_REMOVED)
		link->expelled = true;

	/* Messages behind a refused one say nothing new. */
	if (link_clock_ms() >= link->pause_until)
	{
		link_drop_messages(link, &link->queue);
		link->went_down = true;
		link_pause(link);
		link_log_error(link, "messages are refused by member " UINT64_FORMAT);
	}

	link_answered(link, false);
	if (link->conn != NULL && link->unsynced_bytes > 0)
		link_sync(link);
}

/* Start an attempt to connect. */
static void
link_open(Link *link)
{
	MemoryContext scratch;
	MemoryContext caller;
	ConninfoOptions options;
	char	   *problem;

	Assert(link->state == LINK_DOWN && link->conn == NULL);
	link->wanted = false;
	link->delay_ms = 0;
	link->farewell[0] = '\0';

	scratch = AllocSetContextCreate(link->context, "store link options",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(scratch);

	problem = conninfo_assemble(link->conninfo,
								psprintf(STORE_LINK_NAME "%s", settings_node_name()),
								LINK_SETTINGS, &options);
	if (problem != NULL)
		link_fail(link, problem);
	else if (!AcquireExternalFD())
		link_fail(link, "too many open files on this server");
	else
	{
		int64		start = link_clock_ms();

		link->conn = PQconnectStartParams(options.keywords, options.values, 0);
		link_count_delay(link, start);
		if (link->conn == NULL)
		{
			ReleaseExternalFD();
			link_fail(link, "out of memory");
		}
		else
		{
			link->state = LINK_CONNECTING;
			link->give_up_at = link_clock_ms() + 2 * options.connect_timeout_ms;
			link->interest = WL_SOCKET_WRITEABLE;
			link->socket_changed = true;
			PQsetNoticeReceiver(link->conn, link_notice, link);
			if (PQstatus(link->conn) == CONNECTION_BAD)
				link_lost(link);
		}
	}

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
}

/* The session is open; make it ready for messages. */
static void
link_prepare(Link *link)
{
	static const Oid types[] = {BYTEAOID};

	link->state = LINK_PREPARING;
	if (PQsetnonblocking(link->conn, 1) != 0 ||
		!PQenterPipelineMode(link->conn) ||
		!PQsendPrepare(link->conn, LINK_STATEMENT, LINK_QUERY, lengthof(types), types) ||
		!PQpipelineSync(link->conn))
		link_lost(link);
	else
		link_flush(link);
}

static void
link_established(Link *link)
{
	link->state = LINK_UP;
	link->pause_until = 0;
	link->delay_ms = 0;
	link->delay_logged = false;
	link->last_error[0] = '\0';
	link->logged_error[0] = '\0';
	ereport(LOG,
			(errmsg("connected to member " UINT64_FORMAT, link->peer_id)));
}

static void
link_take_result(Link *link, const PGresult *result)
{
	switch (PQresultStatus(result))
	{
		case PGRES_PIPELINE_SYNC:
			if (link->state == LINK_PREPARING)
				link_established(link);
			break;

		case PGRES_COMMAND_OK:
			break;

		case PGRES_TUPLES_OK:
			link_answered(link, true);
			break;

		case PGRES_PIPELINE_ABORTED:
			link_answered(link, false);
			break;

		case PGRES_FATAL_ERROR:
			if (peer_error_is_farewell(result))
				peer_error_describe(link->farewell, sizeof(LinkError), result);
			else if (PQstatus(link->conn) == CONNECTION_BAD)
				break;			/* libpq's own words; see link_lost() */
			else if (link->state == LINK_PREPARING)
			{
				LinkError	reason;

				peer_error_describe(reason, sizeof(LinkError), result);
				link_fail(link, reason);
			}
			else
				link_refused(link, result);
			break;

		default:
			/* nothing that our statement can lead to, such as COPY */
			link_fail(link, "unexpected answer from server");
			break;
	}
}

/*
 * Take the results that have arrived.  Each statement's results end with a
 * NULL; two in a row mean that nothing is expected (or that the connection has
 * gone).  A result may close the connection.
 */
static void
link_take_results(Link *link)
{
	int			n_nulls = 0;

	while (link->conn != NULL && n_nulls < 2 && !PQisBusy(link->conn))
	{
		PGresult   *result = PQgetResult(link->conn);

		if (result == NULL)
			n_nulls++;
		else
		{
			n_nulls = 0;
			link_take_result(link, result);
			PQclear(result);
		}
	}
}

static void
link_poll(Link *link)
{
	int64		start = link_clock_ms();
	PostgresPollingStatusType status = PQconnectPoll(link->conn);

	link_count_delay(link, start);

	/* See link_socket_changed() */
	link->socket_changed = true;

	switch (status)
	{
		case PGRES_POLLING_READING:
			link->interest = WL_SOCKET_READABLE;
			break;
		case PGRES_POLLING_WRITING:
			link->interest = WL_SOCKET_WRITEABLE;
			break;
		case PGRES_POLLING_OK:
			link_prepare(link);
			break;
		default:
			link_lost(link);
			break;
	}
}

void
link_serve(Link *link)
{
	if (link->state == LINK_DOWN)
		return;
	if (link->state == LINK_CONNECTING)
		link_poll(link);
	else if (PQconsumeInput(link->conn) == 0)
		link_lost(link);
	else
	{
		link_take_results(link);
		link_flush(link);
	}
}

/* Give libpq the oldest message of the queue. */
static Size
link_hand_over(Link *link)
{
	LinkMessage *message = dlist_container(LinkMessage, node,
										   dlist_pop_head_node(&link->queue));
	Size		length = message->length;
	const char *values[1] = {message->data};
	int			lengths[1] = {(int) length};
	int			formats[1] = {1};

	if (link->n_in_flight++ == 0)
		link->give_up_at = link_clock_ms() + LINK_STALL_LIMIT_MS;
	dlist_push_tail(&link->in_flight, &message->node);

	if (!PQsendQueryPrepared(link->conn, LINK_STATEMENT, 1, values, lengths, formats, 1))
	{
		link_lost(link);
		return length;
	}
	link->unsynced_bytes += length;
	pfree(message->data);
	message->data = NULL;
	if (link->timed == NULL)
	{
		link->timed = message;
		INSTR_TIME_SET_CURRENT(link->timed_since);
	}
	link->sent_messages++;
	link->sent_bytes += length;
	return length;
}

static bool
link_sync_is_due(const Link *link, int64 now)
{
	return link->unsynced_bytes >= LINK_SYNC_SIZE ||
		(link->unsynced_bytes > 0 && now >= link->synced_at + LINK_SYNC_MS);
}

/* Hand over the queue until it is empty or the socket has had enough. */
static void
link_push(Link *link)
{
	while (link->state == LINK_PREPARING || link->state == LINK_UP)
	{
		int			unsent = PQflush(link->conn);
		Size		batch = 0;

		if (unsent < 0)
		{
			link_lost(link);
			return;
		}
		link->interest = WL_SOCKET_READABLE | (unsent > 0 ? WL_SOCKET_WRITEABLE : 0);
		if (unsent > 0 || dlist_is_empty(&link->queue))
			return;

		while (link->state == LINK_UP && !dlist_is_empty(&link->queue) &&
			   batch < LINK_BATCH_SIZE)
			batch += link_hand_over(link);
		if (link->state == LINK_UP && link_sync_is_due(link, link_clock_ms()))
			link_sync(link);
	}
}

/*
 * libpq also reads when it cannot write.  What it has read makes no socket
 * ready any more, so look at it before going to sleep.
 */
void
link_flush(Link *link)
{
	link_push(link);
	if (link->state == LINK_PREPARING || link->state == LINK_UP)
		link_take_results(link);
}

Size
link_room(Link *link)
{
	if (link->state != LINK_UP || link_clock_ms() < link->pause_until)
	{
		link->wanted = true;
		return 0;
	}
	if (link->queued_bytes >= LINK_QUEUE_SIZE)
		return 0;
	return LINK_QUEUE_SIZE - link->queued_bytes;
}

/*
 * Any room is enough: the last message may overshoot the bound, so that a
 * message of any size gets through, and a caller who sends as long as there is
 * room loses none.
 */
bool
link_send(Link *link, const char *data, Size length)
{
	static uint64 next_number = 1;	/* of this start, over all links */
	MemoryContext caller;
	LinkMessage *message;

	if (link_room(link) == 0)
	{
		link->dropped_messages++;
		return false;
	}

	caller = MemoryContextSwitchTo(link->context);
	message = palloc(sizeof(LinkMessage));
	message->length = length + SEAL_SIZE;
	message->data = palloc(message->length);
	memcpy(message->data, data, length);
	seal_message(message->data + length, data, length, next_number++);
	MemoryContextSwitchTo(caller);

	dlist_push_tail(&link->queue, &message->node);
	link->queued_bytes += message->length;
	return true;
}

void
link_tick(Link *link, int64 now)
{
	if (now < link_next_tick(link))
		return;

	switch (link->state)
	{
		case LINK_DOWN:
			link_open(link);
			break;
		case LINK_CONNECTING:
		case LINK_PREPARING:
			link_fail(link, "timeout expired");
			break;
		case LINK_UP:
			if (link->n_in_flight > 0 && now >= link->give_up_at)
			{
				link_fail(link, "no answer from server");
				break;
			}
			if (link_sync_is_due(link, now))
			{
				link_sync(link);
				link_flush(link);
			}
			if (now >= link->pause_until)
				link->wanted = false;	/* the pause is over, say it once */
			break;
	}
}

int64
link_next_tick(const Link *link)
{
	int64		next = LINK_NEVER;

	switch (link->state)
	{
		case LINK_DOWN:
			if (link->wanted)
				next = link->pause_until;
			break;
		case LINK_CONNECTING:
		case LINK_PREPARING:
			next = link->give_up_at;
			break;
		case LINK_UP:
			if (link->n_in_flight > 0)
				next = link->give_up_at;
			if (link->unsynced_bytes > 0)
				next = Min(next, link->synced_at + LINK_SYNC_MS);
			if (link->wanted)
				next = Min(next, link->pause_until);
			break;
	}
	return next;
}

static void
link_reset_callback(void *arg)
{
	link_close((Link *) arg);
}

Link *
link_create(MemoryContext parent, uint64 peer_id, const char *conninfo)
{
	MemoryContext context = AllocSetContextCreate(parent, "store link",
												  ALLOCSET_DEFAULT_SIZES);
	Link	   *link = MemoryContextAllocZero(context, sizeof(Link));

	link->context = context;
	link->peer_id = peer_id;
	link->conninfo = MemoryContextStrdup(context, conninfo);
	link->state = LINK_DOWN;
	link->round_trip_us = -1;
	dlist_init(&link->queue);
	dlist_init(&link->in_flight);

	link->reset_callback.func = link_reset_callback;
	link->reset_callback.arg = link;
	MemoryContextRegisterResetCallback(context, &link->reset_callback);
	return link;
}

void
link_destroy(Link *link)
{
	MemoryContextDelete(link->context);
}

void
link_move(Link *link, const char *conninfo)
{
	char	   *old = link->conninfo;

	if (strcmp(old, conninfo) == 0)
		return;

	link_close(link);
	link->conninfo = MemoryContextStrdup(link->context, conninfo);
	pfree(old);

	/* The failures were the old address's. */
	link->n_failures = 0;
	link->pause_until = 0;
	link->last_error[0] = '\0';
	link->logged_error[0] = '\0';
}

uint64
link_peer_id(const Link *link)
{
	return link->peer_id;
}

const char *
link_address(const Link *link)
{
	return link->conninfo;
}

uint32
link_interest(const Link *link, pgsocket *socket)
{
	*socket = (link->conn != NULL) ? PQsocket(link->conn) : PGINVALID_SOCKET;
	return (*socket != PGINVALID_SOCKET) ? link->interest : 0;
}

bool
link_socket_changed(Link *link)
{
	bool		changed = link->socket_changed;

	link->socket_changed = false;
	return changed;
}

bool
link_went_down(Link *link)
{
	bool		went_down = link->went_down;

	link->went_down = false;
	return went_down;
}

bool
link_is_shut_out(const Link *link)
{
	return link->shut_out;
}

bool
link_is_expelled(const Link *link)
{
	return link->expelled;
}

void
link_status(const Link *link, LinkStatus *status)
{
	status->connected = (link->state == LINK_UP);
	status->shut_out = link->shut_out;
	status->sent_messages = link->sent_messages;
	status->sent_bytes = link->sent_bytes;
	status->dropped_messages = link->dropped_messages;
	status->round_trip_us = (link->state == LINK_UP) ? link->round_trip_us : -1;
	status->queued_bytes = link->queued_bytes;
	strlcpy(status->last_error, link->last_error, sizeof(status->last_error));
}
