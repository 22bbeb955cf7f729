/*-------------------------------------------------------------------------
 *
 * api_verify.c
 *	  store.verify(): do the tables of all members come to the same?
 *
 * The members are asked all at once, over libpq, for the digests of their tables
 * as of one index, and compute them side by side while the session does the same
 * with its own (api_digest.h).  They go on applying meanwhile.
 *
 * Two things are judged.  Whether the resources of a member add up to what it
 * has applied, it knows by itself.  Whether the members have applied the same,
 * and have the same history of it, shows when they are compared; what more than
 * half of those have that could be asked counts as right.
 *
 * A member that does not answer, or whose tables cannot be read, is a row like
 * the others, which says so.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_digest.h"

#include "access/xact.h"
#include "api_row.h"
#include "api_status.h"
#include "compat.h"
#include "digest.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "peer_call.h"
#include "status.h"
#include "utils/builtins.h"
#include "utils/resowner.h"
#include "utils/uuid.h"

STORE_FUNCTION(store_verify);

/* Longest silence of a member that computes; it says how far it is before. */
#define PATIENCE_MS		60000

/*
 * What runs over there for as long as it takes, and says so, but not for nobody.
 */
#define PEER_SETTINGS \
	"-c statement_timeout=0 -c lock_timeout=0 -c client_min_messages=notice" \
	" -c client_connection_check_interval=2000"

typedef struct Verdict
{
	const char *name;
	PeerSession *session;		/* while it computes */
	bool		answered;
	TableDigests digests;
	StringInfoData problem;		/* empty: none */
} Verdict;

typedef struct Verification
{
	NodeStatus *node;
	uint64		index;
	uint64		floor;
	uint32		n_verdicts;
	Verdict		verdicts[RAFT_MAX_MEMBERS];
} Verification;

static void
add_problem(Verdict *verdict, const char *problem)
{
	appendStringInfo(&verdict->problem, "%s%s", verdict->problem.len > 0 ? "; " : "", problem);
}

/*
 * In PG_CATCH(): what was raised becomes the problem of the member, unless it is
 * that nobody wants the answer any more.
 */
static void
catch_problem(Verdict *verdict, MemoryContext caller)
{
	ErrorData  *error;

	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || ProcDiePending)
		PG_RE_THROW();
	FlushErrorState();
	add_problem(verdict, psprintf("%s%s%s", error->message, error->detail ? ": " : "",
								  error->detail ? error->detail : ""));
	FreeErrorData(error);
}

/* ------------------------------------------------------------------------
 * Asking
 * ------------------------------------------------------------------------
 */

/*
 * Like peer_try(), this catches errors without a subtransaction: what ran is
 * libpq and our own waiting.
 */
static void
begin_peer(Verdict *verdict, const Member *member, const Verification *verification)
{
	MemoryContext caller = CurrentMemoryContext;
	const char *params[2];

	params[0] = psprintf(UINT64_FORMAT, verification->index);
	params[1] = psprintf(UINT64_FORMAT, verification->floor);
	PG_TRY();
	{
		verdict->session = peer_open(member->conninfo, PATIENCE_MS, "verify from",
									 PEER_SETTINGS);
		peer_send(verdict->session,
				  "SELECT chain, resources_digest, events_digest, resources, events, misfits,"
				  " adds_up FROM store.raft_digest($1, $2)", 2, params);
	}
	PG_CATCH();
	{
		catch_problem(verdict, caller);
	}
	PG_END_TRY();
}

static uint64
number(PeerRows *rows, int column)
{
	const char *value = PEER_VALUE(rows, 0, column);

	return value == NULL ? 0 : (uint64) strtoi64(value, NULL, 10);
}

static void
end_peer(Verdict *verdict)
{
	MemoryContext caller = CurrentMemoryContext;

	if (verdict->problem.len > 0)
		return;
	PG_TRY();
	{
		PeerRows   *rows = peer_take(verdict->session);
		TableDigests *digests = &verdict->digests;

		if (rows->n_rows != 1 || rows->n_columns != 7)
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("the answer of the member is malformed")));
		digests->chain = number(rows, 0);
		digests->resources = number(rows, 1);
		digests->events = number(rows, 2);
		digests->n_resources = number(rows, 3);
		digests->n_events = number(rows, 4);
		digests->n_misfits = number(rows, 5);
		digests->adds_up = strcmp(PEER_VALUE(rows, 0, 6), "t") == 0;
		verdict->answered = true;
	}
	PG_CATCH();
	{
		catch_problem(verdict, caller);
	}
	PG_END_TRY();
}

/* Reading our own tables takes buffers and locks, which an error has to give back. */
static void
compute_own(Verdict *verdict, const Verification *verification)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		digest_tables(verification->index, verification->floor, &verdict->digests);
		verdict->answered = true;
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		catch_problem(verdict, caller);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
}

static void
ask_members(Verification *verification)
{
	const NodeStatus *node = verification->node;
	Verdict    *own = NULL;

	for (uint32 i = 0; i < node->n_members; i++)
	{
		const Member *member = &node->members[i].member;
		Verdict    *verdict = &verification->verdicts[verification->n_verdicts];

		/* who is out of the cluster is compared with nobody */
		if (member->id != node->node_id && (node->detached || node->removed))
			continue;
		initStringInfo(&verdict->problem);
		verdict->name = member->name;
		verification->n_verdicts++;
		if (member->id == node->node_id)
			own = verdict;
		else
			begin_peer(verdict, member, verification);
	}
	if (own != NULL)
		compute_own(own, verification);
	for (uint32 i = 0; i < verification->n_verdicts; i++)
	{
		if (&verification->verdicts[i] != own)
			end_peer(&verification->verdicts[i]);
	}
}

static void
close_sessions(Verification *verification)
{
	for (uint32 i = 0; i < verification->n_verdicts; i++)
	{
		if (verification->verdicts[i].session != NULL)
			peer_close(verification->verdicts[i].session);
	}
}

static void
ask_all(Verification *verification)
{
	PG_TRY();
	{
		ask_members(verification);
	}
	PG_CATCH();
	{
		close_sessions(verification);
		PG_RE_THROW();
	}
	PG_END_TRY();
	close_sessions(verification);
}

/* ------------------------------------------------------------------------
 * Judging
 * ------------------------------------------------------------------------
 */

static uint64
chain_of(const TableDigests *digests)
{
	return digests->chain;
}

static uint64
events_of(const TableDigests *digests)
{
	return digests->events;
}

/*
 * Compare one value of those that answered.
 */
static void
compare(Verification *verification, uint64 (*value_of) (const TableDigests *),
		const char *outvoted, const char *undecided)
{
	uint32		n_answered = 0;
	const Verdict *standard = NULL;
	bool		equal = true;

	for (uint32 i = 0; i < verification->n_verdicts; i++)
		n_answered += verification->verdicts[i].answered;
	for (uint32 i = 0; i < verification->n_verdicts; i++)
	{
		const Verdict *one = &verification->verdicts[i];
		uint32		n = 0;

		if (!one->answered)
			continue;
		for (uint32 j = 0; j < verification->n_verdicts; j++)
		{
			const Verdict *other = &verification->verdicts[j];

			n += other->answered && value_of(&other->digests) == value_of(&one->digests);
		}
		if (n < n_answered)
			equal = false;
		if (2 * n > n_answered)
			standard = one;
	}
	for (uint32 i = 0; i < verification->n_verdicts && !equal; i++)
	{
		Verdict    *verdict = &verification->verdicts[i];

		if (!verdict->answered)
			continue;
		if (standard == NULL)
			add_problem(verdict, undecided);
		else if (value_of(&verdict->digests) != value_of(&standard->digests))
			add_problem(verdict, outvoted);
	}
}

static void
judge(Verification *verification)
{
	for (uint32 i = 0; i < verification->n_verdicts; i++)
	{
		Verdict    *verdict = &verification->verdicts[i];

		if (!verdict->answered)
			continue;
		if (!verdict->digests.adds_up)
			add_problem(verdict, "its resources are not what it has applied");
		if (verdict->digests.n_misfits > 0)
			add_problem(verdict, psprintf(UINT64_FORMAT " of its resources have columns that are not those of their object",
										  verdict->digests.n_misfits));
	}
	compare(verification, chain_of,
			"what it has applied, and what came of it, is not what a majority has",
			"the members have not applied the same, and there is no majority");
	compare(verification, events_of,
			"its history is not what a majority has",
			"the members have different histories, and there is no majority");
}

static void
put_verdict(FunctionCallInfo fcinfo, const Verification *verification, const Verdict *verdict)
{
	const TableDigests *digests = &verdict->digests;
	uint64		parts[] = {digests->chain, digests->resources, digests->events};
	Row			row = {0};

	row_put_text(&row, verdict->name);
	row_put_bigint(&row, verification->index);
	row_put(&row, Int64GetDatum((int64) digests->n_resources), !verdict->answered);
	row_put(&row, Int64GetDatum((int64) digests->n_events), !verdict->answered);
	if (verdict->answered)
		row_put_text(&row, psprintf("%016llx",
									(unsigned long long) digest_bytes(0, parts, sizeof(parts))));
	else
		row_put_text(&row, "");
	row_put(&row, BoolGetDatum(verdict->problem.len == 0), !verdict->answered);
	row_put_text(&row, verdict->problem.data);
	row_store(fcinfo, &row);
}

Datum
store_verify(PG_FUNCTION_ARGS)
{
	Verification *verification = palloc0(sizeof(Verification));

	api_check_member("store.verify()");
	InitMaterializedSRF(fcinfo, 0);
	verification->node = palloc0(sizeof(NodeStatus));
	status_read(verification->node);
	if (!verification->node->running)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the store is not running on this server"),
				 errhint("See store.status and the server log.")));
	if (!verification->node->detached)
		(void) api_barrier();
	verification->index = pg_atomic_read_u64(&progress->applied_index);
	verification->floor = pg_atomic_read_u64(&progress->floor);

	ask_all(verification);
	judge(verification);
	for (uint32 i = 0; i < verification->n_verdicts; i++)
	{
		if (verification->node->detached && verification->verdicts[i].answered)
			add_problem(&verification->verdicts[i], api_problem(verification->node));
		put_verdict(fcinfo, verification, &verification->verdicts[i]);
	}
	return (Datum) 0;
}
