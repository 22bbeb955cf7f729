/*-------------------------------------------------------------------------
 *
 * transport.c
 *	  One-way messages to the other members, over libpq.
 *
 * The table of links, and the one place where the raft worker sleeps.  What
 * happens on a link is link.c's business; here is who waits for what.
 *
 * A WaitEventSet cannot forget a socket, and a socket that libpq has closed
 * leaves the kernel's set silently.  So the set is built anew whenever a link
 * may have another socket, which is rare (and with every step of connecting,
 * which is short); a mere change between reading and writing modifies it.
 *
 * A worker that is kept busy finds its latch set each time it comes here, and
 * PostgreSQL up to 15 then reports the latch and does not look at the sockets.
 * They would starve exactly under load.  So when there is nothing but the
 * latch, we look once more without it, without sleeping.
 *
 * A link on trial is one more, with a message of its own to say.  It is judged
 * by how that fares, and goes away when it has passed.
 *
 * The connections of a process that ends are closed in order by a callback at
 * its exit, so that the peers do not find them broken.  There is one transport
 * in a process.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "transport.h"

#include <limits.h>

#include "link.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* Events besides the links' sockets: the latch, the postmaster's death. */
#define N_OWN_EVENTS		2
#define LATCH_POSITION		0

typedef struct Trial
{
	Link	   *link;			/* also in the transport's links */
	bool		asked;			/* the message is on its way */
	Size		length;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Trial;

struct Transport
{
	MemoryContext context;
	MemoryContextCallback reset_callback;
	List	   *links;			/* of Link, those on trial included */
	List	   *trials;			/* of Trial; at most one for each member */

	WaitEventSet *wait_set;		/* NULL: to be built */
	int			n_events;		/* its size, and that of the next two */
	Link	  **watched;		/* by position in wait_set; NULL for our own */
	WaitEvent  *occurred;
};

/* The transport of this process, for its exit. */
static Transport *the_transport = NULL;

static void
transport_at_exit(int code, Datum arg)
{
	ListCell   *lc;

	if (the_transport == NULL)
		return;
	foreach(lc, the_transport->links)
		link_close((Link *) lfirst(lc));
}

static void
forget_wait_set(Transport *transport)
{
	if (transport->wait_set == NULL)
		return;
	FreeWaitEventSet(transport->wait_set);
	transport->wait_set = NULL;
	pfree(transport->watched);
	pfree(transport->occurred);
}

/* The links are in child contexts, which close themselves before us. */
static void
transport_reset_callback(void *arg)
{
	Transport  *transport = (Transport *) arg;

	forget_wait_set(transport);
	the_transport = NULL;
}

Transport *
transport_create(void)
{
	static bool exit_callback_registered = false;
	MemoryContext context;
	Transport  *transport;

	if (the_transport != NULL)
		elog(ERROR, "this process has a transport already");
	if (!exit_callback_registered)
	{
		before_shmem_exit(transport_at_exit, (Datum) 0);
		exit_callback_registered = true;
	}

	context = AllocSetContextCreate(CurrentMemoryContext, "store transport",
									ALLOCSET_DEFAULT_SIZES);
	transport = MemoryContextAllocZero(context, sizeof(Transport));
	transport->context = context;
	transport->reset_callback.func = transport_reset_callback;
	transport->reset_callback.arg = transport;
	MemoryContextRegisterResetCallback(context, &transport->reset_callback);

	the_transport = transport;
	return transport;
}

void
transport_destroy(Transport *transport)
{
	MemoryContextDelete(transport->context);
}

static bool
is_on_trial(Transport *transport, const Link *link)
{
	ListCell   *lc;

	foreach(lc, transport->trials)
	{
		if (((Trial *) lfirst(lc))->link == link)
			return true;
	}
	return false;
}

static Link *
find_link(Transport *transport, uint64 id)
{
	ListCell   *lc;

	foreach(lc, transport->links)
	{
		Link	   *link = (Link *) lfirst(lc);

		if (link_peer_id(link) == id && !is_on_trial(transport, link))
			return link;
	}
	return NULL;
}

static Trial *
find_trial(Transport *transport, uint64 id)
{
	ListCell   *lc;

	foreach(lc, transport->trials)
	{
		Trial	   *trial = (Trial *) lfirst(lc);

		if (link_peer_id(trial->link) == id)
			return trial;
	}
	return NULL;
}

static Link *
add_link(Transport *transport, uint64 id, const char *conninfo)
{
	Link	   *link = link_create(transport->context, id, conninfo);
	MemoryContext caller = MemoryContextSwitchTo(transport->context);

	transport->links = lappend(transport->links, link);
	MemoryContextSwitchTo(caller);
	return link;
}

static void
remove_link(Transport *transport, Link *link)
{
	forget_wait_set(transport);
	transport->links = list_delete_ptr(transport->links, link);
	link_destroy(link);
}

static void
end_trial(Transport *transport, Trial *trial)
{
	transport->trials = list_delete_ptr(transport->trials, trial);
	remove_link(transport, trial->link);
	pfree(trial);
}

void
transport_set_peer(Transport *transport, uint64 id, const char *conninfo)
{
	Link	   *link = find_link(transport, id);

	if (link != NULL)
		link_move(link, conninfo);
	else
		(void) add_link(transport, id, conninfo);
}

void
transport_remove_peer(Transport *transport, uint64 id)
{
	Link	   *link = find_link(transport, id);
	Trial	   *trial = find_trial(transport, id);

	if (trial != NULL)
		end_trial(transport, trial);
	if (link != NULL)
		remove_link(transport, link);
}

const char *
transport_address(Transport *transport, uint64 id)
{
	Link	   *link = find_link(transport, id);

	return (link != NULL) ? link_address(link) : NULL;
}

void
transport_try_peer(Transport *transport, uint64 id, const char *conninfo,
				   const char *data, Size length)
{
	Trial	   *trial = find_trial(transport, id);

	if (trial != NULL && strcmp(link_address(trial->link), conninfo) != 0)
	{
		end_trial(transport, trial);
		trial = NULL;
	}
	if (trial == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(transport->context);

		trial = palloc(offsetof(Trial, data) + length);
		trial->asked = false;
		trial->length = length;
		memcpy(trial->data, data, length);
		trial->link = add_link(transport, id, conninfo);
		transport->trials = lappend(transport->trials, trial);
		MemoryContextSwitchTo(caller);
	}
	(void) link_room(trial->link);	/* asks for a connection */
}

/*
 * Say what is to be said, once in each connection.  Who refuses it is somebody
 * else, or not ready; a connection to him is of no use.
 */
static bool
has_passed(Trial *trial)
{
	LinkStatus	status;

	link_status(trial->link, &status);
	if (!status.connected)
		trial->asked = false;
	else if (!trial->asked)
		trial->asked = link_send(trial->link, trial->data, trial->length);
	else if (status.queued_bytes == 0 && status.last_error[0] == '\0')
		return true;
	else if (status.last_error[0] != '\0')
		link_close(trial->link);
	return false;
}

uint64
transport_next_passed(Transport *transport)
{
	ListCell   *lc;

	foreach(lc, transport->trials)
	{
		Trial	   *trial = (Trial *) lfirst(lc);
		uint64		id = link_peer_id(trial->link);

		if (has_passed(trial))
		{
			transport_set_peer(transport, id, link_address(trial->link));
			end_trial(transport, trial);
			return id;
		}
	}
	return 0;
}

uint64
transport_next_peer(Transport *transport, uint64 id)
{
	uint64		next = 0;
	ListCell   *lc;

	foreach(lc, transport->links)
	{
		uint64		peer = link_peer_id((Link *) lfirst(lc));

		if (peer > id && (next == 0 || peer < next))
			next = peer;
	}
	return next;
}

bool
transport_is_expelled(Transport *transport)
{
	ListCell   *lc;

	foreach(lc, transport->links)
	{
		if (link_is_expelled((Link *) lfirst(lc)))
			return true;
	}
	return false;
}

void
transport_heard_from(Transport *transport, uint64 id)
{
	Link	   *link = find_link(transport, id);

	if (link != NULL)
		link_heard(link);
}

Size
transport_room(Transport *transport, uint64 id)
{
	Link	   *link = find_link(transport, id);

	return (link != NULL) ? link_room(link) : 0;
}

bool
transport_send(Transport *transport, uint64 id, const char *data, Size length)
{
	Link	   *link = find_link(transport, id);

	return link != NULL && link_send(link, data, length);
}

void
transport_flush(Transport *transport)
{
	ListCell   *lc;

	foreach(lc, transport->links)
		link_flush((Link *) lfirst(lc));
}

static void
build_wait_set(Transport *transport)
{
	int			n_events = list_length(transport->links) + N_OWN_EVENTS;
	ListCell   *lc;

	forget_wait_set(transport);

	transport->n_events = n_events;
	transport->watched = MemoryContextAllocZero(transport->context,
												n_events * sizeof(Link *));
	transport->occurred = MemoryContextAllocZero(transport->context,
												 n_events * sizeof(WaitEvent));
#if PG_VERSION_NUM >= 170000
	transport->wait_set = CreateWaitEventSet(NULL, n_events);
#else
	transport->wait_set = CreateWaitEventSet(transport->context, n_events);
#endif
	AddWaitEventToSet(transport->wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(transport->wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);

	foreach(lc, transport->links)
	{
		Link	   *link = (Link *) lfirst(lc);
		pgsocket	socket;
		uint32		events = link_interest(link, &socket);
		int			position;

		if (events == 0)
			continue;
		position = AddWaitEventToSet(transport->wait_set, events, socket, NULL, link);
		transport->watched[position] = link;
	}
}

/* Make the set what the links want to wait for now. */
static void
update_wait_set(Transport *transport)
{
	bool		rebuild = (transport->wait_set == NULL);
	ListCell   *lc;

	foreach(lc, transport->links)
	{
		if (link_socket_changed((Link *) lfirst(lc)))
			rebuild = true;
	}
	if (rebuild)
	{
		build_wait_set(transport);
		return;
	}

	for (int position = 0; position < transport->n_events; position++)
	{
		Link	   *link = transport->watched[position];
		pgsocket	socket;

		if (link != NULL)
			ModifyWaitEvent(transport->wait_set, position,
							link_interest(link, &socket), NULL);
	}
}

/* Sleep; returns the number of events in transport->occurred. */
static int
wait_for_events(Transport *transport, long timeout_ms)
{
	int			n;

	n = WaitEventSetWait(transport->wait_set, timeout_ms, transport->occurred,
						 transport->n_events, PG_WAIT_EXTENSION);
	if (n == 1 && (transport->occurred[0].events & WL_LATCH_SET))
	{
		ModifyWaitEvent(transport->wait_set, LATCH_POSITION, WL_LATCH_SET, NULL);
		n = WaitEventSetWait(transport->wait_set, 0, transport->occurred,
							 transport->n_events, PG_WAIT_EXTENSION);
		ModifyWaitEvent(transport->wait_set, LATCH_POSITION, WL_LATCH_SET, MyLatch);
	}
	return n;
}

/* What is queued and was not flushed leaves here at the latest. */
void
transport_wait(Transport *transport, long timeout_ms)
{
	int64		now = link_clock_ms();
	int64		wake_up = now + Max(timeout_ms, 0);
	int			n_occurred;
	ListCell   *lc;

	transport_flush(transport);
	foreach(lc, transport->links)
	{
		Link	   *link = (Link *) lfirst(lc);

		link_tick(link, now);
		wake_up = Min(wake_up, link_next_tick(link));
	}

	update_wait_set(transport);
	n_occurred = wait_for_events(transport,
								 (long) Min(Max(wake_up - now, 0), INT_MAX));

	for (int i = 0; i < n_occurred; i++)
	{
		if (transport->occurred[i].user_data != NULL)
			link_serve((Link *) transport->occurred[i].user_data);
	}

	now = link_clock_ms();
	foreach(lc, transport->links)
		link_tick((Link *) lfirst(lc), now);
}

uint64
transport_next_link_down(Transport *transport)
{
	ListCell   *lc;

	foreach(lc, transport->links)
	{
		Link	   *link = (Link *) lfirst(lc);

		if (link_went_down(link) && !is_on_trial(transport, link))
			return link_peer_id(link);
	}
	return 0;
}

uint64
transport_shut_out_by(Transport *transport)
{
	ListCell   *lc;

	foreach(lc, transport->links)
	{
		Link	   *link = (Link *) lfirst(lc);

		if (link_is_shut_out(link) && !is_on_trial(transport, link))
			return link_peer_id(link);
	}
	return 0;
}

void
transport_status(Transport *transport, uint64 id, LinkStatus *status)
{
	Link	   *link = find_link(transport, id);

	memset(status, 0, sizeof(*status));
	status->round_trip_us = -1;
	if (link != NULL)
		link_status(link, status);
}
