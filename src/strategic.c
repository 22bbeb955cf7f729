/*-------------------------------------------------------------------------
 *
 * strategic.c
 *	  Strategic merge patch, as Kubernetes has it.
 *
 * Two maps are merged in one walk along both, as in patch.c; what the patch
 * does not touch stays in binary form.  What a patch brings that is new is
 * merged with nothing, so that no directive ever gets into an object.
 *
 * The directives that speak of a list stand beside it, and are followed when
 * the fields are merged: first what is to be taken out, then the order.
 *
 * Recursion is as deep as the patch is nested: STORE_MAX_DEPTH at most.  Lists
 * are merged by sorted identities, so all of it takes n log n.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "detail.h"
#include "fields.h"
#include "list_items.h"
#include "object_path.h"
#include "strategic.h"

#define DELETE_FROM_LIST	"$deleteFromPrimitiveList/"
#define SET_ORDER			"$setElementOrder/"

typedef enum MapDirective
{
	MAP_MERGE,
	MAP_REPLACE,
	MAP_DELETE
} MapDirective;

static bool refuse(ObjectError *error, const PathStep *step, const char *format,...)
			pg_attribute_printf(3, 4);
static bool merge_map(const JsonbValue *target, JsonbContainer *patch, const Schema *schema,
					  const PathStep *step, JsonbValue *result, ObjectError *error);

/* Note why; false, so that a check can end with it. */
static bool
refuse(ObjectError *error, const PathStep *step, const char *format,...)
{
	va_list		args;
	char	   *what;

	va_start(args, format);
	what = format_detail(format, args);
	va_end(args);
	error->sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
	error->message = "invalid patch";
	error->detail = step ? psprintf("Field %s of the patch %s.", path_text(step), what) :
		psprintf("The patch %s.", what);
	error->hint = NULL;
	return false;
}

/* ------------------------------------------------------------------------
 * Directives
 * ------------------------------------------------------------------------
 */

static bool
string_is(const JsonbValue *value, const char *string)
{
	return value->type == jbvString && value->val.string.len == strlen(string) &&
		memcmp(value->val.string.val, string, value->val.string.len) == 0;
}

static bool
is_directive(const JsonbValue *key)
{
	return key->val.string.len > 0 && key->val.string.val[0] == '$';
}

/* The field that a directive of this prefix speaks of. */
static bool
take_field(const JsonbValue *key, const char *prefix, JsonbValue *field)
{
	int			length = strlen(prefix);

	if (key->val.string.len <= length || memcmp(key->val.string.val, prefix, length) != 0)
		return false;
	*field = *key;
	field->val.string.val += length;
	field->val.string.len -= length;
	return true;
}

static bool
take_map_directive(JsonbContainer *patch, const PathStep *step, MapDirective *directive,
				   ObjectError *error)
{
	JsonbValue	value;

	*directive = MAP_MERGE;
	if (getKeyJsonValueFromContainer(patch, "$patch", strlen("$patch"), &value) == NULL ||
		string_is(&value, "merge"))
		return true;
	if (string_is(&value, "replace"))
		*directive = MAP_REPLACE;
	else if (string_is(&value, "delete"))
		*directive = MAP_DELETE;
	else
		return refuse(error, step, "has a $patch that is not merge, replace or delete");
	return true;
}

/* Directives that do not exist are not fields, either. */
static bool
check_directives(const Fields *patch, const PathStep *step, ObjectError *error)
{
	for (int i = 0; i < patch->n_pairs; i++)
	{
		const JsonbPair *pair = &patch->pairs[i];
		JsonbValue	field;

		if (!is_directive(&pair->key) || string_is(&pair->key, "$patch"))
			continue;
		if (!string_is(&pair->key, "$retainKeys") &&
			!take_field(&pair->key, DELETE_FROM_LIST, &field) &&
			!take_field(&pair->key, SET_ORDER, &field))
			return refuse(error, step, "has an unknown directive, \"%.*s\"",
						  pair->key.val.string.len, pair->key.val.string.val);
		if (!value_is_array(&pair->value))
			return refuse(error, step, "has a directive \"%.*s\" that is not an array",
						  pair->key.val.string.len, pair->key.val.string.val);
	}
	return true;
}

/*
 * Of what is stored, only the keys that $retainKeys names stay.  It must name
 * those that the patch brings, too.
 */
static bool
retain_keys(Fields *target, const Fields *patch, const JsonbValue *names,
			const PathStep *step, ObjectError *error)
{
	ListKeys	keys = {.kind = LIST_SET};
	ListIndex	retained;
	JsonbValue	identity;
	int			n = 0;

	list_index(&retained, &keys, names);
	for (int i = 0; i < patch->n_pairs; i++)
	{
		if (is_directive(&patch->pairs[i].key) || patch->pairs[i].value.type == jbvNull)
			continue;
		(void) item_identity(&keys, &patch->pairs[i].key, &identity);
		if (list_find(&retained, &identity) < 0)
			return refuse(error, step, "has a member \"%.*s\" that is not in $retainKeys",
						  patch->pairs[i].key.val.string.len,
						  patch->pairs[i].key.val.string.val);
	}
	for (int i = 0; i < target->n_pairs; i++)
	{
		(void) item_identity(&keys, &target->pairs[i].key, &identity);
		if (list_find(&retained, &identity) >= 0)
			target->pairs[n++] = target->pairs[i];
	}
	target->n_pairs = n;
	return true;
}

/* ------------------------------------------------------------------------
 * Lists
 * ------------------------------------------------------------------------
 */

static void
make_array(JsonbValue *result, int room)
{
	result->type = jbvArray;
	result->val.array.nElems = 0;
	result->val.array.elems = palloc(sizeof(JsonbValue) * Max(room, 1));
	result->val.array.rawScalar = false;
}

static void
append_item(JsonbValue *array, const JsonbValue *item)
{
	array->val.array.elems[array->val.array.nElems++] = *item;
}

/* What $patch says in an item: *delete_item, *replace_list. */
static bool
take_item_directive(const JsonbValue *item, const PathStep *step, bool *delete_item,
					bool *replace_list, ObjectError *error)
{
	MapDirective directive = MAP_MERGE;

	if (value_is_object(item) &&
		!take_map_directive(item->val.binary.data, step, &directive, error))
		return false;
	*delete_item = (directive == MAP_DELETE);
	*replace_list = (directive == MAP_REPLACE);
	return true;
}

/* An item that is new, without the directives in it. */
static bool
new_item(const JsonbValue *item, const Schema *schema, const PathStep *step,
		 JsonbValue *result, ObjectError *error)
{
	if (value_is_object(item))
		return merge_map(NULL, item->val.binary.data, schema, step, result, error);
	*result = *item;
	return true;
}

/*
 * A list that is no business of its items, or that the patch replaces: what
 * the patch has, without the items that only say so.
 */
static bool
replace_list(const ListIndex *patch, const Schema *items, const PathStep *step,
			 JsonbValue *result, ObjectError *error)
{
	make_array(result, patch->n_items);
	for (int i = 0; i < patch->n_items; i++)
	{
		PathStep	inner = {step, NULL, i};
		JsonbValue	item;
		bool		deletes;
		bool		replaces;

		if (!take_item_directive(&patch->items[i], &inner, &deletes, &replaces, error))
			return false;
		if (deletes || replaces)
			continue;
		if (!new_item(&patch->items[i], items, &inner, &item, error))
			return false;
		append_item(result, &item);
	}
	return true;
}

/* What the items of the patch say, before any of them is merged. */
static bool
check_items(const ListIndex *patch, const ListKeys *keys, const PathStep *step,
			bool *deleted, bool *replaces_list, ObjectError *error)
{
	*replaces_list = false;
	for (int i = 0; i < patch->n_items; i++)
	{
		PathStep	inner = {step, NULL, i};
		bool		replaces;

		if (!take_item_directive(&patch->items[i], &inner, &deleted[i], &replaces, error))
			return false;
		*replaces_list |= replaces;
		if (replaces || patch->identities[i].type != jbvNull)
			continue;
		if (keys->kind == LIST_SET)
			return refuse(error, &inner, "must be a string, a number or a boolean");
		return refuse(error, &inner, "lacks a key of the list (%.*s%s)",
					  keys->names[0].val.string.len, keys->names[0].val.string.val,
					  keys->n > 1 ? ", ..." : "");
	}
	return true;
}

/* Where the items of the patch went, by the position of the first of them. */
static bool
merge_items(const ListIndex *target, const ListIndex *patch, const bool *deleted,
			const Schema *items, const PathStep *step, JsonbValue *result,
			ObjectError *error)
{
	int		   *place = palloc(sizeof(int) * Max(patch->n_items, 1));
	int		   *target_place = palloc(sizeof(int) * Max(target->n_items, 1));
	bool	   *gone = palloc0(sizeof(bool) * Max(patch->n_items, 1));

	/* a deletion counts for all items with its identity, wherever it stands */
	for (int i = 0; i < patch->n_items; i++)
	{
		if (deleted[i])
			gone[list_find(patch, &patch->identities[i])] = true;
	}
	make_array(result, target->n_items + patch->n_items);
	for (int i = 0; i < target->n_items; i++)
	{
		int			by = list_find(patch, &target->identities[i]);

		if (by >= 0 && gone[by])
		{
			target_place[i] = -1;
			continue;
		}
		target_place[i] = result->val.array.nElems;
		append_item(result, &target->items[i]);
	}
	for (int i = 0; i < patch->n_items; i++)
	{
		PathStep	inner = {step, NULL, i};
		int			first = list_find(patch, &patch->identities[i]);
		int			at = list_find(target, &patch->identities[i]);
		JsonbValue	item;

		if (deleted[i])
			continue;
		at = at >= 0 ? target_place[at] : -1;
		if (first < i && !deleted[first])
			at = place[first];
		place[i] = at;
		if (at < 0)
		{
			place[i] = result->val.array.nElems;
			if (first < i)
				place[first] = place[i];
			if (!new_item(&patch->items[i], items, &inner, &item, error))
				return false;
			append_item(result, &item);
		}
		else if (value_is_object(&patch->items[i]))
		{
			item = result->val.array.elems[at];
			if (!merge_map(&item, patch->items[i].val.binary.data, items, &inner,
						   &result->val.array.elems[at], error))
				return false;
		}
	}
	return true;
}

static bool
merge_list(const JsonbValue *target, const JsonbValue *patch, const Schema *schema,
		   const PathStep *step, JsonbValue *result, ObjectError *error)
{
	ListKeys	keys;
	ListIndex	olds = {0};
	ListIndex	news;
	Schema		items;
	bool		replaces = true;
	bool	   *deleted;

	schema_merge_keys(schema, &keys);
	schema_items(schema, &items);
	list_index(&news, &keys, patch);
	deleted = palloc0(sizeof(bool) * Max(news.n_items, 1));
	if (keys.kind != LIST_ATOMIC && !check_items(&news, &keys, step, deleted, &replaces, error))
		return false;
	if (replaces)
		return replace_list(&news, &items, step, result, error);
	if (target != NULL && value_is_array(target))
		list_index(&olds, &keys, target);
	return merge_items(&olds, &news, deleted, &items, step, result, error);
}

/* $deleteFromPrimitiveList: the list without these values. */
static void
delete_values(JsonbValue *list, const JsonbValue *values)
{
	ListKeys	keys = {.kind = LIST_SET};
	ListIndex	index;
	ListIndex	unwanted;

	list_index(&index, &keys, list);
	list_index(&unwanted, &keys, values);
	make_array(list, index.n_items);
	for (int i = 0; i < index.n_items; i++)
	{
		if (list_find(&unwanted, &index.identities[i]) < 0)
			append_item(list, &index.items[i]);
	}
}

/* Does the list in the patch have the order that $setElementOrder gives? */
static bool
check_order(const JsonbValue *patch, const ListIndex *order, const ListKeys *keys,
			const PathStep *step, ObjectError *error)
{
	ListIndex	news;
	int			last = -1;

	list_index(&news, keys, patch);
	for (int i = 0; i < news.n_items; i++)
	{
		PathStep	inner = {step, NULL, i};
		int			at = list_find(order, &news.identities[i]);
		JsonbValue	ignored;

		if (value_is_object(&news.items[i]) &&
			getKeyJsonValueFromContainer(news.items[i].val.binary.data, "$patch",
										 strlen("$patch"), &ignored) != NULL)
			continue;
		if (at < last || at < 0)
			return refuse(error, &inner, "is not where $setElementOrder has it");
		last = at;
	}
	return true;
}

/*
 * $setElementOrder: items that it names in its order, the others in theirs.  Of
 * one of each, that which is stored before the other comes first, and what is
 * new before what is old.
 */
static void
order_items(JsonbValue *list, const ListIndex *order, const ListKeys *keys,
			const ListIndex *stored)
{
	ListIndex	index;
	JsonbValue *others;
	JsonbValue *named = palloc(sizeof(JsonbValue) * Max(order->n_items, 1));
	int		   *named_at = palloc(sizeof(int) * Max(order->n_items, 1));
	int		   *others_at;
	int			n_named = 0;
	int			n_others = 0;
	int			i = 0;
	int			j = 0;

	list_index(&index, keys, list);
	others = palloc(sizeof(JsonbValue) * Max(index.n_items, 1));
	others_at = palloc(sizeof(int) * Max(index.n_items, 1));
	for (int k = 0; k < order->n_items; k++)
	{
		int			at = list_find(&index, &order->identities[k]);

		if (at < 0 || list_find(order, &order->identities[k]) != k)
			continue;
		named_at[n_named] = list_find(stored, &order->identities[k]);
		named[n_named++] = index.items[at];
	}
	for (int k = 0; k < index.n_items; k++)
	{
		if (list_find(order, &index.identities[k]) >= 0 &&
			list_find(&index, &index.identities[k]) == k)
			continue;
		others_at[n_others] = list_find(stored, &index.identities[k]);
		others[n_others++] = index.items[k];
	}

	make_array(list, n_named + n_others);
	while (i < n_others || j < n_named)
	{
		bool		take_other = j >= n_named ||
			(i < n_others && others_at[i] >= 0 && named_at[j] >= 0 && others_at[i] < named_at[j]);

		append_item(list, take_other ? &others[i++] : &named[j++]);
	}
}

/* ------------------------------------------------------------------------
 * Maps
 * ------------------------------------------------------------------------
 */

static JsonbValue *
find_value(const Fields *fields, const JsonbValue *key)
{
	int			low = 0;
	int			high = fields->n_pairs;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (key_compare(&fields->pairs[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < fields->n_pairs && key_compare(&fields->pairs[low].key, key) == 0)
		return &fields->pairs[low].value;
	return NULL;
}

/* If it is a $deleteFromPrimitiveList, follow it in the merged fields. */
static bool
delete_from_list(const JsonbPair *directive, Fields *merged, const PathStep *step,
				 ObjectError *error)
{
	JsonbValue	field;
	JsonbValue *list;
	PathStep	inner = {step, &field, 0};

	if (!take_field(&directive->key, DELETE_FROM_LIST, &field))
		return true;
	list = find_value(merged, &field);
	if (list != NULL && !value_is_array(list))
		return refuse(error, &inner, "is to lose values, but it is not a list");
	if (list != NULL)
		delete_values(list, &directive->value);
	return true;
}

/* If it is a $setElementOrder, follow it in the merged fields. */
static bool
order_list(const JsonbPair *directive, const Fields *target, const Fields *patch,
		   Fields *merged, const Schema *schema, const PathStep *step, ObjectError *error)
{
	JsonbValue	field;
	JsonbValue *list;
	JsonbValue *stored;
	JsonbValue *given;
	Schema		child;
	ListKeys	keys;
	ListIndex	order;
	ListIndex	before = {0};
	PathStep	inner = {step, &field, 0};

	if (!take_field(&directive->key, SET_ORDER, &field))
		return true;

	schema_child(schema, &field, &child);
	schema_merge_keys(&child, &keys);
	if (keys.kind == LIST_ATOMIC)
		return refuse(error, &inner, "is not a list that is merged, so it has no $setElementOrder");
	list_index(&order, &keys, &directive->value);
	if (order.n_entries != order.n_items)
		return refuse(error, &inner, "has a $setElementOrder with an item that has no key");
	list = find_value(merged, &field);
	given = find_value(patch, &field);
	stored = find_value(target, &field);
	if (given != NULL && value_is_array(given) && !check_order(given, &order, &keys, &inner, error))
		return false;
	if (list == NULL || !value_is_array(list))
		return true;
	if (stored != NULL && value_is_array(stored))
		list_index(&before, &keys, stored);
	order_items(list, &order, &keys, &before);
	return true;
}

/* target is NULL if there is nothing to merge with. */
static bool
merge_value(const JsonbValue *target, const JsonbValue *patch, const Schema *schema,
			const PathStep *step, JsonbValue *result, ObjectError *error)
{
	if (value_is_object(patch))
	{
		if (target != NULL && (!value_is_object(target) || schema_replaces(schema)))
			target = NULL;
		return merge_map(target, patch->val.binary.data, schema, step, result, error);
	}
	if (value_is_array(patch))
		return merge_list(target, patch, schema, step, result, error);
	*result = *patch;
	return true;
}

/* One walk along the fields of both. */
static bool
merge_fields(const Fields *olds, const Fields *news, const Schema *schema,
			 const PathStep *step, Fields *result, ObjectError *error)
{
	int			i = 0;
	int			j = 0;

	fields_init(result, olds->n_pairs + news->n_pairs);
	while (i < olds->n_pairs || j < news->n_pairs)
	{
		int			difference;
		JsonbPair  *pair;
		JsonbValue *old = NULL;
		JsonbValue	merged;
		PathStep	inner = {step, NULL, 0};
		Schema		child;

		if (j >= news->n_pairs)
			difference = -1;
		else if (i >= olds->n_pairs)
			difference = 1;
		else
			difference = key_compare(&olds->pairs[i].key, &news->pairs[j].key);
		if (difference < 0)
		{
			pair = &olds->pairs[i++];
			fields_append(result, &pair->key, &pair->value);
			continue;
		}
		pair = &news->pairs[j++];
		if (difference == 0)
			old = &olds->pairs[i++].value;
		if (is_directive(&pair->key) || pair->value.type == jbvNull)
			continue;			/* followed elsewhere, or removed */
		inner.key = &pair->key;
		schema_child(schema, &pair->key, &child);
		if (!merge_value(old, &pair->value, &child, &inner, &merged, error))
			return false;
		fields_append(result, &pair->key, &merged);
	}
	return true;
}

static bool
merge_map(const JsonbValue *target, JsonbContainer *patch, const Schema *schema,
		  const PathStep *step, JsonbValue *result, ObjectError *error)
{
	MapDirective directive;
	Fields		olds;
	Fields		news;
	Fields		merged;
	JsonbValue *retained;

	if (!take_map_directive(patch, step, &directive, error))
		return false;
	fields_open(&news, patch, 0);
	if (!check_directives(&news, step, error))
		return false;
	if (directive == MAP_DELETE)
		news.n_pairs = 0;
	if (directive != MAP_MERGE || target == NULL || !value_is_object(target))
		fields_init(&olds, 0);
	else if (target->type == jbvBinary)
		fields_open(&olds, target->val.binary.data, 0);
	else
	{
		olds.n_pairs = olds.room = target->val.object.nPairs;
		olds.pairs = target->val.object.pairs;
	}

	retained = fields_find(&news, "$retainKeys");
	if (retained != NULL && !retain_keys(&olds, &news, retained, step, error))
		return false;
	if (!merge_fields(&olds, &news, schema, step, &merged, error))
		return false;
	for (int i = 0; i < news.n_pairs; i++)
	{
		if (!delete_from_list(&news.pairs[i], &merged, step, error))
			return false;
	}
	for (int i = 0; i < news.n_pairs; i++)
	{
		if (!order_list(&news.pairs[i], &olds, &news, &merged, schema, step, error))
			return false;
	}
	fields_value(&merged, result);
	return true;
}

Jsonb *
strategic_apply(Jsonb *target, Jsonb *patch, const Schema *schema, ObjectError *error)
{
	JsonbValue	root = {.type = jbvBinary};
	JsonbValue	result;

	if (!JB_ROOT_IS_OBJECT(patch))
	{
		refuse(error, NULL, "must be a JSON object");
		return NULL;
	}
	root.val.binary.data = &target->root;
	root.val.binary.len = VARSIZE(target) - VARHDRSZ;
	if (!merge_map(&root, &patch->root, schema, NULL, &result, error))
		return NULL;
	return value_close(&result, VARSIZE(target) + VARSIZE(patch));
}
