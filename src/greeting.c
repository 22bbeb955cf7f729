/*-------------------------------------------------------------------------
 *
 * greeting.c
 *	  How members find each other when addresses change or somebody is gone.
 *
 * Members call each other under the addresses in the membership.  One that
 * moved cannot be called; but it can call the others, and tells them where it
 * is with a greeting.  They call it there from then on, and the leader writes
 * the address into the membership.
 *
 * A member greets
 *
 *	- everybody, as long as the membership has another address for it than
 *	  store.advertise (the leader does not greet: it changes the membership);
 *
 *	- everybody, once after its start.  Followers send to their leader only, and
 *	  the others are to know of this start, too (starts.h);
 *
 *	- everybody, while it knows no leader.  It may have been removed while it
 *	  was down: then whoever gets the greeting says so (store.raft_receive()),
 *	  and it stops asking for elections;
 *
 *	- as the leader, those that it has not heard from for an election timeout:
 *	  a member that catches up from an old log may call the leader where it was
 *	  long ago.
 *
 * A greeting is a hint.  It is repeated until it is of no use any more, and
 * changes nothing but where a connection goes.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "greeting.h"

#include "message.h"
#include "roster.h"

/* A member that left still has to hear of it; then its link is closed. */
#define LINGER_MS	5000

static struct
{
	Transport  *transport;
	MessageOrigin origin;
	uint64		node_id;
	uint64		tended_ms;
	uint64		roster_index;	/* when the links were last looked at */
	uint64		roster_since_ms;
	bool		links_closed;	/* for that membership */
}			greeting;

void
greeting_init(Transport *transport, const MessageOrigin *origin, uint64 node_id)
{
	memset(&greeting, 0, sizeof(greeting));
	greeting.transport = transport;
	greeting.origin = *origin;
	greeting.node_id = node_id;
}

static void
greet(uint64 peer, const char *address)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	message_encode_hello(&buffer, &greeting.origin, greeting.node_id, peer, address);
	(void) transport_send(greeting.transport, peer, buffer.data, buffer.len);
	pfree(buffer.data);
}

/* Has this leader not heard from the member for so long? */
static bool
is_silent(const struct raft *node, uint64 id, uint64 now_ms, uint32 timeout_ms)
{
	struct raft_peer_progress peer;

	return raft_progress(node, id, &peer) &&
		(peer.last_contact_ms == 0 || now_ms - peer.last_contact_ms > timeout_ms);
}

/* Was nothing said to this member yet, in this life? */
static bool
is_unknown_to(uint64 id)
{
	LinkStatus	link;

	transport_status(greeting.transport, id, &link);
	return link.sent_messages == 0;
}

bool
greeting_tend(const struct raft *node, const struct raft_update *update,
			  uint64 now_ms, uint32 timeout_ms, char **address)
{
	const Membership *membership = roster_current();
	const Member *self = membership_find(roster_current(), greeting.node_id);
	bool		leader = (update->state == RAFT_LEADER);
	bool		moved;

	if (now_ms - greeting.tended_ms < timeout_ms)
		return false;
	greeting.tended_ms = now_ms;

	*address = settings_advertise();
	moved = (self != NULL && strcmp(self->conninfo, *address) != 0);
	for (uint32 i = 0; i < membership->n_members; i++)
	{
		uint64		peer = membership->members[i].id;

		if (peer == greeting.node_id)
			continue;
		if (leader ? is_silent(node, peer, now_ms, timeout_ms) :
			moved || update->leader == 0 || is_unknown_to(peer))
			greet(peer, *address);
	}
	return leader && moved;
}

/* Under a leader there are heartbeats to wake us. */
uint64
greeting_deadline(const struct raft_update *update, uint32 timeout_ms)
{
	return update->leader != 0 ? 0 : greeting.tended_ms + timeout_ms;
}

bool
greeting_received(uint64 from, const char *conninfo)
{
	if (from == greeting.node_id || membership_find(roster_current(), from) == NULL)
		return false;
	transport_set_peer(greeting.transport, from, conninfo);
	return true;
}

/*
 * Only by a membership to which this node belongs: one that catches up walks
 * through memberships of the past, and needs the leader of today.
 */
void
greeting_close_links(bool removed, uint64 commit_index, uint64 now_ms)
{
	Membership *membership = roster_current();
	uint64		peer;

	if (roster_index() != greeting.roster_index)
	{
		greeting.roster_index = roster_index();
		greeting.roster_since_ms = now_ms;
		greeting.links_closed = false;
	}
	if (greeting.links_closed || roster_index() > commit_index ||
		now_ms - greeting.roster_since_ms < LINGER_MS ||
		(!removed && membership_find(membership, greeting.node_id) == NULL))
		return;

	for (peer = transport_next_peer(greeting.transport, 0); peer != 0;
		 peer = transport_next_peer(greeting.transport, peer))
	{
		if (removed || membership_find(membership, peer) == NULL)
			transport_remove_peer(greeting.transport, peer);
	}
	greeting.links_closed = true;
}
