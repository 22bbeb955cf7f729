/*-------------------------------------------------------------------------
 *
 * api_write.c
 *	  store.create(), put(), update(), patch(), delete()
 *
 * A write function checks what can be checked without looking at the store,
 * so that bad input never reaches the log, encodes a command, and waits until
 * this node has applied it.  What the command meets there is judged by the
 * state machine (rules.c), and its refusal comes back as an error.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_room.h"
#include "api_write.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "common/int.h"
#include "compat.h"
#include "funcapi.h"
#include "object.h"
#include "policy.h"
#include "request.h"
#include "rules.h"
#include "status.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

STORE_FUNCTION(store_create);
STORE_FUNCTION(store_put);
STORE_FUNCTION(store_update);
STORE_FUNCTION(store_patch);
STORE_FUNCTION(store_delete);

Jsonb *
api_body_argument(FunctionCallInfo fcinfo, int argno, const char *name)
{
	Size		limit = (Size) store_max_object_size * 1024;
	Size		size;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));

	size = toast_raw_datum_size(PG_GETARG_DATUM(argno));
	if (size > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is too large", name),
				 errdetail("It takes %zu bytes as jsonb; the limit is %zu bytes (store.max_object_size).",
						   size, limit)));
	return PG_GETARG_JSONB_P(argno);
}

Reason
api_reason_argument(FunctionCallInfo fcinfo, int argno)
{
	char	   *name = api_text_argument(fcinfo, argno, "reason");
	Reason		reason;

	if (!reason_parse(name, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown reason \"%s\"", name),
				 errhint("Reasons are operator, controller, garbage_collector, admission and scheduler.")));
	return reason;
}

/* Kubernetes' limit, in bytes; of both names. */
#define MAX_MANAGER_LENGTH 128

static char *
name_argument(FunctionCallInfo fcinfo, int argno, const char *what)
{
	char	   *name = api_optional_text(fcinfo, argno);
	bool		valid;

	if (name == NULL)
		return NULL;
	valid = name[0] != '\0' && strlen(name) <= MAX_MANAGER_LENGTH;
	for (const char *s = name; *s != '\0'; s++)
		valid = valid && (unsigned char) *s >= ' ' && *s != 0x7F;
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid argument \"%s\"", what),
				 errdetail("It must not be empty, longer than %d bytes, or contain control characters.",
						   MAX_MANAGER_LENGTH)));
	return name;
}

void
api_manager_arguments(FunctionCallInfo fcinfo, int manager, int subresource, Command *command)
{
	command->manager = name_argument(fcinfo, manager, "field_manager");
	if (subresource < 0)
		return;
	command->subresource = name_argument(fcinfo, subresource, "subresource");
	if (command->subresource != NULL && command->manager == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"subresource\" needs a field_manager")));
}

static void
expected_argument(FunctionCallInfo fcinfo, int argno, Command *command)
{
	if (PG_ARGISNULL(argno))
		return;
	command->has_expected = true;
	command->expected = PG_GETARG_INT64(argno);
	if (command->expected < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"expected\" must not be negative")));
}

/*
 * Months count 30 days: how long a time to live is must not depend on when, or
 * in which time zone, somebody asks.
 */
static void
ttl_argument(FunctionCallInfo fcinfo, int argno, Command *command)
{
	Interval   *interval;
	int64		days;

	if (PG_ARGISNULL(argno))
		return;
	interval = PG_GETARG_INTERVAL_P(argno);
	days = (int64) interval->day + (int64) interval->month * DAYS_PER_MONTH;
	command->has_ttl = true;
	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &command->ttl) ||
		pg_add_s64_overflow(command->ttl, interval->time, &command->ttl) ||
		command->ttl <= 0 ||
		command->ttl >= END_TIMESTAMP - GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"ttl\" is out of range"),
				 errdetail("A time to live must be longer than nothing and end at a time that a timestamp can hold."),
				 errhint("Leave it out to keep the resource for good.")));
}

/* Who has not been upgraded yet, as far as this node has heard. */
static char *
list_laggards(uint8 version)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	StringInfoData names;

	status_read(node);
	initStringInfo(&names);
	for (uint32 i = 0; i < node->n_members; i++)
	{
		uint8		understands = node->members[i].understands;

		if (understands != 0 && understands < version)
			appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
							 node->members[i].member.name);
	}
	return names.data;
}

uint8
api_version(void)
{
	uint8		version = status_await_version(store_request_timeout);

	if (version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_STORE_UNAVAILABLE),
				 errmsg("the store is not running on this server"),
				 errdetail("Nothing was written."),
				 errhint("See store.status and the server log.")));
	return version;
}

void
api_check_version(const Command *command)
{
	uint8		needs = command_needs(command);
	char	   *laggards;

	if (needs <= command->version)
		return;
	laggards = list_laggards(needs);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("this needs version %d of the protocol, and the cluster uses version %d",
					needs, command->version),
			 laggards[0] == '\0' ? 0 :
			 errdetail("Not upgraded yet: %s.", laggards),
			 errhint("Upgrade the extension's library on every member; the cluster goes on to the newer version by itself. See store.members.")));
}

void
api_submit(Command *command, Answer *answer)
{
	StringInfoData encoded;

	api_check_serving();
	if (command->version == 0)
		command->version = api_version();
	api_check_version(command);
	api_check_room(command);
	command->time = GetCurrentTimestamp();
	request_begin(&command->request);

	initStringInfo(&encoded);
	command_encode(&encoded, command);
	request_call(INBOX_WRITE, &command->request, encoded.data, encoded.len, answer);
}

Datum
api_perform(FunctionCallInfo fcinfo, Command *command)
{
	Answer		answer;
	TupleDesc	desc;
	Datum		values[3];
	bool		isnull[3] = {false, false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	policy_check_write(command);
	api_submit(command, &answer);

	values[0] = CStringGetTextDatum(outcome_op_name((OutcomeOp) answer.op));
	values[1] = Int64GetDatum((int64) answer.index);
	if (answer.data != NULL && policy_may_read(&command->key))
		values[2] = JsonbPGetDatum((Jsonb *) answer.data);
	else
		isnull[2] = true;
	return HeapTupleGetDatum(heap_form_tuple(desc, values, isnull));
}

Datum
store_create(PG_FUNCTION_ARGS)
{
	Command		command = {.op = COMMAND_CREATE};

	api_check_write("store.create()");
	command.body = api_body_argument(fcinfo, 0, "object");
	object_check(command.body, &command.key);
	command.reason = api_reason_argument(fcinfo, 1);
	ttl_argument(fcinfo, 2, &command);
	api_manager_arguments(fcinfo, 3, 4, &command);
	return api_perform(fcinfo, &command);
}

Datum
store_put(PG_FUNCTION_ARGS)
{
	Command		command = {.op = COMMAND_PUT};

	api_check_write("store.put()");
	command.body = api_body_argument(fcinfo, 0, "object");
	object_check(command.body, &command.key);
	expected_argument(fcinfo, 1, &command);
	command.reason = api_reason_argument(fcinfo, 2);
	ttl_argument(fcinfo, 3, &command);
	api_manager_arguments(fcinfo, 4, 5, &command);
	return api_perform(fcinfo, &command);
}

Datum
store_update(PG_FUNCTION_ARGS)
{
	Command		command = {.op = COMMAND_UPDATE};

	api_check_write("store.update()");
	command.body = api_body_argument(fcinfo, 0, "object");
	object_check(command.body, &command.key);
	command.has_expected = object_resource_version(command.body, &command.expected);
	command.reason = api_reason_argument(fcinfo, 1);
	ttl_argument(fcinfo, 2, &command);
	api_manager_arguments(fcinfo, 3, 4, &command);
	return api_perform(fcinfo, &command);
}

bool
api_patch_type(const char *name, PatchType *type)
{
	if (strcmp(name, "merge") == 0)
		*type = PATCH_MERGE;
	else if (strcmp(name, "json") == 0)
		*type = PATCH_JSON;
	else if (strcmp(name, "strategic") == 0)
		*type = PATCH_STRATEGIC;
	else if (strcmp(name, "apply") == 0)
		*type = PATCH_APPLY;
	else
		return false;
	return true;
}

static PatchType
patch_type_argument(FunctionCallInfo fcinfo, int argno)
{
	char	   *name = api_text_argument(fcinfo, argno, "type");
	PatchType	type;

	if (!api_patch_type(name, &type))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown patch type \"%s\"", name),
				 errhint("Patch types are merge, json, strategic and apply.")));
	return type;
}

/*
 * What is particular to an apply: there is somebody who owns what he wants, and
 * he names the resource.  A resourceVersion is a precondition, as in an update.
 */
static void
apply_arguments(Command *command)
{
	ResourceKey key;

	if (command->patch_type != PATCH_APPLY)
	{
		if (command->force)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"force\" is for patches of type apply")));
		return;
	}
	if (command->manager == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an apply needs a field_manager"),
				 errdetail("What is applied is owned by whoever applies it.")));
	object_check(command->body, &key);
	if (!key_equals(&key, &command->key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid patch"),
				 errdetail("It names %s of %s, and not the resource that is addressed.",
						   key_display(&key), key_api_version(&key))));
	if (!command->has_expected)
		command->has_expected = object_resource_version(command->body, &command->expected);
}

Datum
store_patch(PG_FUNCTION_ARGS)
{
	Command		command = {.op = COMMAND_PATCH};
	char	   *kind;
	char	   *name;

	api_check_write("store.patch()");
	kind = api_text_argument(fcinfo, 0, "kind");
	name = api_text_argument(fcinfo, 1, "name");
	command.body = api_body_argument(fcinfo, 2, "patch");
	key_from_arguments(api_text_argument(fcinfo, 4, "api_version"), kind,
					   api_optional_text(fcinfo, 3), name, &command.key);
	command.patch_type = patch_type_argument(fcinfo, 5);
	patch_check(command.body, command.patch_type);
	expected_argument(fcinfo, 6, &command);
	command.reason = api_reason_argument(fcinfo, 7);
	api_manager_arguments(fcinfo, 8, 10, &command);
	command.force = !PG_ARGISNULL(9) && PG_GETARG_BOOL(9);
	apply_arguments(&command);
	return api_perform(fcinfo, &command);
}

Datum
store_delete(PG_FUNCTION_ARGS)
{
	Command		command = {.op = COMMAND_DELETE};
	char	   *kind;
	char	   *name;

	api_check_write("store.delete()");
	kind = api_text_argument(fcinfo, 0, "kind");
	name = api_text_argument(fcinfo, 1, "name");
	key_from_arguments(api_text_argument(fcinfo, 3, "api_version"), kind,
					   api_optional_text(fcinfo, 2), name, &command.key);
	expected_argument(fcinfo, 4, &command);
	if (!PG_ARGISNULL(5))
	{
		char	   *uid = text_to_cstring(PG_GETARG_TEXT_PP(5));

		command.has_uid = true;
		command.uid = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(uid)));
	}
	command.reason = api_reason_argument(fcinfo, 6);
	return api_perform(fcinfo, &command);
}
