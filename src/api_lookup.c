/*-------------------------------------------------------------------------
 *
 * api_lookup.c
 *	  One resource by its key, or all of a kind, without a query.
 *
 * To start an executor, even with a plan that was kept, takes longer than to
 * find a row; and of a list it would make two copies and sort them, though the
 * index has them in order.  So the most frequent reads of all go straight to the
 * index.  They do what the query would do: the caller's right to read the table
 * is checked, locks are kept until the end of the transaction, and the index and
 * the table access method see to it that serializable transactions notice.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "api_lookup.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "table.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#define N_KEYS			5
#define NAMESPACE_KEY	3		/* counted from 0 */
#define OBJECT_COLUMN	6		/* counted from 1 */

static Oid	resources = InvalidOid;
static Oid	resources_key = InvalidOid;
static ScanKeyData equal_keys[N_KEYS];	/* without arguments */

static void
prepare_keys(void)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

	for (int i = 0; i < N_KEYS; i++)
		ScanKeyEntryInitialize(&equal_keys[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, (Datum) 0);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * The table, locked.  It may be another one than before, after DROP EXTENSION.
 * The wait for the lock may be canceled, so the table is known only after that,
 * when the keys are ready, too.
 */
static Relation
open_resources(void)
{
	Relation	rel = OidIsValid(resources) ? try_table_open(resources, AccessShareLock) : NULL;

	if (rel == NULL)
	{
		Oid			oid = table_oid("resources");

		rel = table_open_existing(oid, AccessShareLock);
		prepare_keys();
		resources = oid;
	}
	return rel;
}

/* May this user read the rows as they are, past all policies? */
static bool
is_plain(Relation rel)
{
	return !rel->rd_rel->relhassubclass &&
		pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED;
}

/* Its unique index, locked, or NULL.  It may have been built anew. */
static Relation
open_key(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	bool		known = list_member_oid(indexes, resources_key);
	Relation	index;

	if (!known)
	{
		resources_key = get_relname_relid("resources_key", RelationGetNamespace(rel));
		known = list_member_oid(indexes, resources_key);
	}
	list_free(indexes);
	if (!known)
		return NULL;

	index = index_open(resources_key, AccessShareLock);
	if (index->rd_index->indisvalid && IndexRelationGetNumberOfKeyAttributes(index) == N_KEYS)
		return index;
	index_close(index, NoLock);
	return NULL;
}

static void
fill_keys(ScanKeyData *keys, const Datum *values, int n_keys)
{
	memcpy(keys, equal_keys, n_keys * sizeof(ScanKeyData));
	for (int i = 0; i < n_keys; i++)
		keys[i].sk_argument = values[i];
	if (n_keys > NAMESPACE_KEY && DatumGetPointer(values[NAMESPACE_KEY]) == NULL)
		ScanKeyEntryInitialize(&keys[NAMESPACE_KEY], SK_ISNULL | SK_SEARCHNULL,
							   NAMESPACE_KEY + 1, InvalidStrategy, InvalidOid, InvalidOid,
							   InvalidOid, (Datum) 0);
}

/* The table and its index, locked, if this user may read them so. */
static bool
open_both(Relation *rel, Relation *index)
{
	*rel = open_resources();
	*index = is_plain(*rel) ? open_key(*rel) : NULL;
	if (*index != NULL)
		return true;
	table_close(*rel, NoLock);
	return false;
}

static void
close_both(Relation rel, Relation index)
{
	index_close(index, NoLock);
	table_close(rel, NoLock);
}

/* What begins with these keys, in order, in a snapshot that this pushes. */
static IndexScanDesc
begin_scan(Relation rel, Relation index, const Datum *values, int n_keys)
{
	ScanKeyData keys[N_KEYS];
	IndexScanDesc scan;

	fill_keys(keys, values, n_keys);
	PushActiveSnapshot(GetLatestSnapshot());
	scan = index_beginscan(rel, index, GetActiveSnapshot(), NULL, n_keys, 0);
	index_rescan(scan, keys, n_keys, NULL, 0);
	return scan;
}

static void
end_scan(IndexScanDesc scan, TupleTableSlot *slot)
{
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	PopActiveSnapshot();
}

LookupResult
api_lookup(const Datum key[5], Datum *object)
{
	Relation	rel;
	Relation	index;
	TupleTableSlot *slot;
	IndexScanDesc scan;
	LookupResult result = LOOKUP_MISSING;

	if (!open_both(&rel, &index))
		return LOOKUP_NOT_SIMPLE;
	slot = table_slot_create(rel, NULL);
	scan = begin_scan(rel, index, key, N_KEYS);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;

		*object = datumCopy(slot_getattr(slot, OBJECT_COLUMN, &isnull), false, -1);
		result = LOOKUP_FOUND;
	}
	end_scan(scan, slot);
	close_both(rel, index);
	return result;
}

bool
api_scan(const Datum *key, bool namespaced, Tuplestorestate *store, TupleDesc desc)
{
	Relation	rel;
	Relation	index;
	TupleTableSlot *slot;
	IndexScanDesc scan;

	if (!open_both(&rel, &index))
		return false;
	slot = table_slot_create(rel, NULL);
	scan = begin_scan(rel, index, key, NAMESPACE_KEY + (namespaced ? 1 : 0));
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		object = slot_getattr(slot, OBJECT_COLUMN, &isnull);

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(store, desc, &object, &isnull);
	}
	end_scan(scan, slot);
	close_both(rel, index);
	return true;
}
