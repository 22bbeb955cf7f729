/*-------------------------------------------------------------------------
 *
 * versions.c
 *	  Which version of commands the cluster uses.
 *
 * What members announce is kept in memory only: a leader hears from everybody
 * within a heartbeat, and what counts is decided in the log.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "versions.h"

#include "raft_admin.h"
#include "roster.h"

/* By place; whoever is no member any more makes room. */
static struct
{
	uint64		member;			/* 0: unused */
	uint8		understands;
}			heard[RAFT_MAX_MEMBERS];

static uint64 raised_ms;		/* when it was last proposed */

static uint8
understands(uint64 member, uint64 self)
{
	if (member == self)
		return COMMAND_VERSION;
	for (int i = 0; i < lengthof(heard); i++)
	{
		if (heard[i].member == member)
			return heard[i].understands;
	}
	return 0;
}

void
versions_heard(const MessageHeader *header)
{
	int			place = -1;

	for (int i = 0; i < lengthof(heard); i++)
	{
		if (heard[i].member == header->from)
		{
			heard[i].understands = header->origin.understands;
			return;
		}
		if (heard[i].member == 0 ||
			membership_find(roster_current(), heard[i].member) == NULL)
			place = i;
	}
	if (place < 0 || membership_find(roster_current(), header->from) == NULL)
		return;
	heard[place].member = header->from;
	heard[place].understands = header->origin.understands;
}

bool
versions_raise(uint64 self, uint64 now_ms, uint64 retry_ms,
			   struct raft_event *event, LogEntry *entry)
{
	const Membership *current = roster_current();
	uint8		common = COMMAND_VERSION;
	Membership	next;

	if (current->version >= COMMAND_VERSION || now_ms - raised_ms < retry_ms)
		return false;
	for (uint32 i = 0; i < current->n_members; i++)
		common = Min(common, understands(current->members[i].id, self));
	if (common <= current->version)
		return false;

	raised_ms = now_ms;
	next = *current;
	next.version = common;
	memset(&next.request, 0, sizeof(next.request));
	event->type = RAFT_CONFIG_PROPOSED;
	admin_propose(&next, event, entry);
	return true;
}

void
versions_report(uint64 self, NodeStatus *status)
{
	for (uint32 i = 0; i < status->n_members; i++)
		status->members[i].understands = understands(status->members[i].member.id, self);
}
