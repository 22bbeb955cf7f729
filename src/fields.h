/*-------------------------------------------------------------------------
 *
 * fields.h
 *	  An object's fields, opened one level deep, changed, and closed again.
 *
 * PostgreSQL's own way to change a jsonb is to take it apart to the last leaf
 * and to build it anew.  The state machine changes a few fields at the top of
 * every object that passes through it, and it is the one place that cannot be
 * spread over processes.  So it opens only the levels that change; everything
 * below them stays in binary form and is copied as a block, which the format
 * allows, because offsets in it are relative to the container.
 *
 * Fields are kept in the order that jsonb stores them in: shorter keys first,
 * keys of one length by their bytes.  No locale has a say in that.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_FIELDS_H
#define STORE_FIELDS_H

#include "store.h"
#include "utils/jsonb.h"

typedef struct Fields
{
	int			n_pairs;		/* 0 <= n_pairs <= room */
	int			room;
	JsonbPair  *pairs;			/* ascending by key_compare(), no key twice;
								 * "order" is not used */
} Fields;

/* An object without fields. */
extern void fields_init(Fields *fields, int room);

/*
 * The fields of an object, which must outlive them: strings, numbers and
 * nested containers (as jbvBinary) point into it.  With room for more.
 */
extern void fields_open(Fields *fields, JsonbContainer *object, int more);

/* The value of a field, NULL if there is none. */
extern JsonbValue *fields_find(const Fields *fields, const char *key);

/* Add or replace a field; key and what value points to are borrowed. */
extern void fields_set(Fields *fields, const char *key, const JsonbValue *value);

extern void fields_remove(Fields *fields, const char *key);

/* Add a field whose key comes after all others. */
extern void fields_append(Fields *fields, const JsonbValue *key,
						  const JsonbValue *value);

/* As a value of another object's field. */
extern void fields_value(const Fields *fields, JsonbValue *value);

/*
 * The binary form, palloc'd: the same bytes that JsonbValueToJsonb() would
 * make.  size_hint: about how long it will be.
 */
extern Jsonb *fields_close(const Fields *fields, Size size_hint);

/*
 * The same of an object or array whose children may be open (jbvObject,
 * jbvArray) or in binary form.  An open object's keys are in order.
 */
extern Jsonb *value_close(const JsonbValue *value, Size size_hint);

/* An array as a value whose elements can be reached and changed (jbvArray). */
extern void array_open(JsonbContainer *array, JsonbValue *result);

/* Open or in binary form. */
extern bool value_is_object(const JsonbValue *value);
extern bool value_is_array(const JsonbValue *value);

/* The order of keys in an object. */
extern int	key_compare(const JsonbValue *a, const JsonbValue *b);

/* Are two values equal as JSON?  See there for what that means. */
extern bool value_equals(const JsonbValue *a, const JsonbValue *b);

/* A string value; does not copy. */
extern void value_string(JsonbValue *value, const char *string);

#endif							/* STORE_FIELDS_H */
