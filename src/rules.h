/*-------------------------------------------------------------------------
 *
 * rules.h
 *	  What a command does to a resource.
 *
 * rules_apply() is the state machine's law as a function: the command, what
 * is stored under its key, and the log index go in; the outcome comes out.
 * Every member computes the same outcome, so it may depend on nothing else:
 * no clock, no random source, no setting, no locale.
 *
 * Each command is applied by the rules of its own version (command.h); what
 * differs between versions is in a table in rules.c.
 *
 * A refusal is an outcome too.  It must never be an ERROR: an ERROR would be
 * raised again by every member, for ever.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_RULES_H
#define STORE_RULES_H

#include "store.h"
#include "command.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* What happened; sent to the waiting backend, so the values are kept. */
typedef enum OutcomeOp
{
	OUTCOME_CREATED = 1,
	OUTCOME_REPLACED = 2,
	OUTCOME_PATCHED = 3,
	OUTCOME_DELETED = 4,
	OUTCOME_DELETION_PENDING = 5,
	OUTCOME_UNCHANGED = 6,
	OUTCOME_NOOP = 7,
	OUTCOME_REFUSED = 8,

	/* of a transaction: which branch was taken */
	OUTCOME_TXN_SUCCESS = 9,
	OUTCOME_TXN_FAILURE = 10
} OutcomeOp;

typedef enum EventType
{
	EVENT_NONE = 0,
	EVENT_ADDED = 1,
	EVENT_MODIFIED = 2,
	EVENT_DELETED = 3
} EventType;

/* What is stored under a key. */
typedef struct StoredObject
{
	Jsonb	   *object;
	pg_uuid_t	uid;
	int64		create_revision;
	int64		resource_version;
	int64		generation;
	bool		expires;		/* it has a time to live */
	TimestampTz expires_at;		/* 0 unless it expires */
} StoredObject;

typedef struct Outcome
{
	OutcomeOp	op;

	/*
	 * The change to make: EVENT_ADDED inserts "after", EVENT_MODIFIED
	 * updates to it, EVENT_DELETED removes the row (and after.object is the
	 * last state, stamped with the deletion's index), EVENT_NONE does nothing.
	 * For UNCHANGED and NOOP, after is what is stored, or after.object NULL.
	 */
	EventType	event;
	StoredObject after;

	/* Of a transaction: what store.txn() returns as results. */
	Jsonb	   *results;

	/* When refused: an error as ereport would have it; detail, hint may be NULL. */
	int			sqlstate;
	char	   *message;
	char	   *detail;
	char	   *hint;
} Outcome;

/*
 * A command on one resource.  current is NULL if nothing is stored under the
 * key.  cluster_id and index (and ordinal, the position within a transaction)
 * make the uid of a new object.  in_txn: it is an operation of a transaction,
 * so a write is a change even if it changes nothing.  schema is the resource
 * that rules_schema_key() names, NULL if there is none.  Results are palloc'd
 * in the current memory context.
 */
extern void rules_apply(const Command *command, const StoredObject *current,
						Jsonb *schema, int64 index, int32 ordinal, bool in_txn,
						const pg_uuid_t *cluster_id, Outcome *outcome);

/*
 * Does the command have to know a registered schema (schema.h)?  If so, its
 * key: the caller looks it up as of the command's place in the log.
 */
extern bool rules_schema_key(const Command *command, const StoredObject *current,
							 ResourceKey *key);

extern const char *outcome_op_name(OutcomeOp op);	/* "Created", ... */
extern const char *event_type_name(EventType type); /* "ADDED", ... */

/* RFC 7396; palloc'd.  Pure. (patch.c) */
extern Jsonb *patch_merge(Jsonb *target, Jsonb *patch);

#endif							/* STORE_RULES_H */
