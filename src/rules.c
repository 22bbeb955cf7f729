/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  What a command does to a resource.
 *
 * Every write goes through the same stations, in this order:
 *
 *		is the resource there, as the operation wants it?
 *		the precondition: has it changed since the caller read it?
 *		the object that is to be: given, or made by the patch
 *		is it a resource, and still the one addressed?
 *		the stamps, which are the store's and not the caller's
 *		is it a change at all?
 *		is it the end of an object that waits to be deleted?
 *
 * All of it is a function of the command, the stored object, the index and the
 * cluster, so that every member comes to the same result.  A refusal is one of
 * the results.  The ERRORs left in here and below are those of the machine (out
 * of memory) or mean that the stored data is damaged; for both the apply worker
 * stops and tries again rather than go on differently from the others.
 *
 * An object is opened at two levels, the top and metadata, and closed once,
 * after all stamps are in; see fields.h.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/int.h"
#include "common/sha2.h"
#include "datatype/timestamp.h"
#include "fields.h"
#include "json_patch.h"
#include "object.h"
#include "port/pg_bswap.h"
#include "rules.h"
#include "schema.h"
#include "strategic.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#define UUID_TEXT_SIZE		37	/* with the NUL */
#define TIME_TEXT_SIZE		21	/* "2026-01-31T12:00:00Z" and the NUL */

/*
 * An object of which the top and the metadata are open, and the text of its
 * stamps, which the fields point to.
 */
typedef struct OpenObject
{
	Fields		root;
	Fields		metadata;
	char		uid[UUID_TEXT_SIZE];
	char		time[TIME_TEXT_SIZE];
	char		resource_version[MAXINT8LEN + 1];
} OpenObject;

const char *
outcome_op_name(OutcomeOp op)
{
	switch (op)
	{
		case OUTCOME_CREATED:
			return "Created";
		case OUTCOME_REPLACED:
			return "Replaced";
		case OUTCOME_PATCHED:
			return "Patched";
		case OUTCOME_DELETED:
			return "Deleted";
		case OUTCOME_DELETION_PENDING:
			return "DeletionPending";
		case OUTCOME_UNCHANGED:
			return "Unchanged";
		case OUTCOME_NOOP:
			return "NoOp";
		case OUTCOME_REFUSED:
			return "Refused";
		case OUTCOME_TXN_SUCCESS:
		case OUTCOME_TXN_FAILURE:
			return "Transaction";
	}
	elog(ERROR, "unknown outcome: %d", (int) op);
	return NULL;				/* keep compiler quiet */
}

const char *
event_type_name(EventType type)
{
	switch (type)
	{
		case EVENT_ADDED:
			return "ADDED";
		case EVENT_MODIFIED:
			return "MODIFIED";
		case EVENT_DELETED:
			return "DELETED";
		case EVENT_NONE:
			break;
	}
	elog(ERROR, "unknown type of event: %d", (int) type);
	return NULL;				/* keep compiler quiet */
}

/*
 * What differs between the versions of the rules.  A command is applied by
 * those of its own version (command.h), so a rule is never changed in place: a
 * member that replays old entries, or runs beside members that were upgraded
 * before it, must come to what they came to.  A new rule is a field here,
 * false in all versions before it.
 */
typedef struct RulesVersion
{
	bool		expiry;			/* a write sets or clears the time to live */
} RulesVersion;

static const RulesVersion rules_versions[] =
{
	[1] = {.expiry = false},
	[2] = {.expiry = true},
	[3] = {.expiry = true},
};

/*----------
 * Refusals
 *----------
 */

static void
refuse(Outcome *outcome, int sqlstate, char *message, char *detail, char *hint)
{
	memset(outcome, 0, sizeof(*outcome));
	outcome->op = OUTCOME_REFUSED;
	outcome->event = EVENT_NONE;
	outcome->sqlstate = sqlstate;
	outcome->message = message;
	outcome->detail = detail;
	outcome->hint = hint;
}

static void
refuse_conflict(Outcome *outcome, const Command *command, char *detail)
{
	refuse(outcome, ERRCODE_T_R_SERIALIZATION_FAILURE,
		   psprintf("precondition failed for %s", key_display(&command->key)),
		   detail,
		   pstrdup("Read the object again and retry."));
}

static void
refuse_size(Outcome *outcome, const Command *command, Size size)
{
	refuse(outcome, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
		   psprintf("%s would be too large", key_display(&command->key)),
		   psprintf("The object has %zu bytes, but no object may have more than %zu.",
					size, (Size) STORE_MAX_OBJECT_KB * 1024),
		   NULL);
}

/*----------
 * Stamps
 *----------
 */

static void
uuid_text(const pg_uuid_t *uuid, char *text)
{
	static const char digits[] = "0123456789abcdef";
	int			i;

	for (i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[uuid->data[i] >> 4];
		*text++ = digits[uuid->data[i] & 0x0F];
	}
	*text = '\0';
}

/*
 * The uid of a new object: derived, so that all members mint the same.  No
 * two objects share cluster, index and ordinal, and RFC 9562 reserves version
 * 8 for uuids made in a way of one's own.
 */
static void
mint_uid(const pg_uuid_t *cluster_id, int64 index, int32 ordinal, pg_uuid_t *uid)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint64		index_bytes = pg_hton64((uint64) index);
	uint32		ordinal_bytes = pg_hton32((uint32) ordinal);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	if (hash == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, cluster_id->data, UUID_LEN) < 0 ||
		pg_cryptohash_update(hash, (uint8 *) &index_bytes, sizeof(index_bytes)) < 0 ||
		pg_cryptohash_update(hash, (uint8 *) &ordinal_bytes, sizeof(ordinal_bytes)) < 0 ||
		pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
	pg_cryptohash_free(hash);

	memcpy(uid->data, digest, UUID_LEN);
	uid->data[6] = (uid->data[6] & 0x0F) | 0x80;	/* version 8 */
	uid->data[8] = (uid->data[8] & 0x3F) | 0x80;	/* variant of RFC 9562 */
}

/*
 * A time as RFC 3339 in UTC, to the second.  The session's TimeZone has no
 * say.  The proposer's clock may be wrong by any amount, and what it said is
 * in the log for good: so years that RFC 3339 cannot write become the nearest
 * that it can.
 */
static void
time_text(TimestampTz time, char *text)
{
	const int64 first_day = date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE;
	const int64 last_day = date2j(9999, 12, 31) - POSTGRES_EPOCH_JDATE;
	int64		day = time / USECS_PER_DAY;
	int64		second;
	int			year;
	int			month;
	int			mday;

	if (time % USECS_PER_DAY < 0)
		day--;					/* division rounds towards zero */
	if (day < first_day)
		time = first_day * USECS_PER_DAY;
	else if (day > last_day)
		time = (last_day + 1) * USECS_PER_DAY - USECS_PER_SEC;
	day = Min(Max(day, first_day), last_day);
	second = (time - day * USECS_PER_DAY) / USECS_PER_SEC;

	j2date((int) day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);

	text = pg_ultostr_zeropad(text, year, 4);
	*text++ = '-';
	text = pg_ultostr_zeropad(text, month, 2);
	*text++ = '-';
	text = pg_ultostr_zeropad(text, mday, 2);
	*text++ = 'T';
	text = pg_ultostr_zeropad(text, second / SECS_PER_HOUR, 2);
	*text++ = ':';
	text = pg_ultostr_zeropad(text, second / SECS_PER_MINUTE % MINS_PER_HOUR, 2);
	*text++ = ':';
	text = pg_ultostr_zeropad(text, second % SECS_PER_MINUTE, 2);
	*text++ = 'Z';
	*text = '\0';
}

static void
set_string(Fields *fields, const char *key, const char *string)
{
	JsonbValue	value;

	value_string(&value, string);
	fields_set(fields, key, &value);
}

/*----------
 * Objects
 *----------
 */

/* The caller knows that there is a metadata, and that it is an object. */
static void
object_open(OpenObject *open, Jsonb *object)
{
	JsonbValue *metadata;

	fields_open(&open->root, &object->root, 1);
	metadata = fields_find(&open->root, "metadata");
	if (metadata == NULL || metadata->type != jbvBinary)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored object has no metadata")));
	fields_open(&open->metadata, metadata->val.binary.data, 5);
}

/*
 * An object of a hundred thousand fields takes ten megabytes when it is open,
 * and a transaction may open many.
 */
static void
object_forget(OpenObject *open)
{
	pfree(open->metadata.pairs);
	pfree(open->root.pairs);
}

/* The object as it is to be stored; it is not open any more. */
static Jsonb *
object_close(OpenObject *open, Size size_hint)
{
	JsonbValue	metadata;
	Jsonb	   *object;

	fields_value(&open->metadata, &metadata);
	fields_set(&open->root, "metadata", &metadata);
	object = fields_close(&open->root, size_hint);
	object_forget(open);
	return object;
}

/* The last stamp of all. */
static void
stamp_version(OpenObject *open, int64 index)
{
	pg_lltoa(index, open->resource_version);
	set_string(&open->metadata, "resourceVersion", open->resource_version);
}

/* Is a deletion waiting for somebody? */
static bool
has_finalizers(const OpenObject *open)
{
	JsonbValue *finalizers = fields_find(&open->metadata, "finalizers");

	return finalizers && finalizers->type == jbvBinary &&
		JsonContainerSize(finalizers->val.binary.data) > 0;
}

static bool
is_terminating(const OpenObject *open)
{
	return fields_find(&open->metadata, "deletionTimestamp") != NULL;
}

/* Take a field over from another object, present or not. */
static void
keep_field(Fields *fields, const Fields *from, const char *key)
{
	JsonbValue *value = fields_find(from, key);

	if (value)
		fields_set(fields, key, value);
	else
		fields_remove(fields, key);
}

static bool
fields_equal(const Fields *a, const Fields *b, const char *except)
{
	JsonbValue	except_key;
	int			i;

	if (a->n_pairs != b->n_pairs)
		return false;

	value_string(&except_key, except);
	for (i = 0; i < a->n_pairs; i++)
	{
		if (key_compare(&a->pairs[i].key, &b->pairs[i].key) != 0)
			return false;
		if (key_compare(&a->pairs[i].key, &except_key) != 0 &&
			!value_equals(&a->pairs[i].value, &b->pairs[i].value))
			return false;
	}
	return true;
}

static bool
spec_equals(const OpenObject *a, const OpenObject *b)
{
	JsonbValue *a_spec = fields_find(&a->root, "spec");
	JsonbValue *b_spec = fields_find(&b->root, "spec");

	if (a_spec == NULL || b_spec == NULL)
		return a_spec == b_spec;
	return value_equals(a_spec, b_spec);
}

/*----------
 * Stations
 *----------
 */

/*
 * Is the stored object the one that the caller saw?  If not, refuse.
 */
static bool
check_precondition(const Command *command, const StoredObject *current, Outcome *outcome)
{
	char		expected[UUID_TEXT_SIZE];
	char		found[UUID_TEXT_SIZE];

	if (command->has_expected &&
		(current == NULL || command->expected != current->resource_version))
	{
		refuse_conflict(outcome, command, current ?
						psprintf("Resource version " INT64_FORMAT " was expected, but " INT64_FORMAT " was found.",
								 command->expected, current->resource_version) :
						psprintf("Resource version " INT64_FORMAT " was expected, but the resource does not exist.",
								 command->expected));
		return false;
	}

	if (command->has_uid &&
		(current == NULL || memcmp(command->uid.data, current->uid.data, UUID_LEN) != 0))
	{
		uuid_text(&command->uid, expected);
		if (current)
			uuid_text(&current->uid, found);
		refuse_conflict(outcome, command, current ?
						psprintf("Uid %s was expected, but %s was found.", expected, found) :
						psprintf("Uid %s was expected, but the resource does not exist.", expected));
		return false;
	}
	return true;
}

/*
 * Is the object to be a resource, and the one that the command addresses?
 * An object given has been checked before it came here; what a patch made of
 * one has not.
 */
static bool
check_identity(const Command *command, Jsonb *object, Outcome *outcome)
{
	ResourceKey key;
	ObjectError error;

	if (!object_identify(object, &key, &error))
	{
		refuse(outcome, error.sqlstate,
			   psprintf("%s would not be a valid object", key_display(&command->key)),
			   error.detail, NULL);
		return false;
	}

	if (!key_equals(&key, &command->key))
	{
		refuse(outcome, ERRCODE_INVALID_PARAMETER_VALUE,
			   psprintf("the identity of %s cannot change", key_display(&command->key)),
			   psprintf("The object would be that of another resource, %s of %s.",
						key_display(&key), key_api_version(&key)),
			   NULL);
		return false;
	}
	return true;
}

/*
 * Stamp what is the store's: whatever the caller said, these are kept from
 * the stored object, or made.
 */
static void
stamp(OpenObject *open, const OpenObject *stored, const Command *command,
	  const StoredObject *after)
{
	JsonbValue	generation;

	uuid_text(&after->uid, open->uid);
	set_string(&open->metadata, "uid", open->uid);

	if (stored)
	{
		keep_field(&open->metadata, &stored->metadata, "creationTimestamp");
		keep_field(&open->metadata, &stored->metadata, "deletionTimestamp");
	}
	else
	{
		time_text(command->time, open->time);
		set_string(&open->metadata, "creationTimestamp", open->time);
		fields_remove(&open->metadata, "deletionTimestamp");
	}

	generation.type = jbvNumeric;
	generation.val.numeric = int64_to_numeric(after->generation);
	fields_set(&open->metadata, "generation", &generation);

	stamp_version(open, after->resource_version);
}

/*
 * Until when the object is to be kept.  A write that names no time to live
 * keeps it for good.  One that is terminating goes when its finalizers do.
 */
static void
set_expiry(const Command *command, bool terminating, StoredObject *after)
{
	if (!rules_versions[command->version].expiry)
		return;
	after->expires = command->has_ttl && !terminating;
	after->expires_at = 0;
	if (after->expires &&
		(pg_add_s64_overflow(command->time, command->ttl, &after->expires_at) ||
		 !IS_VALID_TIMESTAMP(after->expires_at)))
	{
		after->expires = false; /* later than any timestamp: for good */
		after->expires_at = 0;
	}
}

/* Store "object" as a new resource. */
static void
insert_object(const Command *command, Jsonb *object, int64 index, int32 ordinal,
			  const pg_uuid_t *cluster_id, Outcome *outcome)
{
	StoredObject *after = &outcome->after;
	OpenObject	open;

	mint_uid(cluster_id, index, ordinal, &after->uid);
	after->create_revision = index;
	after->resource_version = index;
	after->generation = 1;
	set_expiry(command, false, after);

	object_open(&open, object);
	stamp(&open, NULL, command, after);
	after->object = object_close(&open, VARSIZE(object) + 256);

	outcome->op = OUTCOME_CREATED;
	outcome->event = EVENT_ADDED;
}

/* Store "object" in place of the current one. */
static void
replace_object(const Command *command, const StoredObject *current, Jsonb *object,
			   int64 index, bool in_txn, OutcomeOp op, Outcome *outcome)
{
	StoredObject *after = &outcome->after;
	OpenObject	open;
	OpenObject	stored;
	bool		same;
	bool		released;

	object_open(&open, object);
	object_open(&stored, current->object);

	*after = *current;
	after->resource_version = index;
	if (!spec_equals(&open, &stored))
		after->generation++;
	stamp(&open, &stored, command, after);
	set_expiry(command, is_terminating(&open), after);

	/*
	 * A new generation is always a change, and so is another time to live:
	 * whoever wants to delete the object because its time is over must find
	 * another resourceVersion.  Otherwise nothing may differ but that.
	 */
	same = !in_txn && after->generation == current->generation &&
		after->expires == current->expires && after->expires_at == current->expires_at &&
		fields_equal(&open.root, &stored.root, "metadata") &&
		fields_equal(&open.metadata, &stored.metadata, "resourceVersion");
	if (same)
	{
		outcome->op = OUTCOME_UNCHANGED;
		outcome->event = EVENT_NONE;
		*after = *current;
		object_forget(&open);
		object_forget(&stored);
		return;
	}

	/* has whoever was to be waited for let go? */
	released = is_terminating(&open) && !has_finalizers(&open);

	/* what was kept of the stored object points into it, not into its fields */
	after->object = object_close(&open, VARSIZE(object) + 256);
	object_forget(&stored);
	if (released)
	{
		outcome->op = OUTCOME_DELETED;
		outcome->event = EVENT_DELETED;
	}
	else
	{
		outcome->op = op;
		outcome->event = EVENT_MODIFIED;
	}
}

/*
 * Remove the object, or, if it has finalizers, note that it is to go and let
 * those named do their work first.
 */
static void
delete_object(const Command *command, const StoredObject *current, int64 index,
			  Outcome *outcome)
{
	StoredObject *after = &outcome->after;
	OpenObject	open;

	object_open(&open, current->object);
	*after = *current;

	if (has_finalizers(&open))
	{
		if (is_terminating(&open))
		{
			outcome->op = OUTCOME_NOOP;
			outcome->event = EVENT_NONE;
			object_forget(&open);
			return;
		}
		time_text(command->time, open.time);
		set_string(&open.metadata, "deletionTimestamp", open.time);
		set_expiry(command, true, after);
		outcome->op = OUTCOME_DELETION_PENDING;
		outcome->event = EVENT_MODIFIED;
	}
	else
	{
		outcome->op = OUTCOME_DELETED;
		outcome->event = EVENT_DELETED;
	}

	after->resource_version = index;
	stamp_version(&open, index);
	after->object = object_close(&open, VARSIZE(current->object) + 256);
}

/*
 * Does the operation go on with the resource being there, or not?  If not,
 * the outcome is set.
 */
static bool
check_existence(const Command *command, const StoredObject *current, Outcome *outcome)
{
	if (command->op == COMMAND_CREATE && current != NULL)
	{
		refuse(outcome, ERRCODE_UNIQUE_VIOLATION,
			   psprintf("%s already exists", key_display(&command->key)),
			   NULL,
			   pstrdup("Use store.put() or store.update() to change it."));
		return false;
	}

	if (command->op == COMMAND_UPDATE && current == NULL)
	{
		refuse(outcome, ERRCODE_STORE_NOT_FOUND,
			   psprintf("%s does not exist", key_display(&command->key)),
			   NULL,
			   pstrdup("Use store.create() or store.put() to create it."));
		return false;
	}

	/*
	 * Nothing to patch, nothing to delete.  No precondition is judged:
	 * whatever it was to protect is gone.
	 */
	if ((command->op == COMMAND_PATCH || command->op == COMMAND_DELETE) && current == NULL)
	{
		outcome->op = OUTCOME_NOOP;
		return false;
	}
	return true;
}

bool
rules_schema_key(const Command *command, const StoredObject *current, ResourceKey *key)
{
	return command->op == COMMAND_PATCH && command->patch_type == PATCH_STRATEGIC &&
		schema_key(&command->key, key);
}

static Jsonb *
patch_strategic(const Command *command, Jsonb *target, Jsonb *registered, ObjectError *error)
{
	Schema		schema;

	if (schema_open(&command->key, registered, &schema))
		return strategic_apply(target, command->body, &schema, error);
	error->sqlstate = ERRCODE_FEATURE_NOT_SUPPORTED;
	error->detail = psprintf("Nothing is known of the lists in a %s of %s.",
							 command->key.kind, key_api_version(&command->key));
	error->hint = "Register its schema with store.register_schema(), or use a merge or JSON patch.";
	return NULL;
}

/*
 * What the patch makes of the object, NULL if it is refused.  On the way there
 * a patch may take many times the memory of its result, and there may be a
 * thousand patches in a transaction; so none of that outlives it.
 */
static Jsonb *
patch_object(const Command *command, Jsonb *target, Jsonb *schema, Outcome *outcome)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "store patch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(scratch);
	ObjectError error = {0};
	Jsonb	   *patched;
	Jsonb	   *object = NULL;

	if (command->patch_type == PATCH_MERGE)
		patched = patch_merge(target, command->body);
	else if (command->patch_type == PATCH_STRATEGIC)
		patched = patch_strategic(command, target, schema, &error);
	else
		patched = json_patch_apply(target, command->body, &error);

	MemoryContextSwitchTo(outer);
	if (patched != NULL)
	{
		object = palloc(VARSIZE(patched));
		memcpy(object, patched, VARSIZE(patched));
	}
	else
		refuse(outcome, error.sqlstate,
			   psprintf("the patch does not apply to %s", key_display(&command->key)),
			   pstrdup(error.detail), error.hint ? pstrdup(error.hint) : NULL);
	MemoryContextDelete(scratch);
	return object;
}

void
rules_apply(const Command *command, const StoredObject *current,
			Jsonb *schema, int64 index, int32 ordinal, bool in_txn, const pg_uuid_t *cluster_id,
			Outcome *outcome)
{
	const Size	max_size = (Size) STORE_MAX_OBJECT_KB * 1024;
	Jsonb	   *object = command->body;

	memset(outcome, 0, sizeof(*outcome));

	if (!check_existence(command, current, outcome) ||
		!check_precondition(command, current, outcome))
		return;

	if (command->op == COMMAND_DELETE)
	{
		delete_object(command, current, index, outcome);
		return;
	}

	if (VARSIZE(object) > max_size)
	{
		refuse_size(outcome, command, VARSIZE(object));
		return;
	}
	if (command->op == COMMAND_PATCH)
		object = patch_object(command, current->object, schema, outcome);
	if (object == NULL || !check_identity(command, object, outcome))
		return;

	if (current == NULL)
		insert_object(command, object, index, ordinal, cluster_id, outcome);
	else
		replace_object(command, current, object, index, in_txn,
					   command->op == COMMAND_PATCH ? OUTCOME_PATCHED : OUTCOME_REPLACED,
					   outcome);

	/*
	 * With the stamps.  Without this, patches could make an object grow for
	 * ever; but nothing is too large to go.
	 */
	if (outcome->event != EVENT_NONE && outcome->event != EVENT_DELETED &&
		VARSIZE(outcome->after.object) > max_size)
		refuse_size(outcome, command, VARSIZE(outcome->after.object));
}
