/*-------------------------------------------------------------------------
 *
 * api_list.c
 *	  store.list_page(): lists in pages, now and at a past index.
 *
 * A page is one query, run with the rights of whoever asks, in one snapshot
 * that also says at which index the tables are.  The first page of the newest
 * state reads store.resources alone.  What was at index X is
 *
 *		the rows that have not changed since X, and
 *		what changes after X replaced that had been there since X or before,
 *
 * two sets that have no key in common, each in the order of keys by an index.
 * So a page costs what it shows and what changed since X among that, however
 * long the history is.
 *
 * The token pins X and the last key (page_token.h), and nothing is remembered
 * between pages: they may come from different members, before and after a
 * restart.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"

#include "api_selector.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "log_tables.h"
#include "object.h"
#include "page_token.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

STORE_FUNCTION(store_list_page);

typedef enum VersionMatch
{
	MATCH_UNSET,
	MATCH_EXACT,
	MATCH_NOT_OLDER_THAN
} VersionMatch;

typedef struct PageRequest
{
	ResourceKey key;			/* name is not used */
	PageQuery	query;
	Selector   *selector;		/* NULL: everything */
	pg_uuid_t	cluster_id;
	int64		limit;			/* 0: none */
	bool		is_past;		/* as of pinned, not the newest state */
	int64		pinned;			/* 0 unless is_past */
	int64		at_least;		/* wait until this index is applied */
	bool		after;			/* begin after the key in the token */
	PageToken	token;
} PageRequest;

/* A query being put together, with its arguments. */
typedef struct PageSql
{
	StringInfoData text;
	SqlArguments arguments;
} PageSql;

/* ------------------------------------------------------------------------
 * Arguments
 * ------------------------------------------------------------------------
 */

static VersionMatch
match_argument(FunctionCallInfo fcinfo, int argno)
{
	char	   *match = api_optional_text(fcinfo, argno);

	if (match == NULL)
		return MATCH_UNSET;
	if (strcmp(match, "Exact") == 0)
		return MATCH_EXACT;
	if (strcmp(match, "NotOlderThan") == 0)
		return MATCH_NOT_OLDER_THAN;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown value of argument \"resource_version_match\": \"%s\"", match),
			 errhint("Values are Exact and NotOlderThan.")));
}

static void
refuse_combination(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("arguments of store.list_page() contradict each other"),
			 errdetail("%s", detail)));
}

/*
 * Which state is asked for, as Kubernetes has it.  Version 0 is any version,
 * so the newest will do.
 */
static void
version_arguments(FunctionCallInfo fcinfo, PageRequest *request)
{
	VersionMatch match = match_argument(fcinfo, 8);
	bool		has_version = !PG_ARGISNULL(7);
	int64		version = has_version ? PG_GETARG_INT64(7) : 0;

	if (version < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"resource_version\" must not be negative")));
	if (match != MATCH_UNSET && !has_version)
		refuse_combination("\"resource_version_match\" was given without \"resource_version\".");
	if (match == MATCH_EXACT && version == 0)
		refuse_combination("\"resource_version_match\" is Exact, but version 0 means any version.");
	if (request->after && has_version)
		refuse_combination("\"continue\" says which version is read, so \"resource_version\" must be null.");

	if (match == MATCH_EXACT ||
		(match == MATCH_UNSET && version > 0 && request->limit > 0))
	{
		request->is_past = true;
		request->pinned = version;
	}
	else
		request->at_least = version;
}

static void
continue_argument(FunctionCallInfo fcinfo, PageRequest *request)
{
	char	   *text = api_optional_text(fcinfo, 6);
	const char *problem;

	if (text == NULL)
		return;
	problem = page_token_decode(text, &request->query, &request->cluster_id,
								&request->token);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value of argument \"continue\""),
				 errdetail("%s", problem),
				 errhint("Pass metadata.continue of the last page, with the same other arguments.")));
	request->after = true;
	request->is_past = (request->token.index != 0);
	request->pinned = (int64) request->token.index;
}

static void
parse_arguments(FunctionCallInfo fcinfo, PageRequest *request)
{
	PageQuery  *query = &request->query;
	RaftState  *state = palloc(sizeof(RaftState));

	memset(request, 0, sizeof(*request));
	log_tables_read_state(state);
	request->cluster_id = state->cluster_id;
	pfree(state);

	query->kind = api_text_argument(fcinfo, 0, "kind");
	query->namespace = api_optional_text(fcinfo, 1);
	query->api_version = api_text_argument(fcinfo, 2, "api_version");
	query->label_selector = api_optional_text(fcinfo, 3);
	query->field_selector = api_optional_text(fcinfo, 4);
	request->selector = selector_parse(query->label_selector, query->field_selector);

	/* Any name will do: the rest of the key is checked like everywhere else. */
	key_from_arguments(query->api_version, query->kind, query->namespace, "any",
					   &request->key);
	if (!PG_ARGISNULL(5))
		request->limit = PG_GETARG_INT32(5);
	if (request->limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"limit\" must not be negative")));
	continue_argument(fcinfo, request);
	if (request->after && !PG_ARGISNULL(8))
		refuse_combination("\"continue\" says which version is read, so \"resource_version_match\" must be null.");
	if (!request->after || !PG_ARGISNULL(7))
		version_arguments(fcinfo, request);
}

/* ------------------------------------------------------------------------
 * The query
 * ------------------------------------------------------------------------
 */

static int
sql_text(PageSql *sql, const char *value)
{
	return sql_add_argument(&sql->arguments, TEXTOID, CStringGetTextDatum(value));
}

/*
 * The condition on the key: kind and namespace, and after the last key.  The
 * same text serves both tables, so it is made once.
 */
static char *
key_condition(PageSql *sql, const PageRequest *request)
{
	const ResourceKey *key = &request->key;
	const PageToken *last = &request->token;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text,
					 " WHERE api_group OPERATOR(pg_catalog.=) $%d"
					 " AND version OPERATOR(pg_catalog.=) $%d"
					 " AND kind OPERATOR(pg_catalog.=) $%d",
					 sql_text(sql, key->api_group),
					 sql_text(sql, key->version),
					 sql_text(sql, key->kind));
	if (key->namespace != NULL)
		appendStringInfo(&text, " AND namespace OPERATOR(pg_catalog.=) $%d",
						 sql_text(sql, key->namespace));
	if (!request->after)
		return text.data;

	if (key->namespace != NULL)
		appendStringInfo(&text, " AND name OPERATOR(pg_catalog.>) $%d",
						 sql_text(sql, last->name));
	else if (last->namespace != NULL)
		appendStringInfo(&text, " AND (namespace, name) OPERATOR(pg_catalog.>) ($%d, $%d)",
						 sql_text(sql, last->namespace), sql_text(sql, last->name));
	else
		appendStringInfo(&text, " AND (namespace IS NOT NULL OR name OPERATOR(pg_catalog.>) $%d)",
						 sql_text(sql, last->name));
	return text.data;
}

#define KEY_ORDER \
	" ORDER BY namespace USING OPERATOR(pg_catalog.<) NULLS FIRST," \
	" name USING OPERATOR(pg_catalog.<)"

/*
 * The list as a relation with namespace, name and object: all of it, or, with
 * a limit, at least the first rows.  Each of the two sets of a past state is
 * cut by itself, so that neither is read further than the page needs.
 */
static void
append_source(PageSql *sql, const PageRequest *request, int64 limit)
{
	char	   *key = key_condition(sql, request);
	char	   *cut = limit > 0 ? psprintf(KEY_ORDER " LIMIT " INT64_FORMAT, limit) : "";
	StringInfoData selected;
	int			pinned;

	initStringInfo(&selected);
	selector_append_condition(request->selector, &selected, &sql->arguments);

	appendStringInfo(&sql->text,
					 " FROM ((SELECT namespace, name, object FROM store.resources%s%s",
					 key, selected.data);
	if (request->is_past)
	{
		pinned = sql_add_argument(&sql->arguments, INT8OID, Int64GetDatum(request->pinned));
		appendStringInfo(&sql->text,
						 " AND resource_version OPERATOR(pg_catalog.<=) $%d%s)"
						 " UNION ALL (SELECT namespace, name, object FROM"
						 " (SELECT namespace, name, previous AS object,"
						 " previous OPERATOR(pg_catalog.#>) '{metadata,labels}' AS labels"
						 " FROM store.events%s"
						 " AND resource_version OPERATOR(pg_catalog.>) $%d"
						 " AND previous_version OPERATOR(pg_catalog.<=) $%d) AS changed"
						 " WHERE true%s",
						 pinned, cut, key, pinned, pinned, selected.data);
	}
	appendStringInfo(&sql->text, "%s)) AS item", cut);
}

static void
run(PageSql *sql, Snapshot snapshot)
{
	SPIPlanPtr	plan = SPI_prepare(sql->text.data, sql->arguments.n, sql->arguments.types);

	if (plan == NULL ||
		SPI_execute_snapshot(plan, sql->arguments.values, NULL, snapshot, InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the store");
}

/* One item more than the limit shows whether there is a next page. */
static void
query_items(const PageRequest *request, Snapshot snapshot)
{
	PageSql		sql;

	initStringInfo(&sql.text);
	sql.arguments.n = 0;
	appendStringInfoString(&sql.text, "SELECT object, namespace, name");
	append_source(&sql, request, request->limit > 0 ? request->limit + 1 : 0);
	appendStringInfoString(&sql.text, KEY_ORDER);
	if (request->limit > 0)
		appendStringInfo(&sql.text, " LIMIT " INT64_FORMAT, request->limit + 1);
	run(&sql, snapshot);
}

static int64
query_count(const PageRequest *request, Snapshot snapshot)
{
	PageSql		sql;
	bool		isnull;
	int64		count;

	initStringInfo(&sql.text);
	sql.arguments.n = 0;
	appendStringInfoString(&sql.text, "SELECT pg_catalog.count(*)");
	append_source(&sql, request, 0);
	run(&sql, snapshot);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
										1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/* ------------------------------------------------------------------------
 * The page
 * ------------------------------------------------------------------------
 */

static void
push_string(JsonbParseState **state, const char *key, const char *string)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &value);
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = strlen(string);
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_key(JsonbParseState **state, const char *key)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &value);
}

static void
push_items(JsonbParseState **state, SPITupleTable *rows, uint64 n_items)
{
	push_key(state, "items");
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (uint64 i = 0; i < n_items; i++)
	{
		bool		isnull;
		Datum		item = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull);
		Jsonb	   *object;
		JsonbValue	value;

		if (isnull)
			elog(ERROR, "history has a version without its object");
		object = DatumGetJsonbP(item);
		value.type = jbvBinary;
		value.val.binary.data = &object->root;
		value.val.binary.len = VARSIZE(object) - VARHDRSZ;
		pushJsonbValue(state, WJB_ELEM, &value);
	}
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/*
 * index: of the state that is listed.  next: the token's contents, or NULL if
 * this is the last page.
 */
static Jsonb *
make_page(const PageRequest *request, SPITupleTable *rows, uint64 n_items,
		  uint64 index, const PageToken *next)
{
	JsonbParseState *state = NULL;
	JsonbValue	value;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, "apiVersion", request->query.api_version);
	push_string(&state, "kind", psprintf("%sList", request->query.kind));
	push_key(&state, "metadata");
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, "resourceVersion", psprintf(UINT64_FORMAT, index));
	if (next != NULL)
		push_string(&state, "continue",
					page_token_encode(next, &request->query, &request->cluster_id));
	if (next != NULL && next->remaining >= 0)
	{
		push_key(&state, "remainingItemCount");
		value.type = jbvNumeric;
		value.val.numeric = int64_to_numeric(next->remaining);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	push_items(&state, rows, n_items);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/*
 * What comes after a page of the state at "index" that ends with "row".  The
 * state is pinned, so what the token before has counted need not be counted
 * again.
 */
static void
fill_next(const PageRequest *request, HeapTuple row, TupleDesc desc, uint64 n_items,
		  uint64 index, Snapshot snapshot, PageToken *next)
{
	next->index = index;
	next->namespace = SPI_getvalue(row, desc, 2);
	next->name = SPI_getvalue(row, desc, 3);
	if (request->selector != NULL)
		next->remaining = -1;
	else if (request->after && request->is_past && request->token.remaining >= 0)
		next->remaining = request->token.remaining - (int64) n_items;
	else
		next->remaining = query_count(request, snapshot) - (int64) n_items;
}

/*
 * The same error as for every read below the floor, but a list may go on where
 * it was, at the newest state.
 */
static void
check_floor(const PageRequest *request, uint64 floor)
{
	PageToken	fresh = request->token;

	if (!request->is_past || (uint64) request->pinned >= floor)
		return;
	if (!request->after)
	{
		api_check_floor(request->pinned, floor);
		return;
	}
	fresh.index = 0;
	fresh.remaining = -1;
	ereport(ERROR,
			(errcode(ERRCODE_STORE_GONE),
			 errmsg("the list at resource version " INT64_FORMAT " cannot go on: it is too old",
					request->pinned),
			 errdetail("The history begins at " UINT64_FORMAT ". A token to go on at the newest state: %s",
					   floor, page_token_encode(&fresh, &request->query, &request->cluster_id)),
			 errhint("Go on with the token in DETAIL, or list again from the start.")));
}

Datum
store_list_page(PG_FUNCTION_ARGS)
{
	PageRequest request;
	MachinePosition position;
	Snapshot	snapshot;
	SPITupleTable *rows;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;
	uint64		n_items;
	uint64		index;
	PageToken	next;
	Jsonb	   *page;
	bool		more;

	parse_arguments(fcinfo, &request);
	snapshot = api_snapshot_at(Max(request.pinned, request.at_least), &position);
	check_floor(&request, position.floor);
	index = request.is_past ? (uint64) request.pinned : position.index;

	SPI_connect();
	query_items(&request, snapshot);
	rows = SPI_tuptable;
	n_items = SPI_processed;
	more = (request.limit > 0 && n_items > (uint64) request.limit);
	if (more)
	{
		n_items--;
		fill_next(&request, rows->vals[n_items - 1], rows->tupdesc, n_items, index,
				  snapshot, &next);
	}
	spi = MemoryContextSwitchTo(caller);
	page = make_page(&request, rows, n_items, index, more ? &next : NULL);
	MemoryContextSwitchTo(spi);
	SPI_finish();
	UnregisterSnapshot(snapshot);
	if (request.is_past)
		check_floor(&request, api_floor());
	PG_RETURN_JSONB_P(page);
}
