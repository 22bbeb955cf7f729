/*-------------------------------------------------------------------------
 *
 * api_txn.c
 *	  store.txn(): many resources, all or nothing, at one index.
 *
 * Compares and operations are checked here, each like the function of its
 * name would, so that a malformed transaction never reaches the log; what is
 * wrong is named by its place, as in "success[2].put".  They travel as the
 * parts of one command (command.h), and txn.c says what they do.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_write.h"

#include "access/htup_details.h"
#include "compat.h"
#include "detail.h"
#include "funcapi.h"
#include "json_patch.h"
#include "object.h"
#include "policy.h"
#include "rules.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

STORE_FUNCTION(store_txn);

/* The parts of the transaction, all of one version, as they are put together. */
typedef struct Parts
{
	uint8		version;
	const char *manager;		/* who does the operations; may be NULL */
	StringInfoData bytes;
} Parts;

/* Raised for a place in an argument. */
static void refuse(const char *format,...) pg_attribute_printf(1, 2) pg_attribute_noreturn();

static void
refuse(const char *format,...)
{
	va_list		args;
	char	   *detail;

	va_start(args, format);
	detail = format_detail(format, args);
	va_end(args);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid transaction"),
			 errdetail_internal("%s", detail)));
}

/*
 * What a check of an object or a patch found, with its place in front; that of
 * a key names its place itself, and place is NULL.
 */
static void
refuse_with(const char *place, const ObjectError *error)
{
	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg("invalid transaction"),
			 place ? errdetail_internal("%s: %s", place, error->detail) :
			 errdetail_internal("%s", error->detail),
			 error->hint ? errhint("%s", error->hint) : 0));
}

static JsonbContainer *
object_at(const JsonbValue *value, const char *place)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		refuse("%s must be an object, but its type is %s.",
			   place, JsonbTypeName(unconstify(JsonbValue *, value)));
	return value->val.binary.data;
}

static Jsonb *
jsonb_at(const JsonbValue *value, const char *place)
{
	Size		limit = (Size) store_max_object_size * 1024;
	Jsonb	   *jsonb = JsonbValueToJsonb(unconstify(JsonbValue *, value));

	if (VARSIZE(jsonb) > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is too large", place),
				 errdetail("It takes %zu bytes as jsonb; the limit is %zu bytes (store.max_object_size).",
						   (Size) VARSIZE(jsonb), limit)));
	return jsonb;
}

static bool
member_at(JsonbContainer *object, const char *name, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object, name, strlen(name), value) != NULL;
}

static void
key_at(JsonbContainer *parent, const char *place, ResourceKey *key)
{
	JsonbValue	value;
	char	   *key_place = psprintf("%s.key", place);
	ObjectError error;

	if (!member_at(parent, "key", &value))
		refuse("%s has no member key.", place);
	if (!key_from_object(object_at(&value, key_place), key_place, key, &error))
		refuse_with(NULL, &error);
}

static void
append_part(Parts *parts, const Command *part)
{
	api_check_version(part);
	txn_append(&parts->bytes, part);
}

/* Compares */

static int64
version_at(const JsonbValue *value, const char *place)
{
	int64		version;

	if (!resource_version_parse(value, &version))
		refuse("%s.resourceVersion must be a string of decimal digits, as it was read.", place);
	return version;
}

static void
uid_at(const JsonbValue *value, const char *place, pg_uuid_t *uid)
{
	const char *s = value->val.string.val;
	bool		valid = (value->type == jbvString && value->val.string.len == 36);

	for (int i = 0; valid && i < 36; i++)
		valid = (i == 8 || i == 13 || i == 18 || i == 23) ? s[i] == '-' :
			isxdigit((unsigned char) s[i]);
	if (!valid)
		refuse("%s.uid must be a uid, as it was read.", place);
	*uid = *DatumGetUUIDP(DirectFunctionCall1(uuid_in,
											  CStringGetDatum(pnstrdup(s, 36))));
}

/* Each condition becomes a part of its own; returns how many there are. */
static int
append_compare(const JsonbValue *element, const char *place, Parts *parts)
{
	JsonbContainer *object = object_at(element, place);
	Command		blank = {.version = parts->version, .op = COMMAND_COMPARE};
	Command		part;
	JsonbValue	value;
	int			n = 0;

	key_at(object, place, &blank.key);
	policy_check_read(&blank.key);
	if (member_at(object, "exists", &value))
	{
		if (value.type != jbvBool)
			refuse("%s.exists must be true or false.", place);
		part = blank;
		part.existence = value.val.boolean ? EXISTENCE_REQUIRED : EXISTENCE_REFUSED;
		append_part(parts, &part);
		n++;
	}
	if (member_at(object, "resourceVersion", &value))
	{
		part = blank;
		part.has_expected = true;
		part.expected = version_at(&value, place);
		append_part(parts, &part);
		n++;
	}
	if (member_at(object, "uid", &value))
	{
		part = blank;
		part.has_uid = true;
		uid_at(&value, place, &part.uid);
		append_part(parts, &part);
		n++;
	}
	if (n == 0 || n + 1 != JsonContainerSize(object))
		refuse("%s must have a key, at least one of exists, resourceVersion and uid, and nothing else.",
			   place);
	return n;
}

/* Operations */

static void
take_object(const JsonbValue *value, const char *place, Command *part)
{
	ObjectError error;

	part->body = jsonb_at(value, place);
	if (!object_verify(part->body, &part->key, &error))
		refuse_with(place, &error);
}

/* What an apply needs beside a patch, and what only an apply may have. */
static void
check_apply(const char *place, const Command *part)
{
	ResourceKey key;
	ObjectError error;

	if (part->patch_type != PATCH_APPLY)
	{
		if (part->force)
			refuse("%s.force is for patches of type apply.", place);
		return;
	}
	if (part->manager == NULL)
		refuse("%s: an apply needs a field_manager.", place);
	if (!object_verify(part->body, &key, &error))
		refuse_with(place, &error);
	if (!key_equals(&key, &part->key))
		refuse("%s.patch names another resource than the key.", place);
}

static void
take_patch(const JsonbValue *value, const char *place, Command *part)
{
	JsonbContainer *object = object_at(value, place);
	JsonbValue	member;
	ObjectError error;
	int			n = 2;

	key_at(object, place, &part->key);
	part->patch_type = PATCH_MERGE;
	if (member_at(object, "type", &member))
	{
		n++;
		if (member.type != jbvString ||
			!api_patch_type(pnstrdup(member.val.string.val, member.val.string.len),
							&part->patch_type))
			refuse("%s.type must be merge, json, strategic or apply.", place);
	}
	if (member_at(object, "force", &member))
	{
		n++;
		if (member.type != jbvBool)
			refuse("%s.force must be true or false.", place);
		part->force = member.val.boolean;
	}
	if (!member_at(object, "patch", &member))
		refuse("%s has no member patch.", place);
	if (n != JsonContainerSize(object))
		refuse("%s must have no members but key, type, force and patch.", place);

	part->body = jsonb_at(&member, psprintf("%s.patch", place));
	if (!patch_verify(part->body, part->patch_type, &error))
		refuse_with(place, &error);
	check_apply(place, part);
}

static int
append_operation(const JsonbValue *element, const char *place, Parts *parts)
{
	static const struct
	{
		const char *name;
		CommandOp	op;
	}			operations[] =
	{
		{"create", COMMAND_CREATE},
		{"put", COMMAND_PUT},
		{"patch", COMMAND_PATCH},
		{"delete", COMMAND_DELETE}
	};
	JsonbContainer *object = object_at(element, place);
	Command		part = {.version = parts->version};
	JsonbValue	value;
	char	   *inner = NULL;
	ObjectError error;

	for (int i = 0; i < lengthof(operations) && inner == NULL; i++)
	{
		if (!member_at(object, operations[i].name, &value))
			continue;
		part.op = operations[i].op;
		part.manager = part.op == COMMAND_DELETE ? NULL : parts->manager;
		inner = psprintf("%s.%s", place, operations[i].name);
	}
	if (inner == NULL || JsonContainerSize(object) != 1)
		refuse("%s must have exactly one member: create, put, patch or delete.", place);

	if (part.op == COMMAND_PATCH)
		take_patch(&value, inner, &part);
	else if (part.op != COMMAND_DELETE)
		take_object(&value, inner, &part);
	else if (!key_from_object(object_at(&value, inner), inner, &part.key, &error))
		refuse_with(NULL, &error);

	/* The answer has the objects. */
	policy_check_write(&part);
	policy_check_read(&part.key);
	append_part(parts, &part);
	return 1;
}

/* An array argument; returns how many parts it became. */
static uint32
take_array(FunctionCallInfo fcinfo, int argno, const char *name, Parts *parts,
		   int (*append) (const JsonbValue *, const char *, Parts *))
{
	Jsonb	   *array;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	element;
	uint32		n = 0;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	array = PG_GETARG_JSONB_P(argno);
	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		refuse("Argument %s must be an array.", name);

	it = JsonbIteratorInit(&array->root);
	for (int i = 0; (token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE;)
	{
		if (token != WJB_ELEM)
			continue;
		n += append(&element, psprintf("%s[%d]", name, i++), parts);
		if (n > TXN_MAX_PARTS || parts->bytes.len > TXN_MAX_BYTES)
			break;				/* see check_size() */
	}
	return n;
}

static void
check_size(const TxnParts *parts)
{
	uint32		n = parts->n_compares + parts->n_success + parts->n_failure;

	if (n > TXN_MAX_PARTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("transaction is too large"),
				 errdetail("It must not have more than %d conditions and operations.",
						   TXN_MAX_PARTS)));
	/* 64: what the command counts in addition */
	if (parts->length + 64 > TXN_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("transaction is too large"),
				 errdetail("Its objects and patches must not take more than %d bytes together.",
						   TXN_MAX_BYTES)));
}

Datum
store_txn(PG_FUNCTION_ARGS)
{
	Command		command = {
		.op = COMMAND_TXN,
		.key = {.api_group = "", .version = "", .kind = "", .name = ""}
	};
	Parts		parts;
	Command		writer = {.manager = NULL};
	Answer		answer;
	TupleDesc	desc;
	Datum		values[3];
	bool		isnull[3] = {false, false, false};

	api_check_write("store.txn()");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	command.version = parts.version = api_version();
	api_check_version(&command);
	api_manager_arguments(fcinfo, 4, -1, &writer);
	parts.manager = writer.manager;
	initStringInfo(&parts.bytes);
	command.parts.n_compares = take_array(fcinfo, 0, "compares", &parts, append_compare);
	command.parts.n_success = take_array(fcinfo, 1, "success", &parts, append_operation);
	command.parts.n_failure = take_array(fcinfo, 2, "failure", &parts, append_operation);
	command.parts.data = parts.bytes.data;
	command.parts.length = parts.bytes.len;
	check_size(&command.parts);
	command.reason = api_reason_argument(fcinfo, 3);
	api_submit(&command, &answer);

	values[0] = BoolGetDatum(answer.op == OUTCOME_TXN_SUCCESS);
	values[1] = Int64GetDatum((int64) answer.index);
	values[2] = JsonbPGetDatum((Jsonb *) answer.data);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, isnull));
}
