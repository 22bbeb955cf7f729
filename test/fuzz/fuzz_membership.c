/*-------------------------------------------------------------------------
 *
 * fuzz_membership.c
 *	  A membership as it lies in a message or in the log.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "membership.h"

void
fuzz_one(const char *data, Size length)
{
	Membership	membership;
	struct raft_config config;
	StringInfoData again;
	int			i;

	if (membership_decode(data, length, &membership) != NULL)
		return;

	membership_config(&membership, &config);
	REQUIRE(config.n_members == membership.n_members);
	for (i = 0; i < membership.n_members; i++)
	{
		Member	   *member = &membership.members[i];

		REQUIRE(config.members[i].id == member->id);
		REQUIRE(membership_find(&membership, member->id) == member);
		REQUIRE(membership_find_name(&membership, member->name) == member);
	}

	initStringInfo(&again);
	membership_encode(&again, &membership);
	REQUIRE(again.len == length && memcmp(again.data, data, length) == 0);
}
