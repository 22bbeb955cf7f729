/*-------------------------------------------------------------------------
 *
 * api_selector.c
 *	  A selector as a condition in SQL.
 *
 * All terms that want a label with one value become one containment, all that
 * want it to exist one "?&", and each choice of values an OR of containments,
 * because GIN has no scan for "= ANY".  The planner ANDs and ORs their bitmaps.
 * What is denied no index can find; those are filters.
 *
 * The same condition holds for metadata.labels as it is in an object: labels
 * that are null or empty have none of them.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_selector.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "fields.h"
#include "object.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

STORE_FUNCTION(store_matches);

int
sql_add_argument(SqlArguments *arguments, Oid type, Datum value)
{
	if (arguments->n == SQL_MAX_ARGUMENTS)
		elog(ERROR, "query has too many arguments");
	arguments->types[arguments->n] = type;
	arguments->values[arguments->n] = value;
	return ++arguments->n;
}

static int
add_text(SqlArguments *arguments, const char *value)
{
	return sql_add_argument(arguments, TEXTOID, CStringGetTextDatum(value));
}

static int
add_texts(SqlArguments *arguments, char **values, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * n);
	ArrayType  *array;

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(values[i]);
	array = construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT);
	return sql_add_argument(arguments, TEXTARRAYOID, PointerGetDatum(array));
}

static int
add_label(SqlArguments *arguments, const char *key, const char *value)
{
	Fields		fields;
	JsonbValue	label;

	fields_init(&fields, 1);
	value_string(&label, value);
	fields_set(&fields, key, &label);
	return sql_add_argument(arguments, JSONBOID, JsonbPGetDatum(fields_close(&fields, 0)));
}

/*
 * The labels that must have a certain value, together.  A key that two terms
 * want with different values keeps its own condition: in one object there is
 * room for one of them only.
 */
static void
append_wanted(const Selector *selector, StringInfo text, SqlArguments *arguments)
{
	Fields		fields;
	char	   *keys[SELECTOR_MAX_TERMS];
	int			n_keys = 0;

	fields_init(&fields, selector->n_labels);
	for (int i = 0; i < selector->n_labels; i++)
	{
		const LabelTerm *term = &selector->labels[i];
		JsonbValue	label;

		if (term->op == LABEL_EXISTS)
			keys[n_keys++] = term->key;
		if (term->op != LABEL_IN || term->n_values != 1)
			continue;
		if (fields_find(&fields, term->key) != NULL)
		{
			appendStringInfo(text, " AND labels OPERATOR(pg_catalog.@>) $%d",
							 add_label(arguments, term->key, term->values[0]));
			continue;
		}
		value_string(&label, term->values[0]);
		fields_set(&fields, term->key, &label);
	}

	if (fields.n_pairs > 0)
		appendStringInfo(text, " AND labels OPERATOR(pg_catalog.@>) $%d",
						 sql_add_argument(arguments, JSONBOID,
										  JsonbPGetDatum(fields_close(&fields, 0))));
	if (n_keys > 0)
		appendStringInfo(text, " AND labels OPERATOR(pg_catalog.?&) $%d",
						 add_texts(arguments, keys, n_keys));
}

static void
append_label_term(const LabelTerm *term, StringInfo text, SqlArguments *arguments)
{
	switch (term->op)
	{
		case LABEL_EXISTS:
			break;				/* see append_wanted() */
		case LABEL_ABSENT:
			appendStringInfo(text, " AND (labels OPERATOR(pg_catalog.?) $%d) IS NOT TRUE",
							 add_text(arguments, term->key));
			break;
		case LABEL_IN:
			if (term->n_values == 1)
				break;
			for (int i = 0; i < term->n_values; i++)
				appendStringInfo(text, "%s labels OPERATOR(pg_catalog.@>) $%d",
								 i == 0 ? " AND (" : " OR",
								 add_label(arguments, term->key, term->values[i]));
			appendStringInfoChar(text, ')');
			break;
		case LABEL_NOT_IN:
			appendStringInfo(text,
							 " AND ((labels OPERATOR(pg_catalog.->>) $%d) COLLATE pg_catalog.\"C\""
							 " OPERATOR(pg_catalog.=) ANY ($%d)) IS NOT TRUE",
							 add_text(arguments, term->key),
							 add_texts(arguments, term->values, term->n_values));
			break;
	}
}

/*
 * namespace is null where there is none, and Kubernetes' fields are "" there.
 */
static void
append_field_term(const FieldTerm *term, StringInfo text, SqlArguments *arguments)
{
	const char *not = term->negated ? " IS NOT TRUE" : "";

	switch (term->kind)
	{
		case FIELD_NAME:
			appendStringInfo(text, " AND (name OPERATOR(pg_catalog.=) $%d)%s",
							 add_text(arguments, term->value), not);
			break;
		case FIELD_NAMESPACE:
			if (term->value[0] == '\0')
				appendStringInfo(text, " AND namespace IS %sNULL", term->negated ? "NOT " : "");
			else
				appendStringInfo(text, " AND (namespace OPERATOR(pg_catalog.=) $%d)%s",
								 add_text(arguments, term->value), not);
			break;
		case FIELD_PATH:
			appendStringInfo(text,
							 " AND (coalesce(object OPERATOR(pg_catalog.#>>) $%d, '')"
							 " COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) $%d)%s",
							 add_texts(arguments, term->steps, term->n_steps),
							 add_text(arguments, term->value), not);
			break;
	}
}

void
selector_append_condition(const Selector *selector, StringInfo text,
						  SqlArguments *arguments)
{
	if (selector == NULL)
		return;
	append_wanted(selector, text, arguments);
	for (int i = 0; i < selector->n_labels; i++)
		append_label_term(&selector->labels[i], text, arguments);
	for (int i = 0; i < selector->n_fields; i++)
		append_field_term(&selector->fields[i], text, arguments);
}

/*
 * The other way to use a selector: on an object at hand.
 */
Datum
store_matches(PG_FUNCTION_ARGS)
{
	Jsonb	   *object;
	Selector   *selector = selector_parse(api_optional_text(fcinfo, 1),
										  api_optional_text(fcinfo, 2));
	ResourceKey key;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	object = PG_GETARG_JSONB_P(0);
	object_check(object, &key);
	PG_RETURN_BOOL(selector_matches(selector, &key, object));
}
