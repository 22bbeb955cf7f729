/*-------------------------------------------------------------------------
 *
 * schema.c
 *	  What a patch has to know of the object that it changes.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "detail.h"
#include "fields.h"
#include "object_path.h"
#include "schema.h"

#define LIST_TYPE			"x-kubernetes-list-type"
#define LIST_MAP_KEYS		"x-kubernetes-list-map-keys"
#define MAP_TYPE			"x-kubernetes-map-type"
#define PATCH_STRATEGY		"x-kubernetes-patch-strategy"
#define PATCH_MERGE_KEY		"x-kubernetes-patch-merge-key"
#define EMBEDDED_RESOURCE	"x-kubernetes-embedded-resource"

static bool
member(JsonbContainer *object, const char *name, JsonbValue *value)
{
	return object != NULL &&
		getKeyJsonValueFromContainer(object, name, strlen(name), value) != NULL;
}

/* A member that is an object, NULL if it is none. */
static JsonbContainer *
object_member(JsonbContainer *object, const char *name)
{
	JsonbValue	value;

	return member(object, name, &value) && value_is_object(&value) ? value.val.binary.data : NULL;
}

static bool
string_is(const JsonbValue *value, const char *string)
{
	return value->type == jbvString && value->val.string.len == strlen(string) &&
		memcmp(value->val.string.val, string, value->val.string.len) == 0;
}

static bool
member_is(JsonbContainer *object, const char *name, const char *string)
{
	JsonbValue	value;

	return member(object, name, &value) && string_is(&value, string);
}

bool
schema_open(const ResourceKey *key, Jsonb *registered, Schema *schema)
{
	memset(schema, 0, sizeof(*schema));
	schema->is_object = true;
	schema->type = builtin_kind(key);
	if (schema->type != NULL)
		return true;
	if (registered != NULL && JB_ROOT_IS_OBJECT(registered))
		schema->openapi = object_member(object_member(&registered->root, "spec"),
										"openAPIV3Schema");
	return schema->openapi != NULL;
}

/* Kinds have no dots, and versions have none, so no two have one name. */
bool
schema_key(const ResourceKey *key, ResourceKey *of_schema)
{
	if (builtin_kind(key) != NULL)
		return false;
	memset(of_schema, 0, sizeof(*of_schema));
	of_schema->api_group = SCHEMA_API_GROUP;
	of_schema->version = SCHEMA_VERSION;
	of_schema->kind = SCHEMA_KIND;
	of_schema->name = psprintf("%s.%s%s%s", key->kind, key->version,
							   key->api_group[0] ? "." : "", key->api_group);
	return true;
}

void
schema_child(const Schema *parent, const JsonbValue *key, Schema *child)
{
	const char *name = key->val.string.val;
	int			length = key->val.string.len;

	memset(child, 0, sizeof(*child));
	if (parent->is_object && string_is(key, "metadata"))
		child->type = &builtin_metadata;
	else if (parent->type != NULL)
	{
		child->field = builtin_field(parent->type, name, length);
		if (child->field != NULL)
			child->type = child->field->type;
	}
	else if (parent->openapi != NULL)
	{
		JsonbContainer *properties = object_member(parent->openapi, "properties");
		JsonbValue	value;

		if (properties != NULL &&
			getKeyJsonValueFromContainer(properties, name, length, &value) != NULL)
			child->openapi = value_is_object(&value) ? value.val.binary.data : NULL;
		else
			child->openapi = object_member(parent->openapi, "additionalProperties");
		child->is_object = member(child->openapi, EMBEDDED_RESOURCE, &value) &&
			value.type == jbvBool && value.val.boolean;
	}
}

void
schema_items(const Schema *list, Schema *item)
{
	memset(item, 0, sizeof(*item));
	item->type = list->type;
	item->openapi = object_member(list->openapi, "items");
}

bool
schema_is_atomic(const Schema *map)
{
	if (map->openapi != NULL)
		return member_is(map->openapi, MAP_TYPE, "atomic");
	return (map->field != NULL && map->field->atomic_map) ||
		(map->type != NULL && map->type->atomic);
}

bool
schema_replaces(const Schema *map)
{
	JsonbValue	value;

	if (map->openapi != NULL)
		return member(map->openapi, PATCH_STRATEGY, &value) && string_is(&value, "replace");
	return map->field != NULL && map->field->replaced_map;
}

/* "a,b=default", in ascending order */
static void
builtin_keys(const char *text, ListKeys *keys)
{
	if (text == NULL)
		return;
	keys->kind = text[0] ? LIST_MAP : LIST_SET;
	while (text[0] != '\0')
	{
		int			length = strcspn(text, ",");
		const char *equals = memchr(text, '=', length);
		JsonbValue *name = &keys->names[keys->n];
		JsonbValue *value = &keys->defaults[keys->n];

		name->type = jbvString;
		name->val.string.val = unconstify(char *, text);
		name->val.string.len = equals ? equals - text : length;
		value->type = jbvNull;
		if (equals)
		{
			value->type = jbvString;
			value->val.string.val = unconstify(char *, equals + 1);
			value->val.string.len = length - (equals + 1 - text);
		}
		keys->n++;
		text += length;
		if (text[0] == ',')
			text++;
	}
}

/* By their bytes, as managedFields has them. */
static bool
comes_before(const JsonbValue *a, const JsonbValue *b)
{
	int			difference = memcmp(a->val.string.val, b->val.string.val,
									Min(a->val.string.len, b->val.string.len));

	return difference < 0 || (difference == 0 && a->val.string.len < b->val.string.len);
}

/* False if it is there already, or there are too many. */
static bool
add_key(ListKeys *keys, const JsonbValue *name, const JsonbValue *value)
{
	int			at = keys->n;

	if (keys->n == LIST_MAX_KEYS)
		return false;
	while (at > 0 && comes_before(name, &keys->names[at - 1]))
		at--;
	if (at > 0 && !comes_before(&keys->names[at - 1], name))
		return false;
	memmove(&keys->names[at + 1], &keys->names[at], sizeof(JsonbValue) * (keys->n - at));
	memmove(&keys->defaults[at + 1], &keys->defaults[at], sizeof(JsonbValue) * (keys->n - at));
	keys->names[at] = *name;
	keys->defaults[at] = *value;
	keys->n++;
	return true;
}

/* A key, with the default that the items' schema has for it. */
static bool
add_openapi_key(JsonbContainer *list, const JsonbValue *name, ListKeys *keys)
{
	JsonbContainer *properties = object_member(object_member(list, "items"), "properties");
	JsonbValue	property;
	JsonbValue	value;

	if (name->type != jbvString)
		return false;
	if (properties == NULL ||
		getKeyJsonValueFromContainer(properties, name->val.string.val, name->val.string.len,
									 &property) == NULL ||
		!value_is_object(&property) ||
		!member(property.val.binary.data, "default", &value))
		value.type = jbvNull;
	return add_key(keys, name, &value);
}

static void
openapi_list_keys(JsonbContainer *list, ListKeys *keys)
{
	JsonbValue	names;
	JsonbValue	open;

	if (member_is(list, LIST_TYPE, "set"))
		keys->kind = LIST_SET;
	if (!member_is(list, LIST_TYPE, "map") || !member(list, LIST_MAP_KEYS, &names) ||
		!value_is_array(&names) || JsonContainerSize(names.val.binary.data) == 0)
		return;
	array_open(names.val.binary.data, &open);
	for (int i = 0; i < open.val.array.nElems; i++)
	{
		if (!add_openapi_key(list, &open.val.array.elems[i], keys))
			return;
	}
	keys->kind = LIST_MAP;
}

void
schema_list_keys(const Schema *list, ListKeys *keys)
{
	keys->kind = LIST_ATOMIC;
	keys->n = 0;
	if (list->openapi != NULL)
		openapi_list_keys(list->openapi, keys);
	else if (list->field != NULL)
		builtin_keys(list->field->list_keys, keys);
}

/* "merge", or one of several words */
static bool
says_merge(const JsonbValue *strategy)
{
	const char *s = strategy->val.string.val;
	int			length = strategy->val.string.len;

	if (strategy->type != jbvString)
		return false;
	return (length == 5 && memcmp(s, "merge", 5) == 0) ||
		(length > 5 && (memcmp(s, "merge,", 6) == 0 || memcmp(s + length - 6, ",merge", 6) == 0));
}

void
schema_merge_keys(const Schema *list, ListKeys *keys)
{
	JsonbValue	strategy;
	JsonbValue	name;

	keys->kind = LIST_ATOMIC;
	keys->n = 0;
	if (list->openapi == NULL)
	{
		if (list->field != NULL)
			builtin_keys(list->field->merge_key, keys);
	}
	else if (!member(list->openapi, PATCH_STRATEGY, &strategy))
		openapi_list_keys(list->openapi, keys);
	else if (says_merge(&strategy))
	{
		keys->kind = LIST_SET;
		if (member(list->openapi, PATCH_MERGE_KEY, &name) &&
			add_openapi_key(list->openapi, &name, keys))
			keys->kind = LIST_MAP;
	}
}

/* ------------------------------------------------------------------------
 * Registration
 * ------------------------------------------------------------------------
 */

static bool refuse(ObjectError *error, const PathStep *step, const char *format,...)
			pg_attribute_printf(3, 4);

static bool
refuse(ObjectError *error, const PathStep *step, const char *format,...)
{
	va_list		args;
	char	   *what;

	va_start(args, format);
	what = format_detail(format, args);
	va_end(args);
	error->sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
	error->message = "invalid schema";
	error->detail = step ? psprintf("Field %s %s.", path_text(step), what) :
		psprintf("The schema %s.", what);
	error->hint = NULL;
	return false;
}

static bool reduce(JsonbContainer *schema, const PathStep *step, Fields *result,
				   ObjectError *error);

/* A member that is a schema again; false is as good as nothing, and so is true. */
static bool
reduce_member(const JsonbPair *pair, const PathStep *step, Fields *result, ObjectError *error)
{
	JsonbValue	value;
	Fields		fields;

	if (pair->value.type == jbvBool)
		return true;
	if (!value_is_object(&pair->value))
		return refuse(error, step, "must be a schema");
	if (!reduce(pair->value.val.binary.data, step, &fields, error))
		return false;
	fields_value(&fields, &value);
	fields_append(result, &pair->key, &value);
	return true;
}

static bool
reduce_properties(const JsonbPair *properties, const PathStep *step, Fields *result,
				  ObjectError *error)
{
	Fields		olds;
	Fields		news;
	JsonbValue	value;

	if (!value_is_object(&properties->value))
		return refuse(error, step, "must be an object");
	fields_open(&olds, properties->value.val.binary.data, 0);
	fields_init(&news, olds.n_pairs);
	for (int i = 0; i < olds.n_pairs; i++)
	{
		PathStep	inner = {step, &olds.pairs[i].key, 0};

		if (!reduce_member(&olds.pairs[i], &inner, &news, error))
			return false;
	}
	fields_value(&news, &value);
	fields_append(result, &properties->key, &value);
	return true;
}

static bool
is_scalar(const JsonbValue *value)
{
	return value->type == jbvString || value->type == jbvNumeric || value->type == jbvBool;
}

/* What is said of one place: does it make sense? */
static bool
check_place(JsonbContainer *schema, const PathStep *step, ObjectError *error)
{
	JsonbValue	value;
	ListKeys	keys = {.kind = LIST_ATOMIC};

	if (member(schema, "$ref", &value))
		return refuse(error, step, "refers to another schema; it must have everything in place");
	if (member(schema, LIST_TYPE, &value))
	{
		if (!string_is(&value, "map") && !string_is(&value, "set") && !string_is(&value, "atomic"))
			return refuse(error, step, "has an unknown %s", LIST_TYPE);
		openapi_list_keys(schema, &keys);
		if (string_is(&value, "map") && keys.kind != LIST_MAP)
			return refuse(error, step, "has no valid %s, of which there must be from 1 to %d",
						  LIST_MAP_KEYS, LIST_MAX_KEYS);
	}
	if (member(schema, MAP_TYPE, &value) &&
		!string_is(&value, "granular") && !string_is(&value, "atomic"))
		return refuse(error, step, "has an unknown %s", MAP_TYPE);
	if (member(schema, PATCH_STRATEGY, &value) && !says_merge(&value) &&
		!string_is(&value, "replace") && !string_is(&value, "retainKeys"))
		return refuse(error, step, "has an unknown %s", PATCH_STRATEGY);
	if (member(schema, PATCH_MERGE_KEY, &value) && value.type != jbvString)
		return refuse(error, step, "has a %s that is no string", PATCH_MERGE_KEY);
	return true;
}

static bool
reduce(JsonbContainer *schema, const PathStep *step, Fields *result, ObjectError *error)
{
	static const char *const kept[] = {
		LIST_TYPE, LIST_MAP_KEYS, MAP_TYPE, PATCH_STRATEGY, PATCH_MERGE_KEY, EMBEDDED_RESOURCE
	};
	Fields		fields;

	if (!check_place(schema, step, error))
		return false;
	fields_open(&fields, schema, 0);
	fields_init(result, 0);
	for (int i = 0; i < fields.n_pairs; i++)
	{
		const JsonbPair *pair = &fields.pairs[i];
		PathStep	inner = {step, &pair->key, 0};
		bool		keep = string_is(&pair->key, "default") && is_scalar(&pair->value);

		for (int j = 0; j < lengthof(kept); j++)
			keep = keep || string_is(&pair->key, kept[j]);
		if (keep)
			fields_append(result, &pair->key, &pair->value);
		else if (string_is(&pair->key, "properties"))
		{
			if (!reduce_properties(pair, &inner, result, error))
				return false;
		}
		else if ((string_is(&pair->key, "items") ||
				  string_is(&pair->key, "additionalProperties")) &&
				 !reduce_member(pair, &inner, result, error))
			return false;
	}
	return true;
}

Jsonb *
schema_reduce(Jsonb *openapi, ObjectError *error)
{
	JsonbContainer *schema = &openapi->root;
	Fields		fields;

	if (!JB_ROOT_IS_OBJECT(openapi))
	{
		refuse(error, NULL, "must be a JSON object");
		return NULL;
	}
	if (object_member(schema, "openAPIV3Schema") != NULL)
		schema = object_member(schema, "openAPIV3Schema");
	if (object_member(schema, "properties") == NULL)
	{
		refuse(error, NULL, "must be that of an object, with properties");
		return NULL;
	}
	if (!reduce(schema, NULL, &fields, error))
		return NULL;
	return fields_close(&fields, VARSIZE(openapi));
}
