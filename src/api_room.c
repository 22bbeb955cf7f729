/*-------------------------------------------------------------------------
 *
 * api_room.c
 *	  Refusing writes while there is no disk space for them.
 *
 * Deletes and compaction pass: they are the way out.  A patch may make an
 * object smaller, but who knows before it is applied?
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api_room.h"

#include "request.h"
#include "stats.h"
#include "status.h"

#define MEGABYTE	(1024 * 1024)

static bool
makes_it_grow(const Command *command)
{
	Size		position = 0;
	Command		part;

	switch (command->op)
	{
		case COMMAND_DELETE:
		case COMMAND_COMPACT:
		case COMMAND_COMPARE:
			return false;
		case COMMAND_TXN:
			while (txn_next(command, &position, &part))
			{
				if (makes_it_grow(&part))
					return true;
			}
			return false;
		default:
			return true;
	}
}

static DiskPlace
fullest_place(void)
{
	DiskPlace	fullest = DISK_DATA;

	for (int place = 0; place < N_DISK_PLACES; place++)
	{
		if (stats_gauge((StatGauge) (STAT_DISK_FREE + place)) <
			stats_gauge((StatGauge) (STAT_DISK_FREE + fullest)))
			fullest = (DiskPlace) place;
	}
	return fullest;
}

static void
refuse_here(void)
{
	DiskPlace	place = fullest_place();

	ereport(ERROR,
			(errcode(ERRCODE_DISK_FULL),
			 errmsg("this node is short of disk space"),
			 errdetail("In the file system of its %s " UINT64_FORMAT " MB are free; store.min_free_space is %d MB. Nothing was written.",
					   stats_disk_place_name(place),
					   stats_gauge((StatGauge) (STAT_DISK_FREE + place)) / MEGABYTE,
					   store_min_free_space),
			 errhint("Write on a member that has space, make room, or delete: store.delete() and store.compact() are still taken.")));
}

static void
refuse_everywhere(void)
{
	char		leader[STORE_NAME_SIZE];
	uint64		node_id;
	bool		known;

	status_read_leader(leader, &known, &node_id);
	ereport(ERROR,
			(errcode(ERRCODE_DISK_FULL),
			 errmsg("too few members have disk space"),
			 errdetail("The leader, \"%s\", has no majority without a member that is short of it. Nothing was written.",
					   leader),
			 errhint("Make room (store.stat_disk on each member says where), or delete: store.delete() and store.compact() are still taken.")));
}

void
api_check_room(const Command *command)
{
	RoomVerdict verdict = (RoomVerdict) pg_atomic_read_u32(&progress->room);

	if (verdict == ROOM_ENOUGH || !makes_it_grow(command))
		return;
	request_count_refusal(command->op, ERRCODE_DISK_FULL);
	if (verdict == ROOM_LOW)
		refuse_here();
	refuse_everywhere();
}
