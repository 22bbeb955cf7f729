/*-------------------------------------------------------------------------
 *
 * fuzz_record.c
 *	  A recording, as raft_replay reads it.
 *
 * The input is what follows the header and the state in a recording: steps.
 * The state is that of a member that has just been restored; damage to it is
 * damage to the core's own memory, of which nothing can be asked.
 *
 * The tool stops at the first update whose digest is not the recorded one, and
 * a fuzzer does not guess digests.  So here they always agree.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "record.h"

#define raft_update_digest(update) (step.digest)
#define main replay_main
#include "../raft/replay.c"
#undef main

void
fuzz_one(const char *data, Size length)
{
	static const struct raft_options options = {100, 1000};
	struct raft_restored restored = {.id = 1, .config.config.n_members = 3};
	FILE	   *file;
	uint32_t	i;

	for (i = 0; i < 3; i++)
		restored.config.config.members[i] = (struct raft_member) {i + 1, RAFT_VOTER};
	restored.previous_config = restored.config;
	REQUIRE(raft_init(&node, &restored, &options, 0, 0, NULL) == RAFT_OK);

	/* an empty buffer cannot be opened */
	if (length == 0)
		return;
	file = fmemopen(unconstify(char *, data), length, "rb");
	REQUIRE(file != NULL);
	(void) replay(file, false);
	fclose(file);
	(void) replay_main;
}
