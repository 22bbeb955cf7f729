/*-------------------------------------------------------------------------
 *
 * managed_fields.c
 *	  Who owns which fields: metadata.managedFields, opened.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fields.h"
#include "managed_fields.h"

static bool
member(const JsonbValue *object, const char *name, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object->val.binary.data, name, strlen(name),
										value) != NULL;
}

static bool
string_is(const JsonbValue *value, const char *string)
{
	return value->type == jbvString && value->val.string.len == strlen(string) &&
		memcmp(value->val.string.val, string, value->val.string.len) == 0;
}

static bool
optional_string(const JsonbValue *object, const char *name, JsonbValue *value)
{
	if (!member(object, name, value) || (value->type == jbvString && value->val.string.len == 0))
		value->type = jbvNull;
	return value->type == jbvString || value->type == jbvNull;
}

static bool
decode_entry(const JsonbValue *entry, Manager *manager)
{
	JsonbValue	value;

	if (!value_is_object(entry) ||
		!optional_string(entry, "manager", &manager->name) || manager->name.type == jbvNull ||
		!optional_string(entry, "subresource", &manager->subresource) ||
		!optional_string(entry, "time", &manager->time) ||
		!member(entry, "operation", &value))
		return false;
	manager->applies = string_is(&value, "Apply");
	if (!manager->applies && !string_is(&value, "Update"))
		return false;
	if (!member(entry, "fieldsType", &value) || !string_is(&value, "FieldsV1") ||
		!member(entry, "fieldsV1", &value))
		return false;
	manager->fields = field_set_decode(&value);
	return manager->fields != NULL;
}

/* Room for one more is always there. */
void
managers_decode(const JsonbValue *managed_fields, Managers *managers)
{
	JsonbValue	array;

	managers->n = 0;
	managers->entries = NULL;
	if (managed_fields == NULL || !value_is_array(managed_fields))
	{
		managers->entries = palloc0(sizeof(Manager));
		return;
	}
	array_open(managed_fields->val.binary.data, &array);
	managers->entries = palloc0(sizeof(Manager) * (array.val.array.nElems + 1));
	for (int i = 0; i < array.val.array.nElems; i++)
	{
		if (!decode_entry(&array.val.array.elems[i], &managers->entries[i]))
		{
			managers->n = 0;
			return;
		}
		managers->n = i + 1;
	}
}

static bool
subresource_is(const JsonbValue *value, const char *subresource)
{
	return subresource == NULL ? value->type == jbvNull : string_is(value, subresource);
}

Manager *
managers_find(const Managers *managers, const char *name, const char *subresource, bool applies)
{
	for (int i = 0; i < managers->n; i++)
	{
		Manager    *manager = &managers->entries[i];

		if (manager->applies == applies && string_is(&manager->name, name) &&
			subresource_is(&manager->subresource, subresource))
			return manager;
	}
	return NULL;
}

Manager *
managers_add(Managers *managers, const char *name, const char *subresource, bool applies)
{
	Manager    *manager = managers_find(managers, name, subresource, applies);

	if (manager != NULL)
		return manager;
	managers->entries = repalloc(managers->entries, sizeof(Manager) * (managers->n + 1));
	manager = &managers->entries[managers->n++];
	value_string(&manager->name, name);
	manager->subresource.type = jbvNull;
	if (subresource != NULL)
		value_string(&manager->subresource, subresource);
	manager->time.type = jbvNull;
	manager->applies = applies;
	manager->fields = field_set_new();
	return manager;
}

/* By their bytes; what is absent comes first. */
static int
compare_strings(const JsonbValue *a, const JsonbValue *b)
{
	int			difference;

	if (a->type != b->type)
		return a->type == jbvNull ? -1 : 1;
	if (a->type == jbvNull)
		return 0;
	difference = memcmp(a->val.string.val, b->val.string.val,
						Min(a->val.string.len, b->val.string.len));
	return difference != 0 ? difference : a->val.string.len - b->val.string.len;
}

/* Who applies before who updates, then by time: as Kubernetes has them. */
static int
compare_managers(const void *a, const void *b)
{
	const Manager *x = a;
	const Manager *y = b;
	int			difference;

	if (x->applies != y->applies)
		return x->applies ? -1 : 1;
	difference = compare_strings(&x->time, &y->time);
	if (difference == 0)
		difference = compare_strings(&x->name, &y->name);
	if (difference == 0)
		difference = compare_strings(&x->subresource, &y->subresource);
	return difference;
}

/* The oldest of those who update become one. */
static void
bound(Managers *managers)
{
	int			n_updating = 0;
	int			first = 0;
	Manager		old = {.fields = NULL};
	int			n_old;

	for (int i = 0; i < managers->n; i++)
	{
		if (managers->entries[i].applies)
			first = i + 1;
		else
			n_updating++;
	}
	if (n_updating <= MANAGERS_MAX)
		return;
	n_old = n_updating - MANAGERS_MAX + 1;
	for (int i = first; i < first + n_old; i++)
	{
		old.fields = field_set_union(old.fields, managers->entries[i].fields);
		old.time = managers->entries[i].time;
	}
	/* one of them may have the name already, and be newer */
	for (int i = first + n_old; i < managers->n; i++)
	{
		Manager    *manager = &managers->entries[i];

		if (string_is(&manager->name, MANAGER_OF_OLD) && manager->subresource.type == jbvNull)
		{
			manager->fields = field_set_union(old.fields, manager->fields);
			old.fields = NULL;
			break;
		}
	}
	n_old -= old.fields != NULL;
	memmove(&managers->entries[first], &managers->entries[first + n_old],
			sizeof(Manager) * (managers->n - first - n_old));
	managers->n -= n_old;
	if (old.fields == NULL)
		return;
	value_string(&old.name, MANAGER_OF_OLD);
	old.subresource.type = jbvNull;
	managers->entries[first] = old;
}

void
managers_finish(Managers *managers)
{
	int			n = 0;

	for (int i = 0; i < managers->n; i++)
	{
		if (!field_set_is_empty(managers->entries[i].fields))
			managers->entries[n++] = managers->entries[i];
	}
	managers->n = n;
	qsort(managers->entries, n, sizeof(Manager), compare_managers);
	bound(managers);
}

static void
set_text(Fields *fields, const char *key, const char *text)
{
	JsonbValue	value;

	value_string(&value, text);
	fields_set(fields, key, &value);
}

JsonbValue *
managers_encode(const Managers *managers, const char *api_version)
{
	JsonbValue *array = palloc(sizeof(JsonbValue));

	if (managers->n == 0)
		return NULL;
	array->type = jbvArray;
	array->val.array.nElems = managers->n;
	array->val.array.elems = palloc(sizeof(JsonbValue) * managers->n);
	array->val.array.rawScalar = false;
	for (int i = 0; i < managers->n; i++)
	{
		Manager    *manager = &managers->entries[i];
		Fields		entry;
		JsonbValue	value;

		fields_init(&entry, 8);
		fields_set(&entry, "manager", &manager->name);
		set_text(&entry, "operation", manager->applies ? "Apply" : "Update");
		set_text(&entry, "apiVersion", api_version);
		if (manager->time.type != jbvNull)
			fields_set(&entry, "time", &manager->time);
		if (manager->subresource.type != jbvNull)
			fields_set(&entry, "subresource", &manager->subresource);
		set_text(&entry, "fieldsType", "FieldsV1");
		field_set_encode(manager->fields, &value);
		fields_set(&entry, "fieldsV1", &value);
		fields_value(&entry, &array->val.array.elems[i]);
	}
	return array;
}
