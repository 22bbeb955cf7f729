/*-------------------------------------------------------------------------
 *
 * disk_space.c
 *	  How much room the disks have, and who must write no more because of it.
 *
 * What members say of themselves is kept in memory only: a leader hears from
 * everybody within a heartbeat.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "disk_space.h"

#include <sys/statvfs.h>

#include "miscadmin.h"
#include "roster.h"
#include "stats.h"

#define LOOK_MS			1000

/* Short of space until there is so much more than the limit, in per cent. */
#define RELIEF_PERCENT	10

/* Between two attempts to hand over, in election timeouts. */
#define PAUSE_TIMEOUTS	10

/* A member not heard from for so many election timeouts does not count. */
#define SILENT_TIMEOUTS 2

static int	looked_limit = -1;	/* store.min_free_space then */
static uint64 looked_ms;
static bool low;				/* this node */
static uint64 low_members[RAFT_MAX_MEMBERS];	/* 0: unused */
static uint64 closed_by;		/* as a leader it said that all must refuse; 0: none */
static bool closing;			/* we say so */
static uint64 handed_over_ms;	/* when we last tried to; 0: not since we are low */

bool
disk_space_is_low(void)
{
	return low;
}

/* ------------------------------------------------------------------------
 * This node
 * ------------------------------------------------------------------------
 */

/* Where a place is, from the data directory. */
static const char *
place_path(DiskPlace place)
{
	switch (place)
	{
		case DISK_DATA:
			return ".";
		case DISK_WAL:
			return "pg_wal";
		default:
			return DatabasePath;
	}
}

/*
 * The least that is free anywhere, in bytes.  A file system that does not
 * answer is taken to have room: its writes will say what is wrong with it.
 */
static uint64
look_at_disks(DiskPlace *fullest)
{
	uint64		least = PG_UINT64_MAX;

	for (int place = 0; place < N_DISK_PLACES; place++)
	{
		struct statvfs disk;
		uint64		n_free;

		if (statvfs(place_path((DiskPlace) place), &disk) != 0)
			continue;
		n_free = (uint64) disk.f_bavail * disk.f_frsize;
		stats_set((StatGauge) (STAT_DISK_SIZE + place),
				  (uint64) disk.f_blocks * disk.f_frsize);
		stats_set((StatGauge) (STAT_DISK_FREE + place), n_free);
		if (n_free < least)
		{
			least = n_free;
			*fullest = (DiskPlace) place;
		}
	}
	return least;
}

static void
judge_self(void)
{
	DiskPlace	fullest = DISK_DATA;
	uint64		limit = (uint64) store_min_free_space * 1024 * 1024;
	uint64		n_free = look_at_disks(&fullest);
	bool		was_low = low;

	if (low)
		limit += limit / 100 * RELIEF_PERCENT;
	low = (n_free < limit);
	if (!low)
		handed_over_ms = 0;
	if (low != was_low)
		ereport(LOG,
				(low ? errmsg("this node is short of disk space, and takes no more writes but deletes") :
				 errmsg("this node has disk space again, and takes writes"),
				 errdetail("In the file system of %s " UINT64_FORMAT " MB are free; store.min_free_space is %d MB.",
						   stats_disk_place_name(fullest), n_free / (1024 * 1024),
						   store_min_free_space)));
}

/* ------------------------------------------------------------------------
 * The others
 * ------------------------------------------------------------------------
 */

static int
place_of(uint64 member)
{
	for (int i = 0; i < lengthof(low_members); i++)
	{
		if (low_members[i] == member)
			return i;
	}
	return -1;
}

/* Who is no member any more makes room. */
static void
note_low(uint64 member)
{
	if (place_of(member) >= 0 || membership_find(roster_current(), member) == NULL)
		return;
	for (int i = 0; i < lengthof(low_members); i++)
	{
		if (low_members[i] == 0 ||
			membership_find(roster_current(), low_members[i]) == NULL)
		{
			low_members[i] = member;
			return;
		}
	}
}

void
disk_space_heard(const MessageHeader *header)
{
	/* Greetings are made by who does not know. */
	if (header->kind != MESSAGE_RAFT)
		return;

	if ((header->origin.disk & MESSAGE_DISK_LOW) != 0)
		note_low(header->from);
	else if (place_of(header->from) >= 0)
		low_members[place_of(header->from)] = 0;

	if ((header->origin.disk & MESSAGE_DISK_CLOSED) != 0)
		closed_by = header->from;
	else if (closed_by == header->from)
		closed_by = 0;
}

/*
 * As the leader: could a majority do without a disk that is nearly full?  Who
 * is silent is of no help, and no reason by itself.
 *
 * *successor is the voter that has space and the most of our log.
 */
static bool
majority_has_room(const struct raft *node, uint64 self, uint64 now_ms, uint64 silent_ms,
				  raft_id *successor)
{
	const Membership *membership = roster_current();
	uint32		n_voters = 0;
	uint32		n_roomy = 0;
	uint32		n_low = 0;
	uint64		best = 0;

	*successor = 0;
	for (uint32 i = 0; i < membership->n_members; i++)
	{
		const Member *member = &membership->members[i];
		struct raft_peer_progress peer;

		if (member->role != RAFT_VOTER)
			continue;
		n_voters++;
		if (member->id == self ? low : place_of(member->id) >= 0)
			n_low++;
		else if (member->id == self)
			n_roomy++;
		else if (raft_progress(node, member->id, &peer) && peer.last_contact_ms != 0 &&
				 now_ms - Min(now_ms, peer.last_contact_ms) <= silent_ms)
		{
			n_roomy++;
			if (*successor == 0 || peer.match_index > best)
			{
				*successor = member->id;
				best = peer.match_index;
			}
		}
	}
	return n_low == 0 || n_roomy > n_voters / 2;
}

/* ------------------------------------------------------------------------
 * What follows
 * ------------------------------------------------------------------------
 */

static void
publish_verdict(RoomVerdict verdict)
{
	static const char *const problems[] = {
		[ROOM_ENOUGH] = "",
		[ROOM_LOW] = "this node is short of disk space, and takes no more writes but deletes: see store.stat_disk",
		[ROOM_CLOSED] = "too few members have disk space, so the cluster takes no more writes but deletes: see store.stat_disk on each"
	};

	static int	published = -1;

	if (published == (int) verdict)
		return;
	published = (int) verdict;
	pg_atomic_write_u32(&progress->room, verdict);
	status_set_disk_problem(problems[verdict]);
}

static bool
is_closed(const struct raft_update *update)
{
	if (update->state == RAFT_LEADER)
		return closing;
	return update->leader != 0 && update->leader == closed_by;
}

/*
 * What the leader does: closes the cluster, or returns who is to lead in its
 * place.  Until an attempt to hand over has had its time, others may write.
 */
static raft_id
lead(const struct raft *node, uint64 self, uint64 now_ms, uint64 election_timeout_ms)
{
	raft_id		successor;

	closing = !majority_has_room(node, self, now_ms,
								 SILENT_TIMEOUTS * election_timeout_ms, &successor);
	if (!low)
		return 0;
	if (successor == 0)
	{
		closing = true;
		return 0;
	}
	if (handed_over_ms != 0 && now_ms - handed_over_ms < PAUSE_TIMEOUTS * election_timeout_ms)
		return 0;
	closing = closing || handed_over_ms != 0;
	handed_over_ms = now_ms;
	ereport(LOG,
			(errmsg("handing leadership over to \"%s\", because this node is short of disk space",
					roster_name(successor))));
	return successor;
}

raft_id
disk_space_tend(const struct raft *node, const struct raft_update *update, uint64 self,
				uint64 now_ms, const struct raft_options *options, uint8 *flags)
{
	raft_id		successor = 0;

	if (looked_limit != store_min_free_space || now_ms - looked_ms >= LOOK_MS)
	{
		looked_limit = store_min_free_space;
		looked_ms = now_ms;
		judge_self();
		if (update->state == RAFT_LEADER)
			successor = lead(node, self, now_ms, options->election_timeout_ms);
	}
	if (update->state != RAFT_LEADER)
		closing = false;
	*flags = (low ? MESSAGE_DISK_LOW : 0) | (closing ? MESSAGE_DISK_CLOSED : 0);
	publish_verdict(low ? ROOM_LOW : is_closed(update) ? ROOM_CLOSED : ROOM_ENOUGH);
	return successor;
}

void
disk_space_report(uint64 self, NodeStatus *status)
{
	for (uint32 i = 0; i < status->n_members; i++)
	{
		MemberStatus *member = &status->members[i];

		member->low_on_disk = (member->member.id == self) ? low :
			place_of(member->member.id) >= 0;
	}
}
