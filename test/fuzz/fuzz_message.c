/*-------------------------------------------------------------------------
 *
 * fuzz_message.c
 *	  A message from another member, as store.raft_receive() checks it.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "message.h"

static void
check_entries(const Message *message)
{
	const struct raft_message *raft = &message->raft;
	uint32		i;

	for (i = 0; i < message->n_entries; i++)
	{
		const LogEntry *entry = &message->entries[i];

		REQUIRE((const char *) MAXALIGN(entry->data) == entry->data);
		if (message->header.kind == MESSAGE_RAFT)
		{
			REQUIRE(entry->index == raft->prev_index + 1 + i);
			REQUIRE(entry->term >= raft->prev_term && entry->term <= raft->term);
		}
		if (entry->kind == ENTRY_COMMAND)
			walk_command(entry->data, entry->length);
	}

	REQUIRE(message->n_configs <= lengthof(message->configs));
	for (i = 0; i < message->n_configs; i++)
		REQUIRE(message->configs[i].config.n_members <= RAFT_MAX_MEMBERS);
}

void
fuzz_one(const char *data, Size length)
{
	MessageHeader header;
	Message		message;
	StringInfoData again;
	const char *header_problem = message_decode_header(data, length, &header);
	const char *problem = message_decode(data, length, &message);

	/* an entry has 8 bytes on the wire, which warrant one LogEntry */
	REQUIRE(fuzz_allocated() <= length / 8 * sizeof(LogEntry));
	if (problem != NULL)
		return;

	REQUIRE(header_problem == NULL);
	REQUIRE(header.kind == message.header.kind);
	REQUIRE(header.from == message.header.from && header.to == message.header.to);
	check_entries(&message);

	initStringInfo(&again);
	if (header.kind == MESSAGE_RAFT)
		message_encode_raft(&again, &header.origin, &message.raft, message.entries);
	else if (header.kind == MESSAGE_HELLO || header.kind == MESSAGE_REACHED)
		message_encode_address(&again, header.kind, &header.origin, header.from,
							   header.to, message.conninfo);
	else if (header.kind == MESSAGE_CHAIN)
		message_encode_chain(&again, &header.origin, header.from, header.to,
							 message.link_index, message.link_chain);
	else
		message_encode_forward(&again, &header.origin, header.from, header.to,
							   message.term, message.entries, message.n_entries);
	REQUIRE(again.len == length && memcmp(again.data, data, length) == 0);
}
