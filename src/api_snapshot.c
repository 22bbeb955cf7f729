/*-------------------------------------------------------------------------
 *
 * api_snapshot.c
 *	  The sending side of a copy of the state machine, and the view of both.
 *
 * A member that needs a copy opens an ordinary session here and runs one
 * transaction, REPEATABLE READ and READ ONLY: store.raft_copy() says as of
 * which index its snapshot is, and two views, read by COPY, have the rows.
 * So what is copied is the state at one index, the executor streams it, and
 * this node goes on serving and applying meanwhile.
 *
 * Two things are not kept by a snapshot.  Segments of the history are emptied
 * by TRUNCATE: raft_copy() locks them against that and then sees whether it
 * came too late.  And the log that follows the copy must not be emptied while
 * the copy is on its way: so the session is listed (snapshot.h) for as long as
 * it lasts, and the raft worker looks there.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "compat.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "history.h"
#include "log_tables.h"
#include "machine.h"
#include "miscadmin.h"
#include "snapshot.h"
#include "status.h"
#include "storage/lmgr.h"
#include "table.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

STORE_FUNCTION(store_raft_bytes);
STORE_FUNCTION(store_raft_copy);
STORE_FUNCTION(store_copy_status);

/* ------------------------------------------------------------------------
 * Sending
 * ------------------------------------------------------------------------
 */

/*
 * The bytes of a jsonb.  All members are of one architecture: the log carries
 * jsonb as it is, too.
 */
Datum
store_raft_bytes(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(PG_DETOAST_DATUM(PG_GETARG_DATUM(0)));
}

static void
check_caller(const pg_uuid_t *cluster_id)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));

	if (!IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("a copy of the store must be made in one transaction of isolation level REPEATABLE READ")));
	status_read(node);
	if (!node->running || memcmp(&node->cluster_id, cluster_id, sizeof(pg_uuid_t)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this node is not a running member of that cluster")));
}

static void
report_moved_on(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("cannot copy the store: %s", what),
			 errhint("Try again.")));
}

/*
 * Keep the history and the applied positions from being emptied until the end
 * of the transaction, and see whether all is there that the snapshot should
 * see.
 */
static MachinePosition
hold_state(void)
{
	MachinePosition position;

	LockRelationOid(table_oid("raft_applied_0"), AccessShareLock);
	LockRelationOid(table_oid("raft_applied_1"), AccessShareLock);
	LockRelationOid(table_oid("events"), AccessShareLock);
	for (int i = 0; i < HISTORY_SEGMENTS; i++)
		LockRelationOid(table_oid(history_segment_name(i)), AccessShareLock);

	position = machine_position(GetActiveSnapshot());
	if (position.index == 0)
		report_moved_on("its applied position is not known");
	if (pg_atomic_read_u64(&progress->history_gone) > position.floor)
		report_moved_on("its history was compacted meanwhile");
	return position;
}

/* The term of an entry that is applied; it is in the log, or at its base. */
static uint64
term_of(uint64 index)
{
	RaftState  *state = palloc0(sizeof(RaftState));
	LogEntry	entry;

	if (log_tables_read(log_tables_reader_create(), index, index, 1,
						MaxAllocSize, &entry) == 1)
		return entry.term;
	log_tables_read_state(state);
	if (state->base_index != index)
		report_moved_on("its log was compacted meanwhile");
	return state->base_term;
}

/* The membership in force at an index, encoded. */
static bytea *
membership_at(uint64 index)
{
	Membership *membership = palloc0(sizeof(Membership));
	StringInfoData buffer;
	bytea	   *bytes;

	if (snapshot_membership(membership) > index)
		report_moved_on("its members changed meanwhile");
	if (membership->n_members == 0)
		report_moved_on("its members are not known yet");
	initStringInfo(&buffer);
	membership_encode(&buffer, membership);
	bytes = palloc(VARHDRSZ + buffer.len);
	SET_VARSIZE(bytes, VARHDRSZ + buffer.len);
	memcpy(VARDATA(bytes), buffer.data, buffer.len);
	return bytes;
}

/* With the transaction's snapshot. */
static uint64
count_rows(const char *view)
{
	bool		isnull;
	uint64		count;

	SPI_connect();
	if (SPI_execute(psprintf("SELECT count(*) FROM %s.%s", STORE_SCHEMA, view),
					true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not count the rows of \"%s\"", view);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
										1, &isnull));
	SPI_finish();
	return count;
}

Datum
store_raft_copy(PG_FUNCTION_ARGS)
{
	uint64		at_least = (uint64) PG_GETARG_INT64(2);
	MachinePosition position;
	SnapshotSent sent = {0};
	TupleDesc	desc;
	Datum		values[9];
	bool		isnull[9] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_caller(PG_GETARG_UUID_P(0));
	position = hold_state();
	if (position.index < at_least)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this node has no state to copy that is recent enough"),
				 errdetail("It has applied up to index " UINT64_FORMAT ", and " UINT64_FORMAT " is needed.",
						   position.index, at_least)));

	values[0] = Int32GetDatum(SNAPSHOT_FORMAT);
	values[1] = Int64GetDatum((int64) position.index);
	values[2] = Int64GetDatum((int64) term_of(position.index));
	values[3] = Int64GetDatum((int64) position.floor);
	values[4] = PointerGetDatum(membership_at(position.index));
	sent.resources_total = count_rows("raft_resources");
	sent.events_total = count_rows("raft_events");
	values[5] = Int64GetDatum((int64) sent.resources_total);
	values[6] = Int64GetDatum((int64) sent.events_total);
	values[7] = Int64GetDatum((int64) position.chain);
	values[8] = Int64GetDatum((int64) position.digest);

	sent.pid = MyProcPid;
	sent.member = (uint64) PG_GETARG_INT64(1);
	sent.index = position.index;
	sent.started_at = GetCurrentTimestamp();
	if (!snapshot_set_sent(&sent))
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("this node is sending %d copies of the store already",
						SNAPSHOT_MAX_SENDERS),
				 errhint("Try again later, or from another member.")));
	return HeapTupleGetDatum(heap_form_tuple(desc, values, isnull));
}

/* ------------------------------------------------------------------------
 * store.progress_copy
 * ------------------------------------------------------------------------
 */

static const char *const phases[] = {
	[SNAPSHOT_IDLE] = "idle",
	[SNAPSHOT_CONNECTING] = "connecting",
	[SNAPSHOT_COPYING_RESOURCES] = "copying resources",
	[SNAPSHOT_COPYING_EVENTS] = "copying events",
	[SNAPSHOT_REPLACING_STATE] = "replacing the state",
	[SNAPSHOT_REPLACING_LOG] = "replacing the log"
};

#define COPY_STATUS_COLUMNS	11

static void
put_received(ReturnSetInfo *result)
{
	SnapshotReceived received;
	Datum		values[COPY_STATUS_COLUMNS];
	bool		isnull[COPY_STATUS_COLUMNS] = {false};

	snapshot_received(&received);
	if (received.phase == SNAPSHOT_IDLE)
		return;
	values[0] = Int32GetDatum(received.pid);
	values[1] = CStringGetTextDatum("receiving");
	values[2] = CStringGetTextDatum(received.peer);
	values[3] = CStringGetTextDatum(phases[received.phase]);
	values[4] = Int64GetDatum((int64) received.index);
	isnull[4] = (received.index == 0);
	values[5] = Int64GetDatum((int64) received.resources_total);
	values[6] = Int64GetDatum((int64) received.resources_done);
	values[7] = Int64GetDatum((int64) received.events_total);
	values[8] = Int64GetDatum((int64) received.events_done);
	values[9] = Int64GetDatum((int64) received.bytes_done);
	values[10] = TimestampTzGetDatum(received.started_at);
	tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
}

static const char *
member_name(const NodeStatus *node, uint64 id)
{
	for (uint32 i = 0; i < node->n_members; i++)
	{
		if (node->members[i].member.id == id)
			return node->members[i].member.name;
	}
	return "";
}

static void
put_sent(ReturnSetInfo *result, const SnapshotSent *sent, const NodeStatus *node)
{
	Datum		values[COPY_STATUS_COLUMNS] = {0};
	bool		isnull[COPY_STATUS_COLUMNS] = {false};

	values[0] = Int32GetDatum(sent->pid);
	values[1] = CStringGetTextDatum("sending");
	values[2] = CStringGetTextDatum(member_name(node, sent->member));
	values[3] = CStringGetTextDatum("sending");
	values[4] = Int64GetDatum((int64) sent->index);
	values[5] = Int64GetDatum((int64) sent->resources_total);
	values[7] = Int64GetDatum((int64) sent->events_total);
	isnull[6] = isnull[8] = isnull[9] = true;
	values[10] = TimestampTzGetDatum(sent->started_at);
	tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
}

/*
 * How far a session is that sends, pg_stat_progress_copy knows.
 */
Datum
store_copy_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	SnapshotSent sent[SNAPSHOT_MAX_SENDERS];
	NodeStatus *node = palloc0(sizeof(NodeStatus));

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	put_received(result);
	snapshot_sent(sent);
	status_read(node);
	for (int i = 0; i < SNAPSHOT_MAX_SENDERS; i++)
	{
		if (sent[i].pid != 0)
			put_sent(result, &sent[i], node);
	}
	return (Datum) 0;
}
