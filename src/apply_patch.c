/*-------------------------------------------------------------------------
 *
 * apply_patch.c
 *	  Server-side apply, and who owns which fields.
 *
 * An apply goes through these steps:
 *
 *		what is wanted is merged into what is there;
 *		what the manager wanted the last time, but neither he now nor anybody
 *		else does, is taken out of that;
 *		the result is compared with what is there: a change of a field that
 *		somebody else owns is a conflict, or with force his loss.
 *
 * Each works on whole sets and trees, so an apply costs what the object and its
 * managedFields do, and not what happened to it before.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "apply_patch.h"
#include "fields.h"
#include "lib/stringinfo.h"
#include "list_items.h"
#include "managed_fields.h"
#include "typed_value.h"

/* Of metadata: what the store stamps, and what makes the identity. */
static const char *const stamps[] = {
	"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
	"selfLink", "managedFields"
};
static const char *const identity[] = {"name", "namespace"};

static bool
refuse(ObjectError *error, int sqlstate, char *message, char *detail, char *hint)
{
	error->sqlstate = sqlstate;
	error->message = message;
	error->detail = detail;
	error->hint = hint;
	return false;
}

/* ------------------------------------------------------------------------
 * Objects and their metadata
 * ------------------------------------------------------------------------
 */

static void
root_value(Jsonb *object, JsonbValue *root)
{
	root->type = jbvBinary;
	root->val.binary.data = &object->root;
	root->val.binary.len = VARSIZE(object) - VARHDRSZ;
}

static Jsonb *
empty_object(void)
{
	Fields		fields;

	fields_init(&fields, 0);
	return fields_close(&fields, 0);
}

/* No fields if there is no metadata. */
static void
open_metadata(Jsonb *object, Fields *root, Fields *metadata)
{
	JsonbValue *value;

	fields_open(root, &object->root, 1);
	value = fields_find(root, "metadata");
	if (value != NULL && value_is_object(value))
		fields_open(metadata, value->val.binary.data, 1);
	else
		fields_init(metadata, 1);
}

static Jsonb *
close_metadata(Fields *root, Fields *metadata, Size size_hint)
{
	JsonbValue	value;

	fields_value(metadata, &value);
	fields_set(root, "metadata", &value);
	return fields_close(root, size_hint);
}

/* NULL if there is none. */
static JsonbValue *
managed_fields(Jsonb *object)
{
	Fields		root;
	Fields		metadata;

	if (object == NULL)
		return NULL;
	open_metadata(object, &root, &metadata);
	return fields_find(&metadata, "managedFields");
}

bool
apply_has_owners(Jsonb *object)
{
	JsonbValue	metadata;
	JsonbValue	value;

	return getKeyJsonValueFromContainer(&object->root, "metadata", strlen("metadata"),
										&metadata) != NULL &&
		value_is_object(&metadata) &&
		getKeyJsonValueFromContainer(metadata.val.binary.data, "managedFields",
									 strlen("managedFields"), &value) != NULL &&
		value_is_array(&value) && JsonContainerSize(value.val.binary.data) > 0;
}

static Jsonb *
with_managers(Jsonb *object, const Managers *managers, const char *api_version)
{
	JsonbValue *value = managers_encode(managers, api_version);
	Fields		root;
	Fields		metadata;

	open_metadata(object, &root, &metadata);
	if (value != NULL)
		fields_set(&metadata, "managedFields", value);
	else
		fields_remove(&metadata, "managedFields");
	return close_metadata(&root, &metadata, VARSIZE(object) * 2);
}

/* What somebody wants, without what is not for him to say. */
static Jsonb *
without_stamps(Jsonb *object)
{
	Fields		root;
	Fields		metadata;

	open_metadata(object, &root, &metadata);
	for (int i = 0; i < lengthof(stamps); i++)
		fields_remove(&metadata, stamps[i]);
	return close_metadata(&root, &metadata, VARSIZE(object));
}

static void
add_name(FieldSet *set, const char *name, FieldSet *children)
{
	JsonbValue	value;
	JsonbValue	step;

	value_string(&value, name);
	field_step(&value, &step);
	field_set_add(set, &step, children == NULL, children);
}

/* Without what nobody owns. */
static FieldSet *
ownable(const FieldSet *set)
{
	FieldSet   *metadata = field_set_new();
	FieldSet   *nobodys = field_set_new();

	for (int i = 0; i < lengthof(stamps); i++)
		add_name(metadata, stamps[i], NULL);
	for (int i = 0; i < lengthof(identity); i++)
		add_name(metadata, identity[i], NULL);
	field_set_finish(metadata);
	add_name(nobodys, "apiVersion", NULL);
	add_name(nobodys, "kind", NULL);
	add_name(nobodys, "metadata", metadata);
	field_set_finish(nobodys);
	return field_set_unchanged(set, nobodys);
}

/* managedFields count among what may be nested no deeper than anything else. */
static bool
check_depth(const Managers *managers, ObjectError *error)
{
	const int	above = 4;		/* object, metadata, managedFields, entry */

	for (int i = 0; i < managers->n; i++)
	{
		if (above + field_set_depth(managers->entries[i].fields) > STORE_MAX_DEPTH)
			return refuse(error, ERRCODE_INVALID_PARAMETER_VALUE, "invalid object",
						  "It is nested too deep for its fields to have an owner.", NULL);
	}
	return true;
}

/* ------------------------------------------------------------------------
 * Conflicts
 * ------------------------------------------------------------------------
 */

typedef struct Causes
{
	StringInfoData text;
	int			n;
	const Manager *owner;
} Causes;

static bool
add_cause(const char *path, void *context)
{
	Causes	   *causes = context;
	const JsonbValue *name = &causes->owner->name;
	const JsonbValue *subresource = &causes->owner->subresource;

	if (causes->n++ >= APPLY_MAX_CAUSES)
		return true;			/* counted only */
	appendStringInfo(&causes->text, "%sField %s is owned by \"%.*s\" (%s",
					 causes->n > 1 ? "\n" : "", path, name->val.string.len, name->val.string.val,
					 causes->owner->applies ? "Apply" : "Update");
	if (subresource->type != jbvNull)
		appendStringInfo(&causes->text, " of %.*s", subresource->val.string.len,
						 subresource->val.string.val);
	appendStringInfoString(&causes->text, ").");
	return true;
}

/* What others own of a change: their loss if it is forced, or why not. */
static bool
take_from_others(Managers *managers, const Manager *self, const FieldSet *change, bool force,
				 ObjectError *error)
{
	Causes		causes = {.n = 0};

	initStringInfo(&causes.text);
	for (int i = 0; i < managers->n; i++)
	{
		Manager    *manager = &managers->entries[i];
		FieldSet   *lost;

		if (manager == self)
			continue;
		lost = field_set_changed(manager->fields, change);
		if (field_set_is_empty(lost))
			continue;
		if (force)
		{
			manager->fields = field_set_unchanged(manager->fields, change);
			continue;
		}
		causes.owner = manager;
		field_set_visit(lost, add_cause, &causes);
	}
	if (causes.n == 0)
		return true;
	if (causes.n > APPLY_MAX_CAUSES)
		appendStringInfo(&causes.text, "\nAnd %d more.", causes.n - APPLY_MAX_CAUSES);
	return refuse(error, ERRCODE_T_R_SERIALIZATION_FAILURE, "conflict", causes.text.data,
				  "Leave these fields out, give them the values that they have, or take them with force.");
}

/* ------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------
 */

/* What the manager gave up, and nobody owns now. */
static Jsonb *
prune(Jsonb *merged, const Managers *managers, const Manager *self, const FieldSet *last,
	  const FieldSet *wanted, const Schema *schema)
{
	FieldSet   *given_up = field_set_minus(ownable(last), wanted);
	const FieldSet *kept = wanted;
	JsonbValue	root;
	JsonbValue	pruned;

	if (field_set_is_empty(given_up))
		return merged;
	for (int i = 0; i < managers->n; i++)
	{
		if (&managers->entries[i] != self)
			kept = field_set_union(kept, managers->entries[i].fields);
	}
	root_value(merged, &root);
	value_prune(&root, given_up, kept, schema, &pruned);
	return value_close(&pruned, VARSIZE(merged));
}

Jsonb *
apply_patch(Jsonb *live, Jsonb *wanted, const FieldWriter *writer, ObjectError *error)
{
	Managers	managers;
	Manager    *self;
	FieldSet   *wanted_fields;
	FieldSet   *change;
	FieldSet   *gained;
	JsonbValue	live_root;
	JsonbValue	root;
	JsonbValue	merged_root;
	Jsonb	   *merged;
	Jsonb	   *result;

	if (apply_has_owners(wanted))
	{
		refuse(error, ERRCODE_INVALID_PARAMETER_VALUE, "invalid patch",
			   "Field metadata.managedFields must not be applied.", NULL);
		return NULL;
	}
	root_value(without_stamps(wanted), &root);
	if (!value_check(&root, writer->schema, error))
		return NULL;
	wanted_fields = ownable(value_fields(&root, writer->schema));
	managers_decode(managed_fields(live), &managers);
	self = managers_add(&managers, writer->manager, writer->subresource, true);

	root_value(live ? live : empty_object(), &live_root);
	value_merge(&live_root, &root, writer->schema, &merged_root);
	merged = value_close(&merged_root, live_root.val.binary.len + root.val.binary.len);
	merged = prune(merged, &managers, self, self->fields, wanted_fields, writer->schema);

	root_value(merged, &root);
	value_compare(&live_root, &root, writer->schema, &change, &gained);
	if (!take_from_others(&managers, self, ownable(change), writer->force, error))
		return NULL;
	self->fields = wanted_fields;
	if (!check_depth(&managers, error))
		return NULL;

	/* as of the last time, if that makes no difference */
	{
		Managers	unchanged = {managers.n, palloc(sizeof(Manager) * managers.n)};

		memcpy(unchanged.entries, managers.entries, sizeof(Manager) * managers.n);
		managers_finish(&unchanged);
		result = with_managers(merged, &unchanged, writer->api_version);
	}
	root_value(result, &root);
	if (live != NULL && value_equals(&live_root, &root))
		return result;
	value_string(&self->time, writer->time);
	managers_finish(&managers);
	return with_managers(merged, &managers, writer->api_version);
}

/*
 * Whose managedFields hold: those that the writer brings, or else those that
 * are stored.  An empty list is a wish to forget them.
 */
static void
current_managers(Jsonb *stored, Jsonb *object, Managers *managers)
{
	JsonbValue *given = managed_fields(object);

	managers_decode(given, managers);
	if (managers->n > 0 ||
		(given != NULL && value_is_array(given) && JsonContainerSize(given->val.binary.data) == 0))
		return;
	managers_decode(managed_fields(stored), managers);
}

Jsonb *
apply_ownership(Jsonb *stored, Jsonb *object, const FieldWriter *writer, ObjectError *error)
{
	JsonbValue *given = managed_fields(object);
	JsonbValue *kept = managed_fields(stored);
	Managers	managers;
	FieldSet   *change;
	FieldSet   *gained;
	JsonbValue	before;
	JsonbValue	after;

	/* who brings managedFields of his own and no name sees to them himself */
	if (writer->manager == NULL && given != NULL &&
		(kept == NULL || given->type != kept->type || !value_equals(given, kept)))
		return object;

	current_managers(stored, object, &managers);
	root_value(stored ? stored : empty_object(), &before);
	root_value(object, &after);
	value_compare(&before, &after, writer->schema, &change, &gained);
	change = ownable(change);
	gained = ownable(gained);
	for (int i = 0; i < managers.n; i++)
		managers.entries[i].fields = field_set_unchanged(managers.entries[i].fields, change);
	if (writer->manager != NULL && !field_set_is_empty(gained))
	{
		Manager    *self = managers_add(&managers, writer->manager, writer->subresource, false);

		self->fields = field_set_union(self->fields, gained);
		value_string(&self->time, writer->time);
	}
	managers_finish(&managers);
	if (!check_depth(&managers, error))
		return NULL;
	return with_managers(object, &managers, writer->api_version);
}

/* ------------------------------------------------------------------------
 * What would be
 * ------------------------------------------------------------------------
 */

/* The changes so far, and whose fields may be concerned. */
typedef struct Diff
{
	ApplyChange *changes;
	int			n;
	int			room;
	Managers	others;
} Diff;

/* What is at a step of a value, NULL if nothing is. */
static JsonbValue *
value_at(const JsonbValue *value, const JsonbValue *step, const Schema *schema,
		 JsonbValue *result)
{
	ListKeys	keys;
	ListIndex	index;
	int			at;

	if (value == NULL || value->type != jbvBinary)
		return NULL;
	if (step->val.string.val[0] == 'f')
		return value_is_object(value) ?
			getKeyJsonValueFromContainer(value->val.binary.data, step->val.string.val + 2,
										 step->val.string.len - 2, result) : NULL;
	if (!value_is_array(value))
		return NULL;
	schema_list_keys(schema, &keys);
	list_index(&index, &keys, value);
	at = list_find(&index, step);
	if (at < 0)
		return NULL;
	*result = index.items[at];
	return result;
}

static void
add_change(Diff *diff, const char *path, const JsonbValue *before, const JsonbValue *after,
		   FieldEntry *const *owned)
{
	ApplyChange *change;

	if (diff->n == diff->room)
	{
		diff->room = Max(diff->room * 2, 16);
		diff->changes = repalloc(diff->changes, sizeof(ApplyChange) * diff->room);
	}
	change = &diff->changes[diff->n++];
	change->path = pstrdup(path);
	change->before = before ? JsonbValueToJsonb(unconstify(JsonbValue *, before)) : NULL;
	change->after = after ? JsonbValueToJsonb(unconstify(JsonbValue *, after)) : NULL;
	change->n_owners = 0;
	change->owners = palloc(sizeof(char *) * Max(diff->others.n, 1));
	for (int i = 0; i < diff->others.n; i++)
	{
		const JsonbValue *name = &diff->others.entries[i].name;

		if (owned[i] != NULL)
			change->owners[change->n_owners++] = pnstrdup(name->val.string.val,
														  name->val.string.len);
	}
}

/* owned: what each of the others owns here. */
static void
collect_changes(Diff *diff, StringInfo path, const FieldSet *change, const JsonbValue *before,
				const JsonbValue *after, FieldSet *const *owned, const Schema *schema)
{
	FieldEntry **entries = palloc(sizeof(FieldEntry *) * Max(diff->others.n, 1));
	FieldSet  **below = palloc(sizeof(FieldSet *) * Max(diff->others.n, 1));
	int			length = path->len;

	for (int i = 0; i < change->n; i++)
	{
		FieldEntry *entry = &change->entries[i];
		JsonbValue	before_value;
		JsonbValue	after_value;
		JsonbValue *old = value_at(before, &entry->step, schema, &before_value);
		JsonbValue *new = value_at(after, &entry->step, schema, &after_value);
		JsonbValue	name = entry->step;
		Schema		child;

		for (int j = 0; j < diff->others.n; j++)
		{
			entries[j] = field_set_find(owned[j], &entry->step);
			below[j] = entries[j] ? entries[j]->children : NULL;
		}
		field_step_append(path, &entry->step);
		if (entry->member)
			add_change(diff, path->data, old, new, entries);
		else
		{
			if (name.val.string.val[0] == 'f')
			{
				name.val.string.val += 2;
				name.val.string.len -= 2;
				schema_child(schema, &name, &child);
			}
			else
				schema_items(schema, &child);
			collect_changes(diff, path, entry->children, old, new, below, &child);
		}
		path->len = length;
		path->data[length] = '\0';
	}
}

ApplyChange *
apply_diff(Jsonb *live, Jsonb *wanted, const FieldWriter *writer, int *n_changes,
		   ObjectError *error)
{
	FieldWriter forced = *writer;
	Jsonb	   *result;
	Diff		diff = {.changes = palloc(sizeof(ApplyChange)), .room = 1};
	Managers	managers;
	Manager    *self;
	FieldSet  **owned;
	FieldSet   *change;
	FieldSet   *gained;
	JsonbValue	before;
	JsonbValue	after;
	StringInfoData path;

	forced.force = true;
	result = apply_patch(live, wanted, &forced, error);
	if (result == NULL)
		return NULL;
	root_value(live ? without_stamps(live) : empty_object(), &before);
	root_value(without_stamps(result), &after);
	value_compare(&before, &after, writer->schema, &change, &gained);

	managers_decode(managed_fields(live), &managers);
	self = managers_find(&managers, writer->manager, writer->subresource, true);
	diff.others.entries = palloc(sizeof(Manager) * (managers.n + 1));
	owned = palloc(sizeof(FieldSet *) * (managers.n + 1));
	for (int i = 0; i < managers.n; i++)
	{
		if (&managers.entries[i] == self)
			continue;
		owned[diff.others.n] = managers.entries[i].fields;
		diff.others.entries[diff.others.n++] = managers.entries[i];
	}
	initStringInfo(&path);
	collect_changes(&diff, &path, ownable(change), &before, &after, owned, writer->schema);
	*n_changes = diff.n;
	return diff.changes;
}
