/*-------------------------------------------------------------------------
 *
 * snapshot.c
 *	  What the processes of this node know of copies of the state machine.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "snapshot.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#define SNAPSHOT_TRANCHE "store snapshot"

/* From one failed attempt to the next; doubled with each up to the limit. */
#define FIRST_DELAY_MS	1000
#define LAST_DELAY_MS	30000

typedef struct SnapshotShared
{
	slock_t		mutex;			/* protects all but the membership */
	SnapshotRequest request;	/* leader 0: nothing was asked for */
	uint64		first_asked_ms;
	uint64		last_asked_ms;
	uint64		not_before_ms;
	bool		believed;		/* it was asked for long enough */

	SnapshotLoan loan;
	uint64		loan_index;
	uint64		loan_term;

	SnapshotReceived received;
	SnapshotSent sent[SNAPSHOT_MAX_SENDERS];

	LWLock	   *lock;			/* protects the membership */
	uint64		membership_index;
	Membership	membership;
} SnapshotShared;

static SnapshotShared *shared = NULL;

Size
snapshot_shmem_size(void)
{
	return sizeof(SnapshotShared);
}

void
snapshot_request_locks(void)
{
	RequestNamedLWLockTranche(SNAPSHOT_TRANCHE, 1);
}

void
snapshot_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("store snapshot", snapshot_shmem_size(), &found);
	if (found)
		return;
	memset(shared, 0, sizeof(SnapshotShared));
	SpinLockInit(&shared->mutex);
	shared->lock = &(GetNamedLWLockTranche(SNAPSHOT_TRANCHE))->lock;
}

/* ------------------------------------------------------------------------
 * Asking for a copy
 * ------------------------------------------------------------------------
 */

bool
snapshot_want(uint64 leader, uint64 at_least, uint64 now_ms, uint64 patience_ms)
{
	bool		due;

	SpinLockAcquire(&shared->mutex);
	if (shared->request.leader == 0 || now_ms > shared->last_asked_ms + patience_ms)
	{
		memset(&shared->request, 0, sizeof(shared->request));
		shared->first_asked_ms = now_ms;
		shared->not_before_ms = 0;
		shared->believed = false;
	}
	shared->last_asked_ms = now_ms;
	shared->request.leader = leader;
	shared->request.at_least = at_least;
	if (now_ms >= shared->first_asked_ms + patience_ms)
		shared->believed = true;
	due = shared->believed && shared->received.phase == SNAPSHOT_IDLE &&
		now_ms >= shared->not_before_ms;
	SpinLockRelease(&shared->mutex);
	return due;
}

bool
snapshot_is_wanted(SnapshotRequest *request, uint64 now_ms, uint64 memory_ms,
				   uint64 *delay_ms)
{
	bool		wanted;

	SpinLockAcquire(&shared->mutex);
	*request = shared->request;
	wanted = shared->request.leader != 0 && shared->believed &&
		now_ms <= shared->last_asked_ms + memory_ms;
	*delay_ms = shared->not_before_ms > now_ms ? shared->not_before_ms - now_ms : 0;
	SpinLockRelease(&shared->mutex);
	return wanted;
}

void
snapshot_failed(uint64 now_ms)
{
	uint64		delay_ms = FIRST_DELAY_MS;

	SpinLockAcquire(&shared->mutex);
	for (uint32 i = 0; i < shared->request.n_failures && delay_ms < LAST_DELAY_MS; i++)
		delay_ms *= 2;
	shared->request.n_failures++;
	shared->not_before_ms = now_ms + Min(delay_ms, LAST_DELAY_MS);
	SpinLockRelease(&shared->mutex);
}

void
snapshot_fulfilled(void)
{
	SpinLockAcquire(&shared->mutex);
	memset(&shared->request, 0, sizeof(shared->request));
	shared->believed = false;
	SpinLockRelease(&shared->mutex);
}

/* ------------------------------------------------------------------------
 * Borrowing the log
 * ------------------------------------------------------------------------
 */

void
snapshot_ask_loan(uint64 index, uint64 term)
{
	SpinLockAcquire(&shared->mutex);
	shared->loan = SNAPSHOT_LOAN_ASKED;
	shared->loan_index = index;
	shared->loan_term = term;
	SpinLockRelease(&shared->mutex);
}

void
snapshot_end_loan(void)
{
	SpinLockAcquire(&shared->mutex);
	shared->loan = SNAPSHOT_LOAN_NONE;
	SpinLockRelease(&shared->mutex);
}

SnapshotLoan
snapshot_loan(uint64 *index, uint64 *term)
{
	SnapshotLoan loan;

	SpinLockAcquire(&shared->mutex);
	loan = shared->loan;
	if (index != NULL)
		*index = shared->loan_index;
	if (term != NULL)
		*term = shared->loan_term;
	SpinLockRelease(&shared->mutex);
	return loan;
}

void
snapshot_answer_loan(bool grant)
{
	SpinLockAcquire(&shared->mutex);
	if (shared->loan == SNAPSHOT_LOAN_ASKED)
		shared->loan = grant ? SNAPSHOT_LOAN_GRANTED : SNAPSHOT_LOAN_REFUSED;
	SpinLockRelease(&shared->mutex);
}

/* ------------------------------------------------------------------------
 * The membership that goes with a copy
 * ------------------------------------------------------------------------
 */

void
snapshot_publish_membership(uint64 index, const Membership *membership)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->membership_index = index;
	shared->membership = *membership;
	LWLockRelease(shared->lock);
}

uint64
snapshot_membership(Membership *membership)
{
	uint64		index;

	LWLockAcquire(shared->lock, LW_SHARED);
	index = shared->membership_index;
	*membership = shared->membership;
	LWLockRelease(shared->lock);
	return index;
}

/* ------------------------------------------------------------------------
 * Progress
 * ------------------------------------------------------------------------
 */

void
snapshot_set_received(const SnapshotReceived *received)
{
	SpinLockAcquire(&shared->mutex);
	shared->received = *received;
	SpinLockRelease(&shared->mutex);
}

void
snapshot_received(SnapshotReceived *received)
{
	SpinLockAcquire(&shared->mutex);
	*received = shared->received;
	SpinLockRelease(&shared->mutex);
}

bool
snapshot_is_replacing(void)
{
	SnapshotPhase phase;

	SpinLockAcquire(&shared->mutex);
	phase = shared->received.phase;
	SpinLockRelease(&shared->mutex);
	return phase == SNAPSHOT_REPLACING_STATE || phase == SNAPSHOT_REPLACING_LOG;
}

static void
forget_sent(int code, Datum arg)
{
	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < SNAPSHOT_MAX_SENDERS; i++)
	{
		if (shared->sent[i].pid == MyProcPid)
			shared->sent[i].pid = 0;
	}
	SpinLockRelease(&shared->mutex);
}

bool
snapshot_set_sent(const SnapshotSent *sent)
{
	static bool registered = false;
	SnapshotSent *place = NULL;

	if (!registered)
		before_shmem_exit(forget_sent, (Datum) 0);
	registered = true;

	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < SNAPSHOT_MAX_SENDERS; i++)
	{
		if (shared->sent[i].pid == sent->pid)
		{
			place = &shared->sent[i];
			break;
		}
		if (shared->sent[i].pid == 0 && place == NULL)
			place = &shared->sent[i];
	}
	if (place != NULL)
		*place = *sent;
	SpinLockRelease(&shared->mutex);
	return place != NULL;
}

void
snapshot_sent(SnapshotSent *sent)
{
	SpinLockAcquire(&shared->mutex);
	memcpy(sent, shared->sent, sizeof(shared->sent));
	SpinLockRelease(&shared->mutex);
}

uint64
snapshot_held_index(void)
{
	uint64		held = 0;

	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < SNAPSHOT_MAX_SENDERS; i++)
	{
		const SnapshotSent *sent = &shared->sent[i];

		if (sent->pid != 0 && (held == 0 || sent->index < held))
			held = sent->index;
	}
	SpinLockRelease(&shared->mutex);
	return held;
}
