/*-------------------------------------------------------------------------
 *
 * seeds.c
 *	  Valid encodings for the fuzzers to start from.
 *
 *		seeds DIRECTORY
 *
 * Writes files into a folder of DIRECTORY for each target.  They are the same
 * every time, so they need not be kept.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "fields.h"
#include "record.h"
#include "samples.h"
#include "stubs.h"

#define SEEDS_PER_TARGET 24

static const char *directory;

static void
write_seed(const char *target, int number, const void *bytes, Size length)
{
	char	   *folder = psprintf("%s/%s", directory, target);
	char	   *path = psprintf("%s/seed%02d", folder, number);
	FILE	   *file;

	(void) mkdir(folder, 0777);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
	{
		perror(path);
		exit(1);
	}
}

static void
random_message(StringInfo buf)
{
	MessageOrigin origin;
	struct raft_message raft;
	LogEntry	entries[5];
	int			n_entries = below(5);
	int			i;

	memset(&origin, 7, sizeof(origin));
	if (below(4) > 0)
	{
		LogEntry   *raft_entries = random_raft(&raft);

		message_encode_raft(buf, &origin, &raft, raft_entries);
		return;
	}
	if (below(4) == 0)
	{
		message_encode_address(buf, below(2) == 0 ? MESSAGE_HELLO : MESSAGE_REACHED,
							   &origin, 1, 2, random_string(1, 100));
		return;
	}
	if (below(4) == 0)
	{
		message_encode_chain(buf, &origin, 1, 2, 1 + below(1000), below(1000));
		return;
	}
	for (i = 0; i < n_entries; i++)
		random_entry(&entries[i], false);
	message_encode_forward(buf, &origin, 1, 2, 3, entries, n_entries);
}

static void
append_random(StringInfo buf, int n_bytes)
{
	while (n_bytes-- > 0)
		appendStringInfoChar(buf, (char) below(256));
}

/* A member, and operations on it, some of them with whole messages. */
static void
random_operations(StringInfo buf)
{
	int			i;

	append_random(buf, 4);
	for (i = 0; i < 20; i++)
	{
		StringInfoData message;

		if (below(4) > 0)
		{
			append_random(buf, 20);
			continue;
		}
		initStringInfo(&message);
		random_message(&message);
		if (message.len > 4000)
			continue;
		appendStringInfoChar(buf, 0);
		appendStringInfoChar(buf, (char) (message.len & 0xff));
		appendStringInfoChar(buf, (char) (message.len >> 8));
		appendBinaryStringInfo(buf, message.data, message.len);
	}
}

/* Steps of a recording, with one event of each type. */
static void
random_steps(StringInfo buf)
{
	struct raft_record_step step;
	struct raft_event event;
	int			type;

	for (type = RAFT_TIMER; type <= RAFT_DISK_FAILED; type++)
	{
		memset(&step, 0, sizeof(step));
		memset(&event, 0, sizeof(event));
		event.type = type;
		event.now_ms = 1000 * type;
		event.random = pg_prng_uint64(&prng);
		if (type == RAFT_RECEIVED)
		{
			(void) random_raft(&event.u.received.message);
			event.u.received.message.to = 1;
			event.u.received.n_configs = below(2);
		}
		else if (type != RAFT_CONFIG_PROPOSED)
		{
			event.u.position.index = below(3);
			event.u.position.term = below(3);
		}
		step.event_size = raft_record_event_size(&event);
		appendBinaryStringInfo(buf, (char *) &step, sizeof(step));
		appendBinaryStringInfo(buf, (char *) &event, step.event_size);
	}
}

int
main(int argc, char **argv)
{
	int			i;

	if (argc != 2 || sigsetjmp(error_caught, 0) != 0)
	{
		fprintf(stderr, "usage: seeds DIRECTORY\n");
		return 2;
	}
	directory = argv[1];
	pg_prng_seed(&prng, 1);

	for (i = 0; i < SEEDS_PER_TARGET; i++)
	{
		StringInfoData buf;
		Command		command;
		Membership	membership;
		Jsonb	   *object = random_object();

		write_seed("jsonb", i, object, VARSIZE(object));

		initStringInfo(&buf);
		random_command(&command);
		command_encode(&buf, &command);
		write_seed("command", i, buf.data, buf.len);

		resetStringInfo(&buf);
		random_membership(&membership);
		membership_encode(&buf, &membership);
		write_seed("membership", i, buf.data, buf.len);

		resetStringInfo(&buf);
		random_message(&buf);
		write_seed("message", i, buf.data, buf.len);

		resetStringInfo(&buf);
		random_operations(&buf);
		write_seed("raft", i, buf.data, buf.len);

		resetStringInfo(&buf);
		random_steps(&buf);
		write_seed("record", i, buf.data, buf.len);
	}
	return 0;
}
