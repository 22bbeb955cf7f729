/*-------------------------------------------------------------------------
 *
 * api_schema.c
 *	  store.register_schema(), diff()
 *
 * A schema is put like any other resource (schema.h).  Of what is given only
 * the part is kept that says how to merge: the rest, mostly descriptions, would
 * be read again with every patch.
 *
 * A diff does in the session what the state machine would do with an apply, on
 * the resource and the schema as the caller may read them.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_write.h"

#include "apply_patch.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "fields.h"
#include "funcapi.h"
#include "object.h"
#include "schema.h"
#include "utils/array.h"
#include "utils/builtins.h"

STORE_FUNCTION(store_register_schema);
STORE_FUNCTION(store_diff);

static Jsonb *
make_resource(const ResourceKey *of_schema, const char *kind, const char *api_version,
			  Jsonb *reduced)
{
	Fields		root;
	Fields		metadata;
	Fields		spec;
	JsonbValue	value;

	fields_init(&metadata, 0);
	value_string(&value, of_schema->name);
	fields_set(&metadata, "name", &value);

	fields_init(&spec, 0);
	value_string(&value, kind);
	fields_set(&spec, "kind", &value);
	value_string(&value, api_version);
	fields_set(&spec, "apiVersion", &value);
	value.type = jbvBinary;
	value.val.binary.data = &reduced->root;
	value.val.binary.len = VARSIZE(reduced) - VARHDRSZ;
	fields_set(&spec, "openAPIV3Schema", &value);

	fields_init(&root, 0);
	value_string(&value, key_api_version(of_schema));
	fields_set(&root, "apiVersion", &value);
	value_string(&value, of_schema->kind);
	fields_set(&root, "kind", &value);
	fields_value(&metadata, &value);
	fields_set(&root, "metadata", &value);
	fields_value(&spec, &value);
	fields_set(&root, "spec", &value);
	return fields_close(&root, VARSIZE(reduced) + 512);
}

Datum
store_register_schema(PG_FUNCTION_ARGS)
{
	Command		command = {.op = COMMAND_PUT};
	char	   *kind;
	char	   *api_version;
	ResourceKey key;
	ResourceKey of_schema;
	Jsonb	   *openapi;
	Jsonb	   *reduced;
	ObjectError error;

	api_check_write("store.register_schema()");
	kind = api_text_argument(fcinfo, 0, "kind");
	api_version = api_text_argument(fcinfo, 1, "api_version");
	openapi = api_body_argument(fcinfo, 2, "openapi");
	key_from_arguments(api_version, kind, NULL, "any", &key);
	if (!schema_key(&key, &of_schema))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the schema of %s of %s is built in", kind, api_version)));
	patch_check(openapi, PATCH_STRATEGIC);	/* depth, and that it is an object */
	reduced = schema_reduce(openapi, &error);
	if (reduced == NULL)
		ereport(ERROR,
				(errcode(error.sqlstate),
				 errmsg("%s", error.message),
				 errdetail_internal("%s", error.detail)));

	command.body = make_resource(&of_schema, kind, api_version, reduced);
	object_check(command.body, &command.key);
	command.reason = REASON_OPERATOR;
	return api_perform(fcinfo, &command);
}

static Datum
text_array(char **strings, int n)
{
	Datum	   *texts = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		texts[i] = CStringGetTextDatum(strings[i]);
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
put_change(ReturnSetInfo *result, const ApplyChange *change)
{
	Datum		values[4] = {CStringGetTextDatum(change->path)};
	bool		isnull[4] = {false, change->before == NULL, change->after == NULL, false};

	if (change->before != NULL)
		values[1] = JsonbPGetDatum(change->before);
	if (change->after != NULL)
		values[2] = JsonbPGetDatum(change->after);
	values[3] = text_array(change->owners, change->n_owners);
	tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
}

Datum
store_diff(PG_FUNCTION_ARGS)
{
	Command		command = {.op = COMMAND_PATCH};
	ResourceKey of_schema;
	Schema		schema;
	FieldWriter writer = {.time = "", .schema = &schema};
	ApplyChange *changes;
	ObjectError error;
	Jsonb	   *registered = NULL;
	int			n_changes;

	api_check_member("store.diff()");
	command.body = api_body_argument(fcinfo, 0, "object");
	patch_check(command.body, PATCH_APPLY);
	object_check(command.body, &command.key);
	api_manager_arguments(fcinfo, 1, 2, &command);
	if (command.manager == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"field_manager\" must not be null")));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (schema_key(&command.key, &of_schema))
		registered = api_get(&of_schema);
	(void) schema_open(&command.key, registered, &schema);
	writer.manager = command.manager;
	writer.subresource = command.subresource;
	writer.api_version = key_api_version(&command.key);
	changes = apply_diff(api_get(&command.key), command.body, &writer, &n_changes, &error);
	if (changes == NULL)
		ereport(ERROR,
				(errcode(error.sqlstate),
				 errmsg("the patch does not apply to %s", key_display(&command.key)),
				 errdetail_internal("%s", error.detail)));
	for (int i = 0; i < n_changes; i++)
		put_change((ReturnSetInfo *) fcinfo->resultinfo, &changes[i]);
	return (Datum) 0;
}
