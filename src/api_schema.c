/*-------------------------------------------------------------------------
 *
 * api_schema.c
 *	  store.register_schema()
 *
 * A schema is put like any other resource (schema.h).  Of what is given only
 * the part is kept that says how to merge: the rest, mostly descriptions, would
 * be read again with every patch.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_write.h"

#include "compat.h"
#include "fields.h"
#include "object.h"
#include "schema.h"

STORE_FUNCTION(store_register_schema);

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
