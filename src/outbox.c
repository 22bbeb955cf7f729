/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  Messages of the consensus core on their way to the transport.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "outbox.h"

#include "clock.h"
#include "pacing.h"
#include "tail.h"
#include "utils/memutils.h"
#include "worker.h"

/* Messages waiting for one member; more than it ever takes while it is well. */
#define OUTBOX_LENGTH		128

/* Payload after which an APPEND is cut. */
#define CHUNK_BYTES			(512 * 1024)
#define CHUNK_ENTRIES		RAFT_MAX_BATCH

typedef struct Box
{
	uint64		peer;			/* 0: unused */
	bool		dropped;		/* since the core was last told */
	uint64		sent_term;		/* of the last APPEND sent, and its round; 0: */
	uint64		sent_round;		/* none since the link was last up */
	uint32		head;			/* oldest message */
	uint32		count;
	struct raft_message messages[OUTBOX_LENGTH];
} Box;

static struct
{
	Transport  *transport;
	const MessageOrigin *origin;
	StringInfoData buffer;		/* one encoded message */
	MemoryContext chunk_context;	/* entries read from the log tables */
	RaftLogReader *reader;
	Box		   *boxes[RAFT_MAX_MEMBERS];	/* allocated on first use */
	LogEntry	chunk[CHUNK_ENTRIES];
}			outbox;

void
outbox_init(Transport *transport, const MessageOrigin *origin)
{
	memset(&outbox, 0, sizeof(outbox));
	outbox.transport = transport;
	outbox.origin = origin;
	outbox.chunk_context = AllocSetContextCreate(CurrentMemoryContext,
												 "store outbox chunk",
												 ALLOCSET_DEFAULT_SIZES);
	outbox.reader = log_tables_reader_create();
	initStringInfo(&outbox.buffer);
}

/*
 * The box of a member; NULL if there are boxes for more members than a
 * cluster can have, which means that members came and went: reuse an idle one.
 */
static Box *
find_box(uint64 peer)
{
	Box		  **free_place = NULL;

	for (int i = 0; i < RAFT_MAX_MEMBERS; i++)
	{
		Box		   *box = outbox.boxes[i];

		if (box != NULL && box->peer == peer)
			return box;
		if (free_place == NULL && (box == NULL || box->count == 0))
			free_place = &outbox.boxes[i];
	}
	if (free_place == NULL)
		return NULL;
	if (*free_place == NULL)
		*free_place = MemoryContextAllocZero(TopMemoryContext, sizeof(Box));
	(*free_place)->peer = peer;
	(*free_place)->count = 0;
	(*free_place)->dropped = false;
	(*free_place)->sent_term = 0;
	return *free_place;
}

static void
remove_oldest(Box *box)
{
	box->head = (box->head + 1) % OUTBOX_LENGTH;
	box->count--;
}

/*
 * Let one APPEND carry what two would: the second begins where the first ends.
 * The leader might have sent it as one, had it waited until now.
 */
static bool
merge_appends(struct raft_message *first, const struct raft_message *second)
{
	uint32		n_runs = first->n_runs;

	if (second->prev_index != first->prev_index + first->n_entries ||
		first->n_entries + second->n_entries > RAFT_MAX_BATCH)
		return false;
	for (uint32 i = 0; i < second->n_runs; i++)
	{
		if (n_runs > 0 && first->runs[n_runs - 1].term == second->runs[i].term)
			continue;
		if (n_runs == RAFT_MAX_MESSAGE_RUNS)
			return false;
		first->runs[n_runs++] = second->runs[i];
	}
	first->n_runs = n_runs;
	first->n_entries += second->n_entries;
	first->commit = second->commit;
	first->context = second->context;
	return true;
}

/*
 * An acceptance says all that an earlier one said, and more.
 */
static bool
merge_acceptances(struct raft_message *first, const struct raft_message *second)
{
	if (!first->accepted || !second->accepted || second->match < first->match ||
		second->context < first->context)
		return false;
	*first = *second;
	return true;
}

/*
 * Every message costs the member that gets it a wake-up, a transaction and an
 * answer, and much of what one turn has to say to a member fits into one: the
 * commit index that the answers of the last batch brought about, and the next
 * batch.
 */
static bool
merge(Box *box, const struct raft_message *message)
{
	struct raft_message *last;

	if (box->count == 0)
		return false;
	last = &box->messages[(box->head + box->count - 1) % OUTBOX_LENGTH];
	if (last->type != message->type || last->term != message->term)
		return false;
	if (message->type == RAFT_MSG_APPEND)
		return merge_appends(last, message);
	if (message->type == RAFT_MSG_APPEND_REPLY)
		return merge_acceptances(last, message);
	return false;
}

void
outbox_add(const struct raft_message *message)
{
	Box		   *box = find_box(message->to);

	if (box == NULL || merge(box, message))
		return;
	if (box->count == OUTBOX_LENGTH)
	{
		remove_oldest(box);
		box->dropped = true;
	}
	box->messages[(box->head + box->count) % OUTBOX_LENGTH] = *message;
	box->count++;
}

/*
 * Collect entries from "from" to at most "to" into outbox.chunk, at most
 * CHUNK_BYTES of them but at least one.  Returns how many.
 */
static uint32
collect(uint64 from, uint64 to)
{
	uint32		n = 0;
	Size		bytes = 0;

	if (tail_get(from) == NULL)
	{
		MemoryContext oldcontext;

		worker_begin("reading the log for a follower");
		oldcontext = MemoryContextSwitchTo(outbox.chunk_context);
		n = log_tables_read(outbox.reader, from, to, CHUNK_ENTRIES, CHUNK_BYTES,
						  outbox.chunk);
		MemoryContextSwitchTo(oldcontext);
		worker_commit();
		return n;
	}

	while (from + n <= to && n < CHUNK_ENTRIES)
	{
		const LogEntry *entry = tail_get(from + n);

		if (entry == NULL || (n > 0 && bytes + entry->length > CHUNK_BYTES))
			break;
		bytes += entry->length;
		outbox.chunk[n++] = *entry;
	}
	return n;
}

/*
 * Cut the first n entries off an APPEND: *head gets them, *message keeps the
 * rest.
 */
static void
split(const struct raft *node, struct raft_message *message,
	  struct raft_message *head, uint32 n)
{
	*head = *message;
	head->n_entries = n;
	head->n_runs = 0;
	for (uint32 i = 0; i < message->n_runs; i++)
	{
		if (message->runs[i].first <= message->prev_index + n)
			head->runs[head->n_runs++] = message->runs[i];
	}

	message->prev_index += n;
	message->prev_term = raft_term_at(node, message->prev_index);
	message->n_entries -= n;
	while (message->n_runs > 1 && message->runs[1].first <= message->prev_index + 1)
	{
		memmove(&message->runs[0], &message->runs[1],
				(message->n_runs - 1) * sizeof(struct raft_run));
		message->n_runs--;
	}
	if (message->n_runs > 0 && message->runs[0].first < message->prev_index + 1)
		message->runs[0].first = message->prev_index + 1;
}

/*
 * Send as much of the message as one chunk holds.  Returns whether it is done
 * with: sent whole, or of no use any more.
 */
static bool
send_chunk(const struct raft *node, Box *box, struct raft_message *message)
{
	struct raft_message head = *message;
	bool		whole = true;

	if (message->type == RAFT_MSG_APPEND && message->n_entries > 0)
	{
		uint32		n = collect(message->prev_index + 1,
								message->prev_index + message->n_entries);

		if (n == 0 || outbox.chunk[0].index != message->prev_index + 1)
		{
			box->dropped = true;	/* compacted meanwhile */
			return true;
		}
		whole = (n == message->n_entries);
		if (!whole)
			split(node, message, &head, n);
	}

	resetStringInfo(&outbox.buffer);
	message_encode_raft(&outbox.buffer, outbox.origin, &head, outbox.chunk);
	if (!transport_send(outbox.transport, box->peer,
						outbox.buffer.data, outbox.buffer.len))
		box->dropped = true;
	if (message->type == RAFT_MSG_APPEND)
	{
		box->sent_term = message->term;
		box->sent_round = message->context;
	}
	return whole;
}

/*
 * An APPEND is worth sending only by the leader of its term: the log it spoke
 * of may have changed since.
 */
static bool
is_stale(const struct raft_message *message, uint64 term, bool leader)
{
	return message->type == RAFT_MSG_APPEND && (!leader || message->term != term);
}

/*
 * Is an APPEND all that there is to say, and does it say nothing but what is
 * committed?  A new round, of reads or heartbeats, wants an answer.
 */
static bool
is_notice(const Box *box)
{
	const struct raft_message *message = &box->messages[box->head];

	return box->count == 1 && message->type == RAFT_MSG_APPEND &&
		message->n_entries == 0 && message->term == box->sent_term &&
		message->context == box->sent_round;
}

static void
pump_box(const struct raft *node, Box *box, uint64 term, bool leader)
{
	while (box->count > 0)
	{
		struct raft_message *message = &box->messages[box->head];

		if (is_stale(message, term, leader))
		{
			remove_oldest(box);
			continue;
		}
		if (transport_room(outbox.transport, box->peer) == 0)
			break;
		if (send_chunk(node, box, message))
			remove_oldest(box);
	}
	MemoryContextReset(outbox.chunk_context);
}

void
outbox_pump(const struct raft *node, uint64 term, bool leader)
{
	bool		near = leader && pacing_next_is_near(monotonic_ms());

	for (int i = 0; i < RAFT_MAX_MEMBERS; i++)
	{
		Box		   *box = outbox.boxes[i];

		if (box != NULL && box->count > 0 && !(near && is_notice(box)))
			pump_box(node, box, term, leader);
	}
	transport_flush(outbox.transport);
}

void
outbox_clear(uint64 peer)
{
	Box		   *box = find_box(peer);

	if (box != NULL)
	{
		box->count = 0;
		box->sent_term = 0;
	}
}

uint64
outbox_next_dropped(void)
{
	for (int i = 0; i < RAFT_MAX_MEMBERS; i++)
	{
		Box		   *box = outbox.boxes[i];

		if (box != NULL && box->dropped)
		{
			box->dropped = false;
			return box->peer;
		}
	}
	return 0;
}
