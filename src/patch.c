/*-------------------------------------------------------------------------
 *
 * patch.c
 *	  Changing an object by description.
 *
 * JSON Merge Patch, RFC 7396.  Section 2 gives it as a recursive function
 * over a target and a patch:
 *
 *		if the patch is no object, it is the result;
 *		else, if the target is no object, it is taken to be empty, and
 *		for each member of the patch:
 *			null removes the member from the target,
 *			any other value is merged into the member of the target.
 *
 * The fields of both are in the same order, so that one walk along the two
 * merges them.  Only what the patch touches is opened.
 *
 * Recursion is as deep as the patch is nested: STORE_MAX_DEPTH at most.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fields.h"
#include "rules.h"

static void merge_object(JsonbContainer *target, JsonbContainer *patch, Fields *result);

/* target is NULL if there is nothing to merge into. */
static void
merge_value(const JsonbValue *target, const JsonbValue *patch, JsonbValue *result)
{
	Fields		fields;

	if (!value_is_object(patch))
	{
		*result = *patch;
		return;
	}

	merge_object(target && value_is_object(target) ? target->val.binary.data : NULL,
				 patch->val.binary.data, &fields);
	fields_value(&fields, result);
}

static void
merge_object(JsonbContainer *target, JsonbContainer *patch, Fields *result)
{
	Fields		olds;
	Fields		news;
	int			i = 0;
	int			j = 0;

	if (target)
		fields_open(&olds, target, 0);
	else
		fields_init(&olds, 0);
	fields_open(&news, patch, 0);
	fields_init(result, olds.n_pairs + news.n_pairs);

	while (i < olds.n_pairs || j < news.n_pairs)
	{
		int			difference;
		JsonbPair  *pair;
		JsonbValue *old = NULL;
		JsonbValue	merged;

		if (j >= news.n_pairs)
			difference = -1;
		else if (i >= olds.n_pairs)
			difference = 1;
		else
			difference = key_compare(&olds.pairs[i].key, &news.pairs[j].key);

		if (difference < 0)
		{
			/* not mentioned: stays */
			pair = &olds.pairs[i++];
			fields_append(result, &pair->key, &pair->value);
			continue;
		}

		pair = &news.pairs[j++];
		if (difference == 0)
			old = &olds.pairs[i++].value;
		if (pair->value.type == jbvNull)
			continue;			/* removed */
		merge_value(old, &pair->value, &merged);
		fields_append(result, &pair->key, &merged);
	}
}

Jsonb *
patch_merge(Jsonb *target, Jsonb *patch)
{
	Fields		fields;

	if (!JB_ROOT_IS_OBJECT(patch))
		return patch;

	merge_object(JB_ROOT_IS_OBJECT(target) ? &target->root : NULL, &patch->root, &fields);
	return fields_close(&fields, VARSIZE(target) + VARSIZE(patch));
}
