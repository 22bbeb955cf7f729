/*-------------------------------------------------------------------------
 *
 * typed_value.h
 *	  Values seen through a schema: which fields they have, how they differ.
 *
 * What server-side apply is made of (apply_patch.h).  A value is a map that is
 * merged, a list whose items are told apart, or a leaf: a scalar, and whatever
 * the schema calls atomic or does not speak of.  A value that is not what the
 * schema wants is a leaf, or a map, as it looks.
 *
 * Values are in binary form where they come in, and mostly open where they go
 * out; value_close() makes them binary again.
 *
 * Pure: no I/O, no clock, no setting; the same result on every member.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TYPED_VALUE_H
#define STORE_TYPED_VALUE_H

#include "store.h"
#include "field_set.h"
#include "object.h"
#include "schema.h"
#include "utils/jsonb.h"

/*
 * The fields that a value has: its leaves, its empty maps and lists, and the
 * items of its lists.  A null in a map stands for a field that is not there.
 */
extern FieldSet *value_fields(const JsonbValue *value, const Schema *schema);

/*
 * Is every item of every list one of its own?  If not, false, and why in
 * *error.
 */
extern bool value_check(const JsonbValue *value, const Schema *schema, ObjectError *error);

/*
 * What is there, with what somebody wants it to be.  Lists keep their order as
 * far as the wanted one allows.  live is NULL if there is nothing.
 */
extern void value_merge(const JsonbValue *live, const JsonbValue *wanted, const Schema *schema,
						JsonbValue *result);

/*
 * The difference between two values: what has another value, is new or is gone
 * (a change, see field_set.h), and which fields the newer one has there.  Both
 * are finished and may be empty.
 */
extern void value_compare(const JsonbValue *before, const JsonbValue *after,
						  const Schema *schema, FieldSet **change, FieldSet **gained);

/*
 * Without the fields that are given up, unless they are kept.  What has become
 * empty by that goes, too.
 */
extern void value_prune(const JsonbValue *value, const FieldSet *given_up, const FieldSet *kept,
						const Schema *schema, JsonbValue *result);

#endif							/* STORE_TYPED_VALUE_H */
