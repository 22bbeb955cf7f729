/*-------------------------------------------------------------------------
 *
 * machine.c
 *	  The state machine's tables: resources, events, and how far they are.
 *
 * What a command does is decided by rules.c from what is stored; this finds
 * what is stored and makes the change.
 *
 * The applied position is one row a batch, inserted into one of two tables in
 * turn, of which the other is emptied by TRUNCATE: nothing is ever updated, so
 * a snapshot held for days bloats nothing.  It commits with the rows it speaks
 * of.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "machine.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "compat.h"
#include "digest.h"
#include "executor/spi.h"
#include "history.h"
#include "object.h"
#include "place_cache.h"
#include "storage/lmgr.h"
#include "table.h"
#include "txn.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

/* Rows in one table of applied positions before it is the other's turn. */
#define MARKS_PER_TABLE 10000

#define KEY_COLUMNS			5
#define RESOURCES_COLUMNS	12

/* Columns of store.resources behind those of the key, counted from 0. */
enum
{
	RESOURCES_OBJECT = KEY_COLUMNS,
	RESOURCES_UID,
	RESOURCES_CREATE_REVISION,
	RESOURCES_RESOURCE_VERSION,
	RESOURCES_GENERATION,
	RESOURCES_LABELS,
	RESOURCES_EXPIRES_AT
};

/* For one batch. */
static struct
{
	pg_uuid_t	cluster_id;
	TableWriter *resources;
	Relation	resources_key;
	WatchSet	changes;
}			machine;

/* Across batches. */
static int	marks_table = -1;	/* 0 or 1; -1: not known yet */
static int	n_marks;
static uint64 floor_index;		/* of the history */
static uint64 chain;			/* over all that was applied */
static uint64 digest;			/* of all resources */

static TimestampTz first_expiry = DT_NOEND;

static const char *const marks_tables[2] = {"raft_applied_0", "raft_applied_1"};

/* ------------------------------------------------------------------------
 * The applied position
 * ------------------------------------------------------------------------
 */

static int64
query_index(const char *query)
{
	bool		isnull;
	Datum		value;
	int64		index;

	SPI_connect();
	if (SPI_execute(query, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read a position of the store");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	index = isnull ? 0 : DatumGetInt64(value);
	SPI_finish();
	return index;
}

/* The newest row of a table of positions that the snapshot sees. */
static bool
newest_mark(const char *name, Snapshot snapshot, MachinePosition *position)
{
	Relation	table = table_open_existing(table_oid(name), AccessShareLock);
	Relation	index = index_open(table_primary_key(table), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	IndexScanDesc scan = index_beginscan(table, index, snapshot, NULL, 0, 0);
	bool		found;

	index_rescan(scan, NULL, 0, NULL, 0);
	found = index_getnext_slot(scan, BackwardScanDirection, slot);
	if (found)
	{
		slot_getallattrs(slot);
		position->index = DatumGetInt64(slot->tts_values[0]);
		position->floor = DatumGetInt64(slot->tts_values[1]);
		position->chain = DatumGetInt64(slot->tts_values[2]);
		position->digest = DatumGetInt64(slot->tts_values[3]);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(table, AccessShareLock);
	return found;
}

/*
 * No privilege is asked for: where the tables are is no secret to those who
 * may read them.
 */
MachinePosition
machine_position(Snapshot snapshot)
{
	MachinePosition newest = {0};

	for (int i = 0; i < lengthof(marks_tables); i++)
	{
		MachinePosition position;

		if (newest_mark(marks_tables[i], snapshot, &position) &&
			position.index > newest.index)
			newest = position;
	}
	return newest;
}

MachinePosition
machine_open(void)
{
	MachinePosition in[2] = {{0}};
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	for (int i = 0; i < lengthof(marks_tables); i++)
		(void) newest_mark(marks_tables[i], snapshot, &in[i]);
	UnregisterSnapshot(snapshot);

	marks_table = in[1].index > in[0].index ? 1 : 0;
	n_marks = 0;
	floor_index = in[marks_table].floor;
	chain = in[marks_table].chain;
	digest = in[marks_table].digest;
	return in[marks_table];
}

uint64
machine_floor(void)
{
	return floor_index;
}

TimestampTz
machine_first_expiry(void)
{
	return first_expiry;
}

void
machine_set_first_expiry(TimestampTz time)
{
	first_expiry = time;
}

uint64
machine_last_event(void)
{
	return query_index("SELECT max(resource_version) FROM store.events");
}

static void
execute(const char *statement)
{
	SPI_connect();
	if (SPI_execute(statement, false, 0) < 0)
		elog(ERROR, "could not execute: %s", statement);
	SPI_finish();
}

/*
 * Turn to the other table of positions, if it can be emptied without waiting.
 */
static void
switch_marks_table(void)
{
	const char *other = marks_tables[1 - marks_table];

	n_marks = 0;
	if (!ConditionalLockRelationOid(table_oid(other), AccessExclusiveLock))
		return;
	execute(psprintf("TRUNCATE store.%s", other));
	marks_table = 1 - marks_table;
}

static void
mark_applied(uint64 index)
{
	TableWriter *writer;
	Datum		values[] = {
		Int64GetDatum((int64) index),
		Int64GetDatum((int64) floor_index),
		Int64GetDatum((int64) chain),
		Int64GetDatum((int64) digest)
	};
	bool		isnull[lengthof(values)] = {false};

	if (n_marks++ >= MARKS_PER_TABLE)
		switch_marks_table();
	writer = table_writer_open(table_oid(marks_tables[marks_table]), RowExclusiveLock);
	table_writer_insert(writer, values, isnull);
	table_writer_close(writer);
}

void
machine_begin(const pg_uuid_t *cluster_id)
{
	machine.cluster_id = *cluster_id;
	machine.resources = table_writer_open(table_oid("resources"), RowExclusiveLock);
	machine.resources_key = table_writer_index(machine.resources, "resources_key");
	memset(&machine.changes, 0, sizeof(machine.changes));
	history_begin();
}

const WatchSet *
machine_changes(void)
{
	return &machine.changes;
}

void
machine_end(uint64 applied_index)
{
	table_writer_close(machine.resources);
	history_end();
	mark_applied(applied_index);
}

bool
machine_is_empty(void)
{
	bool		empty;

	SPI_connect();
	if (SPI_execute("SELECT FROM store.resources UNION ALL SELECT FROM store.events LIMIT 1",
					true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the store's tables");
	empty = (SPI_processed == 0);
	SPI_finish();
	return empty;
}

void
machine_forget_applied(void)
{
	execute("TRUNCATE store.raft_applied_0, store.raft_applied_1");
	marks_table = 0;
	n_marks = 0;
	floor_index = chain = digest = 0;
}

void
machine_jump(uint64 index)
{
	MachinePosition position = machine_open();

	position.index = position.floor = index;
	machine_move_to(&position);
}

/* The newest position counts, so those of the old state may stay. */
void
machine_move_to(const MachinePosition *position)
{
	(void) machine_open();
	floor_index = position->floor;
	chain = position->chain;
	digest = position->digest;
	mark_applied(position->index);
}

/* ------------------------------------------------------------------------
 * The chain
 * ------------------------------------------------------------------------
 */

void
machine_begin_entry(const LogEntry *entry)
{
	uint64		words[] = {entry->index, entry->term, entry->kind};

	chain = digest_bytes(chain, words, sizeof(words));
	chain = digest_bytes(chain, entry->data, entry->length);
}

void
machine_end_entry(const LogEntry *entry)
{
	ChainLink	link = {entry->index, chain, digest};

	chain_publish(&link);
}

/* The words of a refusal are not part of the rules, its code is. */
static void
chain_outcome(const Outcome *outcome)
{
	uint64		words[] = {
		outcome->op,
		outcome->event,
		outcome->op == OUTCOME_REFUSED ? outcome->sqlstate : 0,
		floor_index
	};

	chain = digest_bytes(chain, words, sizeof(words));
}

/*
 * What was there is part of it as it was found in the table: if it is not any
 * more what was put there, this is where that shows.
 */
static void
chain_change(const StoredObject *before, const Outcome *outcome)
{
	uint64		words[2] = {0};

	if (before != NULL)
		words[0] = digest_resource(before);
	words[1] = digest_resource(&outcome->after);
	chain = digest_bytes(chain, words, sizeof(words));

	digest -= words[0];
	if (outcome->event != EVENT_DELETED)
		digest += words[1];
}

/* ------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------
 */

/*
 * The first columns of both tables' keys.
 */
static void
key_values(const ResourceKey *key, Datum *values, bool *isnull)
{
	values[0] = CStringGetTextDatum(key->api_group);
	values[1] = CStringGetTextDatum(key->version);
	values[2] = CStringGetTextDatum(key->kind);
	values[3] = key->namespace ? CStringGetTextDatum(key->namespace) : (Datum) 0;
	values[4] = CStringGetTextDatum(key->name);
	memset(isnull, 0, KEY_COLUMNS * sizeof(bool));
	isnull[3] = (key->namespace == NULL);
}

/*
 * Does the row have this key?  Keys are too short to be toasted.
 */
static bool
has_key(TupleTableSlot *slot, const Datum *values, const bool *isnull)
{
	slot_getsomeattrs(slot, KEY_COLUMNS);

	/* the name first: it is what differs */
	for (int i = KEY_COLUMNS - 1; i >= 0; i--)
	{
		struct varlena *have = (struct varlena *) DatumGetPointer(slot->tts_values[i]);
		struct varlena *want = (struct varlena *) DatumGetPointer(values[i]);

		if (slot->tts_isnull[i] != isnull[i])
			return false;
		if (isnull[i])
			continue;
		if (VARATT_IS_EXTENDED(have) && !VARATT_IS_SHORT(have))
			return false;
		if (VARSIZE_ANY_EXHDR(have) != VARSIZE_ANY_EXHDR(want) ||
			memcmp(VARDATA_ANY(have), VARDATA_ANY(want), VARSIZE_ANY_EXHDR(want)) != 0)
			return false;
	}
	return true;
}

static Jsonb *
copy_object(const Jsonb *object)
{
	Jsonb	   *copy = palloc(VARSIZE(object));

	memcpy(copy, object, VARSIZE(object));
	return copy;
}

/*
 * The resource's row, or NULL.
 */
static TupleTableSlot *
find_row(const ResourceKey *key, Datum *values, bool *isnull)
{
	uint64		hash = place_cache_hash(key);
	ItemPointerData place;
	TupleTableSlot *slot;

	if (place_cache_get(hash, &place))
	{
		slot = table_writer_fetch(machine.resources, place);
		if (slot != NULL && has_key(slot, values, isnull))
			return slot;
	}
	slot = table_writer_find(machine.resources, machine.resources_key, values, isnull);
	if (slot != NULL)
		place_cache_put(hash, table_writer_found_at(machine.resources));
	return slot;
}

/* All but the object. */
static void
read_stamps(const Datum *values, const bool *isnull, StoredObject *stored)
{
	stored->object = NULL;
	stored->uid = *DatumGetUUIDP(values[RESOURCES_UID]);
	stored->create_revision = DatumGetInt64(values[RESOURCES_CREATE_REVISION]);
	stored->resource_version = DatumGetInt64(values[RESOURCES_RESOURCE_VERSION]);
	stored->generation = DatumGetInt64(values[RESOURCES_GENERATION]);
	stored->expires = !isnull[RESOURCES_EXPIRES_AT];
	stored->expires_at = stored->expires ?
		DatumGetTimestampTz(values[RESOURCES_EXPIRES_AT]) : 0;
}

static void
read_slot(TupleTableSlot *slot, StoredObject *stored)
{
	slot_getallattrs(slot);
	read_stamps(slot->tts_values, slot->tts_isnull, stored);
}

uint64
machine_row_digest(const Datum *values, const bool *isnull)
{
	StoredObject stored;

	read_stamps(values, isnull, &stored);
	stored.object = DatumGetJsonbP(values[RESOURCES_OBJECT]);
	return digest_resource(&stored);
}

static void
write_row(TupleTableSlot *slot, const ResourceKey *key, const Outcome *outcome,
		  Datum *values, bool *isnull)
{
	const StoredObject *after = &outcome->after;
	Jsonb	   *labels;

	/*
	 * A row that this very transaction wrote, for an earlier entry of the
	 * batch, can only be changed by a later command.
	 */
	if (slot != NULL)
	{
		bool		xmin_isnull;
		TransactionId xmin = DatumGetTransactionId(slot_getsysattr(slot,
																   MinTransactionIdAttributeNumber,
																   &xmin_isnull));

		if (TransactionIdIsCurrentTransactionId(xmin))
			CommandCounterIncrement();
	}

	if (outcome->event == EVENT_DELETED)
	{
		table_writer_delete(machine.resources, &slot->tts_tid);
		return;
	}
	values[RESOURCES_OBJECT] = JsonbPGetDatum(after->object);
	values[RESOURCES_UID] = UUIDPGetDatum(&after->uid);
	values[RESOURCES_CREATE_REVISION] = Int64GetDatum(after->create_revision);
	values[RESOURCES_RESOURCE_VERSION] = Int64GetDatum(after->resource_version);
	values[RESOURCES_GENERATION] = Int64GetDatum(after->generation);
	memset(isnull + KEY_COLUMNS, 0, (RESOURCES_COLUMNS - KEY_COLUMNS) * sizeof(bool));
	labels = object_labels(after->object);
	values[RESOURCES_LABELS] = JsonbPGetDatum(labels);
	isnull[RESOURCES_LABELS] = (labels == NULL);
	values[RESOURCES_EXPIRES_AT] = TimestampTzGetDatum(after->expires_at);
	isnull[RESOURCES_EXPIRES_AT] = !after->expires;
	if (after->expires)
		first_expiry = Min(first_expiry, after->expires_at);
	if (outcome->event == EVENT_ADDED)
		table_writer_insert(machine.resources, values, isnull);
	else if (!table_writer_update(machine.resources, &slot->tts_tid, values, isnull))
		place_cache_forget(place_cache_hash(key));
}

static void
write_event(const Command *command, uint64 index, int32 ordinal,
			const StoredObject *before, const Outcome *outcome,
			const Datum *key, const bool *key_isnull)
{
	Datum		values[EVENTS_COLUMNS];
	bool		isnull[EVENTS_COLUMNS] = {false};

	values[EVENTS_RESOURCE_VERSION] = Int64GetDatum((int64) index);
	values[EVENTS_TYPE] = CStringGetTextDatum(event_type_name(outcome->event));
	memcpy(&values[EVENTS_KEY], key, KEY_COLUMNS * sizeof(Datum));
	memcpy(&isnull[EVENTS_KEY], key_isnull, KEY_COLUMNS * sizeof(bool));
	values[EVENTS_OBJECT] = JsonbPGetDatum(outcome->after.object);
	values[EVENTS_REASON] = CStringGetTextDatum(reason_name(command->reason));
	values[EVENTS_AT] = TimestampTzGetDatum(command->time);
	values[EVENTS_ORDINAL] = Int32GetDatum(ordinal);
	isnull[EVENTS_PREVIOUS] = isnull[EVENTS_PREVIOUS_VERSION] = (before == NULL);
	if (before != NULL)
	{
		values[EVENTS_PREVIOUS] = JsonbPGetDatum(before->object);
		values[EVENTS_PREVIOUS_VERSION] = Int64GetDatum(before->resource_version);
	}
	history_add(values, isnull);
	chain_change(before, outcome);
	watch_set_add(&machine.changes, command->key.kind, command->key.namespace);
}

/*
 * Raise the floor of the history.  It is no change of a resource, so there is
 * no event.
 */
static void
compact(const Command *command, uint64 index, Outcome *outcome)
{
	uint64		revision = (uint64) command->revision;

	memset(outcome, 0, sizeof(*outcome));
	if (revision >= index)
	{
		outcome->op = OUTCOME_REFUSED;
		outcome->sqlstate = ERRCODE_STORE_TOO_NEW;
		outcome->message = psprintf("cannot compact up to resource version " UINT64_FORMAT,
									revision);
		outcome->detail = psprintf("The store is at " UINT64_FORMAT ".", index - 1);
		return;
	}
	outcome->op = OUTCOME_NOOP;
	floor_index = Max(floor_index, revision);
}

/* For txn_apply(): the resource as it is in the table, its object copied. */
static bool
look_up(const ResourceKey *key, bool with_object, StoredObject *stored)
{
	Datum		values[RESOURCES_COLUMNS];
	bool		isnull[RESOURCES_COLUMNS];
	TupleTableSlot *slot;

	key_values(key, values, isnull);
	slot = find_row(key, values, isnull);
	if (slot == NULL)
		return false;
	read_slot(slot, stored);
	if (with_object)
		stored->object = DatumGetJsonbPCopy(slot->tts_values[RESOURCES_OBJECT]);
	return true;
}

/*
 * All of a transaction has been decided before the first row is touched, so
 * there is nothing to take back.
 */
static void
apply_txn(const Command *txn, uint64 index, Outcome *outcome)
{
	TxnChange  *changes;
	int			n_changes;

	changes = txn_apply(txn, (int64) index, &machine.cluster_id, look_up, outcome,
						&n_changes);
	for (int i = 0; i < n_changes; i++)
	{
		TxnChange  *change = &changes[i];
		Datum		values[RESOURCES_COLUMNS];
		bool		isnull[RESOURCES_COLUMNS];
		TupleTableSlot *slot;

		if (change->outcome.event == EVENT_NONE)
			continue;
		key_values(&change->command.key, values, isnull);
		slot = find_row(&change->command.key, values, isnull);
		write_row(slot, &change->command.key, &change->outcome, values, isnull);
		write_event(&change->command, index, change->ordinal,
					change->existed ? &change->before : NULL,
					&change->outcome, values, isnull);
		outcome->event = change->outcome.event;
	}
}

void
machine_apply(const Command *command, uint64 index, Outcome *outcome)
{
	Datum		values[RESOURCES_COLUMNS];
	bool		isnull[RESOURCES_COLUMNS];
	TupleTableSlot *slot;
	StoredObject current;
	StoredObject schema = {0};
	ResourceKey of_schema;

	if (command->op == COMMAND_COMPACT)
	{
		compact(command, index, outcome);
		chain_outcome(outcome);
		return;
	}
	if (command->op == COMMAND_TXN)
	{
		apply_txn(command, index, outcome);
		chain_outcome(outcome);
		return;
	}
	key_values(&command->key, values, isnull);
	slot = find_row(&command->key, values, isnull);
	if (slot != NULL)
	{
		read_slot(slot, &current);
		current.object = DatumGetJsonbP(slot->tts_values[RESOURCES_OBJECT]);
	}

	if (rules_schema_key(command, slot ? &current : NULL, &of_schema))
	{
		/* the slot is about to hold another row, and then this one again */
		(void) look_up(&of_schema, true, &schema);
		slot = find_row(&command->key, values, isnull);
		if (slot != NULL)
		{
			read_slot(slot, &current);
			current.object = DatumGetJsonbP(slot->tts_values[RESOURCES_OBJECT]);
		}
	}
	rules_apply(command, slot ? &current : NULL, schema.object, (int64) index, 0, false,
				&machine.cluster_id, outcome);
	chain_outcome(outcome);
	if (outcome->event == EVENT_NONE)
	{
		/*
		 * The answer is given after the commit, when the buffer in which the
		 * row lies may have another page.
		 */
		if (slot != NULL && outcome->after.object == current.object)
			outcome->after.object = copy_object(current.object);
		return;
	}
	write_row(slot, &command->key, outcome, values, isnull);
	write_event(command, index, 0, slot ? &current : NULL, outcome, values, isnull);
}
