/*-------------------------------------------------------------------------
 *
 * command.h
 *	  What a log entry says: a change to one resource, ready to be applied.
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

/* The version of the rules under which a command is applied. */
#define COMMAND_VERSION 1

typedef enum CommandOp
{
	COMMAND_CREATE = 1,
	COMMAND_PUT = 2,
	COMMAND_UPDATE = 3,
	COMMAND_PATCH = 4,
	COMMAND_DELETE = 5
} CommandOp;

typedef enum PatchType
{
	PATCH_NONE = 0,
	PATCH_MERGE = 1				/* RFC 7396 */
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

typedef struct Command
{
	uint8		version;		/* COMMAND_VERSION of the proposer */
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
	Jsonb	   *body;			/* object or patch; NULL for DELETE */
} Command;

/* Append the encoded command to buf. */
extern void command_encode(StringInfo buf, const Command *command);

/*
 * Decode; the result points into data, which must be MAXALIGNed and outlive
 * it.  Returns NULL, or what is wrong with the bytes (static text).  Checks
 * every length; the jsonb is checked by jsonb_bytes_check() (object.h) on
 * entry to the cluster, not here.
 */
extern const char *command_decode(const char *data, Size length, Command *command);

/* Just the request id of an encoded command, false if the bytes are short. */
extern bool command_request(const char *data, Size length, RequestId *request);

/* Overwrite the request id of an encoded command in place. */
extern void command_set_request(char *data, Size length, const RequestId *request);

extern const char *reason_name(Reason reason);
extern bool reason_parse(const char *name, Reason *reason);

#endif							/* STORE_COMMAND_H */
