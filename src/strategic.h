/*-------------------------------------------------------------------------
 *
 * strategic.h
 *	  Strategic merge patch, as Kubernetes has it.
 *
 * A merge patch that knows of lists: those whose items have a key are merged
 * item by item, those that are sets are united, all others are replaced.  What
 * a patch of this form cannot say by itself, directives in it do:
 *
 *		"$patch": "merge" | "replace" | "delete"
 *			in a map: what is to happen with it (deleting it leaves it empty);
 *			in an item of a merged list: with the item (merge, delete) or with
 *			the whole list (replace)
 *		"$retainKeys": ["a", ...]
 *			in a map: of what is stored, no other fields stay
 *		"$deleteFromPrimitiveList/FIELD": [...]
 *			beside a list that is a set: values to take out of it
 *		"$setElementOrder/FIELD": [...]
 *			beside a merged list: its order; what is stored and not named
 *			keeps its place among the others as far as it can
 *
 * Pure: no I/O, no clock, no setting; the same result on every member.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_STRATEGIC_H
#define STORE_STRATEGIC_H

#include "store.h"
#include "object.h"
#include "schema.h"
#include "utils/jsonb.h"

/*
 * The patched target, palloc'd, or NULL, and why in *error.  It is nested no
 * deeper than the deeper of the two.
 */
extern Jsonb *strategic_apply(Jsonb *target, Jsonb *patch, const Schema *schema,
							  ObjectError *error);

#endif							/* STORE_STRATEGIC_H */
