/*-------------------------------------------------------------------------
 *
 * replay.c
 *	  Step a core through a recording of another one (raft/record.h).
 *
 *		raft_replay [-v] FILE
 *
 * Restores the recorded state, steps it through the recorded events, and
 * compares the digest of every update with the recorded one.  Ends with the
 * number of steps, or at the first difference, which it shows: since the core
 * is deterministic, there is none unless its source has changed or its memory
 * was damaged.  A recording that ends in the middle of a step, as the last one
 * before a crash may, is good up to there.
 *
 * Exit code: 0 the same, 1 a difference, 2 no recording that can be read.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

static const char *const event_names[] = {
	"TIMER", "RECEIVED", "DURABLE", "APPLIED", "PROPOSED", "READ_REQUESTED",
	"CONFIG_PROPOSED", "TRANSFER_REQUESTED", "LINK_DOWN", "COMPACTED",
	"SNAPSHOT_INSTALLED", "DISK_FAILED"
};

static const char *const state_names[] = {
	"detached", "follower", "pre-candidate", "candidate", "leader"
};

static struct raft node;
static struct raft_event event;
static struct raft_update update;

static void
show(uint64_t number)
{
	printf("%" PRIu64 " at %" PRIu64 " ms: %s", number, event.now_ms,
		   event_names[event.type]);
	if (event.type == RAFT_RECEIVED)
		printf(" %d from %" PRIu64 ", term %" PRIu64 ", %u entries after %" PRIu64,
			   (int) event.u.received.message.type, event.u.received.message.from,
			   event.u.received.message.term, event.u.received.message.n_entries,
			   event.u.received.message.prev_index);
	printf(" -> %s, term %" PRIu64 ", commit %" PRIu64 ", %u messages",
		   state_names[update.state], update.term, update.commit_index,
		   update.n_messages);
	if (update.append != RAFT_APPEND_NONE)
		printf(", append %" PRIu64 "..%" PRIu64, update.append_first, update.append_last);
	printf("\n");
}

/* To look at a bool that is neither 0 nor 1 would be undefined behaviour. */
static bool
is_bool(const bool *value)
{
	unsigned char byte;

	memcpy(&byte, value, sizeof(byte));
	return byte <= 1;
}

/* Read the event of a step; false if it is no event. */
static bool
read_event(FILE *file, uint64_t size)
{
	if (size > sizeof(event) || size < offsetof(struct raft_event, u))
		return false;
	memset(&event, 0, sizeof(event));
	if (fread(&event, 1, size, file) != size)
		return false;
	if (event.type == RAFT_RECEIVED &&
		!(is_bool(&event.u.received.message.after_flush) &&
		  is_bool(&event.u.received.message.accepted) &&
		  is_bool(&event.u.received.message.transfer)))
		return false;
	return (unsigned int) event.type <= RAFT_DISK_FAILED &&
		raft_record_event_size(&event) == size;
}

static int
replay(FILE *file, bool verbose)
{
	struct raft_record_step step;
	uint64_t	number = 0;

	while (fread(&step, sizeof(step), 1, file) == 1)
	{
		if (!read_event(file, step.event_size))
		{
			if (feof(file))
				break;
			fprintf(stderr, "step %" PRIu64 " is damaged\n", number + 1);
			return 2;
		}
		number++;
		raft_step(&node, &event, &update);
		if (verbose)
			show(number);
		if (raft_update_digest(&update) != step.digest)
		{
			show(number);
			printf("step %" PRIu64 " differs from the recording\n", number);
			return 1;
		}
	}
	printf("%" PRIu64 " steps, the same as recorded\n", number);
	return 0;
}

int
main(int argc, char **argv)
{
	struct raft_record_header header;
	bool		verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	const char *path = argc > 1 + verbose ? argv[1 + verbose] : NULL;
	FILE	   *file;
	int			result;

	if (path == NULL)
	{
		fprintf(stderr, "usage: raft_replay [-v] FILE\n");
		return 2;
	}
	file = fopen(path, "rb");
	if (file == NULL)
	{
		perror(path);
		return 2;
	}
	if (fread(&header, sizeof(header), 1, file) != 1 ||
		!raft_record_header_fits(&header) ||
		fread(&node, sizeof(node), 1, file) != 1)
	{
		fprintf(stderr, "%s is no recording of this version of the core\n", path);
		fclose(file);
		return 2;
	}
	result = replay(file, verbose);
	fclose(file);
	return result;
}
