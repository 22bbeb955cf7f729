/*-------------------------------------------------------------------------
 *
 * apply_worker.c
 *	  The apply worker: committed entries become rows, events and answers.
 *
 * It takes whatever is committed and not applied, up to a batch, applies it in
 * one transaction, says how far it is, answers the backends of this node that
 * wait for one of these entries, and only then says of which term the last one
 * was.  That order is what lets the raft worker conclude that an unanswered
 * write of an earlier term is lost (pending.h).
 *
 * Its commits are asynchronous: what they wrote can be made again from the
 * log, which is durable.
 *
 * The apply worker may wait for a user's lock or a slow disk.  That delays
 * what users see, and nothing else.  Trouble ends it, and it starts again with
 * the first entry that is not applied: nothing is ever skipped.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "worker.h"

#include "command.h"
#include "expiry.h"
#include "history.h"
#include "listeners.h"
#include "log_tables.h"
#include "machine.h"
#include "membership.h"
#include "message.h"
#include "miscadmin.h"
#include "request.h"
#include "retention.h"
#include "stats.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "watchers.h"

#define BATCH_ENTRIES	1024
#define BATCH_BYTES		(2 * 1024 * 1024)

/*
 * A batch ends early when what it made takes more than this: a small patch can
 * make a large object.
 */
#define BATCH_MEMORY	(128 * 1024 * 1024)

/* What to tell a backend once the batch has committed. */
typedef struct PendingAnswer
{
	RequestId	request;
	Outcome		outcome;		/* of a command */
	bool		membership;
	uint64		index;
} PendingAnswer;

static struct
{
	pg_uuid_t	cluster_id;
	uint64		node_id;
	uint64		applied;
	uint64		applied_term;
	RaftLogReader *reader;
	MemoryContext batch_context;
	LogEntry	entries[BATCH_ENTRIES];
	PendingAnswer answers[BATCH_ENTRIES];
	uint32		n_answers;
	uint32		n_changes;		/* entries of the batch with an event */
	uint64		last_event;		/* of the batch; 0: none */
	uint64		too_new;		/* the entry we were seen to stop at; 0: none */
}			worker;

static void
keep_answer(const RequestId *request, const Outcome *outcome, uint64 index)
{
	PendingAnswer *answer = &worker.answers[worker.n_answers];

	if (request->origin != worker.node_id ||
		!request_is_waiting(request->slot, request->sequence))
		return;
	answer->request = *request;
	answer->membership = (outcome == NULL);
	if (outcome != NULL)
		answer->outcome = *outcome;
	answer->index = index;
	worker.n_answers++;
}

static void
apply_command(const LogEntry *entry)
{
	Command		command;
	Outcome		outcome;
	const char *problem = command_decode(entry->data, entry->length, &command);

	if (problem != NULL)
	{
		/* The bytes are the same on every member, and so is this verdict. */
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("log entry " UINT64_FORMAT " is malformed and changes nothing: %s",
						entry->index, problem)));
		return;
	}
	machine_apply(&command, entry->index, &outcome);
	if (outcome.event != EVENT_NONE)
	{
		worker.last_event = entry->index;
		worker.n_changes++;
	}
	keep_answer(&command.request, &outcome, entry->index);
}

/*
 * How many of the entries this server knows the rules of.  Those of a newer
 * version are not for it to judge: it stops in front of them, and whoever
 * upgrades it finds everything as it was.
 */
static uint32
count_understood(const LogEntry *entries, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
	{
		if (entries[i].kind == ENTRY_COMMAND &&
			command_version(entries[i].data, entries[i].length) > COMMAND_VERSION)
			return i;
	}
	return n;
}

static void
report_too_new(const LogEntry *entry)
{
	char		problem[256];

	snprintf(problem, sizeof(problem),
			 "log entry " UINT64_FORMAT " is of version %d, and this server applies up to version %d: upgrade the extension's library and restart the server",
			 entry->index, command_version(entry->data, entry->length), COMMAND_VERSION);
	status_set_problem(WORKER_APPLY, problem);
	if (worker.too_new == entry->index)
		return;
	worker.too_new = entry->index;
	ereport(WARNING,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("store stops applying: %s", problem)));
}

static void
apply_entry(const LogEntry *entry)
{
	machine_begin_entry(entry);
	switch (entry->kind)
	{
		case ENTRY_NOOP:
			break;
		case ENTRY_COMMAND:
			apply_command(entry);
			break;
		case ENTRY_MEMBERSHIP:
			{
				Membership	membership;

				/* The raft worker has put it into force; somebody may wait. */
				if (membership_decode(entry->data, entry->length, &membership) == NULL)
					keep_answer(&membership.request, NULL, entry->index);
				break;
			}
	}
	machine_end_entry(entry);
}

static void
send_answer(const PendingAnswer *pending)
{
	const RequestId *request = &pending->request;
	const Outcome *outcome = &pending->outcome;
	Answer		answer = {.kind = ANSWER_OUTCOME, .index = pending->index};

	if (pending->membership)
		answer.kind = ANSWER_INDEX;
	else if (outcome->op == OUTCOME_REFUSED)
	{
		request_refuse(request->slot, request->sequence, outcome->sqlstate,
					   outcome->message, outcome->detail, outcome->hint);
		return;
	}
	else
	{
		answer.op = outcome->op;
		if (outcome->results != NULL)
		{
			answer.data = (char *) outcome->results;
			answer.length = VARSIZE(outcome->results);
		}
		else if (outcome->after.object != NULL)
		{
			answer.index = outcome->after.resource_version;
			answer.data = (char *) outcome->after.object;
			answer.length = VARSIZE(outcome->after.object);
		}
	}
	request_answer(request->slot, request->sequence, &answer);
}

static void
publish(void)
{
	bool		new_term = (pg_atomic_read_u64(&progress->applied_term) != worker.applied_term);

	if (worker.last_event != 0)
		watchers_mark_all(machine_changes(), pg_atomic_read_u64(&progress->applied_index),
						  worker.applied);

	/*
	 * Whoever is answered must find his change counted, too.  That goes for
	 * last_event as well: a LISTEN that follows the answer begins behind it.
	 */
	pg_atomic_write_u64(&progress->floor, machine_floor());
	if (worker.last_event != 0)
		pg_atomic_write_u64(&progress->last_event, worker.last_event);
	pg_atomic_write_u64(&progress->applied_index, worker.applied);
	for (uint32 i = 0; i < worker.n_answers; i++)
		send_answer(&worker.answers[i]);
	pg_atomic_write_u64(&progress->answered_index, worker.applied);
	request_wake_applied(worker.applied);

	/* From here on, who of an earlier term is not answered never will be. */
	pg_write_barrier();
	pg_atomic_write_u64(&progress->applied_term, worker.applied_term);
	if (worker.last_event != 0)
	{
		watchers_wake_marked(worker.applied);
		if (listeners_any())
			status_wake(WORKER_NOTIFY);
	}
	if (new_term)
		status_wake(WORKER_RAFT);
}

/*
 * Apply one batch of what is committed.  Returns false if there is nothing.
 */
static bool
apply_batch(void)
{
	uint64		committed = pg_atomic_read_u64(&progress->commit_index);
	uint32		n_read;
	uint32		n;
	instr_time	start;

	if (committed <= worker.applied)
		return false;
	worker.n_answers = 0;
	worker.n_changes = 0;
	worker.last_event = 0;
	INSTR_TIME_SET_CURRENT(start);

	worker_begin("applying committed entries");
	MemoryContextSwitchTo(worker.batch_context);
	n_read = log_tables_read(worker.reader, worker.applied + 1, committed,
							 BATCH_ENTRIES, BATCH_BYTES, worker.entries);
	n = count_understood(worker.entries, n_read);
	if (n > 0)
	{
		machine_begin(&worker.cluster_id);

		/* We may have waited until a copy had replaced the tables. */
		worker_check();
		for (uint32 i = 0; i < n; i++)
		{
			apply_entry(&worker.entries[i]);
			if (MemoryContextMemAllocated(worker.batch_context, true) > BATCH_MEMORY)
				n = i + 1;
		}
		machine_end(worker.entries[n - 1].index);
	}
	worker_commit();
	if (n == 0)
	{
		if (n_read > 0)
			report_too_new(&worker.entries[0]);
		MemoryContextReset(worker.batch_context);
		return false;
	}

	stats_add(STAT_APPLY_BATCHES, 1);
	stats_add(STAT_APPLY_ENTRIES, n);
	stats_add(STAT_APPLY_CHANGES, worker.n_changes);
	stats_add(STAT_APPLY_TIME, stats_lap(&start));
	worker.applied = worker.entries[n - 1].index;
	worker.applied_term = worker.entries[n - 1].term;
	publish();
	status_set_problem(WORKER_APPLY, NULL);
	MemoryContextReset(worker.batch_context);
	return true;
}

static void
open_machine(void)
{
	RaftState  *state = palloc0(sizeof(RaftState));
	MachinePosition position;
	ChainLink	link;
	WatchSet	everything = watch_set_of(NULL, NULL);

	worker_begin("opening the state machine");
	log_tables_read_state(state);
	position = machine_open();
	history_open();
	expiry_open();
	worker.applied = position.index;
	worker.last_event = machine_last_event();
	worker_commit();

	/* The links of an earlier epoch are those of other tables. */
	link = (ChainLink) {position.index, position.chain, position.digest};
	chain_forget();
	chain_publish(&link);

	worker.cluster_id = state->cluster_id;
	worker.node_id = state->node_id;
	worker.applied_term = 0;
	pfree(state);

	/* The last one may have ended between its commit and telling anybody. */
	watchers_mark_all(&everything, 0, worker.applied);

	/* Did our predecessor get from its last commit to the answers? */
	if (pg_atomic_read_u64(&progress->answered_index) != worker.applied)
		pg_atomic_fetch_add_u64(&progress->apply_lives, 1);
	pg_atomic_write_u64(&progress->answered_index, worker.applied);
	pg_atomic_write_u64(&progress->floor, position.floor);
	pg_atomic_write_u64(&progress->applied_index, worker.applied);
	pg_atomic_write_u64(&progress->last_event, worker.last_event);
	watchers_wake_marked(worker.applied);
	request_wake_applied(worker.applied);
}

static void
report_failure(int code, Datum arg)
{
	char		problem[256];

	if (code == 0 || ProcDiePending)
		return;
	snprintf(problem, sizeof(problem),
			 "the apply worker failed after index " UINT64_FORMAT " and tries again; see the server log",
			 worker.applied);
	status_set_problem(WORKER_APPLY, problem);
}

/* Until whatever is due first; -1: nothing is. */
static long
nap(void)
{
	long		retention = retention_nap();
	long		expiry = expiry_nap();

	if (retention < 0 || expiry < 0)
		return Max(retention, expiry);
	return Min(retention, expiry);
}

void
store_apply_main(Datum arg)
{
	worker_start(WORKER_APPLY, "off");
	before_shmem_exit(report_failure, (Datum) 0);

	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "store apply worker",
												ALLOCSET_DEFAULT_SIZES));
	open_machine();
	worker.reader = log_tables_reader_create();
	worker.batch_context = AllocSetContextCreate(CurrentMemoryContext, "store apply batch",
												 ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		bool		active;

		worker_check();
		active = apply_batch();
		retention_tend(active);
		expiry_tend();
		if (!active)
			worker_sleep(nap());
	}
}
