/*-------------------------------------------------------------------------
 *
 * object.h
 *	  What a resource is made of: required fields, names, stamps.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_OBJECT_H
#define STORE_OBJECT_H

#include "store.h"
#include "command.h"
#include "utils/jsonb.h"

/*
 * Check an object that somebody wants to store and find its key.  Raises an
 * ERROR, with the path of the field in DETAIL, if it is not an object, if
 * apiVersion, kind or metadata.name is missing, is no string or breaks the
 * rules of names, if metadata is no object, if metadata.namespace, labels,
 * annotations, finalizers, resourceVersion or uid has the wrong type, if it is
 * nested deeper than STORE_MAX_DEPTH, if a number in it is beyond the range of
 * a double, or if a string in it is not UTF-8.  A null stands for an optional
 * field that is absent.  The key's strings are palloc'd.
 */
extern void object_check(Jsonb *object, ResourceKey *key);

/* Why an object is refused, as ereport would have it. */
typedef struct ObjectError
{
	int			sqlstate;
	char	   *message;
	char	   *detail;
} ObjectError;

/* The same without an ERROR: false, and why in *error. */
extern bool object_verify(Jsonb *object, ResourceKey *key, ObjectError *error);

/*
 * The part of object_check() that the state machine asks for: everything but
 * depth, numbers and encoding, and no ERROR: false, and why in *error.
 */
extern bool object_identify(Jsonb *object, ResourceKey *key, ObjectError *error);

/*
 * Check a patch body, or raise an ERROR: an object (merge) or an array (json),
 * not too deep, no number out of range.
 */
extern void patch_check(Jsonb *patch, PatchType type);
extern bool patch_verify(Jsonb *patch, PatchType type, ObjectError *error);

/*
 * metadata.labels of a valid object, palloc'd, NULL if there are none.  Equal
 * labels are equal bytes.
 */
extern Jsonb *object_labels(Jsonb *object);

/*
 * A resource version as it was read: a string of decimal digits.  False if the
 * value is anything else.
 */
extern bool resource_version_parse(const JsonbValue *value, int64 *resource_version);

/* metadata.resourceVersion as a number: false if absent, ERROR if malformed. */
extern bool object_resource_version(Jsonb *object, int64 *resource_version);

/*
 * Check the parts of a key given as arguments; ERROR 22023 with DETAIL naming
 * the argument.  api_version is the combined form ("v1", "apps/v1").
 */
extern void key_from_arguments(const char *api_version, const char *kind,
							   const char *namespace, const char *name,
							   ResourceKey *key);

/*
 * A key written as {"apiVersion": ..., "kind": ..., "namespace": ..., "name":
 * ...}; place says where it stands.  False, and why in *error.
 */
extern bool key_from_object(JsonbContainer *object, const char *place,
							ResourceKey *key, ObjectError *error);

/* The combined form of group and version, palloc'd. */
extern char *key_api_version(const ResourceKey *key);

/* "Pod default/web" or "Node n1", for error messages; palloc'd. */
extern char *key_display(const ResourceKey *key);

extern bool key_equals(const ResourceKey *a, const ResourceKey *b);

#endif							/* STORE_OBJECT_H */
