/*-------------------------------------------------------------------------
 *
 * inbox.c
 *	  The ring through which everything reaches the raft worker.
 *
 * Positions count bytes since server start and never wrap; the offset in the
 * ring is the position modulo its size.  A record lies in one piece: one that
 * would cross the end is preceded by a filler.  Records are multiples of
 * their header's size, so that there is always room for a filler's header.
 *
 *		tail <= taken <= head, head - tail <= size
 *
 * The mutex protects these three.  "ready" is written by the producer of a
 * record alone, after the bytes; head moves past a record before it is ready,
 * and a record that is not ready holds up those behind it for the length of a
 * memcpy.  A producer cannot be interrupted in between, except by a crash,
 * which makes a new ring.
 *
 * A request that is told to let the consumer doze must wake it all the same if
 * it was not ready when the consumer came by and something else lies behind it:
 * the consumer woke up for that, and could not get past us.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "inbox.h"

#include "status.h"
#include "storage/condition_variable.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/wait_event.h"

#define RECORD_HEADER	offsetof(InboxRecord, data)

typedef struct Inbox
{
	slock_t		mutex;
	uint64		head;			/* end of the newest record */
	uint64		taken;			/* end of the newest record the consumer saw */
	uint64		tail;			/* start of the oldest record not released */
	uint64		size;
	pg_atomic_uint64 dropped;
	pg_atomic_uint32 wanted;		/* writes that the consumer dozes for; 0: awake */
	pg_atomic_uint32 dozes_reads;	/* no read need wake it */
	ConditionVariable room;
} Inbox;

static Inbox *inbox = NULL;
static char *ring = NULL;

StaticAssertDecl(RECORD_HEADER == 32, "an inbox record has a header of 32 bytes");

static Size
record_size(Size length)
{
	return TYPEALIGN(RECORD_HEADER, RECORD_HEADER + length);
}

static InboxRecord *
record_at(uint64 position)
{
	return (InboxRecord *) (ring + position % inbox->size);
}

Size
inbox_shmem_size(void)
{
	return add_size(CACHELINEALIGN(sizeof(Inbox)),
					mul_size(store_inbox_size, 1024));
}

void
inbox_shmem_init(void)
{
	bool		found;

	inbox = ShmemInitStruct("store inbox", inbox_shmem_size(), &found);
	ring = (char *) inbox + CACHELINEALIGN(sizeof(Inbox));
	if (found)
		return;

	SpinLockInit(&inbox->mutex);
	inbox->head = inbox->taken = inbox->tail = 0;
	inbox->size = (uint64) store_inbox_size * 1024;
	pg_atomic_init_u64(&inbox->dropped, 0);
	pg_atomic_init_u32(&inbox->wanted, 0);
	pg_atomic_init_u32(&inbox->dozes_reads, 0);
	ConditionVariableInit(&inbox->room);
}

Size
inbox_max_length(void)
{
	/* A filler may take as much again, and still it must fit. */
	return inbox->size / 2 - RECORD_HEADER;
}

/*
 * How full the ring may be made.  Requests leave a quarter to messages: however
 * many clients push, a heartbeat finds room, and nobody stands for election
 * because of them.
 */
static uint64
limit_of(InboxKind kind)
{
	return kind == INBOX_MESSAGE ? inbox->size : inbox->size - inbox->size / 4;
}

/*
 * Reserve room for a record, which then ends at *end; NULL if there is none.
 */
static InboxRecord *
reserve(Size size, uint64 limit, uint64 *end)
{
	InboxRecord *record = NULL;
	uint64		to_end;
	uint64		filler;

	SpinLockAcquire(&inbox->mutex);
	to_end = inbox->size - inbox->head % inbox->size;
	filler = (to_end < size) ? to_end : 0;
	if (inbox->head + filler + size - inbox->tail <= limit)
	{
		if (filler > 0)
		{
			record = record_at(inbox->head);
			record->kind = INBOX_FILLER;
			record->length = (uint32) (filler - RECORD_HEADER);
			pg_atomic_init_u32(&record->ready, 1);
			inbox->head += filler;
		}
		record = record_at(inbox->head);
		pg_atomic_init_u32(&record->ready, 0);
		inbox->head += size;
		*end = inbox->head;
	}
	SpinLockRelease(&inbox->mutex);
	return record;
}

/*
 * One more write.  False if the consumer does not doze, or if this is the one
 * that it dozes for.
 */
static bool
count_down(void)
{
	uint32		wanted = pg_atomic_read_u32(&inbox->wanted);

	while (wanted > 0)
	{
		if (pg_atomic_compare_exchange_u32(&inbox->wanted, &wanted, wanted - 1))
			return wanted > 1;
	}
	return false;
}

static bool
is_dozed_through(InboxKind kind)
{
	if (kind == INBOX_WRITE)
		return count_down();
	return kind == INBOX_READ && pg_atomic_read_u32(&inbox->dozes_reads) != 0;
}

/*
 * May the consumer go on dozing, with this record ready?  The barrier pairs
 * with the one in inbox_doze(): either we see that it woke up, or it sees our
 * record.
 */
static bool
may_doze(InboxKind kind, uint64 end)
{
	uint64		n_bytes;
	bool		newest;

	pg_memory_barrier();
	if (!is_dozed_through(kind))
		return false;
	SpinLockAcquire(&inbox->mutex);
	n_bytes = inbox->head - inbox->tail;
	newest = (end == inbox->head);
	SpinLockRelease(&inbox->mutex);
	return newest && n_bytes < inbox->size / 4;
}

bool
inbox_put(InboxKind kind, uint32 slot, uint64 sequence,
		  const char *data, Size length)
{
	InboxRecord *record;
	uint64		end;

	Assert(length <= inbox_max_length());
	record = reserve(record_size(length), limit_of(kind), &end);
	if (record == NULL)
	{
		if (kind == INBOX_MESSAGE)
			pg_atomic_fetch_add_u64(&inbox->dropped, 1);
		return false;
	}

	record->kind = kind;
	record->length = (uint32) length;
	record->slot = slot;
	record->sequence = sequence;
	if (length > 0)
		memcpy(record->data, data, length);
	pg_write_barrier();
	pg_atomic_write_u32(&record->ready, 1);

	if (!may_doze(kind, end))
		status_wake(WORKER_RAFT);
	return true;
}

void
inbox_wait_room(long timeout_ms)
{
	ConditionVariableTimedSleep(&inbox->room, timeout_ms, PG_WAIT_EXTENSION);
}

void
inbox_end_wait(void)
{
	ConditionVariableCancelSleep();
}

void
inbox_begin(void)
{
	SpinLockAcquire(&inbox->mutex);
	inbox->tail = inbox->taken;
	SpinLockRelease(&inbox->mutex);
	pg_atomic_write_u32(&inbox->wanted, 0);
	ConditionVariableBroadcast(&inbox->room);
}

void
inbox_doze(uint32 n_writes, bool reads)
{
	static bool dozing = false;
	bool		doze = (n_writes > 0 || reads);

	if (!doze && !dozing)
		return;
	dozing = doze;
	pg_atomic_write_u32(&inbox->wanted, n_writes);
	pg_atomic_write_u32(&inbox->dozes_reads, reads ? 1 : 0);
	pg_memory_barrier();
}

InboxRecord *
inbox_next(void)
{
	for (;;)
	{
		uint64		head;
		InboxRecord *record;

		SpinLockAcquire(&inbox->mutex);
		head = inbox->head;
		SpinLockRelease(&inbox->mutex);

		if (inbox->taken == head)
			return NULL;
		record = record_at(inbox->taken);
		if (pg_atomic_read_u32(&record->ready) == 0)
			return NULL;
		pg_read_barrier();

		SpinLockAcquire(&inbox->mutex);
		inbox->taken += record_size(record->length);
		SpinLockRelease(&inbox->mutex);

		if (record->kind != INBOX_FILLER)
			return record;
	}
}

void
inbox_release(void)
{
	SpinLockAcquire(&inbox->mutex);
	inbox->tail = inbox->taken;
	SpinLockRelease(&inbox->mutex);
	ConditionVariableBroadcast(&inbox->room);
}

uint64
inbox_dropped(void)
{
	return pg_atomic_read_u64(&inbox->dropped);
}

Size
inbox_used(void)
{
	Size		used;

	SpinLockAcquire(&inbox->mutex);
	used = inbox->head - inbox->tail;
	SpinLockRelease(&inbox->mutex);
	return used;
}
