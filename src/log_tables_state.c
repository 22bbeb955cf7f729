/*-------------------------------------------------------------------------
 *
 * log_tables_state.c
 *	  store.raft_state: identity, term, vote and the base of the log.
 *
 * One row, changed in place.  Its key never changes and the table leaves room
 * on the page, so updates are HOT, and what they leave behind is pruned by the
 * next one: no vacuum is needed to keep the table at one page.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log_tables_private.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/extension.h"
#include "compat.h"
#include "fmgr.h"
#include "table.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

/* Columns of store.raft_state, from 0. */
enum
{
	STATE_ONLY_ROW,
	STATE_CLUSTER_ID,
	STATE_NODE_ID,
	STATE_TERM,
	STATE_VOTE,
	STATE_BASE_INDEX,
	STATE_BASE_TERM,
	STATE_BASE_MEMBERSHIP,
	STATE_SYSTEM_IDENTIFIER,
	STATE_TIMELINE,
	STATE_DATABASE,
	STATE_PLACE,
	STATE_START,
	STATE_SHUT_OUT,
	STATE_COLUMNS
};

bool
log_tables_exists(void)
{
	return OidIsValid(get_extension_oid("store", true));
}

static Datum
bytea_datum(const char *data, Size length)
{
	bytea	   *result = palloc(VARHDRSZ + length);

	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), data, length);
	return PointerGetDatum(result);
}

static void
decode_state(RaftState *state, TupleTableSlot *slot)
{
	Datum	   *values = slot->tts_values;
	bytea	   *membership;
	const char *problem;

	slot_getallattrs(slot);
	state->cluster_id = *DatumGetUUIDP(values[STATE_CLUSTER_ID]);
	state->node_id = DatumGetInt64(values[STATE_NODE_ID]);
	state->term = DatumGetInt64(values[STATE_TERM]);
	state->vote = DatumGetInt64(values[STATE_VOTE]);
	state->base_index = DatumGetInt64(values[STATE_BASE_INDEX]);
	state->base_term = DatumGetInt64(values[STATE_BASE_TERM]);

	state->home.system_identifier = DatumGetInt64(values[STATE_SYSTEM_IDENTIFIER]);
	state->home.timeline = (uint32) DatumGetInt64(values[STATE_TIMELINE]);
	state->home.database = DatumGetObjectId(values[STATE_DATABASE]);
	text_to_cstring_buffer(DatumGetTextPP(values[STATE_PLACE]),
						   state->home.place, sizeof(state->home.place));
	state->start = DatumGetInt64(values[STATE_START]);
	text_to_cstring_buffer(DatumGetTextPP(values[STATE_SHUT_OUT]),
						   state->shut_out, sizeof(state->shut_out));

	membership = DatumGetByteaPCopy(values[STATE_BASE_MEMBERSHIP]);
	problem = membership_decode(VARDATA(membership),
								VARSIZE(membership) - VARHDRSZ,
								&state->base_membership);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the membership in \"store.raft_state\" is damaged"),
				 errdetail_internal("%s", problem)));
	pfree(membership);
}

void
log_tables_read_state(RaftState *state)
{
	Relation	table = table_open_existing(table_oid("raft_state"), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(table, snapshot, 0, NULL);

	if (!table_scan_getnextslot(scan, ForwardScanDirection, slot))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("table \"store.raft_state\" is empty")));
	decode_state(state, slot);

	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(table, AccessShareLock);
}

/* The row, or NULL; deformed. */
static TupleTableSlot *
find_row(TableWriter *writer)
{
	Datum		key = BoolGetDatum(true);
	bool		isnull = false;
	TupleTableSlot *slot;

	slot = table_writer_find(writer, table_writer_primary_key(writer), &key, &isnull);
	if (slot != NULL)
		slot_getallattrs(slot);
	return slot;
}

/* Give the columns named the values at their place, and leave the others. */
static void
update_row(Datum *values, const bool *replace)
{
	TableWriter *writer = table_writer_open(table_oid("raft_state"), RowExclusiveLock);
	TupleTableSlot *slot = find_row(writer);
	bool		isnull[STATE_COLUMNS] = {false};

	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("table \"store.raft_state\" is empty")));
	for (int i = 0; i < STATE_COLUMNS; i++)
		if (!replace[i])
			values[i] = slot->tts_values[i];
	table_writer_update(writer, &slot->tts_tid, values, isnull);
	table_writer_close(writer);
	CommandCounterIncrement();
}

static void
put_start(Datum *values, const ServerIdentity *home, uint64 start, const char *shut_out)
{
	values[STATE_SYSTEM_IDENTIFIER] = Int64GetDatum((int64) home->system_identifier);
	values[STATE_TIMELINE] = Int64GetDatum((int64) home->timeline);
	values[STATE_DATABASE] = ObjectIdGetDatum(home->database);
	values[STATE_PLACE] = CStringGetTextDatum(home->place);
	values[STATE_START] = Int64GetDatum((int64) start);
	values[STATE_SHUT_OUT] = CStringGetTextDatum(shut_out);
}

void
log_tables_save_start(const ServerIdentity *home, uint64 start, const char *shut_out)
{
	Datum		values[STATE_COLUMNS];
	bool		replace[STATE_COLUMNS] = {false};

	put_start(values, home, start, shut_out);
	for (int i = STATE_SYSTEM_IDENTIFIER; i <= STATE_SHUT_OUT; i++)
		replace[i] = true;
	update_row(values, replace);
}

void
log_tables_save_vote(uint64 term, uint64 vote)
{
	Datum		values[STATE_COLUMNS];
	bool		replace[STATE_COLUMNS] = {false};

	values[STATE_TERM] = Int64GetDatum((int64) term);
	values[STATE_VOTE] = Int64GetDatum((int64) vote);
	replace[STATE_TERM] = true;
	replace[STATE_VOTE] = true;
	update_row(values, replace);
}

void
log_tables_save_base(uint64 index, uint64 term, const LogEntry *membership)
{
	Datum		values[STATE_COLUMNS];
	bool		replace[STATE_COLUMNS] = {false};

	values[STATE_BASE_INDEX] = Int64GetDatum((int64) index);
	values[STATE_BASE_TERM] = Int64GetDatum((int64) term);
	replace[STATE_BASE_INDEX] = true;
	replace[STATE_BASE_TERM] = true;
	if (membership != NULL)
	{
		values[STATE_BASE_MEMBERSHIP] = bytea_datum(membership->data, membership->length);
		replace[STATE_BASE_MEMBERSHIP] = true;
	}
	update_row(values, replace);
}

void
log_tables_save_state(const RaftState *state)
{
	TableWriter *writer = table_writer_open(table_oid("raft_state"), RowExclusiveLock);
	TupleTableSlot *slot = find_row(writer);
	Datum		values[STATE_COLUMNS];
	bool		isnull[STATE_COLUMNS] = {false};
	StringInfoData membership;

	initStringInfo(&membership);
	membership_encode(&membership, &state->base_membership);

	values[STATE_ONLY_ROW] = BoolGetDatum(true);
	values[STATE_CLUSTER_ID] = UUIDPGetDatum(&state->cluster_id);
	values[STATE_NODE_ID] = Int64GetDatum((int64) state->node_id);
	values[STATE_TERM] = Int64GetDatum((int64) state->term);
	values[STATE_VOTE] = Int64GetDatum((int64) state->vote);
	values[STATE_BASE_INDEX] = Int64GetDatum((int64) state->base_index);
	values[STATE_BASE_TERM] = Int64GetDatum((int64) state->base_term);
	values[STATE_BASE_MEMBERSHIP] = bytea_datum(membership.data, membership.len);

	if (slot != NULL)
	{
		for (int i = STATE_SYSTEM_IDENTIFIER; i <= STATE_SHUT_OUT; i++)
			values[i] = slot->tts_values[i];
		table_writer_update(writer, &slot->tts_tid, values, isnull);
	}
	else
	{
		put_start(values, &state->home, state->start, state->shut_out);
		table_writer_insert(writer, values, isnull);
	}
	table_writer_close(writer);
	CommandCounterIncrement();
}

void
log_tables_found(const RaftState *state)
{
	log_tables_save_state(state);
}
