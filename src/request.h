/*-------------------------------------------------------------------------
 *
 * request.h
 *	  A backend asks, the workers answer.
 *
 * Each backend has a slot, and one request at a time.  A request goes to the
 * raft worker through the inbox; whoever has the answer (the apply worker for
 * a write, the raft worker for the rest) puts it in the slot and sets the
 * backend's latch.  Every request has a sequence number, so that the answer
 * to one that was canceled never reaches the next.
 *
 * A slot also knows how certain a failure would be.  While a request is
 * QUEUED it is in no log, and a backend that gives up can say so for certain.
 * Once the raft worker has claimed it, it may commit at any time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H

#include "store.h"
#include "command.h"
#include "inbox.h"
#include "membership.h"
#include "utils/uuid.h"

typedef enum AnswerKind
{
	ANSWER_OUTCOME,				/* a write was applied: op, index, data */
	ANSWER_REFUSED,				/* error: sqlstate, data holds its texts */
	ANSWER_LATER,				/* the same, but asking again may help */
	ANSWER_INDEX				/* a read index, or the index of a change */
} AnswerKind;

/*
 * data is the jsonb of an OUTCOME (may be absent), or of REFUSED and LATER message,
 * detail and hint, each with its NUL, detail and hint empty if absent.
 */
typedef struct Answer
{
	AnswerKind	kind;
	int			op;				/* OutcomeOp */
	int			sqlstate;
	uint64		index;
	uint32		length;
	char	   *data;			/* palloc'd for the receiver; NULL if none */
} Answer;

/* INBOX_ADMIT: let a node into the cluster. */
typedef struct AdmitRequest
{
	char		name[STORE_NAME_SIZE];
	char		conninfo[STORE_CONNINFO_SIZE];
	uint8		understands;	/* version of commands; see versions.h */
} AdmitRequest;

/* INBOX_REMOVE, INBOX_TRANSFER: which member; TRANSFER: empty for any. */
typedef struct MemberRequest
{
	uint64		since_ms;		/* when it was first asked, by monotonic_ms() */
	uint64		learner;		/* REMOVE: not 0: not by name, but this one, if
								 * it is a learner still */
	char		name[STORE_NAME_SIZE];
} MemberRequest;

/* INBOX_ADOPT: take on a new identity, as a member of another cluster. */
typedef struct AdoptRequest
{
	pg_uuid_t	cluster_id;
	uint64		node_id;
	uint32		length;			/* of the encoded membership that follows */
} AdoptRequest;

/* INBOX_RECOVER: what an operator decides when a member cannot go on. */
typedef enum RecoverVerb
{
	RECOVER_KEEP_IDENTITY,		/* this copy is the member */
	RECOVER_AS_NEW_CLUSTER,		/* a detached node founds another cluster */
	RECOVER_WITHOUT_QUORUM		/* a survivor does */
} RecoverVerb;

typedef struct RecoverRequest
{
	RecoverVerb verb;
	pg_uuid_t	cluster_id;		/* what is given up; WITHOUT_QUORUM only */
} RecoverRequest;

extern Size request_shmem_size(void);
extern void request_shmem_init(void);

/*
 * For backends.
 *
 * request_begin() makes the id under which the next request_call() will be
 * known, for commands that carry it.  request_call() sends it and sleeps for
 * the answer, at most store.request_timeout.  Raises RS503 if the request
 * certainly did not happen, RS500 if it may have (only for changes: of an object
 * or of the membership), the refusal if it was refused.  An answer of kind LATER is
 * returned, and request_raise() makes an error of it.
 */
extern void request_begin(RequestId *id);
extern void request_call(InboxKind kind, const RequestId *id,
						 const char *data, Size length, Answer *answer);
extern void request_raise(const Answer *answer) pg_attribute_noreturn();

/* Slots in use, and those that hold an answer; for display. */
extern void request_count(uint32 *n_waiting, uint32 *n_answers);

/* Count a write that was refused before it was asked for. */
extern void request_count_refusal(CommandOp op, int sqlstate);

/*
 * Sleep until this node has applied index.  timeout_ms < 0: no limit.  False
 * if the time ran out.
 */
extern bool request_wait_applied(uint64 index, long timeout_ms);

/*
 * For workers.  All are no-ops for a request that is no longer waited for.
 *
 * request_claim(): from now on it may commit; false if it was withdrawn.
 * request_requeue(): it certainly did not, and waits again.
 * request_answer(): the answer's data is copied.
 */
extern bool request_claim(uint32 slot, uint64 sequence);
extern void request_requeue(uint32 slot, uint64 sequence);
extern bool request_is_waiting(uint32 slot, uint64 sequence);
extern void request_answer(uint32 slot, uint64 sequence, const Answer *answer);
extern void request_refuse(uint32 slot, uint64 sequence, int sqlstate,
						   const char *message, const char *detail, const char *hint);
extern void request_put_off(uint32 slot, uint64 sequence, int sqlstate,
							const char *message, const char *detail, const char *hint);

/*
 * The raft worker has started and knows nothing of what its predecessor took
 * on.  request_ask_again(): backends whose write or read is certainly in no log
 * submit it once more, under the same id.  request_ask_orphans(): so do those
 * whose write was claimed by the predecessor, once it is proved that it is in no
 * log (pending.h): an entry was applied of a term after all that the predecessor
 * can have proposed in.
 */
extern void request_ask_again(void);
extern void request_ask_orphans(void);

/* Does anybody sleep in request_wait_applied()? */
extern bool request_any_sleeper(void);

/* The apply worker: wake those who sleep in request_wait_applied(). */
extern void request_wake_applied(uint64 applied);

#endif							/* STORE_REQUEST_H */
