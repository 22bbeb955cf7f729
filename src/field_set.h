/*-------------------------------------------------------------------------
 *
 * field_set.h
 *	  A set of fields of an object, as managedFields has it (FieldsV1).
 *
 * A tree of steps: "f:NAME" into a field, and into an item of a list what
 * list_items.h calls its identity.  A step is a member of the set, or leads to
 * some, or both; in FieldsV1 the latter is said by a "." below it.
 *
 * Sets are not changed once they are made, so they may share their parts.
 *
 * A set can also stand for a change: then a member means all that is at and
 * below it.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_FIELD_SET_H
#define STORE_FIELD_SET_H

#include "store.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

typedef struct FieldSet FieldSet;

typedef struct FieldEntry
{
	JsonbValue	step;			/* a string, as in FieldsV1 */
	bool		member;
	FieldSet   *children;		/* NULL if there are none; never empty */
} FieldEntry;

struct FieldSet
{
	int			n;
	int			room;
	FieldEntry *entries;		/* ascending by key_compare(), no step twice */
};

/*
 * Making a set: add steps in any order, then finish it.  Steps that are equal
 * become one.  Adding one that is no member and leads nowhere does nothing.
 */
extern FieldSet *field_set_new(void);
extern void field_set_add(FieldSet *set, const JsonbValue *step, bool member,
						  FieldSet *children);
extern void field_set_finish(FieldSet *set);

/* "f:" and the name of a field, palloc'd. */
extern void field_step(const JsonbValue *name, JsonbValue *step);

/* A step for people, as in .image or [name="a"]. */
extern void field_step_append(StringInfo path, const JsonbValue *step);

/* The entry of a step; NULL if there is none, or set is NULL. */
extern FieldEntry *field_set_find(const FieldSet *set, const JsonbValue *step);

/* NULL counts as an empty set here. */
extern bool field_set_is_empty(const FieldSet *set);
extern FieldSet *field_set_union(const FieldSet *a, const FieldSet *b);
extern FieldSet *field_set_minus(const FieldSet *a, const FieldSet *b);

/* The part of a set that a change concerns, and the part that it does not. */
extern FieldSet *field_set_changed(const FieldSet *set, const FieldSet *change);
extern FieldSet *field_set_unchanged(const FieldSet *set, const FieldSet *change);

/* How many levels it has. */
extern int	field_set_depth(const FieldSet *set);

/* FieldsV1 from and to jsonb; decoding returns NULL if it is malformed. */
extern FieldSet *field_set_decode(const JsonbValue *fields);
extern void field_set_encode(const FieldSet *set, JsonbValue *fields);

/*
 * Call visit for each member in turn with its path for people, as in
 * .spec.containers[name="a"].image, until it returns false.
 */
typedef bool (*FieldVisitor) (const char *path, void *context);
extern void field_set_visit(const FieldSet *set, FieldVisitor visit, void *context);

#endif							/* STORE_FIELD_SET_H */
