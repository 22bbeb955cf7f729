/*-------------------------------------------------------------------------
 *
 * disk_space.h
 *	  How much room the disks have, and who must write no more because of it.
 *
 * A server whose disk is full panics at the next segment of its WAL.  So a node
 * looks once a second how much is free where it writes, and below
 * store.min_free_space it takes no write that makes the store grow: what is
 * left is for deletes, for compaction, and for what other members replicate.
 *
 * What a node refuses its clients must not come back through another one.  Every
 * message says whether its sender is short of space.  A leader that is hands
 * over to a voter that is not.  Where there is none, or where no majority could
 * be made without a disk that is nearly full, the leader says so with its
 * heartbeats, and every member refuses.
 *
 * The raft worker looks and decides; the backends find its verdict in
 * progress->room.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_DISK_SPACE_H
#define STORE_DISK_SPACE_H

#include "store.h"
#include "message.h"
#include "raft/raft.h"
#include "status.h"

/*
 * Look at the disks, at most once a second, and decide.  Returns the voter to
 * which this node, as the leader, should hand over, or 0.  *flags is what to
 * tell the others (MessageOrigin.disk).
 */
extern raft_id disk_space_tend(const struct raft *node, const struct raft_update *update,
							   uint64 self, uint64 now_ms, const struct raft_options *options,
							   uint8 *flags);

/* Is this node short of space? */
extern bool disk_space_is_low(void);

/* What a member says of itself, or as the leader. */
extern void disk_space_heard(const MessageHeader *header);

/* Fill in what is known of the members, for display. */
extern void disk_space_report(uint64 self, NodeStatus *status);

#endif							/* STORE_DISK_SPACE_H */
