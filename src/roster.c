/*-------------------------------------------------------------------------
 *
 * roster.c
 *	  The membership in force, with names and addresses.
 *
 * A member that catches up from the beginning of the log walks through every
 * membership the cluster ever had, and needs the address of today's leader all
 * the while.  So an address, once known, is forgotten only when a member that
 * has it is replaced by a newer address.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "roster.h"

static Transport *transport;
static uint64 current_index;
static Membership current;
static uint64 previous_index;
static Membership previous;

static void
learn_addresses(const Membership *membership)
{
	for (uint32 i = 0; i < membership->n_members; i++)
		transport_set_peer(transport, membership->members[i].id,
						   membership->members[i].conninfo);
}

void
roster_init(const RaftLogContents *contents, Transport *to)
{
	transport = to;
	current_index = contents->membership_index;
	current = contents->membership;
	previous_index = contents->previous_membership_index;
	previous = contents->previous_membership;
	learn_addresses(&contents->state.base_membership);
	learn_addresses(&current);
}

void
roster_append(uint64 index, const char *data, uint32 length)
{
	Membership	next;
	const char *problem = membership_decode(data, length, &next);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("membership in log entry " UINT64_FORMAT " is malformed: %s",
						index, problem)));
	previous_index = current_index;
	previous = current;
	current_index = index;
	current = next;
	learn_addresses(&current);
}

void
roster_truncate(uint64 from)
{
	if (current_index < from)
		return;
	if (previous_index >= from)
		elog(ERROR, "truncation of the log from " UINT64_FORMAT
			 " would undo two memberships, " UINT64_FORMAT " and " UINT64_FORMAT,
			 from, previous_index, current_index);
	current_index = previous_index;
	current = previous;
}

Membership *
roster_current(void)
{
	return &current;
}

uint64
roster_index(void)
{
	return current_index;
}

const Membership *
roster_at(uint64 index)
{
	if (index == current_index)
		return &current;
	return index == previous_index ? &previous : NULL;
}

const char *
roster_name(uint64 id)
{
	Member	   *member = membership_find(&current, id);

	return member == NULL ? "" : member->name;
}
