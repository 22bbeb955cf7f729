/*-------------------------------------------------------------------------
 *
 * merge_keys.h
 *	  What a patch has to know of Kubernetes' own kinds.
 *
 * A list in a manifest is a value of its own, a set, or a map whose items are
 * told apart by some of their fields; a map may be a value of its own, too.
 * Which is which, the API says of each field, and no object shows it.  This is
 * that knowledge for the kinds that every cluster has, and nothing else: a
 * field that is not mentioned is what fields are mostly, a map that is merged
 * field by field, or a list or scalar that is replaced.
 *
 * Strategic merge patch and server-side apply differ on some lists, so a field
 * says both.
 *
 * It is part of the rules that all members share: to change it is to change
 * COMMAND_VERSION.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_MERGE_KEYS_H
#define STORE_MERGE_KEYS_H

#include "store.h"
#include "command.h"

struct BuiltinField;

/* The fields of a map, or of the items of a list. */
typedef struct BuiltinType
{
	bool		atomic;			/* owned as a whole */
	int			n_fields;
	const struct BuiltinField *fields;
} BuiltinType;

typedef struct BuiltinField
{
	const char *name;
	const BuiltinType *type;	/* of its value or items; NULL: nothing to say */
	bool		atomic_map;		/* owned as a whole, though its type is not */
	bool		replaced_map;	/* a strategic patch replaces it */

	/*
	 * For apply: "" is a set, otherwise the fields that tell items apart, in
	 * ascending order, "protocol=TCP" for one with a default.  NULL: a value.
	 */
	const char *list_keys;

	/* For strategic patches: the same, one field.  NULL: the list is replaced. */
	const char *merge_key;
} BuiltinField;

/* The type of a kind, NULL if it is not one of Kubernetes' own. */
extern const BuiltinType *builtin_kind(const ResourceKey *key);

/* What the metadata of any kind consists of. */
extern const BuiltinType builtin_metadata;

/* The field of that name, NULL if the type does not mention it. */
extern const BuiltinField *builtin_field(const BuiltinType *type, const char *name, int length);

#endif							/* STORE_MERGE_KEYS_H */
