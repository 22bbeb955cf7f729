/*-------------------------------------------------------------------------
 *
 * watch_filter.c
 *	  Which events a watcher is told of, and as what.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "watch_filter.h"

#include "common/hashfn.h"
#include "fields.h"

/* The object with another metadata.resourceVersion. */
static Jsonb *
stamped(Jsonb *object, int64 resource_version)
{
	Fields		root;
	Fields		metadata;
	JsonbValue *found;
	JsonbValue	value;
	JsonbValue	version;
	char		text[32];

	fields_open(&root, &object->root, 0);
	found = fields_find(&root, "metadata");
	if (found == NULL || found->type != jbvBinary)
		elog(ERROR, "history has an object without metadata");
	fields_open(&metadata, found->val.binary.data, 1);
	snprintf(text, sizeof(text), INT64_FORMAT, resource_version);
	value_string(&version, text);
	fields_set(&metadata, "resourceVersion", &version);
	fields_value(&metadata, &value);
	fields_set(&root, "metadata", &value);
	return fields_close(&root, VARSIZE(object) + sizeof(text));
}

bool
watch_filter(const Selector *selector, WatchEvent *event)
{
	bool		is_deleted = (strcmp(event->type, "DELETED") == 0);
	bool		before;
	bool		after;

	if (selector == NULL)
		return true;
	before = event->previous != NULL &&
		selector_matches(selector, &event->key, event->previous);
	after = !is_deleted && selector_matches(selector, &event->key, event->object);
	if (!before && !after)
		return false;

	if (!after && !is_deleted)
		event->object = stamped(event->previous, event->resource_version);
	event->type = !before ? "ADDED" : after ? "MODIFIED" : "DELETED";
	return true;
}

static uint64
bit_of(const char *name)
{
	return UINT64CONST(1) << (hash_bytes((const unsigned char *) name, strlen(name)) % 64);
}

void
watch_set_add(WatchSet *set, const char *kind, const char *namespace)
{
	set->kinds |= bit_of(kind);
	set->namespaces |= bit_of(namespace ? namespace : "");
}

WatchSet
watch_set_of(const char *kind, const char *namespace)
{
	WatchSet	set = {PG_UINT64_MAX, PG_UINT64_MAX};

	if (kind != NULL)
		set.kinds = bit_of(kind);
	if (namespace != NULL)
		set.namespaces = bit_of(namespace);
	return set;
}

bool
watch_sets_meet(const WatchSet *a, const WatchSet *b)
{
	return (a->kinds & b->kinds) != 0 && (a->namespaces & b->namespaces) != 0;
}
