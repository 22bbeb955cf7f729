/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Request slots: how a backend waits, and how the workers answer.
 *
 * One slot for every possible backend, found by its process number.  The
 * slot's mutex protects sequence, phase and answer.  A backend that was
 * canceled or terminated just forgets its sequence number; whoever answers
 * later sees that nobody waits and drops the answer.  An answer that was
 * delivered but never fetched is freed then, too.
 *
 * Answers are of any size.  Most are small, and lie in the slot itself.  The
 * others lie in a DSA area, which is created inside the main shared memory
 * segment (as pgstat_shmem.c does) and grows by dynamic segments only under
 * load.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "request.h"

#include "clock.h"
#include "compat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "stats.h"
#include "status.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/dsa.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define ANSWER_AREA_SIZE	(1024 * 1024)

/* What is copied under the slot's mutex. */
#define SMALL_ANSWER		1024

typedef enum RequestPhase
{
	REQUEST_IDLE,
	REQUEST_QUEUED,				/* certainly in no log */
	REQUEST_CLAIMED,			/* may commit */
	REQUEST_ANSWERED
} RequestPhase;

typedef struct RequestSlot
{
	slock_t		mutex;
	uint64		sequence;		/* 0: nobody waits */
	RequestPhase phase;
	AnswerKind	kind;
	int			op;
	int			sqlstate;
	uint64		index;
	uint32		length;
	dsa_pointer data;			/* of an answer not yet fetched, if it is not
								 * in small_data */

	/*
	 * For a raft worker that starts: may this be asked again, in which life of
	 * the tables was it begun, and of the apply worker claimed?  orphan: the
	 * one who claimed it is no more.  again: the backend shall submit it.
	 */
	bool		repeatable;
	bool		orphan;
	bool		again;
	uint64		epoch;
	uint64		apply_life;

	/* sleeping until this index is applied; 0: not sleeping */
	pg_atomic_uint64 wait_index;

	/* written once, with the answer; the owner takes it from there */
	char		small_data[SMALL_ANSWER];
} RequestSlot;

typedef struct RequestShared
{
	pg_atomic_uint64 next_sequence;
	pg_atomic_uint32 n_sleepers;	/* slots with a wait_index */
	int			tranche;
	RequestSlot slots[FLEXIBLE_ARRAY_MEMBER];
} RequestShared;

static RequestShared *shared = NULL;
static void *area_place = NULL;
static dsa_area *area = NULL;

static Size
slots_size(void)
{
	return MAXALIGN(add_size(offsetof(RequestShared, slots),
							 mul_size(MaxBackends, sizeof(RequestSlot))));
}

Size
request_shmem_size(void)
{
	return add_size(slots_size(), ANSWER_AREA_SIZE);
}

void
request_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("store requests", request_shmem_size(), &found);
	area_place = (char *) shared + slots_size();
	if (found)
		return;

	/*
	 * Sequence numbers start at the clock (microseconds), so that a number of
	 * this life of the server differs from those of earlier ones that are
	 * still in the log.
	 */
	pg_atomic_init_u64(&shared->next_sequence, (uint64) GetCurrentTimestamp());
	pg_atomic_init_u32(&shared->n_sleepers, 0);
	shared->tranche = LWLockNewTrancheId();
	for (int i = 0; i < MaxBackends; i++)
	{
		RequestSlot *slot = &shared->slots[i];

		SpinLockInit(&slot->mutex);
		slot->sequence = 0;
		slot->phase = REQUEST_IDLE;
		slot->data = InvalidDsaPointer;
		pg_atomic_init_u64(&slot->wait_index, 0);
	}

	area = dsa_create_in_place(area_place, ANSWER_AREA_SIZE, shared->tranche, NULL);
	dsa_pin(area);
	dsa_detach(area);
	area = NULL;
}

static void
attach_area(void)
{
	MemoryContext oldcontext;

	if (area != NULL)
		return;
	LWLockRegisterTranche(shared->tranche, "store answers");
	oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	area = dsa_attach_in_place(area_place, NULL);
	dsa_pin_mapping(area);
	MemoryContextSwitchTo(oldcontext);
}

static RequestSlot *
my_slot(void)
{
	return &shared->slots[MyProcNumber];
}

/*
 * Leave the slot empty.  Returns whether the request was still QUEUED, which
 * means that it certainly did not and will not happen.
 */
static bool
withdraw(RequestSlot *slot)
{
	bool		certain;
	dsa_pointer data;

	SpinLockAcquire(&slot->mutex);
	certain = (slot->phase == REQUEST_QUEUED);
	data = slot->data;
	slot->sequence = 0;
	slot->phase = REQUEST_IDLE;
	slot->data = InvalidDsaPointer;
	SpinLockRelease(&slot->mutex);

	if (DsaPointerIsValid(data))
		dsa_free(area, data);
	return certain;
}

/* A session that is terminated takes its request and its answer with it. */
static void
withdraw_at_exit(int code, Datum arg)
{
	(void) withdraw(my_slot());
}

void
request_begin(RequestId *id)
{
	static bool registered = false;
	RequestSlot *slot = my_slot();
	char		leader[STORE_NAME_SIZE];
	bool		known;

	attach_area();
	if (!registered)
		before_shmem_exit(withdraw_at_exit, (Datum) 0);
	registered = true;
	(void) withdraw(slot);		/* what a crashed predecessor left */

	status_read_leader(leader, &known, &id->origin);
	id->slot = MyProcNumber;
	id->sequence = pg_atomic_fetch_add_u64(&shared->next_sequence, 1);

	SpinLockAcquire(&slot->mutex);
	slot->sequence = id->sequence;
	slot->phase = REQUEST_QUEUED;
	slot->repeatable = false;	/* request_call() says so */
	slot->orphan = false;
	slot->again = false;
	slot->epoch = pg_atomic_read_u64(&progress->epoch);
	SpinLockRelease(&slot->mutex);
}

/*
 * Give up, with the error that fits what is known.  "why" completes the
 * sentence "The cluster ...".
 */
static void
give_up(InboxKind kind, const char *why)
{
	bool		certain = withdraw(my_slot());
	char		leader[STORE_NAME_SIZE];
	bool		known;
	uint64		node_id;
	char	   *last;

	status_read_leader(leader, &known, &node_id);
	last = leader[0] == '\0' ? pstrdup("No leader has been known since this server started.") :
		psprintf("The last known leader is \"%s\".", leader);

	if (certain || kind == INBOX_READ)
		ereport(ERROR,
				(errcode(ERRCODE_STORE_UNAVAILABLE),
				 known ? errmsg("the store did not answer: %s", why) :
				 errmsg("the store has no leader: %s", why),
				 errdetail("Nothing was written. %s", last),
				 errhint("A majority of the voters must be running and reach each other; see store.status and store.members.")));
	ereport(ERROR,
			(errcode(ERRCODE_STORE_UNKNOWN),
			 errmsg("the outcome of the request is unknown: %s", why),
			 errdetail("It was submitted, and may still happen. %s", last),
			 kind == INBOX_WRITE ?
			 errhint("Read the object to see whether it did.") :
			 errhint("Call the function again; what has been done is not done twice.")));
}

/*
 * A cancel or a termination while a request is on its way.  The user must
 * learn that a claimed request may still happen.
 */
static void
check_interrupts(InboxKind kind)
{
	if (QueryCancelPending && !ProcDiePending && INTERRUPTS_CAN_BE_PROCESSED())
	{
		RequestSlot *slot = my_slot();

		if (kind != INBOX_READ && slot->phase == REQUEST_CLAIMED)
		{
			QueryCancelPending = false;
			give_up(kind, "canceled while waiting for the answer");
		}
	}
	CHECK_FOR_INTERRUPTS();
}

static void
submit(InboxKind kind, const RequestId *id, const char *data, Size length,
	   uint64 deadline)
{
	while (!inbox_put(kind, id->slot, id->sequence, data, length))
	{
		long		left = deadline_left_ms(deadline);

		if (left <= 0)
		{
			inbox_end_wait();
			give_up(kind, "its queue stayed full for store.request_timeout");
		}
		inbox_wait_room(left);
	}
	inbox_end_wait();
}

/*
 * Fetch the answer if it is there.
 */
static bool
fetch(RequestSlot *slot, Answer *answer)
{
	dsa_pointer data;

	SpinLockAcquire(&slot->mutex);
	if (slot->phase != REQUEST_ANSWERED)
	{
		SpinLockRelease(&slot->mutex);
		return false;
	}
	answer->kind = slot->kind;
	answer->op = slot->op;
	answer->sqlstate = slot->sqlstate;
	answer->index = slot->index;
	answer->length = slot->length;
	data = slot->data;
	SpinLockRelease(&slot->mutex);

	answer->data = NULL;
	if (answer->length > 0)
	{
		answer->data = palloc(answer->length);
		memcpy(answer->data,
			   DsaPointerIsValid(data) ? dsa_get_address(area, data) : slot->small_data,
			   answer->length);
	}
	(void) withdraw(slot);
	return true;
}

/*
 * Does a new raft worker want this request once more?
 */
static bool
is_asked_again(RequestSlot *slot)
{
	bool		again;

	SpinLockAcquire(&slot->mutex);
	again = slot->again;
	slot->again = false;
	SpinLockRelease(&slot->mutex);
	return again;
}

static void
wait_for_answer(InboxKind kind, const RequestId *id, const char *data, Size length,
				uint64 deadline, Answer *answer)
{
	RequestSlot *slot = my_slot();

	for (;;)
	{
		long		left;

		ResetLatch(MyLatch);
		if (fetch(slot, answer))
			return;
		check_interrupts(kind);
		if (is_asked_again(slot))
		{
			submit(kind, id, data, length, deadline);
			continue;
		}

		left = deadline_left_ms(deadline);
		if (left <= 0)
			give_up(kind, psprintf("no answer within %d ms (store.request_timeout)",
								   store_request_timeout));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 left, PG_WAIT_EXTENSION);
	}
}

void
request_raise(const Answer *answer)
{
	const char *message = answer->data ? answer->data : "refused";
	const char *detail = answer->data ? message + strlen(message) + 1 : "";
	const char *hint = answer->data ? detail + strlen(detail) + 1 : "";

	ereport(ERROR,
			(errcode(answer->sqlstate),
			 errmsg_internal("%s", message),
			 detail[0] ? errdetail_internal("%s", detail) : 0,
			 hint[0] ? errhint("%s", hint) : 0));
}

/* Under which name a write is counted. */
static StatRequest
stat_of_op(CommandOp op)
{
	switch (op)
	{
		case COMMAND_CREATE:
			return STAT_CREATE;
		case COMMAND_UPDATE:
			return STAT_UPDATE;
		case COMMAND_PATCH:
			return STAT_PATCH;
		case COMMAND_DELETE:
			return STAT_DELETE;
		case COMMAND_TXN:
			return STAT_TXN;
		case COMMAND_COMPACT:
			return STAT_COMPACT;
		default:
			return STAT_PUT;
	}
}

static StatRequest
stat_of(InboxKind kind, const char *data, Size length)
{
	if (kind == INBOX_READ)
		return STAT_READ;
	if (kind != INBOX_WRITE)
		return STAT_MEMBERSHIP;
	return stat_of_op(command_op(data, length));
}

void
request_count_refusal(CommandOp op, int sqlstate)
{
	stats_count_request(stat_of_op(op), sqlstate, 0);
}

void
request_call(InboxKind kind, const RequestId *id,
			 const char *data, Size length, Answer *answer)
{
	StatRequest stat = stat_of(kind, data, length);
	instr_time	start;
	uint64		deadline;

	INSTR_TIME_SET_CURRENT(start);
	deadline = monotonic_ms() + store_request_timeout;
	SpinLockAcquire(&my_slot()->mutex);
	my_slot()->repeatable = (kind == INBOX_WRITE || kind == INBOX_READ);
	SpinLockRelease(&my_slot()->mutex);
	PG_TRY();
	{
		submit(kind, id, data, length, deadline);
		wait_for_answer(kind, id, data, length, deadline, answer);
	}
	PG_CATCH();
	{
		(void) withdraw(my_slot());
		stats_count_request(stat, geterrcode(), stats_lap(&start));
		PG_RE_THROW();
	}
	PG_END_TRY();

	stats_count_request(stat, answer->kind == ANSWER_REFUSED ? answer->sqlstate : 0,
						stats_lap(&start));
	if (answer->kind == ANSWER_REFUSED)
		request_raise(answer);
}

/*
 * Sleep until index is applied; timeout_ms < 0: no limit.  The order matters:
 * request_wait_applied() has said which index we sleep for before we look
 * whether it has been applied.  The apply worker does it the other way round.
 */
static bool
sleep_until_applied(uint64 index, long timeout_ms)
{
	uint64		deadline = monotonic_ms() + timeout_ms;

	for (;;)
	{
		long		left = -1;
		int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

		ResetLatch(MyLatch);
		if (pg_atomic_read_u64(&progress->applied_index) >= index)
			return true;
		CHECK_FOR_INTERRUPTS();
		if (timeout_ms >= 0)
		{
			left = deadline_left_ms(deadline);
			if (left <= 0)
				return false;
			events |= WL_TIMEOUT;
		}
		(void) WaitLatch(MyLatch, events, left, PG_WAIT_EXTENSION);
	}
}

bool
request_wait_applied(uint64 index, long timeout_ms)
{
	RequestSlot *slot = my_slot();
	volatile bool reached = false;

	if (pg_atomic_read_u64(&progress->applied_index) >= index)
		return true;

	/* A terminated predecessor may have left its index behind, and its count. */
	if (pg_atomic_exchange_u64(&slot->wait_index, index) == 0)
		pg_atomic_fetch_add_u32(&shared->n_sleepers, 1);

	/* The raft worker of a follower may have let it sleep: nobody waited. */
	if (pg_atomic_read_u64(&progress->commit_index) >= index)
		status_wake(WORKER_APPLY);
	PG_TRY();
	{
		reached = sleep_until_applied(index, timeout_ms);
	}
	PG_FINALLY();
	{
		pg_atomic_write_u64(&slot->wait_index, 0);
		pg_atomic_fetch_sub_u32(&shared->n_sleepers, 1);
	}
	PG_END_TRY();
	return reached;
}

bool
request_claim(uint32 slotno, uint64 sequence)
{
	RequestSlot *slot;
	bool		claimed = false;

	if (slotno >= MaxBackends)
		return false;
	slot = &shared->slots[slotno];
	SpinLockAcquire(&slot->mutex);
	if (slot->sequence == sequence && slot->phase == REQUEST_QUEUED)
	{
		slot->phase = REQUEST_CLAIMED;
		slot->apply_life = pg_atomic_read_u64(&progress->apply_lives);
		claimed = true;
	}
	SpinLockRelease(&slot->mutex);
	return claimed;
}

void
request_requeue(uint32 slotno, uint64 sequence)
{
	RequestSlot *slot = &shared->slots[slotno];

	SpinLockAcquire(&slot->mutex);
	if (slot->sequence == sequence && slot->phase == REQUEST_CLAIMED)
		slot->phase = REQUEST_QUEUED;
	SpinLockRelease(&slot->mutex);
}

/*
 * Those that nobody has claimed are asked again at once.  (One of them may
 * still lie in the inbox; of two records with one id, one is claimed.)
 */
void
request_ask_again(void)
{
	uint64		epoch = pg_atomic_read_u64(&progress->epoch);

	for (int i = 0; i < MaxBackends; i++)
	{
		RequestSlot *slot = &shared->slots[i];
		bool		again = false;

		SpinLockAcquire(&slot->mutex);
		slot->orphan = false;
		if (slot->sequence != 0 && slot->repeatable && slot->epoch == epoch)
		{
			again = (slot->phase == REQUEST_QUEUED);
			slot->orphan = (slot->phase == REQUEST_CLAIMED);
		}
		slot->again = again;
		SpinLockRelease(&slot->mutex);
		if (again)
			SetLatch(&ProcGlobal->allProcs[i].procLatch);
	}
}

void
request_ask_orphans(void)
{
	uint64		apply_life = pg_atomic_read_u64(&progress->apply_lives);

	for (int i = 0; i < MaxBackends; i++)
	{
		RequestSlot *slot = &shared->slots[i];
		bool		again;

		SpinLockAcquire(&slot->mutex);
		again = slot->sequence != 0 && slot->orphan && slot->phase == REQUEST_CLAIMED &&
			slot->apply_life == apply_life;
		slot->orphan = false;
		if (again)
		{
			slot->phase = REQUEST_QUEUED;
			slot->again = true;
		}
		SpinLockRelease(&slot->mutex);
		if (again)
			SetLatch(&ProcGlobal->allProcs[i].procLatch);
	}
}

void
request_count(uint32 *n_waiting, uint32 *n_answers)
{
	*n_waiting = *n_answers = 0;
	for (int i = 0; i < MaxBackends; i++)
	{
		RequestSlot *slot = &shared->slots[i];

		SpinLockAcquire(&slot->mutex);
		*n_waiting += (slot->sequence != 0);
		*n_answers += DsaPointerIsValid(slot->data);
		SpinLockRelease(&slot->mutex);
	}
}

bool
request_is_waiting(uint32 slotno, uint64 sequence)
{
	RequestSlot *slot;
	bool		waiting;

	if (slotno >= MaxBackends || sequence == 0)
		return false;
	slot = &shared->slots[slotno];
	SpinLockAcquire(&slot->mutex);
	waiting = (slot->sequence == sequence && slot->phase != REQUEST_ANSWERED);
	SpinLockRelease(&slot->mutex);
	return waiting;
}

void
request_answer(uint32 slotno, uint64 sequence, const Answer *answer)
{
	RequestSlot *slot;
	uint32		length = (answer->data != NULL) ? answer->length : 0;
	dsa_pointer data = InvalidDsaPointer;
	bool		delivered = false;

	if (!request_is_waiting(slotno, sequence))
		return;
	attach_area();
	slot = &shared->slots[slotno];

	if (length > SMALL_ANSWER)
	{
		data = dsa_allocate_extended(area, length, DSA_ALLOC_NO_OOM | DSA_ALLOC_HUGE);
		if (DsaPointerIsValid(data))
			memcpy(dsa_get_address(area, data), answer->data, length);
		else
			length = 0;
	}

	SpinLockAcquire(&slot->mutex);
	if (slot->sequence == sequence && slot->phase != REQUEST_ANSWERED)
	{
		slot->phase = REQUEST_ANSWERED;
		slot->kind = answer->kind;
		slot->op = answer->op;
		slot->sqlstate = answer->sqlstate;
		slot->index = answer->index;
		slot->length = length;
		slot->data = data;
		if (length > 0 && length <= SMALL_ANSWER)
			memcpy(slot->small_data, answer->data, length);
		delivered = true;
	}
	SpinLockRelease(&slot->mutex);

	if (delivered)
		SetLatch(&ProcGlobal->allProcs[slotno].procLatch);
	else if (DsaPointerIsValid(data))
		dsa_free(area, data);
}

static void
answer_with_texts(uint32 slotno, uint64 sequence, AnswerKind kind, int sqlstate,
				  const char *message, const char *detail, const char *hint)
{
	Answer		answer = {.kind = kind, .sqlstate = sqlstate};
	Size		message_size = strlen(message) + 1;
	Size		detail_size = (detail ? strlen(detail) : 0) + 1;
	Size		hint_size = (hint ? strlen(hint) : 0) + 1;

	if (!request_is_waiting(slotno, sequence))
		return;
	answer.length = message_size + detail_size + hint_size;
	answer.data = palloc(answer.length);
	memcpy(answer.data, message, message_size);
	memcpy(answer.data + message_size, detail ? detail : "", detail_size);
	memcpy(answer.data + message_size + detail_size, hint ? hint : "", hint_size);
	request_answer(slotno, sequence, &answer);
	pfree(answer.data);
}

void
request_refuse(uint32 slotno, uint64 sequence, int sqlstate,
			   const char *message, const char *detail, const char *hint)
{
	answer_with_texts(slotno, sequence, ANSWER_REFUSED, sqlstate, message, detail, hint);
}

void
request_put_off(uint32 slotno, uint64 sequence, int sqlstate,
				const char *message, const char *detail, const char *hint)
{
	answer_with_texts(slotno, sequence, ANSWER_LATER, sqlstate, message, detail, hint);
}

bool
request_any_sleeper(void)
{
	return pg_atomic_read_u32(&shared->n_sleepers) > 0;
}

void
request_wake_applied(uint64 applied)
{
	pg_memory_barrier();
	if (pg_atomic_read_u32(&shared->n_sleepers) == 0)
		return;
	for (int i = 0; i < MaxBackends; i++)
	{
		uint64		index = pg_atomic_read_u64(&shared->slots[i].wait_index);

		if (index != 0 && index <= applied)
			SetLatch(&ProcGlobal->allProcs[i].procLatch);
	}
}
