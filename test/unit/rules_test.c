/*-------------------------------------------------------------------------
 *
 * rules_test.c
 *	  Old entries of the log are applied by the rules of their own version.
 *
 * Entries are encoded as each version had them, decoded, and applied to the
 * same object.  Version 1 knows no time to live: its writes neither set nor
 * clear one, and so are no change where those of version 2 are.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "command.h"
#include "fields.h"
#include "rules.h"
#include "stubs.h"

/* How long an encoded command is before its strings, in each version. */
#define HEADER_SIZE_1	72
#define HEADER_SIZE_2	80
#define HEADER_SIZE_3	88

static const int header_sizes[] = {0, HEADER_SIZE_1, HEADER_SIZE_2, HEADER_SIZE_3};

#define HOUR	(INT64CONST(3600) * USECS_PER_SEC)
#define NOW		(INT64CONST(1000000) * USECS_PER_SEC)

static const pg_uuid_t cluster_id = {{7}};

static int	n_passed = 0;
static int	n_failed = 0;

#define CHECK(condition) check((condition), #condition, __LINE__)

static void
check(bool holds, const char *condition, int line)
{
	if (holds)
	{
		n_passed++;
		return;
	}
	n_failed++;
	printf("line %d: not true: %s\n", line, condition);
}

static Jsonb *
make_object(const char *data, bool finalizer)
{
	Fields		object;
	Fields		metadata;
	JsonbValue	value;
	JsonbValue	element;

	fields_init(&metadata, 0);
	value_string(&value, "thing");
	fields_set(&metadata, "name", &value);
	if (finalizer)
	{
		value_string(&element, "example.com/wait");
		value.type = jbvArray;
		value.val.array.nElems = 1;
		value.val.array.elems = &element;
		value.val.array.rawScalar = false;
		fields_set(&metadata, "finalizers", &value);
	}

	fields_init(&object, 0);
	value_string(&value, "v1");
	fields_set(&object, "apiVersion", &value);
	value_string(&value, "Thing");
	fields_set(&object, "kind", &value);
	fields_value(&metadata, &value);
	fields_set(&object, "metadata", &value);
	value_string(&value, data);
	fields_set(&object, "data", &value);
	return fields_close(&object, 0);
}

/* {"data": ...} */
static Jsonb *
make_patch(const char *data)
{
	Fields		object;
	JsonbValue	value;

	fields_init(&object, 0);
	value_string(&value, data);
	fields_set(&object, "data", &value);
	return fields_close(&object, 0);
}

/* An entry of this version, as it lies in the log, applied at an index. */
static Outcome
apply(uint8 version, CommandOp op, Jsonb *body, int64 ttl, const StoredObject *current,
	  int64 index)
{
	Command		command = {
		.version = version,
		.op = op,
		.patch_type = op == COMMAND_PATCH ? PATCH_MERGE : PATCH_NONE,
		.time = NOW + index * USECS_PER_SEC,
		.key = {.api_group = "", .version = "v1", .kind = "Thing", .name = "thing"},
		.has_ttl = ttl != 0,
		.ttl = ttl,
		.body = body
	};
	Command		decoded;
	StringInfoData entry;
	Outcome		outcome;

	initStringInfo(&entry);
	command_encode(&entry, &command);
	CHECK(command_version(entry.data, entry.len) == version);
	CHECK(strcmp(entry.data + header_sizes[version] + 1, "v1") == 0);
	CHECK(command_decode(entry.data, entry.len, &decoded) == NULL);
	CHECK(decoded.version == version);
	rules_apply(&decoded, current, NULL, index, 0, false, &cluster_id, &outcome);
	return outcome;
}

static void
test_writes(void)
{
	StoredObject stored = apply(2, COMMAND_CREATE, make_object("a", false), HOUR, NULL, 1).after;
	Outcome		outcome;

	CHECK(stored.expires && stored.expires_at == NOW + USECS_PER_SEC + HOUR);
	outcome = apply(1, COMMAND_CREATE, make_object("a", false), 0, NULL, 1);
	CHECK(outcome.op == OUTCOME_CREATED && !outcome.after.expires);

	/* a write that changes the object leaves its time to live, or clears it */
	outcome = apply(1, COMMAND_PUT, make_object("b", false), 0, &stored, 2);
	CHECK(outcome.op == OUTCOME_REPLACED);
	CHECK(outcome.after.expires && outcome.after.expires_at == stored.expires_at);
	outcome = apply(2, COMMAND_PUT, make_object("b", false), 0, &stored, 2);
	CHECK(outcome.op == OUTCOME_REPLACED && !outcome.after.expires);
	outcome = apply(1, COMMAND_PATCH, make_patch("b"), 0, &stored, 2);
	CHECK(outcome.op == OUTCOME_PATCHED);
	CHECK(outcome.after.expires && outcome.after.expires_at == stored.expires_at);
	outcome = apply(2, COMMAND_PATCH, make_patch("b"), 0, &stored, 2);
	CHECK(outcome.op == OUTCOME_PATCHED && !outcome.after.expires);

	/* one that does not is no change, or one of the time to live alone */
	outcome = apply(1, COMMAND_UPDATE, make_object("a", false), 0, &stored, 2);
	CHECK(outcome.op == OUTCOME_UNCHANGED && outcome.event == EVENT_NONE);
	CHECK(outcome.after.resource_version == 1 && outcome.after.expires);
	outcome = apply(2, COMMAND_UPDATE, make_object("a", false), 0, &stored, 2);
	CHECK(outcome.op == OUTCOME_REPLACED && outcome.event == EVENT_MODIFIED);
	CHECK(outcome.after.resource_version == 2 && !outcome.after.expires);
}

static void
test_deletions(void)
{
	StoredObject stored = apply(2, COMMAND_CREATE, make_object("a", true), HOUR, NULL, 1).after;
	Outcome		outcome;

	outcome = apply(1, COMMAND_DELETE, NULL, 0, &stored, 2);
	CHECK(outcome.op == OUTCOME_DELETION_PENDING);
	CHECK(outcome.after.expires && outcome.after.expires_at == stored.expires_at);
	outcome = apply(2, COMMAND_DELETE, NULL, 0, &stored, 2);
	CHECK(outcome.op == OUTCOME_DELETION_PENDING && !outcome.after.expires);
	outcome = apply(2, COMMAND_DELETE, NULL, 0, &outcome.after, 3);
	CHECK(outcome.op == OUTCOME_NOOP && outcome.event == EVENT_NONE);
}

/* The same entries again come to the same bytes. */
static void
test_replay(void)
{
	for (uint8 version = 1; version <= COMMAND_VERSION; version++)
	{
		Jsonb	   *first = NULL;

		for (int run = 0; run < 2; run++)
		{
			Outcome		outcome = apply(1, COMMAND_CREATE, make_object("a", true), 0, NULL, 1);

			outcome = apply(version, COMMAND_PUT, make_object("b", true), 0, &outcome.after, 2);
			outcome = apply(version, COMMAND_DELETE, NULL, 0, &outcome.after, 3);
			outcome = apply(version, COMMAND_PUT, make_object("b", false), 0, &outcome.after, 4);
			CHECK(outcome.op == OUTCOME_DELETED && outcome.event == EVENT_DELETED);
			if (first == NULL)
				first = outcome.after.object;
			CHECK(VARSIZE(first) == VARSIZE(outcome.after.object) &&
				  memcmp(first, outcome.after.object, VARSIZE(first)) == 0);
		}
	}
}

int
main(void)
{
	if (sigsetjmp(error_caught, 0) != 0)
	{
		printf("ERROR raised by %s(), line %d\n", error_function, error_line);
		return 1;
	}
	test_writes();
	test_deletions();
	test_replay();
	printf("%d passed, %d failed\n", n_passed, n_failed);
	return n_failed > 0;
}
