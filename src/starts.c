/*-------------------------------------------------------------------------
 *
 * starts.c
 *	  The newest start of each other member, and what follows from it.
 *
 * A member's start is noted once for each of its starts, so writing the table
 * costs a flush then and nothing otherwise.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "starts.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "compat.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "table.h"
#include "utils/snapmgr.h"

/* Twice the members there can be: at least half of them are of the past. */
#define MAX_STARTS	(2 * RAFT_MAX_MEMBERS)

/* Columns of store.raft_starts, from 0. */
enum
{
	STARTS_NODE_ID,
	STARTS_START,
	STARTS_LOST_DATA,
	STARTS_COLUMNS
};

typedef struct MemberStart
{
	uint64		member;			/* 0: unused */
	uint64		start;
	bool		lost_data;

	/* of its messages, in memory only; bit i of seen: newest - i was here */
	uint64		newest;
	uint64		seen;
} MemberStart;

typedef struct StartsShared
{
	slock_t		mutex;
	MemberStart starts[MAX_STARTS];
} StartsShared;

static StartsShared *shared = NULL;

Size
starts_shmem_size(void)
{
	return sizeof(StartsShared);
}

void
starts_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("store starts", starts_shmem_size(), &found);
	if (found)
		return;
	memset(shared, 0, sizeof(StartsShared));
	SpinLockInit(&shared->mutex);
}

/* Place of a member; -1: none. */
static int
find(uint64 member)
{
	for (int i = 0; i < MAX_STARTS; i++)
		if (shared->starts[i].member == member)
			return i;
	return -1;
}

StartVerdict
starts_judge(uint64 member, uint64 start)
{
	MemberStart known = {0};
	int			place;

	SpinLockAcquire(&shared->mutex);
	place = find(member);
	if (place >= 0)
		known = shared->starts[place];
	SpinLockRelease(&shared->mutex);

	/* The start before the one that lost data has lost nothing: say so. */
	if (START_COUNT(start) < START_COUNT(known.start))
		return START_OLDER;
	if (known.lost_data)
		return START_LOST_DATA;
	if (start == known.start)
		return START_KNOWN;
	if (START_COUNT(start) == START_COUNT(known.start))
		return START_TWIN;
	return START_NEWER;
}

bool
starts_is_unheard(uint64 member, uint64 start, uint64 number)
{
	MemberStart *known;
	uint64		bit;
	bool		unheard = true;
	int			place;

	SpinLockAcquire(&shared->mutex);
	place = find(member);
	known = place >= 0 ? &shared->starts[place] : NULL;
	if (known == NULL || known->start != start)
		;
	else if (number > known->newest)
	{
		uint64		ahead = number - known->newest;

		known->seen = (ahead < 64 ? known->seen << ahead : 0) | 1;
		known->newest = number;
	}
	else
	{
		bit = known->newest - number < 64 ? UINT64CONST(1) << (known->newest - number) : 0;
		unheard = bit != 0 && (known->seen & bit) == 0;
		known->seen |= bit;
	}
	SpinLockRelease(&shared->mutex);
	return unheard;
}

static void
publish(int place, const MemberStart *start)
{
	SpinLockAcquire(&shared->mutex);
	shared->starts[place] = *start;
	SpinLockRelease(&shared->mutex);
}

void
starts_load(void)
{
	Relation	table = table_open_existing(table_oid("raft_starts"), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(table, snapshot, 0, NULL);
	MemberStart starts[MAX_STARTS] = {{0}};
	int			n = 0;

	while (n < MAX_STARTS && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		slot_getallattrs(slot);
		starts[n].member = DatumGetInt64(slot->tts_values[STARTS_NODE_ID]);
		starts[n].start = DatumGetInt64(slot->tts_values[STARTS_START]);
		starts[n].lost_data = DatumGetBool(slot->tts_values[STARTS_LOST_DATA]);
		n++;
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(table, AccessShareLock);

	SpinLockAcquire(&shared->mutex);
	memcpy(shared->starts, starts, sizeof(starts));
	SpinLockRelease(&shared->mutex);
}

/* Write the row of a member; start NULL: delete it. */
static void
save(uint64 member, const MemberStart *start)
{
	TableWriter *writer = table_writer_open(table_oid("raft_starts"), RowExclusiveLock);
	Datum		key = Int64GetDatum((int64) member);
	Datum		values[STARTS_COLUMNS];
	bool		isnull[STARTS_COLUMNS] = {false};
	TupleTableSlot *slot;

	slot = table_writer_find(writer, table_writer_primary_key(writer), &key, isnull);
	if (start != NULL)
	{
		values[STARTS_NODE_ID] = key;
		values[STARTS_START] = Int64GetDatum((int64) start->start);
		values[STARTS_LOST_DATA] = BoolGetDatum(start->lost_data);
		if (slot != NULL)
			table_writer_update(writer, &slot->tts_tid, values, isnull);
		else
			table_writer_insert(writer, values, isnull);
	}
	else if (slot != NULL)
		table_writer_delete(writer, &slot->tts_tid);
	table_writer_close(writer);
	CommandCounterIncrement();
}

/* A place that is free, or that of a member which is one no more. */
static int
make_room(Membership *current)
{
	int			place = find(0);

	for (int i = 0; place < 0 && i < MAX_STARTS; i++)
	{
		if (membership_find(current, shared->starts[i].member) == NULL)
		{
			save(shared->starts[i].member, NULL);
			place = i;
		}
	}
	return place;
}

void
starts_note(uint64 member, uint64 start, Membership *current)
{
	MemberStart noted = {.member = member, .start = start};
	int			place = find(member);

	if (place < 0)
		place = make_room(current);
	if (place < 0)
		elog(ERROR, "more members than a cluster can have");
	save(member, &noted);
	publish(place, &noted);
}

void
starts_note_loss(uint64 member)
{
	int			place = find(member);
	MemberStart noted;

	if (place < 0)
		return;
	noted = shared->starts[place];
	noted.lost_data = true;
	save(member, &noted);
	publish(place, &noted);
}

/*
 * All of the table: a node that is detached has not loaded it.
 */
void
starts_forget(void)
{
	TableWriter *writer = table_writer_open(table_oid("raft_starts"), RowExclusiveLock);
	Relation	table = table_writer_relation(writer);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(table, snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		table_writer_delete(writer, &slot->tts_tid);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	table_writer_close(writer);
	CommandCounterIncrement();

	SpinLockAcquire(&shared->mutex);
	memset(shared->starts, 0, sizeof(shared->starts));
	SpinLockRelease(&shared->mutex);
}
