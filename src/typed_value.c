/*-------------------------------------------------------------------------
 *
 * typed_value.c
 *	  Values seen through a schema: which fields they have, how they differ.
 *
 * All of it goes down along the values with the schema at its side.  Stored
 * lists may have items that cannot be told apart, because nobody checks an
 * ordinary write for that: these belong to nobody and stay where they are, and
 * of several with one identity the first one counts.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fields.h"
#include "list_items.h"
#include "object_path.h"
#include "typed_value.h"

typedef enum Shape
{
	SHAPE_LEAF,
	SHAPE_MAP,
	SHAPE_LIST
} Shape;

/* Of a list, also how its items are told apart. */
static Shape
shape_of(const JsonbValue *value, const Schema *schema, ListKeys *keys)
{
	if (value_is_object(value))
		return schema_is_atomic(schema) ? SHAPE_LEAF : SHAPE_MAP;
	if (!value_is_array(value))
		return SHAPE_LEAF;
	schema_list_keys(schema, keys);
	return keys->kind == LIST_ATOMIC ? SHAPE_LEAF : SHAPE_LIST;
}

static int
n_children(const JsonbValue *value)
{
	if (value->type == jbvObject)
		return value->val.object.nPairs;
	if (value->type == jbvArray)
		return value->val.array.nElems;
	return JsonContainerSize(value->val.binary.data);
}

static void
open_map(const JsonbValue *map, Fields *fields)
{
	if (map == NULL)
		fields_init(fields, 0);
	else if (map->type == jbvBinary)
		fields_open(fields, map->val.binary.data, 0);
	else
	{
		fields->n_pairs = fields->room = map->val.object.nPairs;
		fields->pairs = map->val.object.pairs;
	}
}

/* ------------------------------------------------------------------------
 * Fields
 * ------------------------------------------------------------------------
 */

/* The fields below a value, NULL if it is a leaf. */
static FieldSet *
fields_below(const JsonbValue *value, const Schema *schema)
{
	ListKeys	keys;
	Shape		shape = shape_of(value, schema, &keys);
	FieldSet   *set;
	JsonbValue	step;
	Schema		child;

	if (shape == SHAPE_LEAF || n_children(value) == 0)
		return NULL;
	set = field_set_new();
	if (shape == SHAPE_MAP)
	{
		Fields		fields;

		open_map(value, &fields);
		for (int i = 0; i < fields.n_pairs; i++)
		{
			FieldSet   *below;

			if (fields.pairs[i].value.type == jbvNull)
				continue;
			schema_child(schema, &fields.pairs[i].key, &child);
			field_step(&fields.pairs[i].key, &step);
			below = fields_below(&fields.pairs[i].value, &child);
			field_set_add(set, &step, below == NULL, below);
		}
	}
	else
	{
		ListIndex	index;

		list_index(&index, &keys, value);
		schema_items(schema, &child);
		for (int i = 0; i < index.n_items; i++)
		{
			if (index.identities[i].type != jbvNull)
				field_set_add(set, &index.identities[i], true,
							  keys.kind == LIST_SET ? NULL :
							  fields_below(&index.items[i], &child));
		}
	}
	field_set_finish(set);
	return set;
}

FieldSet *
value_fields(const JsonbValue *value, const Schema *schema)
{
	FieldSet   *set = fields_below(value, schema);

	return set ? set : field_set_new();
}

static bool
refuse(ObjectError *error, char *detail)
{
	error->sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
	error->message = "invalid patch";
	error->detail = detail;
	error->hint = NULL;
	return false;
}

static bool
check_value(const JsonbValue *value, const Schema *schema, const PathStep *step,
			ObjectError *error)
{
	ListKeys	keys;
	ListIndex	index;
	Fields		fields;
	Schema		child;

	switch (shape_of(value, schema, &keys))
	{
		case SHAPE_LEAF:
			break;

		case SHAPE_MAP:
			open_map(value, &fields);
			for (int i = 0; i < fields.n_pairs; i++)
			{
				PathStep	inner = {step, &fields.pairs[i].key, 0};

				schema_child(schema, &fields.pairs[i].key, &child);
				if (!check_value(&fields.pairs[i].value, &child, &inner, error))
					return false;
			}
			break;

		case SHAPE_LIST:
			list_index(&index, &keys, value);
			schema_items(schema, &child);
			for (int i = 0; i < index.n_items; i++)
			{
				PathStep	inner = {step, NULL, i};

				if (index.identities[i].type == jbvNull)
					return refuse(error, keys.kind == LIST_SET ?
								  psprintf("Field %s must be a string, a number or a boolean.",
										   path_text(&inner)) :
								  psprintf("Field %s lacks a key of the list (%.*s%s).",
										   path_text(&inner), keys.names[0].val.string.len,
										   keys.names[0].val.string.val,
										   keys.n > 1 ? ", ..." : ""));
				if (list_find(&index, &index.identities[i]) != i)
					return refuse(error, psprintf("Field %s is in the list twice.",
												  path_text(&inner)));
				if (!check_value(&index.items[i], &child, &inner, error))
					return false;
			}
			break;
	}
	return true;
}

bool
value_check(const JsonbValue *value, const Schema *schema, ObjectError *error)
{
	return check_value(value, schema, NULL, error);
}

/* ------------------------------------------------------------------------
 * Merging
 * ------------------------------------------------------------------------
 */

static void
merge_maps(const JsonbValue *live, const JsonbValue *wanted, const Schema *schema,
		   JsonbValue *result)
{
	Fields		olds;
	Fields		news;
	Fields		merged;
	int			i = 0;
	int			j = 0;

	open_map(live, &olds);
	open_map(wanted, &news);
	fields_init(&merged, olds.n_pairs + news.n_pairs);
	while (i < olds.n_pairs || j < news.n_pairs)
	{
		JsonbPair  *old = i < olds.n_pairs ? &olds.pairs[i] : NULL;
		JsonbPair  *new = j < news.n_pairs ? &news.pairs[j] : NULL;
		int			difference = old == NULL ? 1 : new == NULL ? -1 :
			key_compare(&old->key, &new->key);
		JsonbValue	value;
		Schema		child;

		i += difference <= 0;
		j += difference >= 0;
		if (difference < 0 || (difference == 0 && new->value.type == jbvNull))
		{
			fields_append(&merged, &old->key, &old->value);
			continue;
		}
		if (new->value.type == jbvNull)
			continue;
		schema_child(schema, &new->key, &child);
		value_merge(difference == 0 ? &old->value : NULL, &new->value, &child, &value);
		fields_append(&merged, &new->key, &value);
	}
	fields_value(&merged, result);
}

/*
 * Items that are only there stay where they are, before the next one that both
 * have; those that are wanted come in the order in which they are wanted.
 */
static void
merge_lists(const JsonbValue *live, const JsonbValue *wanted, const ListKeys *keys,
			const Schema *schema, JsonbValue *result)
{
	ListIndex	olds = {0};
	ListIndex	news;
	Schema		item;
	JsonbValue *elements;
	bool	   *merged;
	int			n = 0;
	int			i = 0;

	list_index(&news, keys, wanted);
	if (live != NULL)
		list_index(&olds, keys, live);
	schema_items(schema, &item);
	elements = palloc(sizeof(JsonbValue) * Max(olds.n_items + news.n_items, 1));
	merged = palloc0(sizeof(bool) * Max(olds.n_items, 1));
	for (int j = 0; j <= news.n_items; j++)
	{
		int			at;

		/* up to the next one that both have, if it has not come yet */
		for (; i < olds.n_items; i++)
		{
			bool		in_both = list_find(&news, &olds.identities[i]) >= 0 &&
				list_find(&olds, &olds.identities[i]) == i;

			if (in_both && !merged[i])
				break;
			if (!in_both)
				elements[n++] = olds.items[i];
		}
		if (j == news.n_items)
			break;
		at = list_find(&olds, &news.identities[j]);
		value_merge(at >= 0 ? &olds.items[at] : NULL, &news.items[j], &item, &elements[n++]);
		if (at >= 0)
			merged[at] = true;
	}
	result->type = jbvArray;
	result->val.array.nElems = n;
	result->val.array.elems = elements;
	result->val.array.rawScalar = false;
}

void
value_merge(const JsonbValue *live, const JsonbValue *wanted, const Schema *schema,
			JsonbValue *result)
{
	ListKeys	keys;

	switch (shape_of(wanted, schema, &keys))
	{
		case SHAPE_LEAF:
			*result = *wanted;
			break;
		case SHAPE_MAP:
			merge_maps(live && value_is_object(live) ? live : NULL, wanted, schema, result);
			break;
		case SHAPE_LIST:
			merge_lists(live && value_is_array(live) ? live : NULL, wanted, &keys, schema, result);
			break;
	}
}

/* ------------------------------------------------------------------------
 * Comparing
 * ------------------------------------------------------------------------
 */

static bool
same_bytes(const JsonbValue *a, const JsonbValue *b)
{
	return a->type == jbvBinary && b->type == jbvBinary &&
		a->val.binary.len == b->val.binary.len &&
		memcmp(a->val.binary.data, b->val.binary.data, a->val.binary.len) == 0;
}

/* What is at a step, before and after; NULL if nothing is. */
static void
compare_at(const JsonbValue *step, const JsonbValue *before, const JsonbValue *after,
		   const Schema *schema, bool is_item, FieldSet *change, FieldSet *gained)
{
	ListKeys	keys;
	Shape		shape;
	FieldSet   *changed_below;
	FieldSet   *gained_below;

	if (before != NULL && after != NULL)
	{
		if (same_bytes(before, after))
			return;
		shape = shape_of(before, schema, &keys);
		if (shape == shape_of(after, schema, &keys) && shape != SHAPE_LEAF)
		{
			value_compare(before, after, schema, &changed_below, &gained_below);
			field_set_add(change, step, false, changed_below);
			field_set_add(gained, step, !is_item && n_children(after) == 0, gained_below);
			return;
		}
		if (shape == SHAPE_LEAF && before->type == after->type && value_equals(before, after))
			return;
	}
	field_set_add(change, step, true, NULL);
	if (after != NULL)
	{
		gained_below = fields_below(after, schema);
		field_set_add(gained, step, is_item || gained_below == NULL, gained_below);
	}
}

static void
compare_maps(const JsonbValue *before, const JsonbValue *after, const Schema *schema,
			 FieldSet *change, FieldSet *gained)
{
	Fields		olds;
	Fields		news;
	int			i = 0;
	int			j = 0;

	open_map(before, &olds);
	open_map(after, &news);
	while (i < olds.n_pairs || j < news.n_pairs)
	{
		JsonbPair  *old = i < olds.n_pairs ? &olds.pairs[i] : NULL;
		JsonbPair  *new = j < news.n_pairs ? &news.pairs[j] : NULL;
		int			difference = old == NULL ? 1 : new == NULL ? -1 :
			key_compare(&old->key, &new->key);
		const JsonbValue *key = difference <= 0 ? &old->key : &new->key;
		JsonbValue *old_value = difference <= 0 && old->value.type != jbvNull ? &old->value : NULL;
		JsonbValue *new_value = difference >= 0 && new->value.type != jbvNull ? &new->value : NULL;
		JsonbValue	step;
		Schema		child;

		i += difference <= 0;
		j += difference >= 0;
		if ((old_value == NULL && new_value == NULL) ||
			(old_value != NULL && new_value != NULL && same_bytes(old_value, new_value)))
			continue;
		field_step(key, &step);
		schema_child(schema, key, &child);
		compare_at(&step, old_value, new_value, &child, false, change, gained);
	}
}

static void
compare_lists(const JsonbValue *before, const JsonbValue *after, const ListKeys *keys,
			  const Schema *schema, FieldSet *change, FieldSet *gained)
{
	ListIndex	olds;
	ListIndex	news;
	Schema		item;

	list_index(&olds, keys, before);
	list_index(&news, keys, after);
	schema_items(schema, &item);
	for (int i = 0; i < olds.n_items; i++)
	{
		int			at = list_find(&news, &olds.identities[i]);

		/* of several with one identity, the first */
		if (list_find(&olds, &olds.identities[i]) == i)
			compare_at(&olds.identities[i], &olds.items[i], at >= 0 ? &news.items[at] : NULL,
					   &item, true, change, gained);
	}
	for (int i = 0; i < news.n_items; i++)
	{
		if (list_find(&news, &news.identities[i]) == i &&
			list_find(&olds, &news.identities[i]) < 0)
			compare_at(&news.identities[i], NULL, &news.items[i], &item, true, change, gained);
	}
}

void
value_compare(const JsonbValue *before, const JsonbValue *after, const Schema *schema,
			  FieldSet **change, FieldSet **gained)
{
	ListKeys	keys;

	*change = field_set_new();
	*gained = field_set_new();
	switch (shape_of(after, schema, &keys))
	{
		case SHAPE_LEAF:
			break;
		case SHAPE_MAP:
			compare_maps(before, after, schema, *change, *gained);
			break;
		case SHAPE_LIST:
			compare_lists(before, after, &keys, schema, *change, *gained);
			break;
	}
	field_set_finish(*change);
	field_set_finish(*gained);
}

/* ------------------------------------------------------------------------
 * Pruning
 * ------------------------------------------------------------------------
 */

/* What is left at a step; false if nothing is. */
static bool
prune_at(const JsonbValue *step, const JsonbValue *value, const FieldSet *given_up,
		 const FieldSet *kept, const Schema *schema, JsonbValue *result)
{
	FieldEntry *entry = field_set_find(given_up, step);
	FieldEntry *keep = field_set_find(kept, step);

	*result = *value;
	if (entry == NULL)
		return true;
	if (entry->member && keep == NULL)
		return false;
	if (entry->children == NULL)
		return true;
	value_prune(value, entry->children, keep ? keep->children : NULL, schema, result);
	return (keep != NULL && keep->member) ||
		!(value_is_object(result) || value_is_array(result)) ||
		n_children(result) > 0 || n_children(value) == 0;
}

/* item_keys: of an item that stays, the fields that tell it apart stay, too. */
static void
prune_map(const JsonbValue *value, const FieldSet *given_up, const FieldSet *kept,
		  const Schema *schema, const ListKeys *item_keys, JsonbValue *result)
{
	Fields		fields;
	Fields		left;

	open_map(value, &fields);
	fields_init(&left, fields.n_pairs);
	for (int i = 0; i < fields.n_pairs; i++)
	{
		JsonbPair  *pair = &fields.pairs[i];
		JsonbValue	step;
		JsonbValue	rest;
		Schema		child;

		field_step(&pair->key, &step);
		schema_child(schema, &pair->key, &child);
		if (item_keys != NULL && is_list_key(item_keys, &pair->key))
			fields_append(&left, &pair->key, &pair->value);
		else if (prune_at(&step, &pair->value, given_up, kept, &child, &rest))
			fields_append(&left, &pair->key, &rest);
	}
	fields_value(&left, result);
}

/* An item; false if nothing is left. */
static bool
prune_item(const JsonbValue *identity, const JsonbValue *item, const FieldSet *given_up,
		   const FieldSet *kept, const Schema *schema, const ListKeys *keys,
		   JsonbValue *result)
{
	FieldEntry *entry = field_set_find(given_up, identity);
	FieldEntry *keep = field_set_find(kept, identity);

	*result = *item;
	if (entry == NULL)
		return true;
	if (entry->member && keep == NULL)
		return false;
	if (entry->children != NULL && value_is_object(item))
		prune_map(item, entry->children, keep ? keep->children : NULL, schema, keys, result);
	return true;
}

void
value_prune(const JsonbValue *value, const FieldSet *given_up, const FieldSet *kept,
			const Schema *schema, JsonbValue *result)
{
	ListKeys	keys;
	ListIndex	index;
	Schema		item;
	Shape		shape = shape_of(value, schema, &keys);

	*result = *value;
	if (field_set_is_empty(given_up) || shape == SHAPE_LEAF)
		return;
	if (shape == SHAPE_MAP)
	{
		prune_map(value, given_up, kept, schema, NULL, result);
		return;
	}
	list_index(&index, &keys, value);
	schema_items(schema, &item);
	result->type = jbvArray;
	result->val.array.nElems = 0;
	result->val.array.elems = palloc(sizeof(JsonbValue) * Max(index.n_items, 1));
	result->val.array.rawScalar = false;
	for (int i = 0; i < index.n_items; i++)
	{
		JsonbValue *rest = &result->val.array.elems[result->val.array.nElems];

		if (index.identities[i].type == jbvNull)
			*rest = index.items[i];
		else if (!prune_item(&index.identities[i], &index.items[i], given_up, kept, &item,
							 &keys, rest))
			continue;
		result->val.array.nElems++;
	}
}
