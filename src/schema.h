/*-------------------------------------------------------------------------
 *
 * schema.h
 *	  What a patch has to know of the object that it changes.
 *
 * A Schema is a place in what is known of a kind: in the table of Kubernetes'
 * own kinds (merge_keys.h), in a schema that was registered, or nowhere.  Where
 * nothing is known, maps are merged field by field, and lists are values.
 *
 * Registered schemas are resources of the store like any others, of the kind
 * SCHEMA_KIND: written through the log, and read by the state machine as of the
 * entry that it applies.  So all members decide alike, and a schema can be
 * read, watched, exported and deleted.  Kubernetes' own kinds never ask for one.
 *
 * What somebody put there by hand may say anything.  Here it is read with the
 * same result everywhere: what makes no sense is as if it were not there.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "store.h"
#include "list_items.h"
#include "merge_keys.h"
#include "object.h"
#include "utils/jsonb.h"

#define SCHEMA_API_GROUP	"schema.store"
#define SCHEMA_VERSION		"v1"
#define SCHEMA_KIND			"ResourceSchema"

typedef struct Schema
{
	/* at most one of type, field and openapi says something */
	const BuiltinType *type;
	const BuiltinField *field;	/* by which type was reached */
	JsonbContainer *openapi;	/* not ours; NULL if nothing is known */
	bool		is_object;		/* a whole object, with metadata */
} Schema;

/*
 * The schema of a kind's objects.  registered is the resource that
 * schema_key() names, or NULL; the schema points into it.  False if nothing is
 * known of the kind (*schema can be used nevertheless).
 */
extern bool schema_open(const ResourceKey *key, Jsonb *registered, Schema *schema);

/*
 * The key of the resource with the schema of this kind.  False if there can be
 * none, because the kind is one of Kubernetes' own.
 */
extern bool schema_key(const ResourceKey *key, ResourceKey *of_schema);

/* A field of a map; the items of a list. */
extern void schema_child(const Schema *parent, const JsonbValue *key, Schema *child);
extern void schema_items(const Schema *list, Schema *item);

/* Is a map owned as a whole?  Does a strategic patch replace it? */
extern bool schema_is_atomic(const Schema *map);
extern bool schema_replaces(const Schema *map);

/* How are items of a list told apart: by apply, by a strategic patch? */
extern void schema_list_keys(const Schema *list, ListKeys *keys);
extern void schema_merge_keys(const Schema *list, ListKeys *keys);

/*
 * The part of an OpenAPI schema that is of use here, palloc'd; NULL, and why in
 * *error, if it contradicts itself.
 */
extern Jsonb *schema_reduce(Jsonb *openapi, ObjectError *error);

#endif							/* STORE_SCHEMA_H */
