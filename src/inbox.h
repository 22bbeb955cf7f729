/*-------------------------------------------------------------------------
 *
 * inbox.h
 *	  What backends hand to the raft worker: requests and peers' messages.
 *
 * One ring of bytes in shared memory.  A producer reserves room for a record
 * under a spinlock, copies its bytes outside of it and marks the record ready;
 * the one consumer, the raft worker, reads records where they lie, in order,
 * and releases them.  So memory is fixed, order is kept, and nothing can leak:
 * there is nothing to free.
 *
 * When three quarters of the ring are full, a request waits for room (the store
 * pushes back); when all of it is, a message is dropped (Raft sends again).
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_INBOX_H
#define STORE_INBOX_H

#include "store.h"
#include "port/atomics.h"

typedef enum InboxKind
{
	INBOX_FILLER,				/* skip to the start of the ring */
	INBOX_WRITE,				/* data: an encoded command; sequence 0: no
								 * request, nobody waits */
	INBOX_READ,					/* no data: a read index is wanted */
	INBOX_ADMIT,				/* data: AdmitRequest (request.h) */
	INBOX_ADOPT,				/* data: AdoptRequest (request.h) */
	INBOX_RECOVER,				/* data: RecoverRequest (request.h) */
	INBOX_REMOVE,				/* data: MemberRequest (request.h) */
	INBOX_TRANSFER,				/* data: MemberRequest (request.h) */
	INBOX_MESSAGE				/* data: an encoded message of a peer */
} InboxKind;

typedef struct InboxRecord
{
	pg_atomic_uint32 ready;
	uint32		kind;			/* InboxKind */
	uint32		length;			/* of data */
	uint32		slot;			/* requests: who waits, see request.h */
	uint64		sequence;
	uint64		unused;
	char		data[FLEXIBLE_ARRAY_MEMBER];	/* MAXALIGNed */
} InboxRecord;

/* Shared memory; size for the request hook, init for the startup hook. */
extern Size inbox_shmem_size(void);
extern void inbox_shmem_init(void);

/* The largest record the ring takes. */
extern Size inbox_max_length(void);

/*
 * Add a record and wake the raft worker, unless it dozes.  Returns false if
 * there is no room.  Never waits, never fails otherwise; length must be at most
 * inbox_max_length().
 */
extern bool inbox_put(InboxKind kind, uint32 slot, uint64 sequence,
					  const char *data, Size length);

/*
 * Sleep until the consumer has released something or timeout_ms have passed.
 * Interruptible.  Call it in a loop with inbox_put(); it may return for no
 * reason, and does so the first time.  inbox_end_wait() ends the loop.
 */
extern void inbox_wait_room(long timeout_ms);
extern void inbox_end_wait(void);

/*
 * The consumer's side.  inbox_begin() drops what an earlier consumer had
 * already looked at; inbox_next() returns the next record or NULL;
 * inbox_release() gives back the room of all records returned so far, which
 * must not be touched any more.
 */
extern void inbox_begin(void);
extern InboxRecord *inbox_next(void);
extern void inbox_release(void);

/*
 * The consumer has no use for writes before so many of them have come (0: it has
 * for every one), or for reads, unless something else wakes it: they need not
 * wake it, as long as the ring does not fill up.  It must say when it is awake
 * (0, false), before it looks for the next record, and may doze only when it
 * will wake up by itself, or by another record, in time.
 */
extern void inbox_doze(uint32 n_writes, bool reads);

extern Size inbox_used(void);	/* bytes not released yet */
extern uint64 inbox_dropped(void);	/* messages, since server start */

#endif							/* STORE_INBOX_H */
