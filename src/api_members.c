/*-------------------------------------------------------------------------
 *
 * api_members.c
 *	  store.leave(), remove_member(), promote() and transfer_leadership().
 *
 * Any node can be asked.  The session takes the question to whoever leads, over
 * libpq if that is another node (store.raft_steer() there), as often as it
 * takes: a step that cannot be done now is asked for again, of the next leader
 * if there is one.  Every step finds out by itself what is done already, so a
 * call that was cut off is finished by repeating it.
 *
 * How long:  A call gives up when it has not come to its end within its
 * patience, which is store.request_timeout or ten election timeouts, whichever
 * is longer.  Catching up may take as long as it likes, as long as it goes
 * on: there the patience counts from the last progress.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_cluster.h"

#include "access/htup_details.h"
#include "clock.h"
#include "compat.h"
#include "funcapi.h"
#include "inbox.h"
#include "miscadmin.h"
#include "peer_call.h"
#include "request.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/wait_event.h"
#include "worker.h"

STORE_FUNCTION(store_leave);
STORE_FUNCTION(store_promote);
STORE_FUNCTION(store_raft_steer);
STORE_FUNCTION(store_remove_member);
STORE_FUNCTION(store_transfer_leadership);

/* How often a waiting session looks at its own node, and asks the leader. */
#define LOOK_MS		50
#define ASK_MS		500

/* How often it tells how far a member is. */
#define TELL_MS		1000

/* What can be asked of a leader. */
#define VERB_REMOVE		"remove"
#define VERB_WITHDRAW	"withdraw"	/* a learner, by its number */
#define VERB_TRANSFER	"transfer"
#define VERB_LOOK		"look"

/* The leader's answer.  If it is not done: why, as an error would say it. */
typedef struct Reply
{
	bool		done;
	int			sqlstate;
	const char *message;
	const char *detail;			/* or NULL, like hint */
	const char *hint;

	/* VERB_LOOK: how far the member is */
	int64		held;			/* entries of the log */
	int64		total;
	bool		copying;
} Reply;

/* ------------------------------------------------------------------------
 * The leader's side
 * ------------------------------------------------------------------------
 */

static void
later(Reply *reply, int sqlstate, const char *message, const char *detail,
	  const char *hint)
{
	reply->done = false;
	reply->sqlstate = sqlstate;
	reply->message = message;
	reply->detail = detail;
	reply->hint = hint;
}

static void
raise_reply(const Reply *reply)
{
	ereport(ERROR,
			(errcode(reply->sqlstate),
			 errmsg_internal("%s", reply->message),
			 reply->detail ? errdetail_internal("%s", reply->detail) : 0,
			 reply->hint ? errhint("%s", reply->hint) : 0));
}

static void
raise_unknown(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("there is no member named \"%s\"", name),
			 errhint("See store.members.")));
}

/* How far a member is.  It is done when it is a voter. */
static void
look_at(const char *name, Reply *reply)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	MemberStatus *member;
	TimestampTz silent_since;

	status_read(node);
	if (!node->running || node->state != RAFT_LEADER)
	{
		later(reply, ERRCODE_STORE_UNAVAILABLE, "this node is not the leader", NULL, NULL);
		return;
	}
	member = cluster_find(node, 0, name);
	if (member == NULL)
		raise_unknown(name);
	if (member->member.role == RAFT_VOTER)
	{
		reply->done = true;
		return;
	}

	reply->held = (int64) member->match_index;
	reply->total = (int64) pg_atomic_read_u64(&progress->last_index);
	silent_since = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											   -2 * store_election_timeout);
	if (member->last_contact < silent_since)
		later(reply, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			  psprintf("member \"%s\" cannot be reached", name),
			  member->last_error[0] ? pstrdup(member->last_error) :
			  "The leader hears nothing from it.",
			  "It becomes a voter by itself once it is there and has caught up.");
	else
	{
		reply->copying = member->copying;
		later(reply, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			  psprintf("member \"%s\" has not caught up", name),
			  psprintf("It has " INT64_FORMAT " of " INT64_FORMAT " entries of the log, and makes no progress.",
					   reply->held, reply->total),
			  "It becomes a voter by itself once it has caught up.");
	}
	pfree(node);
}

/*
 * What the raft worker is to do.  A refusal that depends on who can be reached
 * is final only when it has been so for two election timeouts.
 */
static void
steer(const char *verb, const char *name, Reply *reply)
{
	uint64		deadline = monotonic_ms() + 2 * store_election_timeout;
	InboxKind	kind = strcmp(verb, VERB_TRANSFER) == 0 ? INBOX_TRANSFER : INBOX_REMOVE;
	MemberRequest request;
	RequestId	id;
	Answer		answer;

	if (strcmp(verb, VERB_LOOK) == 0)
	{
		look_at(name, reply);
		return;
	}
	memset(&request, 0, sizeof(request));
	request.since_ms = monotonic_ms();
	if (strcmp(verb, VERB_WITHDRAW) == 0)
		request.learner = strtou64(name, NULL, 10);
	else
		strlcpy(request.name, name, sizeof(request.name));
	for (;;)
	{
		request_begin(&id);
		request_call(kind, &id, (char *) &request, sizeof(request), &answer);
		if (answer.kind != ANSWER_LATER)
		{
			reply->done = true;
			return;
		}
		if (answer.sqlstate != ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
			break;
		if (monotonic_ms() >= deadline)
			request_raise(&answer);
		cluster_pause();
	}
	later(reply, answer.sqlstate, answer.data, answer.data + strlen(answer.data) + 1, NULL);
	reply->hint = reply->detail + strlen(reply->detail) + 1;
}

static void
put_text(Datum *value, bool *isnull, const char *text)
{
	*isnull = (text == NULL || text[0] == '\0');
	if (!*isnull)
		*value = CStringGetTextDatum(text);
}

/*
 * Ask this node, as the leader, for one step.
 */
Datum
store_raft_steer(PG_FUNCTION_ARGS)
{
	char	   *verb = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Reply		reply = {0};
	TupleDesc	desc;
	Datum		values[8] = {0};
	bool		isnull[8] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	api_check_write("store.raft_steer()");
	if (strcmp(verb, VERB_REMOVE) != 0 && strcmp(verb, VERB_WITHDRAW) != 0 &&
		strcmp(verb, VERB_TRANSFER) != 0 && strcmp(verb, VERB_LOOK) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown verb \"%s\"", verb)));
	if (strlen(name) >= STORE_NAME_SIZE ||
		(strcmp(verb, VERB_WITHDRAW) == 0 && strtou64(name, NULL, 10) == 0))
		raise_unknown(name);

	steer(verb, name, &reply);
	values[0] = BoolGetDatum(reply.done);
	put_text(&values[1], &isnull[1], reply.done ? NULL : unpack_sql_state(reply.sqlstate));
	put_text(&values[2], &isnull[2], reply.message);
	put_text(&values[3], &isnull[3], reply.detail);
	put_text(&values[4], &isnull[4], reply.hint);
	values[5] = Int64GetDatum(reply.held);
	values[6] = Int64GetDatum(reply.total);
	values[7] = BoolGetDatum(reply.copying);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, isnull));
}

/* ------------------------------------------------------------------------
 * The side of whoever asks
 * ------------------------------------------------------------------------
 */

void
cluster_pause(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 LOOK_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

ErrorData *
cluster_catch_passing(MemoryContext caller)
{
	ErrorData  *error;

	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	if (error->sqlerrcode != ERRCODE_STORE_UNAVAILABLE &&
		error->sqlerrcode != ERRCODE_STORE_UNKNOWN)
		PG_RE_THROW();
	FlushErrorState();
	return error;
}

MemberStatus *
cluster_find(NodeStatus *node, uint64 id, const char *name)
{
	for (uint32 i = 0; i < node->n_members; i++)
	{
		Member	   *member = &node->members[i].member;

		if (name != NULL ? strcmp(member->name, name) == 0 : member->id == id)
			return &node->members[i];
	}
	return NULL;
}

static uint64
patience_from(uint64 start)
{
	return start + Max((uint64) store_request_timeout, 10 * (uint64) store_election_timeout);
}

static void
ask_peer(MemberStatus *leader, const char *verb, const char *name, Reply *reply)
{
	const char *params[2] = {verb, name};
	char	   *problem;
	PeerRows   *rows = peer_try(leader->member.conninfo, store_request_timeout,
								"SELECT done, state, message, detail, hint, held, total, copying"
								" FROM store.raft_steer($1, $2)", 2, params, &problem);
	const char *state;

	if (rows == NULL || rows->n_rows != 1 || rows->n_columns != 8)
	{
		later(reply, ERRCODE_CONNECTION_FAILURE,
			  psprintf("no answer from the leader \"%s\"", leader->member.name),
			  rows == NULL ? problem : "Its answer is malformed.", NULL);
		return;
	}
	state = PEER_VALUE(rows, 0, 1);
	if (strcmp(PEER_VALUE(rows, 0, 0), "t") == 0)
		reply->done = true;
	else if (state == NULL || strlen(state) != 5 || PEER_VALUE(rows, 0, 2) == NULL)
		later(reply, ERRCODE_PROTOCOL_VIOLATION, "the leader's answer is malformed", NULL, NULL);
	else
		later(reply, MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]),
			  PEER_VALUE(rows, 0, 2), PEER_VALUE(rows, 0, 3), PEER_VALUE(rows, 0, 4));
	reply->held = strtoll(PEER_VALUE(rows, 0, 5), NULL, 10);
	reply->total = strtoll(PEER_VALUE(rows, 0, 6), NULL, 10);
	reply->copying = strcmp(PEER_VALUE(rows, 0, 7), "t") == 0;
}

/*
 * This node may lose its office while it is asked.  That is no reason to give
 * up: the next leader can be asked, and finds what has been done.
 */
static void
ask_self(const char *verb, const char *name, Reply *reply)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		steer(verb, name, reply);
	}
	PG_CATCH();
	{
		ErrorData  *error = cluster_catch_passing(caller);

		later(reply, error->sqlerrcode, error->message, error->detail, error->hint);
	}
	PG_END_TRY();
}

/*
 * Ask whoever leads for one step.
 */
static void
ask(const char *verb, const char *name, Reply *reply)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	MemberStatus *leader;

	memset(reply, 0, sizeof(*reply));
	status_read(node);
	leader = node->leader == 0 ? NULL : cluster_find(node, node->leader, NULL);
	if (!node->running)
		later(reply, ERRCODE_STORE_UNAVAILABLE, "the store is not running on this server",
			  NULL, "See store.status.");
	else if (leader == NULL)
		later(reply, ERRCODE_STORE_UNAVAILABLE, "the store has no leader",
			  "Nobody can change the membership.",
			  "A majority of the voters must be running and reach each other; see store.status and store.members.");
	else if (leader->member.id == node->node_id)
		ask_self(verb, name, reply);
	else
		ask_peer(leader, verb, name, reply);
	pfree(node);
}

/*
 * Ask until it is done, and tell when the reason for waiting changes.
 */
static void
insist(const char *verb, const char *name)
{
	uint64		deadline = patience_from(monotonic_ms());
	char	   *told = pstrdup("");
	Reply		reply;

	for (;;)
	{
		ask(verb, name, &reply);
		if (reply.done)
			return;
		if (monotonic_ms() >= deadline)
			raise_reply(&reply);
		if (strcmp(told, reply.message) != 0)
			ereport(NOTICE, (errmsg("waiting: %s", reply.message)));
		told = pstrdup(reply.message);
		cluster_pause();
	}
}

/* What a session that waits for a voter remembers. */
typedef struct Vigil
{
	const char *name;
	uint64		last_progress;	/* monotonic_ms(), as are the next two */
	uint64		next_ask;
	uint64		next_tell;
	int64		mark;			/* grows with progress */
	int64		told;			/* entries, when it last told */
} Vigil;

static void
begin_vigil(Vigil *vigil, const char *name)
{
	memset(vigil, 0, sizeof(*vigil));
	vigil->name = name;
	vigil->last_progress = monotonic_ms();
	vigil->told = -1;
}

/*
 * Ask, tell, and give up if nothing has moved.  extra is progress that only the
 * caller sees.  Returns whether the leader has made the member a voter.
 */
static bool
keep_vigil(Vigil *vigil, int64 extra)
{
	uint64		now = monotonic_ms();
	Reply		reply;

	if (now < vigil->next_ask)
		return false;
	vigil->next_ask = now + ASK_MS;

	ask(VERB_LOOK, vigil->name, &reply);
	if (reply.done)
		return true;
	if (reply.held + extra > vigil->mark || reply.copying)
	{
		vigil->mark = Max(vigil->mark, reply.held + extra);
		vigil->last_progress = monotonic_ms();
	}
	if (now >= vigil->next_tell && reply.total > 0 && reply.held != vigil->told)
	{
		vigil->told = reply.held;
		vigil->next_tell = now + TELL_MS;
		ereport(NOTICE,
				(errmsg("waiting for \"%s\" to catch up: " INT64_FORMAT " of " INT64_FORMAT " entries%s",
						vigil->name, reply.held, reply.total,
						reply.copying ? ", fetching a copy" : "")));
	}
	if (now >= patience_from(vigil->last_progress))
		raise_reply(&reply);
	return false;
}

void
cluster_await_own_vote(const pg_uuid_t *cluster_id, uint64 node_id)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	MemberStatus *self;
	Vigil		vigil;
	bool		granted = false;

	begin_vigil(&vigil, NULL);
	for (;;)
	{
		status_read(node);
		self = cluster_find(node, node_id, NULL);
		if (node->running && node->node_id == node_id && self != NULL &&
			memcmp(&node->cluster_id, cluster_id, sizeof(pg_uuid_t)) == 0)
		{
			if (self->member.role == RAFT_VOTER)
				return;
			if (vigil.name == NULL)
			{
				vigil.name = pstrdup(self->member.name);
				ereport(NOTICE,
						(errmsg("joined as learner \"%s\"; catching up", vigil.name)));
			}
		}
		if (vigil.name != NULL && !granted)
			granted = keep_vigil(&vigil,
								 (int64) pg_atomic_read_u64(&progress->last_index));
		else if (monotonic_ms() >= patience_from(vigil.last_progress))
			ereport(ERROR,
					(errcode(ERRCODE_STORE_UNAVAILABLE),
					 errmsg("this node was admitted, and does not hear from the cluster"),
					 errhint("Call store.join() again; see store.status and the server log.")));
		cluster_pause();
	}
}

/* The name of a member, as an argument. */
static char *
name_argument(FunctionCallInfo fcinfo)
{
	char	   *name = api_text_argument(fcinfo, 0, "name");

	if (name[0] == '\0' || strlen(name) >= STORE_NAME_SIZE)
		raise_unknown(name);
	return name;
}

/*
 * Wait until this node has heard that it is no member any more.
 */
static void
await_own_removal(void)
{
	uint64		deadline = patience_from(monotonic_ms());

	while (!status_is_removed())
	{
		if (monotonic_ms() >= deadline)
		{
			ereport(NOTICE,
					(errmsg("this node was removed, and has not heard of it from the members yet")));
			return;
		}
		cluster_pause();
	}
}

Datum
store_remove_member(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	char	   *name;
	bool		own;

	api_check_write("store.remove_member()");
	name = name_argument(fcinfo);
	status_read(node);
	own = node->running && strcmp(node->name, name) == 0;
	insist(VERB_REMOVE, name);
	if (own)
		await_own_removal();
	PG_RETURN_VOID();
}

Datum
store_leave(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	MemberStatus *self;

	status_read(node);
	if (node->running && node->removed)
	{
		ereport(NOTICE, (errmsg("this node has left its cluster already")));
		PG_RETURN_VOID();
	}
	api_check_write("store.leave()");
	self = cluster_find(node, node->node_id, NULL);
	if (!node->running || self == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the store is not running on this server"),
				 errhint("See store.status and the server log.")));
	if (node->n_members == 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot leave: this node is the only member of its cluster"),
				 errhint("To give up its store, drop the extension.")));
	insist(VERB_REMOVE, self->member.name);
	await_own_removal();
	PG_RETURN_VOID();
}

Datum
store_promote(PG_FUNCTION_ARGS)
{
	Vigil		vigil;
	char	   *name;

	api_check_write("store.promote()");
	name = name_argument(fcinfo);
	begin_vigil(&vigil, name);
	while (!keep_vigil(&vigil, 0))
		cluster_pause();
	PG_RETURN_VOID();
}

/*
 * With a name it is done when that member leads, without one when another than
 * at the beginning does.  Returns who leads.
 */
Datum
store_transfer_leadership(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	uint64		deadline = patience_from(monotonic_ms());
	char	   *name = "";
	uint64		first = 0;
	bool		told = false;
	Reply		reply = {0};

	api_check_write("store.transfer_leadership()");
	if (!PG_ARGISNULL(0))
		name = name_argument(fcinfo);
	for (;;)
	{
		MemberStatus *leader;

		status_read(node);
		leader = node->leader == 0 ? NULL : cluster_find(node, node->leader, NULL);
		if (leader != NULL)
		{
			if (first == 0)
				first = leader->member.id;
			if (name[0] != '\0' ? strcmp(leader->member.name, name) == 0 :
				leader->member.id != first)
				PG_RETURN_TEXT_P(cstring_to_text(leader->member.name));
		}
		ask(VERB_TRANSFER, name, &reply);
		if (!reply.done && monotonic_ms() >= deadline)
			raise_reply(&reply);
		if (!reply.done && !told)
			ereport(NOTICE, (errmsg("waiting: %s", reply.message)));
		told = true;
		cluster_pause();
	}
}
