/*-------------------------------------------------------------------------
 *
 * api_status.c
 *	  What store.status and store.members show.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "store.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "status.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

STORE_FUNCTION(store_node_status);
STORE_FUNCTION(store_member_status);

/* Appends to a row, column by column. */
typedef struct Row
{
	int			n;
	Datum		values[16];
	bool		isnull[16];
} Row;

static void
put(Row *row, Datum value, bool isnull)
{
	Assert(row->n < lengthof(row->values));
	row->values[row->n] = value;
	row->isnull[row->n] = isnull;
	row->n++;
}

static void
put_index(Row *row, uint64 value)
{
	put(row, Int64GetDatum((int64) value), false);
}

/* One that is not known is shown as null. */
static void
put_version(Row *row, uint8 version)
{
	put(row, Int32GetDatum(version), version == 0);
}

/* An empty text is shown as null. */
static void
put_text(Row *row, const char *value)
{
	if (value[0] == '\0')
		put(row, (Datum) 0, true);
	else
		put(row, CStringGetTextDatum(value), false);
}

/* The release of the extension's objects in this database (palloc'd), or NULL. */
static char *
installed_release(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	char	   *release = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("store"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(extensions), &isnull);

		if (!isnull)
			release = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return release;
}

/*
 * While a member is upgraded, its library may be of another release than its
 * objects.  Both ways are to work, and neither is to last.
 */
static const char *
release_problem(void)
{
	char	   *objects = installed_release();

	if (objects == NULL || strcmp(objects, STORE_RELEASE) == 0)
		return "";
	return psprintf("the extension's objects are of release %s and its library is of release %s:"
					" ALTER EXTENSION store UPDATE, or restart the server if its library is the older one",
					objects, STORE_RELEASE);
}

/*
 * The problems there are, the most basic first: none of them may hide another.
 */
static const char *
problem(const NodeStatus *node)
{
	const char *problems[] = {
		node->problem,
		node->running ? "" : "the raft worker is not running",
		node->apply_problem,
		node->notify_problem,
		node->queue_problem,
		node->snapshot_problem,
		release_problem()
	};
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < lengthof(problems); i++)
	{
		if (problems[i][0] != '\0')
			appendStringInfo(&text, "%s%s", text.len > 0 ? "; " : "", problems[i]);
	}
	return text.data;
}

static const char *
leader_name(const NodeStatus *node)
{
	for (uint32 i = 0; i < node->n_members && node->leader != 0; i++)
	{
		if (node->members[i].member.id == node->leader)
			return node->members[i].member.name;
	}
	return "";
}

Datum
store_node_status(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	Row			row = {0};
	TupleDesc	desc;
	uint64		committed = pg_atomic_read_u64(&progress->commit_index);
	uint64		applied = pg_atomic_read_u64(&progress->applied_index);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	status_read(node);

	put(&row, UUIDPGetDatum(&node->cluster_id), !node->running);
	put(&row, Int64GetDatum((int64) node->node_id), !node->running);
	put_text(&row, node->name);
	put_text(&row, status_state_name(node));
	put_index(&row, node->term);
	put_text(&row, leader_name(node));
	put_index(&row, node->first_index);
	put_index(&row, pg_atomic_read_u64(&progress->last_index));
	put_index(&row, committed);
	put_index(&row, applied);
	put_index(&row, pg_atomic_read_u64(&progress->floor));
	put_index(&row, committed > applied ? committed - applied : 0);
	put_text(&row, problem(node));
	put_index(&row, pg_atomic_read_u64(&progress->notified_index));
	put_version(&row, status_version());
	return HeapTupleGetDatum(heap_form_tuple(desc, row.values, row.isnull));
}

Datum
store_member_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	bool		leader;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	status_read(node);
	leader = (node->state == RAFT_LEADER);

	for (uint32 i = 0; i < node->n_members; i++)
	{
		const MemberStatus *member = &node->members[i];
		Row			row = {0};
		uint64		last = pg_atomic_read_u64(&progress->last_index);
		uint64		match = (member->member.id == node->node_id) ? last : member->match_index;

		put_index(&row, member->member.id);
		put_text(&row, member->member.name);
		put_text(&row, member->member.conninfo);
		put_text(&row, member->member.role == RAFT_VOTER ? "voter" : "learner");
		put(&row, BoolGetDatum(member->member.id == node->leader), false);
		put(&row, Int64GetDatum((int64) match), !leader);
		put(&row, Int64GetDatum(last > match ? (int64) (last - match) : 0), !leader);
		put(&row, TimestampTzGetDatum(member->last_contact), member->last_contact == 0);
		put(&row, BoolGetDatum(member->connected), false);
		put_index(&row, member->queued_bytes);
		put_text(&row, member->last_error);
		put_version(&row, member->understands);
		tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.isnull);
	}
	return (Datum) 0;
}
