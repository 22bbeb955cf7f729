/*-------------------------------------------------------------------------
 *
 * apply_patch.h
 *	  Server-side apply, and who owns which fields.
 *
 * Who applies says what he wants, and nothing else.  What he wants becomes his;
 * what he wanted before and wants no more goes, unless others own it, too.  To
 * change a field that others own is a conflict, unless he forces it: then it is
 * his alone.  To want what is there anyway makes it shared.
 *
 * Whoever writes in any other way, and says who he is, owns what he changes, and
 * nobody else does any more.  If he does not say, nobody does.
 *
 * Fields that the store stamps, and those that make the identity, are owned by
 * nobody.
 *
 * Pure: no I/O, no clock, no setting; the same result on every member.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_APPLY_PATCH_H
#define STORE_APPLY_PATCH_H

#include "store.h"
#include "object.h"
#include "schema.h"
#include "utils/jsonb.h"

/* Conflicts that are told one by one; part of the rules. */
#define APPLY_MAX_CAUSES 100

/* Who writes, how, and what is known of the object. */
typedef struct FieldWriter
{
	const char *manager;		/* NULL: nobody says; not of an apply */
	const char *subresource;	/* NULL: none */
	const char *api_version;	/* of the object */
	const char *time;			/* RFC 3339 */
	bool		force;
	const Schema *schema;
} FieldWriter;

/*
 * The object with what is wanted, palloc'd, or NULL, and why in *error.  live is
 * NULL if there is none.  If nothing but a time would change, it equals live.
 */
extern Jsonb *apply_patch(Jsonb *live, Jsonb *wanted, const FieldWriter *writer,
						  ObjectError *error);

/*
 * An object that was written in another way, with its managedFields, palloc'd,
 * or NULL, and why in *error.  stored is NULL if it is new.
 */
extern Jsonb *apply_ownership(Jsonb *stored, Jsonb *object, const FieldWriter *writer,
							  ObjectError *error);

/* One place that an apply would change. */
typedef struct ApplyChange
{
	char	   *path;			/* .spec.containers[name="a"].image */
	Jsonb	   *before;			/* NULL: nothing is there */
	Jsonb	   *after;			/* NULL: it goes */
	int			n_owners;		/* others who own it, or something in it */
	char	  **owners;
} ApplyChange;

/*
 * What apply_patch() would change, with force, in the order of the paths; NULL
 * if it would be refused, and why in *error.
 */
extern ApplyChange *apply_diff(Jsonb *live, Jsonb *wanted, const FieldWriter *writer,
							   int *n_changes, ObjectError *error);

/* Does somebody own fields of this object? */
extern bool apply_has_owners(Jsonb *object);

#endif							/* STORE_APPLY_PATCH_H */
