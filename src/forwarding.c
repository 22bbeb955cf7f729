/*-------------------------------------------------------------------------
 *
 * forwarding.c
 *	  Writes on their way from a member to its leader.
 *
 * What a leader remembers of its term is, for each slot of each member, the
 * newest request that it took on.  A slot has one request at a time, with ever
 * higher numbers within a life of its server, so whatever is not newer is a
 * repetition, or is not waited for any more.  A life of the raft worker that
 * sends it has a higher number than the one before (starts.h), and asks for
 * nothing that its predecessor may have sent in the same term (pending.h).
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "forwarding.h"

#include "command.h"
#include "pacing.h"
#include "pending.h"
#include "raft/raft.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* More slots than members can have are none. */
#define MAX_SLOTS	(RAFT_MAX_MEMBERS * 16384)

typedef struct SlotKey
{
	uint64		origin;
	uint64		slot;			/* no padding in a key */
} SlotKey;

typedef struct SlotEntry
{
	SlotKey		key;
	uint64		start;			/* of the member that sent it */
	uint64		sequence;
} SlotEntry;

static HTAB *taken;				/* NULL: nothing in this term */
static uint64 taken_term;

/* ------------------------------------------------------------------------
 * Sending
 * ------------------------------------------------------------------------
 */

void
forwarding_send(Transport *transport, const MessageOrigin *origin, uint64 self,
				uint64 leader, uint64 term, uint64 now_ms, LogEntry *batch)
{
	StringInfoData buffer;

	if (!pending_is_due(now_ms))
		return;
	initStringInfo(&buffer);
	for (;;)
	{
		Size		room = Min(transport_room(transport, leader), PACING_BYTES);
		uint32		n;
		bool		again;

		if (room == 0)
			return;
		n = pending_repeat(term, now_ms, RAFT_MAX_BATCH, room, batch);
		again = n > 0;
		if (!again)
			n = pending_writes(0, RAFT_MAX_BATCH, room, batch);
		if (n == 0)
			return;
		resetStringInfo(&buffer);
		message_encode_forward(&buffer, origin, self, leader, term, batch, n);
		if (!transport_send(transport, leader, buffer.data, buffer.len))
		{
			if (!again)
				pending_refused(n);
			return;
		}
		if (!again)
			pending_forwarded(n, term, now_ms);
	}
}

/* ------------------------------------------------------------------------
 * Receiving
 * ------------------------------------------------------------------------
 */

static void
begin_term(uint64 term)
{
	HASHCTL		control = {
		.keysize = sizeof(SlotKey),
		.entrysize = sizeof(SlotEntry),
		.hcxt = TopMemoryContext
	};

	if (taken != NULL)
		hash_destroy(taken);
	taken = hash_create("store forwarded requests", 256, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	taken_term = term;
}

/*
 * Is it newer than all that its slot sent in this term?  Remembers it.
 */
static bool
is_new(const RequestId *request, uint64 start)
{
	SlotKey		key = {.origin = request->origin, .slot = request->slot};
	SlotEntry  *entry = hash_search(taken, &key, HASH_FIND, NULL);

	if (entry == NULL)
	{
		if (hash_get_num_entries(taken) >= MAX_SLOTS)
			return false;
		entry = hash_search(taken, &key, HASH_ENTER, NULL);
	}
	else if (start < entry->start ||
			 (start == entry->start && request->sequence <= entry->sequence))
		return false;
	entry->start = start;
	entry->sequence = request->sequence;
	return true;
}

void
forwarding_receive(const Message *message, uint64 term)
{
	if (message->term != term)
		return;
	if (taken == NULL || taken_term != term)
		begin_term(term);
	for (uint32 i = 0; i < message->n_entries; i++)
	{
		const LogEntry *entry = &message->entries[i];
		RequestId	request;

		/* what there is no room for may come again */
		if (command_request(entry->data, entry->length, &request) &&
			request.origin == message->header.from &&
			pending_has_room(entry->length) &&
			is_new(&request, message->header.origin.start))
			pending_add_forwarded(entry, term);
	}
}
