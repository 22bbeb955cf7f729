/*-------------------------------------------------------------------------
 *
 * command.h
 *	  What a log entry says: a change to resources, ready to be applied.
 *
 * A command is encoded once, by the backend that was asked for the write, and
 * the same bytes travel through shared memory, the log and the network to the
 * state machine of every member.  It carries all that apply may depend on:
 * the time comes from the proposer, the object in PostgreSQL's binary jsonb.
 *
 * Layout: a fixed header in native byte order (members must agree on
 * endianness, which the message header checks), the strings of the key, each
 * with its terminating NUL, padding to 4 bytes, and the jsonb datum with its
 * varlena header last, so that a decoded command points into the bytes and
 * copies nothing.
 *
 * A transaction (COMMAND_TXN) holds commands in place of the jsonb: compares,
 * and the operations of its two branches, each encoded like any other.
 *
 * Each command carries the version of the rules by which its proposer wanted
 * it applied.  Bytes of an older version are decoded as that version had them,
 * and rules.c applies them by the rules of that version, so that a log replays
 * to the same state whatever the server that reads it.  Bytes of a newer
 * version are not decoded at all: see command_version().
 *
 *		1	create, put, update, merge patch, delete of one resource
 *		2	JSON patch, transactions, compaction, time to live
 *		3	strategic merge patch, server-side apply, ownership of fields
 *
 * A proposer uses the version that the whole cluster understands (versions.h),
 * so a member that was not upgraded yet meets nothing that it cannot apply.
 *
 * Pure: no I/O, no clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_COMMAND_H
#define STORE_COMMAND_H

#include "store.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* What a log entry holds; stored in the log, so the values are for ever. */
typedef enum EntryKind
{
	ENTRY_NOOP = 0,				/* nothing: a leader's first entry of its term */
	ENTRY_COMMAND = 1,			/* see below */
	ENTRY_MEMBERSHIP = 2		/* see membership.h */
} EntryKind;

/*
 * The newest version of the rules that this server knows.  A test builds an
 * earlier release by giving a lower one to the compiler.
 */
#ifndef COMMAND_VERSION
#define COMMAND_VERSION 3
#endif

typedef enum CommandOp
{
	COMMAND_CREATE = 1,
	COMMAND_PUT = 2,
	COMMAND_UPDATE = 3,
	COMMAND_PATCH = 4,
	COMMAND_DELETE = 5,
	COMMAND_TXN = 6,			/* several of the others, or none */
	COMMAND_COMPACT = 7,		/* the history below a revision may go */
	COMMAND_COMPARE = 8			/* in a transaction only: a condition */
} CommandOp;

typedef enum PatchType
{
	PATCH_NONE = 0,
	PATCH_MERGE = 1,			/* RFC 7396 */
	PATCH_JSON = 2,				/* RFC 6902 */
	PATCH_STRATEGIC = 3,		/* strategic.h */
	PATCH_APPLY = 4				/* apply_patch.h */
} PatchType;

/* Why a change was made; kept with its event. */
typedef enum Reason
{
	REASON_OPERATOR = 0,
	REASON_CONTROLLER = 1,
	REASON_GARBAGE_COLLECTOR = 2,
	REASON_ADMISSION = 3,
	REASON_SCHEDULER = 4
} Reason;

/*
 * Who waits for the outcome: a member, a request slot of that member, and a
 * number that says which of the slot's requests.  (origin, sequence) is unique
 * for ever; slot only tells where to look.  All 0: nobody.
 */
typedef struct RequestId
{
	uint64		origin;
	uint64		sequence;
	uint32		slot;
} RequestId;

/* Strings are NUL-terminated; namespace is NULL for a cluster-scoped resource. */
typedef struct ResourceKey
{
	const char *api_group;
	const char *version;
	const char *kind;
	const char *namespace;
	const char *name;
} ResourceKey;

/* What a compare wants of the resource itself, if nothing of its stamps. */
typedef enum Existence
{
	EXISTENCE_ANY = 0,
	EXISTENCE_REQUIRED = 1,
	EXISTENCE_REFUSED = 2
} Existence;

/* Parts of a transaction: n_compares compares, then the two branches. */
typedef struct TxnParts
{
	uint32		n_compares;
	uint32		n_success;
	uint32		n_failure;
	uint32		length;
	const char *data;			/* MAXALIGNed; see txn_append() */
} TxnParts;

/*
 * Limits of a transaction; part of the rules, so they change with the version.
 */
#define TXN_MAX_PARTS	1024
#define TXN_MAX_BYTES	(STORE_MAX_OBJECT_KB * 1024)

typedef struct Command
{
	uint8		version;		/* the cluster's, when it was proposed */
	CommandOp	op;
	PatchType	patch_type;
	Reason		reason;
	RequestId	request;
	TimestampTz time;			/* of the proposer */
	ResourceKey key;
	bool		has_expected;
	int64		expected;		/* resourceVersion the caller saw */
	bool		has_uid;
	pg_uuid_t	uid;			/* uid the caller saw */
	bool		has_ttl;
	int64		ttl;			/* microseconds after time; > 0 */
	Existence	existence;		/* COMPARE */
	const char *manager;		/* who owns the fields that are written; NULL
								 * if nobody says */
	const char *subresource;	/* through which it writes; NULL: none */
	bool		force;			/* PATCH_APPLY: take what others own */
	int64		revision;		/* COMPACT: the floor to be; >= 0 */
	Jsonb	   *body;			/* object or patch; NULL for the others */
	TxnParts	parts;			/* TXN */
} Command;

/* Append the encoded command to buf. */
extern void command_encode(StringInfo buf, const Command *command);

/*
 * The version of an encoded command, 0 if there are no bytes.  If it is above
 * COMMAND_VERSION, nothing else may be read out of them: whoever has to apply
 * the command waits for a server that can.
 */
extern uint8 command_version(const char *data, Size length);

/*
 * The lowest version in which this can be said, not counting the parts of a
 * transaction; each of them has to be asked for.
 */
extern uint8 command_needs(const Command *command);

/*
 * Decode; the result points into data, which must be MAXALIGNed and outlive
 * it.  Returns NULL, or what is wrong with the bytes (static text).  Checks
 * every length; the jsonb is checked by jsonb_bytes_check() (jsonb_bytes.h) on
 * entry to the cluster, not here.
 */
extern const char *command_decode(const char *data, Size length, Command *command);

/*
 * Parts of a transaction.  A part is a command without request, reason or time
 * of its own: those of the transaction hold.  txn_append() adds one to a buffer
 * that becomes parts.data; compares first, then the two branches.  txn_next()
 * reads them in the same order; *position starts at 0.  What command_decode()
 * has let pass can be read to the end.
 */
extern void txn_append(StringInfo buf, const Command *part);
extern bool txn_next(const Command *txn, Size *position, Command *part);

/* What it does, 0 if the bytes are short. */
extern CommandOp command_op(const char *data, Size length);

/* Just the request id of an encoded command, false if the bytes are short. */
extern bool command_request(const char *data, Size length, RequestId *request);

/* Overwrite the request id of an encoded command in place. */
extern void command_set_request(char *data, Size length, const RequestId *request);

extern const char *reason_name(Reason reason);
extern bool reason_parse(const char *name, Reason *reason);

#endif							/* STORE_COMMAND_H */
