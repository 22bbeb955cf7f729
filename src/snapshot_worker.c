/*-------------------------------------------------------------------------
 *
 * snapshot_worker.c
 *	  The snapshot worker: brings this node up to date by a copy.
 *
 * The launcher starts it when the leader has told the raft worker that the log
 * this node needs is gone.  It makes one attempt:
 *
 * 1. From a member, over libpq, it pulls resources and events as of one index
 *	  into staging tables (machine_copy.h).  Nothing else is touched: this node
 *	  goes on voting, and its sessions go on reading.
 * 2. In one transaction it replaces the rows of the tables and the applied
 *	  position.  From its beginning the apply worker is locked out.
 * 3. In the same transaction, and for as short as possible, it replaces the
 *	  log.  For that the raft worker has to lend it, which it does if the copy
 *	  is (still) ahead of everything it knows to be committed; meanwhile it
 *	  waits.  Term and vote are left as they are.
 *
 * The commit is what counts: a crash before it leaves the old state with the
 * old log, a crash after it the new state with an empty log behind it.  It
 * begins a new epoch, so that every worker starts anew from the tables.
 *
 * Trouble ends the worker.  The launcher starts the next attempt, which begins
 * from the beginning, at the next member in turn.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "worker.h"

#include "clock.h"
#include "fmgr.h"
#include "lifecycle.h"
#include "log_tables.h"
#include "machine_copy.h"
#include "miscadmin.h"
#include "peer_call.h"
#include "snapshot.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* Longest silence of the other side that is not taken for its end. */
#define PATIENCE_MS		60000

/* Between two updates of the progress. */
#define PROGRESS_ROWS	256

/* What runs over there for as long as it takes. */
#define PEER_SETTINGS \
	"-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"

static struct
{
	SnapshotReceived progress;
	PeerSession *session;

	/* the copy */
	MachinePosition state;
	uint64		term;
	bytea	   *membership;

	/* the COPY stream being read */
	const char *data;
	int			length;			/* of data; -1: it has ended */
	int			position;
	uint64	   *rows_done;		/* in progress */
	uint64		rows_sent;		/* as the other side says at the end */
}			worker;

static void
enter(SnapshotPhase phase)
{
	worker.progress.phase = phase;
	snapshot_set_received(&worker.progress);
}

/* ------------------------------------------------------------------------
 * Pulling
 * ------------------------------------------------------------------------
 */

/*
 * Whom to ask: the leader, and after a failure the other members in turn.
 */
static const Member *
choose_peer(const NodeStatus *node, const SnapshotRequest *request)
{
	const Member *others[RAFT_MAX_MEMBERS];
	uint32		n = 0;

	for (uint32 i = 0; i < node->n_members; i++)
	{
		const Member *member = &node->members[i].member;

		if (member->id == node->node_id)
			continue;
		others[n++] = member;
		if (member->id == request->leader)
		{
			others[n - 1] = others[0];
			others[0] = member;
		}
	}
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this node knows of no other member")));
	return others[request->n_failures % n];
}

static uint64
number(PeerRows *rows, int column)
{
	return strtou64(PEER_VALUE(rows, 0, column), NULL, 10);
}

/* Begin the transaction over there, and learn what it has to offer. */
static void
begin_copy(const NodeStatus *node, const SnapshotRequest *request)
{
	const char *params[3];
	PeerRows   *rows;

	params[0] = DatumGetCString(DirectFunctionCall1(uuid_out,
													UUIDPGetDatum(&node->cluster_id)));
	params[1] = psprintf(UINT64_FORMAT, node->node_id);
	params[2] = psprintf(UINT64_FORMAT, request->at_least);

	(void) peer_query(worker.session,
					  "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL);
	/* The indexes have the order already. */
	(void) peer_query(worker.session, "SET LOCAL enable_sort = off", 0, NULL);
	rows = peer_query(worker.session,
					  "SELECT format, index, term, floor, membership, resources, events,"
					  " chain, digest"
					  " FROM store.raft_copy($1, $2, $3)", 3, params);
	if (rows->n_rows != 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the peer did not say what it has to copy")));
	if (number(rows, 0) != SNAPSHOT_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the copy is of format %s, and this server knows format %d",
						PEER_VALUE(rows, 0, 0), SNAPSHOT_FORMAT),
				 errhint("Upgrade the extension's library and restart the server.")));
	worker.state.index = number(rows, 1);
	worker.term = number(rows, 2);
	worker.state.floor = number(rows, 3);
	worker.membership =
		DatumGetByteaP(DirectFunctionCall1(byteain, CStringGetDatum(PEER_VALUE(rows, 0, 4))));
	worker.progress.index = worker.state.index;
	worker.progress.resources_total = number(rows, 5);
	worker.progress.events_total = number(rows, 6);
	worker.state.chain = (uint64) strtoi64(PEER_VALUE(rows, 0, 7), NULL, 10);
	worker.state.digest = (uint64) strtoi64(PEER_VALUE(rows, 0, 8), NULL, 10);
}

static void
check_membership(void)
{
	Membership *membership = palloc(sizeof(Membership));
	const char *problem = membership_decode(VARDATA(worker.membership),
											VARSIZE(worker.membership) - VARHDRSZ,
											membership);

	if (problem != NULL || membership->n_members == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the membership that came with the copy is malformed: %s",
						problem ? problem : "it is empty")));
	pfree(membership);
}

/* More of the stream: a message of COPY is a row, about. */
static void
read_more(void)
{
	worker_check();
	worker.length = peer_copy_read(worker.session, &worker.data, &worker.rows_sent);
	worker.position = 0;
	if (worker.length < 0)
		return;
	worker.progress.bytes_done += worker.length;
	if (++*worker.rows_done % PROGRESS_ROWS == 0)
		snapshot_set_received(&worker.progress);
}

/* For CopyFrom(); returns at least minread bytes, unless the stream ends. */
static int
feed_copy(void *to, int minread, int maxread)
{
	int			n = 0;

	while (n < minread && worker.length >= 0)
	{
		int			available = worker.length - worker.position;

		if (available == 0)
		{
			read_more();
			continue;
		}
		available = Min(available, maxread - n);
		memcpy((char *) to + n, worker.data + worker.position, available);
		worker.position += available;
		n += available;
	}
	return n;
}

static void
pull(MachinePart part, SnapshotPhase phase, uint64 *rows_done, uint64 rows_total)
{
	uint64		n_rows;

	enter(phase);
	worker.length = worker.position = 0;
	worker.rows_done = rows_done;
	peer_copy_begin(worker.session, machine_copy_query(part));

	worker_begin("copying from another member");
	n_rows = machine_copy_load(part, feed_copy);
	worker_commit();

	while (worker.length >= 0)
		read_more();
	*rows_done = n_rows;
	snapshot_set_received(&worker.progress);
	if (n_rows != worker.rows_sent || n_rows != rows_total)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the copy is incomplete"),
				 errdetail(UINT64_FORMAT " rows came, " UINT64_FORMAT " were sent, and there are " UINT64_FORMAT ".",
						   n_rows, worker.rows_sent, rows_total)));
}

static void
pull_copy(const NodeStatus *node, const SnapshotRequest *request, const Member *peer)
{
	enter(SNAPSHOT_CONNECTING);
	worker_begin("emptying the staging tables");
	machine_copy_clear();
	worker_commit();

	worker.session = peer_open(peer->conninfo, PATIENCE_MS, "copy to", PEER_SETTINGS);
	begin_copy(node, request);
	check_membership();
	pull(MACHINE_RESOURCES, SNAPSHOT_COPYING_RESOURCES,
		 &worker.progress.resources_done, worker.progress.resources_total);
	pull(MACHINE_EVENTS, SNAPSHOT_COPYING_EVENTS,
		 &worker.progress.events_done, worker.progress.events_total);

	/* The session stays: while it is there, they keep the log that follows. */
	(void) peer_query(worker.session, "COMMIT", 0, NULL);
}

/* ------------------------------------------------------------------------
 * Installing
 * ------------------------------------------------------------------------
 */

/* Returns false if the copy is of no use any more. */
static bool
borrow_log(void)
{
	SnapshotLoan loan;

	snapshot_ask_loan(worker.state.index, worker.term);
	status_wake(WORKER_RAFT);
	while ((loan = snapshot_loan(NULL, NULL)) == SNAPSHOT_LOAN_ASKED)
	{
		/* A raft worker that is just starting looks by itself. */
		worker_sleep(-1);
		worker_check();
	}

	/*
	 * Whoever lent it may live in an epoch that we do not.  From here on
	 * nobody can begin another one: our locks are in the way.
	 */
	worker_check();
	return loan == SNAPSHOT_LOAN_GRANTED;
}

static void
install(void)
{
	enter(SNAPSHOT_REPLACING_STATE);
	worker_begin("replacing the state by the copy");
	machine_copy_lock();
	worker_check();
	machine_copy_install(&worker.state);

	enter(SNAPSHOT_REPLACING_LOG);
	if (!borrow_log())
	{
		ereport(LOG,
				(errmsg("the copy of the store as of index " UINT64_FORMAT " is not needed any more",
						worker.state.index)));
		snapshot_fulfilled();
		proc_exit(0);
	}
	log_tables_replace(worker.state.index, worker.term, VARDATA(worker.membership),
					   VARSIZE(worker.membership) - VARHDRSZ);
	lifecycle_new_epoch_at_commit();

	/* Before the raft worker goes on, and hears the leader ask once more. */
	snapshot_fulfilled();
	worker_commit();
}

/* ------------------------------------------------------------------------
 * The attempt
 * ------------------------------------------------------------------------
 */

static void
leave(int code, Datum arg)
{
	SnapshotReceived nothing = {.phase = SNAPSHOT_IDLE};

	snapshot_set_received(&nothing);
	snapshot_end_loan();
	status_wake(WORKER_RAFT);
}

static void
report_failure(const char *peer)
{
	ErrorData  *error = CopyErrorData();
	char		problem[256];

	snprintf(problem, sizeof(problem), "copying the store from \"%s\" failed and is tried again: %s%s%s",
			 peer, error->message, error->detail ? ": " : "",
			 error->detail ? error->detail : "");
	status_set_problem(WORKER_SNAPSHOT, problem);
	snapshot_failed(monotonic_ms());
}

static void
attempt(const NodeStatus *node, const SnapshotRequest *request)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		const Member *peer = choose_peer(node, request);

		strlcpy(worker.progress.peer, peer->name, sizeof(worker.progress.peer));
		ereport(LOG,
				(errmsg("copying the store from member \"%s\"", peer->name),
				 errdetail("The log that this node needs is gone from its cluster.")));
		pull_copy(node, request, peer);
		install();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		report_failure(worker.progress.peer);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

void
store_snapshot_main(Datum arg)
{
	NodeStatus *node;
	SnapshotRequest request;
	uint64		delay_ms;

	worker_start(WORKER_SNAPSHOT, "local");
	before_shmem_exit(leave, (Datum) 0);
	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "store snapshot worker",
												ALLOCSET_DEFAULT_SIZES));
	worker.progress.pid = MyProcPid;
	worker.progress.started_at = GetCurrentTimestamp();
	enter(SNAPSHOT_CONNECTING);

	node = palloc0(sizeof(NodeStatus));
	status_read(node);
	if (!node->running ||
		!snapshot_is_wanted(&request, monotonic_ms(),
							SNAPSHOT_REQUEST_BEATS * store_heartbeat_interval, &delay_ms))
		proc_exit(0);

	attempt(node, &request);
	status_set_problem(WORKER_SNAPSHOT, NULL);
	ereport(LOG,
			(errmsg("this node was brought up to date by a copy as of index " UINT64_FORMAT,
					worker.state.index),
			 errdetail(UINT64_FORMAT " resources and " UINT64_FORMAT " events came from member \"%s\".",
					   worker.progress.resources_done, worker.progress.events_done,
					   worker.progress.peer)));
	peer_close(worker.session);
	proc_exit(0);
}
