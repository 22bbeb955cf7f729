/*-------------------------------------------------------------------------
 *
 * selector.h
 *	  Which resources are meant: label selectors and field selectors.
 *
 * Both are Kubernetes' own languages:
 *
 *		labels	a=b  a==b  a!=b  a in (x,y)  a notin (x,y)  a  !a
 *		fields	metadata.name=x  metadata.namespace!=y  spec.nodeName==z
 *
 * with terms joined by commas, all of which must hold.  As there, a term that
 * denies a value also selects what has no such label or field at all, and a
 * field that is absent is "".  A field that is no string is compared by its
 * text.
 *
 * A selector is used in two ways that select the same: as a condition in SQL
 * (api_selector.h), and on a single object.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_SELECTOR_H
#define STORE_SELECTOR_H

#include "store.h"
#include "command.h"
#include "utils/jsonb.h"

/* Terms of each kind, and values of all label terms together. */
#define SELECTOR_MAX_TERMS	32
#define SELECTOR_MAX_VALUES	100

/* "a=b" is IN with one value, "a!=b" NOT_IN. */
typedef enum LabelOp
{
	LABEL_IN,
	LABEL_NOT_IN,
	LABEL_EXISTS,
	LABEL_ABSENT
} LabelOp;

typedef struct LabelTerm
{
	LabelOp		op;
	char	   *key;
	int			n_values;		/* 0 for EXISTS and ABSENT */
	char	  **values;
} LabelTerm;

typedef enum FieldKind
{
	FIELD_NAME,					/* metadata.name */
	FIELD_NAMESPACE,			/* metadata.namespace */
	FIELD_PATH
} FieldKind;

typedef struct FieldTerm
{
	FieldKind	kind;
	bool		negated;		/* != */
	int			n_steps;		/* of the path */
	char	  **steps;
	char	   *value;
} FieldTerm;

typedef struct Selector
{
	int			n_labels;
	LabelTerm	labels[SELECTOR_MAX_TERMS];
	int			n_fields;
	FieldTerm	fields[SELECTOR_MAX_TERMS];
} Selector;

/*
 * Each may be NULL.  Returns NULL if everything is selected.  ERROR 22023, with
 * the place in DETAIL, if one is malformed, 54000 if it has too many terms.
 */
extern Selector *selector_parse(const char *label_selector, const char *field_selector);

/* Does the selector, which may be NULL, select this resource? */
extern bool selector_matches(const Selector *selector, const ResourceKey *key,
							 Jsonb *object);

#endif							/* STORE_SELECTOR_H */
