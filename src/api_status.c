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
#include "api_row.h"
#include "api_status.h"
#include "catalog/pg_extension.h"
#include "compat.h"
#include "funcapi.h"
#include "status.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/uuid.h"

STORE_FUNCTION(store_node_status);
STORE_FUNCTION(store_member_status);

/* One that is not known is shown as null. */
static void
put_version(Row *row, uint8 version)
{
	row_put(row, Int32GetDatum(version), version == 0);
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
const char *
api_problem(const NodeStatus *node)
{
	const char *problems[] = {
		node->problem,
		node->running ? "" : "the raft worker is not running",
		node->disk_problem,
		node->apply_problem,
		node->notify_problem,
		node->queue_problem,
		node->snapshot_problem,
		node->divergence,
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

const char *
api_leader_name(const NodeStatus *node)
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
	uint64		committed = pg_atomic_read_u64(&progress->commit_index);
	uint64		applied = pg_atomic_read_u64(&progress->applied_index);

	status_read(node);

	row_put(&row, UUIDPGetDatum(&node->cluster_id), !node->running);
	row_put(&row, Int64GetDatum((int64) node->node_id), !node->running);
	row_put_text(&row, node->name);
	row_put_text(&row, status_state_name(node));
	row_put_bigint(&row, node->term);
	row_put_text(&row, api_leader_name(node));
	row_put_bigint(&row, node->first_index);
	row_put_bigint(&row, pg_atomic_read_u64(&progress->last_index));
	row_put_bigint(&row, committed);
	row_put_bigint(&row, applied);
	row_put_bigint(&row, pg_atomic_read_u64(&progress->floor));
	row_put_bigint(&row, committed > applied ? committed - applied : 0);
	row_put_text(&row, api_problem(node));
	row_put_bigint(&row, pg_atomic_read_u64(&progress->notified_index));
	put_version(&row, status_version());
	row_put_bool(&row, node->divergence[0] != '\0' ||
				 pg_atomic_read_u32(&progress->divergence) == DIVERGENCE_FOUND);
	return row_return(fcinfo, &row);
}

Datum
store_member_status(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	bool		leader;

	InitMaterializedSRF(fcinfo, 0);
	status_read(node);
	leader = (node->state == RAFT_LEADER);

	for (uint32 i = 0; i < node->n_members; i++)
	{
		const MemberStatus *member = &node->members[i];
		Row			row = {0};
		uint64		last = pg_atomic_read_u64(&progress->last_index);
		uint64		match = (member->member.id == node->node_id) ? last : member->match_index;

		row_put_bigint(&row, member->member.id);
		row_put_text(&row, member->member.name);
		row_put_text(&row, member->member.conninfo);
		row_put_text(&row, member->member.role == RAFT_VOTER ? "voter" : "learner");
		row_put_bool(&row, member->member.id == node->leader);
		row_put(&row, Int64GetDatum((int64) match), !leader);
		row_put(&row, Int64GetDatum(last > match ? (int64) (last - match) : 0), !leader);
		row_put_time(&row, member->last_contact);
		row_put_bool(&row, member->connected);
		row_put_bigint(&row, member->queued_bytes);
		row_put_text(&row, member->last_error);
		put_version(&row, member->understands);
		row_put(&row, BoolGetDatum(member->low_on_disk), !leader);
		row_store(fcinfo, &row);
	}
	return (Datum) 0;
}
