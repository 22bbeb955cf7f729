/*-------------------------------------------------------------------------
 *
 * starts.h
 *	  The newest start of each other member, and what follows from it.
 *
 * A member that comes back with an older state of its disk, or twice at once,
 * cannot know it.  The others can: every start of a member gets a number, one
 * more than the last one in its durable state, and every message carries it.
 * Whoever has heard of a newer start refuses the messages of an older one, and
 * of two starts with the same count the one that comes second.  The refusal is
 * an error of store.raft_receive(), which tells the sender (raft_worker.c) to
 * stop taking part for good.  So a vote or an acknowledgement of a member that
 * went back counts for nobody who knew of a later start of it.
 *
 * A member whose disk went back within the same start is noticed by the leader
 * (update.lost_data of the core), and is shut out in the same way.
 *
 * Shared memory holds what store.raft_starts has, for the sessions that
 * receive messages.  Only the raft worker writes either.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_STARTS_H
#define STORE_STARTS_H

#include "store.h"
#include "membership.h"

/* A number of a start: how many there were, and 16 random bits. */
#define START_COUNT(start)		((start) >> 16)
#define START_NUMBER(count, random)	(((count) << 16) | ((random) & 0xffff))

typedef enum StartVerdict
{
	START_KNOWN,				/* the newest one */
	START_NEWER,				/* newer than any heard of */
	START_OLDER,				/* there was a newer one */
	START_TWIN,					/* another one with the same count */
	START_LOST_DATA				/* of a member that lost what it acknowledged */
} StartVerdict;

extern Size starts_shmem_size(void);
extern void starts_shmem_init(void);

/* For anybody. */
extern StartVerdict starts_judge(uint64 member, uint64 start);

/*
 * For sessions: a message of this number (seal.h) came from the newest start of
 * a member.  False if it has come before, or so late that this is not known any
 * more.  What comes of a start that is not noted yet is taken.
 */
extern bool starts_is_unheard(uint64 member, uint64 start, uint64 number);

/*
 * For the raft worker, in a transaction; what is written is to be durable
 * before anything is done for a message of that start.
 *
 * starts_load(): take what the table has, when the worker starts.
 * starts_note(): a member has started; current says who still needs memory.
 * starts_note_loss(): a member has lost data.
 * starts_forget(): become a member of another cluster.
 */
extern void starts_load(void);
extern void starts_note(uint64 member, uint64 start, Membership *current);
extern void starts_note_loss(uint64 member);
extern void starts_forget(void);

#endif							/* STORE_STARTS_H */
