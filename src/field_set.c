/*-------------------------------------------------------------------------
 *
 * field_set.c
 *	  A set of fields of an object, as managedFields has it (FieldsV1).
 *
 * Steps are kept in the order of jsonb's keys, so two sets are combined in one
 * walk along both, and a set becomes a jsonb without sorting.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "field_set.h"
#include "fields.h"
#include "lib/stringinfo.h"

FieldSet *
field_set_new(void)
{
	return palloc0(sizeof(FieldSet));
}

void
field_set_add(FieldSet *set, const JsonbValue *step, bool member, FieldSet *children)
{
	FieldEntry *entry;

	if (field_set_is_empty(children))
		children = NULL;
	if (!member && children == NULL)
		return;
	if (set->n == set->room)
	{
		set->room = Max(set->room * 2, 4);
		set->entries = set->entries ?
			repalloc(set->entries, sizeof(FieldEntry) * set->room) :
			palloc(sizeof(FieldEntry) * set->room);
	}
	entry = &set->entries[set->n++];
	entry->step = *step;
	entry->member = member;
	entry->children = children;
}

static int
compare_entries(const void *a, const void *b)
{
	return key_compare(&((const FieldEntry *) a)->step, &((const FieldEntry *) b)->step);
}

void
field_set_finish(FieldSet *set)
{
	int			n = 0;

	if (set->n == 0)
		return;
	qsort(set->entries, set->n, sizeof(FieldEntry), compare_entries);
	for (int i = 1; i < set->n; i++)
	{
		FieldEntry *last = &set->entries[n];
		FieldEntry *entry = &set->entries[i];

		if (key_compare(&last->step, &entry->step) != 0)
		{
			set->entries[++n] = *entry;
			continue;
		}
		last->member |= entry->member;
		if (last->children == NULL)
			last->children = entry->children;
		else if (entry->children != NULL)
			last->children = field_set_union(last->children, entry->children);
	}
	set->n = n + 1;
}

void
field_step(const JsonbValue *name, JsonbValue *step)
{
	step->type = jbvString;
	step->val.string.len = name->val.string.len + 2;
	step->val.string.val = palloc(step->val.string.len);
	memcpy(step->val.string.val, "f:", 2);
	memcpy(step->val.string.val + 2, name->val.string.val, name->val.string.len);
}

FieldEntry *
field_set_find(const FieldSet *set, const JsonbValue *step)
{
	int			low = 0;
	int			high = set ? set->n : 0;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			difference = key_compare(&set->entries[middle].step, step);

		if (difference == 0)
			return &set->entries[middle];
		if (difference < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool
field_set_is_empty(const FieldSet *set)
{
	return set == NULL || set->n == 0;
}

/* How two sets become one. */
typedef enum Combination
{
	UNION,
	MINUS,
	CHANGED,					/* b is a change */
	UNCHANGED
} Combination;

static FieldSet *
combine(const FieldSet *a, const FieldSet *b, Combination how)
{
	FieldSet   *result = field_set_new();
	int			n_a = a ? a->n : 0;
	int			n_b = b ? b->n : 0;
	int			i = 0;
	int			j = 0;

	while (i < n_a || j < n_b)
	{
		FieldEntry *x = i < n_a ? &a->entries[i] : NULL;
		FieldEntry *y = j < n_b ? &b->entries[j] : NULL;
		int			difference = x == NULL ? 1 : y == NULL ? -1 : key_compare(&x->step, &y->step);
		bool		member;

		if (difference < 0)
		{
			i++;
			if (how != CHANGED)
				field_set_add(result, &x->step, x->member, x->children);
			continue;
		}
		j++;
		if (difference > 0)
		{
			if (how == UNION)
				field_set_add(result, &y->step, y->member, y->children);
			continue;
		}
		i++;
		if (y->member && (how == CHANGED || how == UNCHANGED))
		{
			if (how == CHANGED)
				field_set_add(result, &x->step, x->member, x->children);
			continue;
		}
		member = how == UNION ? x->member || y->member :
			how == MINUS ? x->member && !y->member :
			how == UNCHANGED && x->member;
		field_set_add(result, &x->step, member, combine(x->children, y->children, how));
	}
	return result;
}

FieldSet *
field_set_union(const FieldSet *a, const FieldSet *b)
{
	return combine(a, b, UNION);
}

FieldSet *
field_set_minus(const FieldSet *a, const FieldSet *b)
{
	return combine(a, b, MINUS);
}

FieldSet *
field_set_changed(const FieldSet *set, const FieldSet *change)
{
	return combine(set, change, CHANGED);
}

FieldSet *
field_set_unchanged(const FieldSet *set, const FieldSet *change)
{
	return combine(set, change, UNCHANGED);
}

int
field_set_depth(const FieldSet *set)
{
	int			depth = 0;

	for (int i = 0; set != NULL && i < set->n; i++)
		depth = Max(depth, field_set_depth(set->entries[i].children));
	return depth + 1;
}

/* ------------------------------------------------------------------------
 * FieldsV1
 * ------------------------------------------------------------------------
 */

static bool
is_dot(const JsonbValue *step)
{
	return step->val.string.len == 1 && step->val.string.val[0] == '.';
}

static bool
is_step(const JsonbValue *step)
{
	return step->val.string.len >= 2 && step->val.string.val[1] == ':' &&
		memchr("fkv", step->val.string.val[0], 3) != NULL;
}

FieldSet *
field_set_decode(const JsonbValue *fields)
{
	FieldSet   *set = field_set_new();
	Fields		steps;

	if (!value_is_object(fields))
		return NULL;
	fields_open(&steps, fields->val.binary.data, 0);
	for (int i = 0; i < steps.n_pairs; i++)
	{
		JsonbPair  *pair = &steps.pairs[i];
		JsonbValue	dot;
		FieldSet   *children;
		bool		member;

		if (is_dot(&pair->key))
			continue;			/* taken by the level above */
		if (!is_step(&pair->key) || (children = field_set_decode(&pair->value)) == NULL)
			return NULL;
		member = children->n == 0 ||
			getKeyJsonValueFromContainer(pair->value.val.binary.data, ".", 1, &dot) != NULL;
		field_set_add(set, &pair->key, member, children);
	}
	return set;
}

void
field_set_encode(const FieldSet *set, JsonbValue *fields)
{
	Fields		steps;
	JsonbValue	empty;
	Fields		nothing;

	fields_init(&steps, set->n + 1);
	for (int i = 0; i < set->n; i++)
	{
		FieldEntry *entry = &set->entries[i];
		JsonbValue	value;

		if (entry->children != NULL)
			field_set_encode(entry->children, &value);
		else
		{
			fields_init(&nothing, 0);
			fields_value(&nothing, &value);
		}
		if (entry->member && entry->children != NULL)
		{
			Fields		below = {value.val.object.nPairs, value.val.object.nPairs + 1,
			value.val.object.pairs};

			/* "." is shorter than any step, and there is room for it */
			fields_init(&nothing, 0);
			fields_value(&nothing, &empty);
			fields_set(&below, ".", &empty);
			fields_value(&below, &value);
		}
		fields_append(&steps, &entry->step, &value);
	}
	fields_value(&steps, fields);
}

/* ------------------------------------------------------------------------
 * For people
 * ------------------------------------------------------------------------
 */

/* k:{"a":1,"b":"c"} as [a=1,b="c"] */
static void
append_keys(StringInfo path, const char *s, int length)
{
	bool		quoted = false;
	bool		in_name = false;

	appendStringInfoChar(path, '[');
	for (int i = 1; i < length - 1; i++)
	{
		if (quoted && s[i] == '\\' && i + 1 < length - 1)
		{
			appendBinaryStringInfo(path, s + i, 2);
			i++;
			continue;
		}
		if (s[i] == '"')
		{
			if (!quoted)
				in_name = s[i - 1] == '{' || s[i - 1] == ',';
			quoted = !quoted;
			if (in_name)
				continue;
		}
		appendStringInfoChar(path, !quoted && s[i] == ':' ? '=' : s[i]);
	}
	appendStringInfoChar(path, ']');
}

void
field_step_append(StringInfo path, const JsonbValue *step)
{
	const char *s = step->val.string.val + 2;
	int			length = step->val.string.len - 2;

	switch (step->val.string.val[0])
	{
		case 'k':
			append_keys(path, s, length);
			break;
		case 'v':
			appendStringInfo(path, "[=%.*s]", length, s);
			break;
		default:
			appendStringInfo(path, ".%.*s", length, s);
			break;
	}
}

static bool
visit_below(const FieldSet *set, StringInfo path, FieldVisitor visit, void *context)
{
	int			length = path->len;

	for (int i = 0; i < set->n; i++)
	{
		FieldEntry *entry = &set->entries[i];

		field_step_append(path, &entry->step);
		if (entry->member && !visit(path->data, context))
			return false;
		if (entry->children != NULL && !visit_below(entry->children, path, visit, context))
			return false;
		path->len = length;
		path->data[length] = '\0';
	}
	return true;
}

void
field_set_visit(const FieldSet *set, FieldVisitor visit, void *context)
{
	StringInfoData path;

	initStringInfo(&path);
	(void) visit_below(set, &path, visit, context);
}
