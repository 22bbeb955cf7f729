/*-------------------------------------------------------------------------
 *
 * link_report.c
 *	  What the raft worker knows of the other members, for people.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "link_report.h"

#include "greeting.h"
#include "roster.h"
#include "utils/timestamp.h"
#include "worker.h"

void
link_report_members(const struct raft *node, Transport *transport, uint64 self,
					NodeStatus *status)
{
	const Membership *membership = roster_current();
	TimestampTz now = GetCurrentTimestamp();

	status->n_members = membership->n_members;
	for (uint32 i = 0; i < membership->n_members; i++)
	{
		MemberStatus *member = &status->members[i];
		struct raft_peer_progress peer;
		LinkStatus	link;

		memset(member, 0, sizeof(*member));
		member->member = membership->members[i];
		if (member->member.id == self)
		{
			member->last_contact = now;
			member->connected = true;
			continue;
		}
		transport_status(transport, member->member.id, &link);
		member->connected = link.connected;
		member->queued_bytes = link.queued_bytes;
		strlcpy(member->last_error, link.last_error, sizeof(member->last_error));
		if (raft_progress(node, member->member.id, &peer))
		{
			member->match_index = peer.match_index;
			member->copying = peer.snapshotting;
			if (peer.last_contact_ms != 0)
				member->last_contact = now - (TimestampTz)
					(worker_now_ms() - peer.last_contact_ms) * 1000;
		}
	}
}

const char *
link_report_problem(Transport *transport, raft_id leader, uint64 self)
{
	const Membership *membership = roster_current();

	for (uint32 i = 0; i < membership->n_members && leader != self; i++)
	{
		const Member *member = &membership->members[i];
		LinkStatus	link;

		if (member->id == self || (leader != 0 && leader != member->id))
			continue;
		transport_status(transport, member->id, &link);
		if (link.last_error[0] != '\0')
			return psprintf("%smessages to %s \"%s\" are refused or lost: %s",
							leader == 0 ? "no leader is known; " : "",
							leader == 0 ? "member" : "leader",
							member->name, link.last_error);
	}
	return leader == 0 ? "no leader is known" : greeting_problem();
}
