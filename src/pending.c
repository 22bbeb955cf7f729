/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  Requests that the raft worker has taken on and not yet got rid of.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "pending.h"

#include "lib/ilist.h"
#include "request.h"
#include "status.h"
#include "utils/memutils.h"

/* Writes that may wait before it is looked who of them has gone. */
#define MIN_SWEEP	1024

typedef struct PendingWrite
{
	dlist_node	node;
	RequestId	request;
	bool		forwarded;		/* from another member: nobody waits here */
	bool		claimed;		/* see request_claim() */
	uint64		term;			/* proposed in; for a forwarded one, valid in */
	uint64		sent_ms;		/* to the leader; 0: we are the leader */
	uint64		again_ms;		/* it should have been answered by then */
	uint64		apply_life;		/* of the apply worker when it was proposed */
	uint32		length;
	char		data[FLEXIBLE_ARRAY_MEMBER];	/* MAXALIGNed */
} PendingWrite;

typedef struct ReadWaiter
{
	uint32		slot;
	uint64		sequence;
} ReadWaiter;

typedef struct ReadBatch
{
	uint64		id;
	uint64		asked_ms;
	uint32		n_waiters;
	uint32		max_waiters;
	ReadWaiter *waiters;
} ReadBatch;

static MemoryContext context;
static dlist_head waiting;		/* PendingWrite, not proposed */
static dlist_head proposed;		/* PendingWrite, not answered */
static uint32 n_waiting;
static uint32 n_proposed;
static Size bytes_waiting;
static Size bytes;				/* of both */

static ReadBatch open_batch;	/* not asked yet; empty: nobody waits */
static ReadBatch asked_batch;	/* empty: none is under way */
static uint64 next_batch_id = 1;

/* Nothing has to be sent again before that. */
static uint64 repeat_ms;

/* What a predecessor took on was proposed up to this term; 0: it is settled. */
static uint64 orphan_term;

void
pending_init(uint64 term)
{
	context = AllocSetContextCreate(CurrentMemoryContext,
									"store pending requests", ALLOCSET_DEFAULT_SIZES);
	dlist_init(&waiting);
	dlist_init(&proposed);
	n_waiting = 0;
	n_proposed = 0;
	bytes_waiting = 0;
	bytes = 0;
	memset(&open_batch, 0, sizeof(open_batch));
	memset(&asked_batch, 0, sizeof(asked_batch));
	repeat_ms = PG_UINT64_MAX;
	orphan_term = term;
	request_ask_again();
}

static void
wait_for_turn(PendingWrite *write)
{
	dlist_push_tail(&waiting, &write->node);
	n_waiting++;
	bytes_waiting += write->length;
}

static bool
is_abandoned(const PendingWrite *write)
{
	return !write->forwarded &&
		!request_is_waiting(write->request.slot, write->request.sequence);
}

static void
end_wait(PendingWrite *write)
{
	dlist_delete(&write->node);
	n_waiting--;
	bytes_waiting -= write->length;
}

static void
forget(PendingWrite *write)
{
	bytes -= write->length;
	pfree(write);
}

/* Their clients were canceled, or have waited long enough. */
static void
drop_abandoned(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &waiting)
	{
		PendingWrite *write = dlist_container(PendingWrite, node, iter.cur);

		if (is_abandoned(write))
		{
			end_wait(write);
			forget(write);
		}
	}
}

/*
 * While nobody leads, nothing leaves this queue by its other end, and clients
 * come again and again; so it is swept whenever it has doubled.
 */
static PendingWrite *
add_waiting(const char *data, uint32 length)
{
	static uint32 sweep_at = MIN_SWEEP;
	PendingWrite *write;

	if (n_waiting >= sweep_at)
	{
		drop_abandoned();
		sweep_at = Max(2 * n_waiting, MIN_SWEEP);
	}
	write = MemoryContextAllocZero(context, offsetof(PendingWrite, data) + length);
	write->length = length;
	memcpy(write->data, data, length);
	wait_for_turn(write);
	bytes += length;
	return write;
}

bool
pending_has_room(Size length)
{
	return bytes + length <= PENDING_LIMIT;
}

void
pending_add_write(const InboxRecord *record, uint64 node_id)
{
	PendingWrite *write;

	if (!pending_has_room(record->length))
		drop_abandoned();
	if (!pending_has_room(record->length))
	{
		request_refuse(record->slot, record->sequence, ERRCODE_STORE_UNAVAILABLE,
					   "too many writes are waiting on this node",
					   "Nothing was written.", "Try again later.");
		return;
	}
	write = add_waiting(record->data, record->length);
	write->request.origin = node_id;
	write->request.slot = record->slot;
	write->request.sequence = record->sequence;
	command_set_request(write->data, write->length, &write->request);
}

void
pending_add_forwarded(const LogEntry *entry, uint64 term)
{
	PendingWrite *write;

	if (!pending_has_room(entry->length))
		return;
	write = add_waiting(entry->data, entry->length);
	write->forwarded = true;
	write->term = term;
}

Size
pending_bytes(void)
{
	return bytes;
}

uint32
pending_n_reads(void)
{
	return open_batch.n_waiters + asked_batch.n_waiters;
}

uint32
pending_n_writes(void)
{
	return n_waiting;
}

uint32
pending_n_proposed(void)
{
	return n_proposed;
}

Size
pending_n_bytes(void)
{
	return bytes_waiting;
}

/*
 * May this write be proposed in this term?
 */
static bool
is_wanted(PendingWrite *write, uint64 term)
{
	if (write->forwarded)
		return write->term == term;
	if (!write->claimed)
		write->claimed = request_claim(write->request.slot, write->request.sequence);
	return write->claimed;
}

static void
set_entry(LogEntry *entry, PendingWrite *write)
{
	entry->index = 0;
	entry->term = 0;
	entry->kind = ENTRY_COMMAND;
	entry->length = write->length;
	entry->data = write->data;
}

uint32
pending_writes(uint64 term, uint32 max_entries, Size max_bytes, LogEntry *entries)
{
	dlist_mutable_iter iter;
	uint32		n = 0;
	Size		total = 0;

	dlist_foreach_modify(iter, &waiting)
	{
		PendingWrite *write = dlist_container(PendingWrite, node, iter.cur);

		if (n == max_entries || (n > 0 && total + write->length > max_bytes))
			break;
		if (!is_wanted(write, term))
		{
			end_wait(write);
			forget(write);
			continue;
		}
		set_entry(&entries[n++], write);
		total += write->length;
	}
	return n;
}

static void
unclaim(PendingWrite *write)
{
	if (write->claimed)
		request_requeue(write->request.slot, write->request.sequence);
	write->claimed = false;
}

void
pending_refused(uint32 n)
{
	dlist_iter	iter;

	dlist_foreach(iter, &waiting)
	{
		if (n-- == 0)
			break;
		unclaim(dlist_container(PendingWrite, node, iter.cur));
	}
}

/*
 * sent_ms: when they were sent to the leader; 0: they are in our own log.
 */
static void
move_to_proposed(uint32 n, uint64 term, uint64 sent_ms)
{
	for (uint32 i = 0; i < n; i++)
	{
		PendingWrite *write = dlist_head_element(PendingWrite, node, &waiting);

		end_wait(write);
		if (write->forwarded)
		{
			forget(write);
			continue;
		}
		write->term = term;
		write->sent_ms = sent_ms;
		write->again_ms = sent_ms + store_election_timeout;
		write->apply_life = pg_atomic_read_u64(&progress->apply_lives);
		dlist_push_tail(&proposed, &write->node);
		n_proposed++;
		if (sent_ms != 0)
			repeat_ms = Min(repeat_ms, write->again_ms);
	}
}

void
pending_proposed(uint32 n, uint64 term)
{
	move_to_proposed(n, term, 0);
}

void
pending_forwarded(uint32 n, uint64 term, uint64 now_ms)
{
	move_to_proposed(n, term, now_ms);
}

bool
pending_is_due(uint64 now_ms)
{
	return n_waiting > 0 || now_ms >= repeat_ms;
}

uint32
pending_repeat(uint64 term, uint64 now_ms, uint32 max_entries, Size max_bytes,
			   LogEntry *entries)
{
	uint64		next_ms = PG_UINT64_MAX;
	dlist_iter	iter;
	uint32		n = 0;
	Size		total = 0;

	if (now_ms < repeat_ms)
		return 0;
	dlist_foreach(iter, &proposed)
	{
		PendingWrite *write = dlist_container(PendingWrite, node, iter.cur);

		if (write->sent_ms == 0 || write->term != term || is_abandoned(write))
			continue;
		if (now_ms >= write->again_ms &&
			n < max_entries && (n == 0 || total + write->length <= max_bytes))
		{
			uint64		pause_ms = write->again_ms - write->sent_ms;

			write->sent_ms = now_ms;
			write->again_ms = now_ms + 2 * pause_ms;
			set_entry(&entries[n++], write);
			total += write->length;
		}
		next_ms = Min(next_ms, write->again_ms);
	}
	repeat_ms = next_ms;
	return n;
}

void
pending_sweep(uint64 applied_term)
{
	uint64		apply_life = pg_atomic_read_u64(&progress->apply_lives);
	dlist_mutable_iter iter;

	if (orphan_term != 0 && applied_term > orphan_term)
	{
		request_ask_orphans();
		orphan_term = 0;
	}

	drop_abandoned();
	dlist_foreach_modify(iter, &proposed)
	{
		PendingWrite *write = dlist_container(PendingWrite, node, iter.cur);

		if (is_abandoned(write) || write->apply_life != apply_life)
		{
			dlist_delete(&write->node);
			n_proposed--;
			forget(write);
		}
		else if (write->term < applied_term)
		{
			unclaim(write);
			dlist_delete(&write->node);
			n_proposed--;
			wait_for_turn(write);
		}
	}
}

/* ------------------------------------------------------------------------
 * Reads
 * ------------------------------------------------------------------------
 */

/* There is one live reader for each session at the most. */
static void
drop_abandoned_reads(ReadBatch *batch)
{
	uint32		n = 0;

	for (uint32 i = 0; i < batch->n_waiters; i++)
	{
		if (request_is_waiting(batch->waiters[i].slot, batch->waiters[i].sequence))
			batch->waiters[n++] = batch->waiters[i];
	}
	batch->n_waiters = n;
}

void
pending_add_read(uint32 slot, uint64 sequence)
{
	ReadBatch  *batch = &open_batch;

	if (batch->n_waiters == batch->max_waiters)
	{
		drop_abandoned_reads(batch);
		if (batch->n_waiters >= batch->max_waiters / 2)
		{
			batch->max_waiters = Max(64, 2 * batch->max_waiters);
			if (batch->waiters == NULL)
				batch->waiters = MemoryContextAlloc(context,
													batch->max_waiters * sizeof(ReadWaiter));
			else
				batch->waiters = repalloc(batch->waiters,
										  batch->max_waiters * sizeof(ReadWaiter));
		}
	}
	batch->waiters[batch->n_waiters].slot = slot;
	batch->waiters[batch->n_waiters].sequence = sequence;
	batch->n_waiters++;
}

/*
 * Put the waiters of the batch that was asked back among those to be asked.
 */
static void
reopen(void)
{
	for (uint32 i = 0; i < asked_batch.n_waiters; i++)
	{
		ReadWaiter *waiter = &asked_batch.waiters[i];

		if (request_is_waiting(waiter->slot, waiter->sequence))
			pending_add_read(waiter->slot, waiter->sequence);
	}
	asked_batch.n_waiters = 0;
}

bool
pending_reads_under_way(void)
{
	return asked_batch.n_waiters > 0;
}

bool
pending_reads_are_due(void)
{
	return open_batch.n_waiters > 0 && asked_batch.n_waiters == 0;
}

uint64
pending_read_batch(uint64 now_ms, uint64 retry_before_ms)
{
	ReadBatch	empty = asked_batch;

	if (pending_reads_under_way() && asked_batch.asked_ms < retry_before_ms)
		reopen();
	if (!pending_reads_are_due())
		return 0;
	asked_batch = open_batch;
	asked_batch.id = next_batch_id++;
	asked_batch.asked_ms = now_ms;
	empty.n_waiters = 0;
	open_batch = empty;			/* with the room it has */
	return asked_batch.id;
}

void
pending_read_result(uint64 id, uint64 index)
{
	Answer		answer = {.kind = ANSWER_INDEX, .index = index};

	if (id != asked_batch.id || !pending_reads_under_way())
		return;
	if (index == 0)
		reopen();
	for (uint32 i = 0; i < asked_batch.n_waiters; i++)
		request_answer(asked_batch.waiters[i].slot, asked_batch.waiters[i].sequence, &answer);
	asked_batch.n_waiters = 0;
}

uint64
pending_read_deadline(uint64 retry_ms)
{
	return pending_reads_under_way() ? asked_batch.asked_ms + retry_ms : 0;
}
