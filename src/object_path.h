/*-------------------------------------------------------------------------
 *
 * object_path.h
 *	  Where in an object something is, for people.
 *
 * Whoever walks through an object keeps a step for each level on its stack;
 * only when something is wrong does the path become a text.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_OBJECT_PATH_H
#define STORE_OBJECT_PATH_H

#include "store.h"
#include "utils/jsonb.h"

/* The outermost step has no parent. */
typedef struct PathStep
{
	const struct PathStep *parent;
	const JsonbValue *key;		/* NULL in an array */
	int			index;			/* in an array */
} PathStep;

/* "spec.containers[2].image", odd keys in quotes; palloc'd.  "" without a step. */
extern char *path_text(const PathStep *step);

#endif							/* STORE_OBJECT_PATH_H */
