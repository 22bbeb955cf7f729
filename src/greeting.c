/*-------------------------------------------------------------------------
 *
 * greeting.c
 *	  How members find each other when addresses change or somebody is gone.
 *
 * Members call each other under the addresses in the membership.  One that
 * moved cannot be called; but it can call the others, and tells them where it
 * is with a greeting.
 *
 * What an operator has set may be wrong, and a membership in which the leader
 * has an address that leads nowhere stops the cluster.  So nobody gives up an
 * address that works for one that was only announced.  Who is greeted calls
 * the new address first, beside the link it has, and says there that this is
 * where it has reached the member (MESSAGE_REACHED).  Only then does the link
 * move.  The membership is changed by the leader:
 *
 *	- the address of another member, when the leader itself has reached it
 *	  there;
 *
 *	- its own, when a majority of the voters, itself counted, has reached it
 *	  there, and at least one other member; a node that is alone has nobody to
 *	  ask and nobody to lose.
 *
 * A member greets
 *
 *	- everybody, as long as the membership has another address for it than
 *	  store.advertise;
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
 * changes nothing but where a connection goes.  So is the answer to one: that
 * it was sent to an address is the sender's word, and members believe each
 * other.
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

/* An address that nobody has reached after so many rounds is a problem. */
#define PATIENT_ROUNDS	3

static struct
{
	Transport  *transport;
	MessageOrigin origin;
	uint64		node_id;
	uint64		tended_ms;

	char		address[STORE_CONNINFO_SIZE];	/* the latest that was announced */
	int			n_rounds;		/* in which it was, and is not in the membership */
	uint32		n_reached_by;
	uint64		reached_by[RAFT_MAX_MEMBERS];	/* there, by these members */

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
	message_encode_address(&buffer, MESSAGE_HELLO, &greeting.origin, greeting.node_id,
						   peer, address);
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

/* Does the membership have another address for this node than it wants? */
static bool
has_moved(const char *address)
{
	const Member *self = membership_find(roster_current(), greeting.node_id);

	if (strcmp(greeting.address, address) != 0)
	{
		strlcpy(greeting.address, address, sizeof(greeting.address));
		greeting.n_rounds = 0;
		greeting.n_reached_by = 0;
	}
	if (self == NULL || strcmp(self->conninfo, address) == 0)
	{
		greeting.n_rounds = 0;
		return false;
	}
	greeting.n_rounds = Min(greeting.n_rounds + 1, PATIENT_ROUNDS + 1);
	return true;
}

static bool
is_reached_by(uint64 id)
{
	for (uint32 i = 0; i < greeting.n_reached_by; i++)
	{
		if (greeting.reached_by[i] == id)
			return true;
	}
	return false;
}

static bool
is_reached_by_enough(void)
{
	const Membership *membership = roster_current();
	uint32		n_others = 0;
	uint32		n_voters = 0;	/* who have, this node among them */

	for (uint32 i = 0; i < membership->n_members; i++)
	{
		const Member *member = &membership->members[i];
		bool		self = (member->id == greeting.node_id);

		if (!self && !is_reached_by(member->id))
			continue;
		if (!self)
			n_others++;
		if (member->role == RAFT_VOTER)
			n_voters++;
	}
	return membership->n_members == 1 ||
		(n_others > 0 && n_voters > membership_n_voters(membership) / 2);
}

bool
greeting_tend(const struct raft *node, const struct raft_update *update,
			  uint64 now_ms, uint32 timeout_ms, char **address)
{
	const Membership *membership = roster_current();
	uint64		passed;
	bool		leader = (update->state == RAFT_LEADER);
	bool		moved;

	while ((passed = transport_next_passed(greeting.transport)) != 0)
		ereport(LOG,
				(errmsg("member \"%s\" is reached at \"%s\" now", roster_name(passed),
						transport_address(greeting.transport, passed))));
	if (now_ms - greeting.tended_ms < timeout_ms)
		return false;
	greeting.tended_ms = now_ms;

	*address = settings_advertise();
	moved = has_moved(*address);
	for (uint32 i = 0; i < membership->n_members; i++)
	{
		uint64		peer = membership->members[i].id;

		if (peer == greeting.node_id)
			continue;
		if (moved || (leader ? is_silent(node, peer, now_ms, timeout_ms) :
					  update->leader == 0))
			greet(peer, *address);
	}
	return leader && moved && is_reached_by_enough();
}

const char *
greeting_problem(void)
{
	if (greeting.n_rounds <= PATIENT_ROUNDS)
		return NULL;
	return psprintf("the members do not reach this node at \"%s\" (store.advertise), and go on using its former address",
					greeting.address);
}

/* Under a leader there are heartbeats to wake us. */
uint64
greeting_deadline(const struct raft_update *update, uint32 timeout_ms)
{
	return update->leader != 0 ? 0 : greeting.tended_ms + timeout_ms;
}

/*
 * Who came to be there before, in a membership or by an earlier greeting, has
 * to hear it, too.
 */
bool
greeting_received(uint64 from, const char *conninfo)
{
	StringInfoData buffer;
	const char *known = transport_address(greeting.transport, from);
	bool		there = (known != NULL && strcmp(known, conninfo) == 0);

	if (from == greeting.node_id || membership_find(roster_current(), from) == NULL)
		return false;
	initStringInfo(&buffer);
	message_encode_address(&buffer, MESSAGE_REACHED, &greeting.origin, greeting.node_id,
						   from, conninfo);
	if (there)
		(void) transport_send(greeting.transport, from, buffer.data, buffer.len);
	else
		transport_try_peer(greeting.transport, from, conninfo, buffer.data, buffer.len);
	pfree(buffer.data);
	return there;
}

void
greeting_answered(uint64 from, const char *conninfo)
{
	if (strcmp(conninfo, greeting.address) != 0 || is_reached_by(from) ||
		from == greeting.node_id || membership_find(roster_current(), from) == NULL)
		return;
	if (greeting.n_reached_by == lengthof(greeting.reached_by))
		greeting.n_reached_by = 0;	/* many came and went; the next round counts anew */
	greeting.reached_by[greeting.n_reached_by++] = from;
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
