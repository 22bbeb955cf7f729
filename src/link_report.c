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

#include "access/xlog.h"
#include "clock.h"
#include "comparison.h"
#include "greeting.h"
#include "miscadmin.h"
#include "pending.h"
#include "roster.h"
#include "snapshot.h"
#include "stats.h"
#include "tail.h"
#include "turn.h"
#include "utils/timestamp.h"
#include "worker.h"

static void
report_queues(void)
{
	uint64		uncommitted;

	stats_set(STAT_PENDING_WRITES, pending_n_writes());
	stats_set(STAT_PENDING_BYTES, pending_bytes());
	stats_set(STAT_PENDING_READS, pending_n_reads());
	(void) tail_bytes_after(turn_committed(), &uncommitted);
	stats_set(STAT_UNCOMMITTED_BYTES, uncommitted);
}

void
link_report_members(const struct raft *node, Transport *transport, uint64 self,
					NodeStatus *status)
{
	const Membership *membership = roster_current();
	TimestampTz now = GetCurrentTimestamp();

	report_queues();
	status->n_members = membership->n_members;
	for (uint32 i = 0; i < membership->n_members; i++)
	{
		MemberStatus *member = &status->members[i];
		struct raft_peer_progress peer;
		LinkStatus	link;

		memset(member, 0, sizeof(*member));
		member->member = membership->members[i];
		member->lag_bytes = member->round_trip_us = -1;
		if (member->member.id == self)
		{
			member->last_contact = now;
			member->connected = true;
			continue;
		}
		transport_status(transport, member->member.id, &link);
		member->connected = link.connected;
		member->queued_bytes = link.queued_bytes;
		member->round_trip_us = link.round_trip_us;
		member->sent_messages = link.sent_messages;
		member->sent_bytes = link.sent_bytes;
		member->dropped_messages = link.dropped_messages;
		strlcpy(member->last_error, link.last_error, sizeof(member->last_error));
		if (raft_progress(node, member->member.id, &peer))
		{
			uint64		lag_bytes;

			member->match_index = peer.match_index;
			member->next_index = peer.next_index;
			if (tail_bytes_after(peer.match_index, &lag_bytes))
				member->lag_bytes = (int64) lag_bytes;
			member->copying = peer.snapshotting;
			if (peer.last_contact_ms != 0)
				member->last_contact = now - (TimestampTz)
					(monotonic_ms() - peer.last_contact_ms) * 1000;
		}
	}
}

/*
 * Why this node cannot do what it should, NULL if it can.
 */
static const char *
find_problem(Transport *transport, raft_id leader, uint64 self, bool removed)
{
	const Membership *membership = roster_current();

	if (removed)
		return "this node was removed from its cluster: DROP EXTENSION store; to enter again, CREATE EXTENSION store and call store.join()";
	if (!enableFsync)
		return "fsync is off: a crash may lose what was acknowledged";
	if (!fullPageWrites)
		return "full_page_writes is off: a crash may corrupt the store";
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

void
link_report_problems(Transport *transport, raft_id leader, uint64 self, bool removed,
					 uint64 now_ms)
{
	SnapshotRequest request;
	uint64		delay_ms;
	const char *differing;
	bool		undecided;

	/* What went wrong with a copy is no problem once we can do without. */
	if (!snapshot_is_wanted(&request, now_ms,
							SNAPSHOT_REQUEST_BEATS * store_heartbeat_interval, &delay_ms))
		status_set_problem(WORKER_SNAPSHOT, NULL);
	differing = comparison_problem(&undecided);
	status_set_divergence(differing, undecided);
	status_set_problem(WORKER_RAFT, find_problem(transport, leader, self, removed));
}
