/*-------------------------------------------------------------------------
 *
 * record.c
 *	  A recording of what the core was told, to be told again.
 *
 * The digest is FNV-1a over one 64-bit word at a time (its authors define it
 * over bytes; over words it is weaker and eight times as fast, and all it has
 * to tell apart are two runs of the same program).  Fields are digested one by
 * one, because the padding between them may hold anything.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "record.h"

#define FNV_OFFSET	UINT64_C(14695981039346656037)
#define FNV_PRIME	UINT64_C(1099511628211)

/* From the start of an event to the end of a member of its union. */
#define EVENT_SIZE(member) \
	(offsetof(struct raft_event, u) + sizeof(((struct raft_event *) 0)->u.member))

void
raft_record_header_fill(struct raft_record_header *header)
{
	header->magic = RAFT_RECORD_MAGIC;
	header->sizeof_raft = sizeof(struct raft);
	header->sizeof_event = sizeof(struct raft_event);
}

bool
raft_record_header_fits(const struct raft_record_header *header)
{
	return header->magic == RAFT_RECORD_MAGIC &&
		header->sizeof_raft == sizeof(struct raft) &&
		header->sizeof_event == sizeof(struct raft_event);
}

size_t
raft_record_event_size(const struct raft_event *event)
{
	switch (event->type)
	{
		case RAFT_TIMER:
		case RAFT_DISK_FAILED:
			return offsetof(struct raft_event, u);
		case RAFT_RECEIVED:
			return event->u.received.n_configs == 0 ?
				offsetof(struct raft_event, u.received.configs) : EVENT_SIZE(received);
		case RAFT_DURABLE:
		case RAFT_APPLIED:
		case RAFT_COMPACTED:
			return EVENT_SIZE(position);
		case RAFT_PROPOSED:
			return EVENT_SIZE(proposed);
		case RAFT_READ_REQUESTED:
			return EVENT_SIZE(read);
		case RAFT_CONFIG_PROPOSED:
			return EVENT_SIZE(config);
		case RAFT_TRANSFER_REQUESTED:
		case RAFT_LINK_DOWN:
			return EVENT_SIZE(peer);
		case RAFT_SNAPSHOT_INSTALLED:
			return EVENT_SIZE(snapshot);
	}
	return 0;
}

static void
add(uint64_t *digest, uint64_t word)
{
	*digest = (*digest ^ word) * FNV_PRIME;
}

static void
add_message(uint64_t *digest, const struct raft_message *message)
{
	add(digest, message->type);
	add(digest, message->from);
	add(digest, message->to);
	add(digest, message->term);
	add(digest, message->after_flush);
	add(digest, message->prev_index);
	add(digest, message->prev_term);
	add(digest, message->n_entries);
	add(digest, message->n_runs);
	for (uint32_t i = 0; i < message->n_runs; i++)
	{
		add(digest, message->runs[i].first);
		add(digest, message->runs[i].term);
	}
	add(digest, message->commit);
	add(digest, message->context);
	add(digest, message->accepted);
	add(digest, message->transfer);
	add(digest, message->match);
	add(digest, message->promise_ms);
	add(digest, message->hint_index);
	add(digest, message->hint_term);
}

uint64_t
raft_update_digest(const struct raft_update *update)
{
	uint64_t	digest = FNV_OFFSET;

	add(&digest, update->status);
	add(&digest, update->save_vote);
	add(&digest, update->term);
	add(&digest, update->vote);
	add(&digest, update->truncate_from);
	add(&digest, update->append);
	if (update->append != RAFT_APPEND_NONE)
	{
		add(&digest, update->append_first);
		add(&digest, update->append_last);
	}
	add(&digest, update->n_messages);
	for (uint32_t i = 0; i < update->n_messages; i++)
		add_message(&digest, &update->messages[i]);
	add(&digest, update->commit_index);
	add(&digest, update->n_reads);
	for (uint32_t i = 0; i < update->n_reads; i++)
	{
		add(&digest, update->reads[i].id);
		add(&digest, update->reads[i].index);
	}
	add(&digest, update->state);
	add(&digest, update->leader);
	add(&digest, update->config_changed);
	add(&digest, update->promotable);
	add(&digest, update->lost_data);
	add(&digest, update->snapshot_from);
	return digest;
}
