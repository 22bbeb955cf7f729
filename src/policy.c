/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  What row-level security lets a role do with a resource, by its key.
 *
 * As in rewrite/rowsecurity.c: at least one permissive policy must admit, and
 * no restrictive one may refuse.  Superusers, the tables' owner and roles with
 * BYPASSRLS are not asked.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "policy.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_policy.h"
#include "compat.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

/* A column whose value is known; NULL is a value, too. */
typedef struct Known
{
	const char *column;
	const char *value;
} Known;

typedef struct Facts
{
	int			n;
	Known		known[5];
} Facts;

static void
add_fact(Facts *facts, const char *column, const char *value)
{
	facts->known[facts->n].column = column;
	facts->known[facts->n].value = value;
	facts->n++;
}

static Facts
facts_of_key(const ResourceKey *key)
{
	Facts		facts = {0};

	add_fact(&facts, "api_group", key->api_group);
	add_fact(&facts, "version", key->version);
	add_fact(&facts, "kind", key->kind);
	add_fact(&facts, "namespace", key->namespace);
	add_fact(&facts, "name", key->name);
	return facts;
}

/* What a row of the table is known to have; *columns says where. */
static TupleTableSlot *
row_of_facts(Relation rel, const Facts *facts, Bitmapset **columns)
{
	TupleDesc	desc = RelationGetDescr(rel);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);

	*columns = NULL;
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, desc->natts * sizeof(bool));
	for (int column = 0; column < desc->natts; column++)
	{
		const char *name = NameStr(TupleDescAttr(desc, column)->attname);

		for (int i = 0; i < facts->n; i++)
		{
			const Known *known = &facts->known[i];

			if (strcmp(name, known->column) != 0)
				continue;
			*columns = bms_add_member(*columns, column + 1 -
									  FirstLowInvalidHeapAttributeNumber);
			slot->tts_isnull[column] = (known->value == NULL);
			if (known->value != NULL)
				slot->tts_values[column] = CStringGetTextDatum(known->value);
		}
	}
	return ExecStoreVirtualTuple(slot);
}

static bool
is_for_me(const RowSecurityPolicy *policy, char command)
{
	Oid		   *roles = (Oid *) ARR_DATA_PTR(policy->roles);
	int			n = ArrayGetNItems(ARR_NDIM(policy->roles), ARR_DIMS(policy->roles));

	if (policy->polcmd != '*' && policy->polcmd != command)
		return false;
	for (int i = 0; i < n; i++)
	{
		if (roles[i] == ACL_ID_PUBLIC || has_privs_of_role(GetUserId(), roles[i]))
			return true;
	}
	return false;
}

static bool
is_true(Expr *condition, EState *estate, TupleTableSlot *slot, const Bitmapset *columns)
{
	ExprContext *context = GetPerTupleExprContext(estate);
	Bitmapset  *used = NULL;
	Datum		value;
	bool		isnull;

	pull_varattnos((Node *) condition, 1, &used);
	if (!bms_is_subset(used, columns))
		return false;
	context->ecxt_scantuple = slot;
	value = ExecEvalExprSwitchContext(ExecPrepareExpr(copyObject(condition), estate),
									  context, &isnull);
	return !isnull && DatumGetBool(value);
}

/*
 * Do the policies for a command (as pg_policy.polcmd has it) admit a row of
 * which these facts are known?  new_row: as it will be, not as it is.
 */
static bool
admit(Relation rel, char command, bool new_row, const Facts *facts)
{
	EState	   *estate = CreateExecutorState();
	Bitmapset  *columns;
	TupleTableSlot *slot = row_of_facts(rel, facts, &columns);
	bool		permitted = false;
	bool		refused = false;
	ListCell   *lc;

	foreach(lc, rel->rd_rsdesc ? rel->rd_rsdesc->policies : NIL)
	{
		RowSecurityPolicy *policy = lfirst(lc);
		Expr	   *condition = policy->qual;
		bool		admits;

		if (!is_for_me(policy, command))
			continue;
		if (new_row && policy->with_check_qual != NULL)
			condition = policy->with_check_qual;
		admits = condition == NULL ||
			(!policy->hassublinks && is_true(condition, estate, slot, columns));
		if (policy->permissive)
			permitted = permitted || admits;
		else
			refused = refused || !admits;
	}
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
	return permitted && !refused;
}

static Oid
find_table(const char *name)
{
	Oid			schema = get_namespace_oid(STORE_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

static bool
is_restricted(Oid table)
{
	return check_enable_rls(table, InvalidOid, true) == RLS_ENABLED;
}

/*
 * Whom nothing restricts is not asked again until a catalog changes that could
 * restrict him: tables, schemas, roles and their memberships.
 */
static uint64 catalog_changes = 1;

static struct
{
	Oid			role;
	uint64		as_of;			/* catalog_changes, before it was looked up */
}			unrestricted;

static void
count_table_change(Datum arg, Oid table)
{
	catalog_changes++;
}

static void
count_catalog_change(Datum arg, int cache, uint32 hash)
{
	catalog_changes++;
}

static void
watch_catalogs(void)
{
	static const int caches[] = {NAMESPACEOID, AUTHOID, AUTHMEMMEMROLE, DATABASEOID};
	static bool watched = false;

	if (watched)
		return;
	CacheRegisterRelcacheCallback(count_table_change, (Datum) 0);
	for (int i = 0; i < lengthof(caches); i++)
		CacheRegisterSyscacheCallback(caches[i], count_catalog_change, (Datum) 0);
	watched = true;
}

/* May the current role read and write all resources? */
static bool
is_unrestricted(void)
{
	Oid			role = GetUserId();
	uint64		as_of = catalog_changes;
	Oid			table;

	if (unrestricted.role == role && unrestricted.as_of == as_of)
		return true;
	watch_catalogs();
	table = find_table("resources");
	if (!OidIsValid(table) || is_restricted(table) ||
		pg_class_aclcheck(table, role, ACL_SELECT) != ACLCHECK_OK)
		return false;
	unrestricted.role = role;
	unrestricted.as_of = as_of;
	return true;
}

static bool
may_select(Oid table, const Facts *facts)
{
	Relation	rel;
	bool		result;

	if (pg_class_aclcheck(table, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return false;
	if (!is_restricted(table))
		return true;
	rel = table_open(table, AccessShareLock);
	result = admit(rel, ACL_SELECT_CHR, false, facts);
	table_close(rel, AccessShareLock);
	return result;
}

static bool
may_write(Relation rel, CommandOp op, const Facts *facts)
{
	bool		creates = (op == COMMAND_CREATE || op == COMMAND_PUT);
	bool		changes = (op != COMMAND_CREATE && op != COMMAND_DELETE);

	if (creates && !admit(rel, ACL_INSERT_CHR, true, facts))
		return false;
	if (changes && !(admit(rel, ACL_UPDATE_CHR, false, facts) &&
					 admit(rel, ACL_UPDATE_CHR, true, facts)))
		return false;
	return op != COMMAND_DELETE || admit(rel, ACL_DELETE_CHR, false, facts);
}

static void
refuse(const char *what, const ResourceKey *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to %s %s %s%s%s", what, key->kind,
					key->namespace ? key->namespace : "", key->namespace ? "/" : "",
					key->name),
			 errdetail("No row-level security policy of store.resources lets role \"%s\" do that by the key alone.",
					   GetUserNameFromId(GetUserId(), false)),
			 errhint("Policies are made by store.grant_read() and store.grant_write().")));
}

void
policy_check_write(const Command *command)
{
	/* an apply creates what is missing, as a put does */
	CommandOp	op = command->patch_type == PATCH_APPLY ? COMMAND_PUT : command->op;
	const ResourceKey *key = &command->key;
	Oid			table;
	Facts		facts;
	Relation	rel;
	bool		allowed;

	if (is_unrestricted())
		return;
	table = find_table("resources");
	if (!OidIsValid(table) || !is_restricted(table))
		return;
	facts = facts_of_key(key);
	rel = table_open(table, AccessShareLock);
	allowed = may_write(rel, op, &facts);
	table_close(rel, AccessShareLock);
	if (!allowed)
		refuse(op == COMMAND_CREATE ? "create" : op == COMMAND_DELETE ? "delete" : "write", key);
}

bool
policy_may_read(const ResourceKey *key)
{
	Oid			table;
	Facts		facts;

	if (is_unrestricted())
		return true;
	table = find_table("resources");
	facts = facts_of_key(key);
	return OidIsValid(table) && may_select(table, &facts);
}

void
policy_check_read(const ResourceKey *key)
{
	if (!policy_may_read(key))
		refuse("read", key);
}

void
policy_check_channel(const char *channel, const char *kind, const char *namespace)
{
	Oid			table = find_table("events");
	Facts		facts = {0};

	if (kind != NULL)
		add_fact(&facts, "kind", kind);
	if (namespace != NULL)
		add_fact(&facts, "namespace", namespace);
	if (!OidIsValid(table) || may_select(table, &facts))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to listen to channel \"%s\"", channel),
			 errdetail("Role \"%s\" may not read all events that the channel may tell of.",
					   GetUserNameFromId(GetUserId(), false)),
			 errhint("Use store.watch(), which returns what the role may read.")));
}
