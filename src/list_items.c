/*-------------------------------------------------------------------------
 *
 * list_items.c
 *	  The items of a list that is a set or a map.
 *
 * Lists come from users and may have a hundred thousand items, so they are
 * sorted and searched, not compared each with each.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fields.h"
#include "lib/stringinfo.h"
#include "list_items.h"
#include "utils/numeric.h"

/* As Kubernetes writes it: nothing is escaped that need not be. */
static void
append_string(StringInfo buf, const JsonbValue *string)
{
	appendStringInfoChar(buf, '"');
	for (int i = 0; i < string->val.string.len; i++)
	{
		unsigned char c = string->val.string.val[i];

		if (c == '"' || c == '\\')
			appendStringInfo(buf, "\\%c", c);
		else if (c < 0x20)
			appendStringInfo(buf, "\\u%04x", c);
		else
			appendStringInfoChar(buf, c);
	}
	appendStringInfoChar(buf, '"');
}

/* Equal numbers are equal texts: 1.0 is "1". */
static bool
append_scalar(StringInfo buf, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(buf, "null");
			return true;
		case jbvBool:
			appendStringInfoString(buf, value->val.boolean ? "true" : "false");
			return true;
		case jbvNumeric:
			appendStringInfoString(buf, numeric_normalize(value->val.numeric));
			return true;
		case jbvString:
			append_string(buf, value);
			return true;
		default:
			return false;
	}
}

/* A field of an object, open or not. */
static bool
find_field(const JsonbValue *object, const JsonbValue *name, JsonbValue *value)
{
	if (object->type == jbvBinary)
		return getKeyJsonValueFromContainer(object->val.binary.data, name->val.string.val,
											name->val.string.len, value) != NULL;
	for (int i = 0; i < object->val.object.nPairs; i++)
	{
		if (key_compare(&object->val.object.pairs[i].key, name) == 0)
		{
			*value = object->val.object.pairs[i].value;
			return true;
		}
	}
	return false;
}

bool
item_identity(const ListKeys *keys, const JsonbValue *item, JsonbValue *identity)
{
	StringInfoData buf;

	if (keys->kind == LIST_ATOMIC || (keys->kind == LIST_MAP && !value_is_object(item)))
		return false;

	initStringInfo(&buf);
	if (keys->kind == LIST_SET)
	{
		appendStringInfoString(&buf, "v:");
		if (!append_scalar(&buf, item))
			return false;
	}
	else
	{
		appendStringInfoString(&buf, "k:{");
		for (int i = 0; i < keys->n; i++)
		{
			JsonbValue	value;

			if (!find_field(item, &keys->names[i], &value))
				value = keys->defaults[i];
			if (value.type == jbvNull)
				return false;
			if (i > 0)
				appendStringInfoChar(&buf, ',');
			append_string(&buf, &keys->names[i]);
			appendStringInfoChar(&buf, ':');
			if (!append_scalar(&buf, &value))
				return false;
		}
		appendStringInfoChar(&buf, '}');
	}
	identity->type = jbvString;
	identity->val.string.val = buf.data;
	identity->val.string.len = buf.len;
	return true;
}

bool
is_list_key(const ListKeys *keys, const JsonbValue *name)
{
	for (int i = 0; keys->kind == LIST_MAP && i < keys->n; i++)
	{
		if (key_compare(&keys->names[i], name) == 0)
			return true;
	}
	return false;
}

static int
compare_entries(const void *a, const void *b)
{
	const ListIndexEntry *x = a;
	const ListIndexEntry *y = b;
	int			difference = key_compare(&x->identity, &y->identity);

	if (difference != 0)
		return difference;
	return x->position < y->position ? -1 : x->position > y->position;
}

void
list_index(ListIndex *index, const ListKeys *keys, const JsonbValue *array)
{
	JsonbValue	open = *array;

	if (array->type == jbvBinary)
		array_open(array->val.binary.data, &open);
	index->n_items = open.val.array.nElems;
	index->items = open.val.array.elems;
	index->identities = palloc0(sizeof(JsonbValue) * Max(index->n_items, 1));
	index->entries = palloc(sizeof(ListIndexEntry) * Max(index->n_items, 1));
	index->n_entries = 0;
	for (int i = 0; i < index->n_items; i++)
	{
		ListIndexEntry *entry = &index->entries[index->n_entries];

		index->identities[i].type = jbvNull;
		if (!item_identity(keys, &index->items[i], &index->identities[i]))
			continue;
		entry->identity = index->identities[i];
		entry->position = i;
		index->n_entries++;
	}
	qsort(index->entries, index->n_entries, sizeof(ListIndexEntry), compare_entries);
}

int
list_find(const ListIndex *index, const JsonbValue *identity)
{
	int			low = 0;
	int			high = index->n_entries;

	if (identity->type == jbvNull)
		return -1;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (key_compare(&index->entries[middle].identity, identity) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < index->n_entries && key_compare(&index->entries[low].identity, identity) == 0)
		return index->entries[low].position;
	return -1;
}
