/*-------------------------------------------------------------------------
 *
 * tail.c
 *	  The newest part of the Raft log, in the raft worker's memory.
 *
 * A circular array of entries, a power of two long, that doubles when it is
 * full; entry i is found at i modulo its length.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "tail.h"

#include "utils/memutils.h"

#define INITIAL_LENGTH 1024

static struct
{
	MemoryContext context;
	LogEntry   *entries;
	uint64		length;			/* of the array */
	uint64		first;			/* entries first .. last are here */
	uint64		last;			/* first - 1: none */
	Size		bytes;
}			tail;

static LogEntry *
entry_at(uint64 index)
{
	return &tail.entries[index & (tail.length - 1)];
}

void
tail_init(uint64 last_index)
{
	tail.context = AllocSetContextCreate(CurrentMemoryContext,
										 "store log tail", ALLOCSET_DEFAULT_SIZES);
	tail.length = INITIAL_LENGTH;
	tail.entries = MemoryContextAlloc(tail.context, tail.length * sizeof(LogEntry));
	tail.last = last_index;
	tail.first = last_index + 1;
	tail.bytes = 0;
}

static void
grow(void)
{
	LogEntry   *old = tail.entries;
	uint64		old_length = tail.length;

	tail.length *= 2;
	tail.entries = MemoryContextAllocHuge(tail.context, tail.length * sizeof(LogEntry));
	for (uint64 i = tail.first; i <= tail.last; i++)
		*entry_at(i) = old[i & (old_length - 1)];
	pfree(old);
}

static void
forget(uint64 index)
{
	LogEntry   *entry = entry_at(index);

	tail.bytes -= entry->length;
	if (entry->data != NULL)
		pfree(unconstify(char *, entry->data));
}

void
tail_append(const LogEntry *entry)
{
	LogEntry   *to;

	if (entry->index != tail.last + 1)
		elog(ERROR, "log entry " UINT64_FORMAT " does not follow " UINT64_FORMAT,
			 entry->index, tail.last);
	if (tail.last + 1 - tail.first == tail.length)
		grow();

	to = entry_at(entry->index);
	*to = *entry;
	to->data = NULL;
	if (entry->length > 0)
	{
		char	   *data = MemoryContextAlloc(tail.context, entry->length);

		memcpy(data, entry->data, entry->length);
		to->data = data;
	}
	tail.bytes += entry->length;
	tail.last = entry->index;
}

void
tail_truncate(uint64 from)
{
	while (tail.last >= from && tail.last >= tail.first)
		forget(tail.last--);
	if (tail.last >= from)
	{
		/* what is cut away was not here, and neither is what remains */
		tail.last = from - 1;
		tail.first = from;
	}
}

void
tail_trim(uint64 written)
{
	while (tail.bytes > TAIL_LIMIT && tail.first <= tail.last && tail.first <= written)
		forget(tail.first++);
}

const LogEntry *
tail_get(uint64 index)
{
	return (index >= tail.first && index <= tail.last) ? entry_at(index) : NULL;
}

uint64
tail_last(void)
{
	return tail.last;
}

bool
tail_bytes_after(uint64 index, uint64 *bytes)
{
	*bytes = 0;
	if (index >= tail.last)
		return true;
	if (index + 1 < tail.first)
		return false;

	/* Whichever half is shorter: the tail may hold a hundred thousand entries. */
	if (tail.last - index < index + 1 - tail.first)
	{
		for (uint64 i = index + 1; i <= tail.last; i++)
			*bytes += entry_at(i)->length;
		return true;
	}
	*bytes = tail.bytes;
	for (uint64 i = tail.first; i <= index; i++)
		*bytes -= entry_at(i)->length;
	return true;
}
