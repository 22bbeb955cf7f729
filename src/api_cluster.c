/*-------------------------------------------------------------------------
 *
 * api_cluster.c
 *	  Founding and joining, and what members call on each other.
 *
 * Joining takes two sides.  The session that calls store.join() asks the
 * cluster's leader, over libpq, to admit this node (store.raft_admit() there),
 * has this node's raft worker take on the identity it was given, and waits
 * until the leader has brought it up to date and made it a voter.
 *
 * Every step can be repeated: a join that was interrupted is finished by
 * calling it again.  One that fails before this node has taken on its identity
 * asks the leader to take the learner out of the membership again; after that
 * the learner is there and goes on by itself.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_cluster.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "clock.h"
#include "compat.h"
#include "funcapi.h"
#include "identity.h"
#include "lifecycle.h"
#include "miscadmin.h"
#include "peer_call.h"
#include "log_tables.h"
#include "request.h"
#include "status.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

STORE_FUNCTION(store_found);
STORE_FUNCTION(store_join);
STORE_FUNCTION(store_raft_admit);
STORE_FUNCTION(store_raft_identity);

/* ------------------------------------------------------------------------
 * Founding
 * ------------------------------------------------------------------------
 */

/*
 * Called once, by the installation script: this node is a cluster of one.
 */
Datum
store_found(PG_FUNCTION_ARGS)
{
	RaftState	state;
	Member		self = {.id = 1, .role = RAFT_VOTER};

	memset(&state, 0, sizeof(state));
	state.cluster_id = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	state.node_id = self.id;
	state.base_membership.next_id = self.id + 1;
	state.base_membership.version = COMMAND_VERSION;
	strlcpy(self.name, settings_node_name(), sizeof(self.name));
	strlcpy(self.conninfo, settings_advertise(), sizeof(self.conninfo));
	(void) membership_add(&state.base_membership, &self);
	identity_here(&state.home);
	log_tables_found(&state);
	lifecycle_new_epoch_at_commit();
	PG_RETURN_VOID();
}

/* ------------------------------------------------------------------------
 * What members call on each other
 * ------------------------------------------------------------------------
 */

/*
 * Which cluster this node belongs to, for whoever wants to know that it has
 * reached the right one.
 */
Datum
store_raft_identity(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));

	status_read(node);
	if (!node->running)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the store is not running on this server"),
				 errhint("See store.status.")));
	PG_RETURN_UUID_P(&node->cluster_id);
}

/*
 * The id of the cluster at that address.
 */
static char *
identity_of(const char *conninfo)
{
	PeerRows   *rows = peer_call(conninfo, store_request_timeout,
								 "SELECT store.raft_identity()", 0, NULL);

	if (rows->n_rows != 1 || PEER_VALUE(rows, 0, 0) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the server at \"%s\" did not say which cluster it belongs to",
						conninfo)));
	return PEER_VALUE(rows, 0, 0);
}

/*
 * The members must be able to call back, and reach the node that asked.
 */
static void
check_reachable(const char *conninfo, const char *identity)
{
	if (strcmp(identity_of(conninfo), identity) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is the address of another node than the one that wants to join",
						conninfo),
				 errhint("Set store.advertise of the joining node to an address under which the members reach it.")));
}

static bytea *
encode_members(const NodeStatus *node)
{
	Membership	membership;
	StringInfoData buffer;
	bytea	   *bytes;

	memset(&membership, 0, sizeof(membership));
	membership.version = status_version();
	for (uint32 i = 0; i < node->n_members; i++)
	{
		(void) membership_add(&membership, &node->members[i].member);
		membership.next_id = Max(membership.next_id, node->members[i].member.id + 1);
	}
	initStringInfo(&buffer);
	membership_encode(&buffer, &membership);
	bytes = palloc(VARHDRSZ + buffer.len);
	SET_VARSIZE(bytes, VARHDRSZ + buffer.len);
	memcpy(VARDATA(bytes), buffer.data, buffer.len);
	return bytes;
}

/*
 * One change of the membership at a time: wait for that of another.
 */
static void
admit(const char *name, const char *conninfo, uint8 understands)
{
	uint64		deadline = monotonic_ms() + store_request_timeout;
	AdmitRequest request;
	RequestId	id;
	Answer		answer;

	memset(&request, 0, sizeof(request));
	strlcpy(request.name, name, sizeof(request.name));
	strlcpy(request.conninfo, conninfo, sizeof(request.conninfo));
	request.understands = understands;
	for (;;)
	{
		request_begin(&id);
		request_call(INBOX_ADMIT, &id, (char *) &request, sizeof(request), &answer);
		if (answer.kind != ANSWER_LATER)
			return;
		if (monotonic_ms() >= deadline)
			request_raise(&answer);
		cluster_pause();
	}
}

/*
 * The leader's side of a join.  Returns this cluster's id, the number given to
 * the new member, the membership, and where the members reach the leader; or,
 * on a node that is not the leader, only the last.
 */
Datum
store_raft_admit(PG_FUNCTION_ARGS)
{
	char	   *name = api_text_argument(fcinfo, 0, "name");
	char	   *conninfo = api_text_argument(fcinfo, 1, "conninfo");
	char	   *identity = api_text_argument(fcinfo, 2, "identity");
	int32		understands = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	MemberStatus *found;
	MemberStatus *leader;
	TupleDesc	desc;
	Datum		values[4] = {0};
	bool		isnull[4] = {true, true, true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	api_check_write("store.raft_admit()");
	if (name[0] == '\0' || strlen(name) >= STORE_NAME_SIZE ||
		conninfo[0] == '\0' || strlen(conninfo) >= STORE_CONNINFO_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name or address of the new member is empty or too long")));
	if (understands < 1 || understands > PG_UINT8_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version of the protocol is out of range")));

	status_read(node);
	if (node->state != RAFT_LEADER || !node->running)
	{
		found = node->leader == 0 ? NULL : cluster_find(node, node->leader, NULL);
		if (found != NULL)
		{
			values[3] = CStringGetTextDatum(found->member.conninfo);
			isnull[3] = false;
		}
		return HeapTupleGetDatum(heap_form_tuple(desc, values, isnull));
	}

	check_reachable(conninfo, identity);
	admit(name, conninfo, understands);
	status_read(node);
	found = cluster_find(node, 0, name);
	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_STORE_UNAVAILABLE),
				 errmsg("this node is not the leader any more"),
				 errhint("Call store.join() again.")));

	leader = cluster_find(node, node->leader, NULL);
	if (leader != NULL)
	{
		values[3] = CStringGetTextDatum(leader->member.conninfo);
		isnull[3] = false;
	}
	values[0] = UUIDPGetDatum(&node->cluster_id);
	values[1] = Int64GetDatum((int64) found->member.id);
	values[2] = PointerGetDatum(encode_members(node));
	isnull[0] = isnull[1] = isnull[2] = false;
	return HeapTupleGetDatum(heap_form_tuple(desc, values, isnull));
}

/* ------------------------------------------------------------------------
 * Joining
 * ------------------------------------------------------------------------
 */

/*
 * CREATE EXTENSION has returned before the workers are up.
 */
static void
wait_until_running(NodeStatus *node)
{
	uint64		deadline = monotonic_ms() + store_request_timeout;

	for (status_read(node); !node->running; status_read(node))
	{
		if (monotonic_ms() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the store is not running on this server"),
					 errhint("See store.status and the server log.")));
		cluster_pause();
	}
}

/* What the leader has granted. */
typedef struct Admission
{
	const char *address;		/* where it was asked */
	pg_uuid_t	cluster_id;
	char	   *cluster;		/* the same as text */
	uint64		node_id;
	bytea	   *membership;
	char	   *leader;			/* where the members reach it */
} Admission;

static void
read_admission(PeerRows *rows, const char *address, Admission *admission)
{
	Datum		datum;

	for (int i = 0; i < rows->n_columns; i++)
	{
		if (PEER_VALUE(rows, 0, i) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("the answer of the leader at \"%s\" is malformed", address)));
	}
	admission->address = address;
	admission->cluster = PEER_VALUE(rows, 0, 0);
	datum = DirectFunctionCall1(uuid_in, CStringGetDatum(admission->cluster));
	admission->cluster_id = *DatumGetUUIDP(datum);
	admission->node_id = strtou64(PEER_VALUE(rows, 0, 1), NULL, 10);
	datum = DirectFunctionCall1(byteain, CStringGetDatum(PEER_VALUE(rows, 0, 2)));
	admission->membership = DatumGetByteaP(datum);
	admission->leader = PEER_VALUE(rows, 0, 3);
}

/*
 * Ask at one address.  NULL if there is no leader there to answer, or not any
 * more, with what it said.
 */
static PeerRows *
try_admission(const char *address, const char *const *params, ErrorData **error)
{
	MemoryContext caller = CurrentMemoryContext;
	PeerRows   *volatile rows = NULL;

	PG_TRY();
	{
		rows = peer_call(address, store_request_timeout,
						 "SELECT cluster_id, node_id, membership, leader"
						 " FROM store.raft_admit($1, $2, $3, $4)", 4, params);
	}
	PG_CATCH();
	{
		*error = cluster_catch_passing(caller);
	}
	PG_END_TRY();

	if (rows != NULL && (rows->n_rows != 1 || rows->n_columns != 4))
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the answer of the server at \"%s\" is malformed", address)));
	return rows;
}

/*
 * Ask the cluster, following pointers to the leader, until it admits us.
 */
static void
ask_to_be_admitted(const char *conninfo, const char *identity, Admission *admission)
{
	uint64		deadline = monotonic_ms() + store_request_timeout;
	const char *address = conninfo;
	const char *params[4];

	params[0] = settings_node_name();
	params[1] = settings_advertise();
	params[2] = identity;
	params[3] = psprintf("%d", COMMAND_VERSION);
	for (;;)
	{
		ErrorData  *error = NULL;
		PeerRows   *rows = try_admission(address, params, &error);

		if (rows != NULL && PEER_VALUE(rows, 0, 0) != NULL)
		{
			read_admission(rows, address, admission);
			return;
		}
		if (monotonic_ms() >= deadline)
		{
			if (error != NULL)
				ReThrowError(error);
			ereport(ERROR,
					(errcode(ERRCODE_STORE_UNAVAILABLE),
					 errmsg("the cluster at \"%s\" has no leader", conninfo),
					 errhint("Try again when it has one; see store.status there.")));
		}

		/* Go where the leader is, or back to where somebody may know. */
		address = conninfo;
		if (rows != NULL && PEER_VALUE(rows, 0, 3) != NULL)
			address = PEER_VALUE(rows, 0, 3);
		else
			cluster_pause();
	}
}

/*
 * Our workers will call the leader where the membership says that it is.
 */
static void
check_leader_is_reached(const Admission *admission)
{
	char	   *problem;
	PeerRows   *rows = peer_try(admission->leader, store_request_timeout,
								"SELECT store.raft_identity()", 0, NULL, &problem);

	if (rows != NULL &&
		(rows->n_rows != 1 || PEER_VALUE(rows, 0, 0) == NULL ||
		 strcmp(PEER_VALUE(rows, 0, 0), admission->cluster) != 0))
		problem = "Another cluster answers there.";
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				 errmsg("cannot join: this node does not reach the leader at \"%s\", where the members reach it",
						admission->leader),
				 errdetail_internal("%s", problem),
				 errhint("Correct store.advertise of the leader, or store.peer_options of this node.")));
}

static void
adopt(const Admission *admission)
{
	AdoptRequest *request;
	Size		length = VARSIZE(admission->membership) - VARHDRSZ;
	RequestId	id;
	Answer		answer;

	request = palloc0(sizeof(AdoptRequest) + length);
	request->cluster_id = admission->cluster_id;
	request->node_id = admission->node_id;
	request->length = length;
	memcpy((char *) request + sizeof(AdoptRequest), VARDATA(admission->membership), length);

	request_begin(&id);
	request_call(INBOX_ADOPT, &id, (char *) request, sizeof(AdoptRequest) + length, &answer);
}

/* Ask the leader, which may be busy with another change, to forget us. */
static void
ask_to_be_forgotten(const Admission *admission)
{
	uint64		deadline = monotonic_ms() + store_request_timeout;
	const char *params[1] = {psprintf(UINT64_FORMAT, admission->node_id)};

	for (;;)
	{
		PeerRows   *rows = peer_call(admission->address, store_request_timeout,
									 "SELECT done, message"
									 " FROM store.raft_steer('withdraw', $1)", 1, params);

		if (strcmp(PEER_VALUE(rows, 0, 0), "t") == 0)
			return;
		if (monotonic_ms() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_STORE_UNAVAILABLE),
					 errmsg_internal("%s", PEER_VALUE(rows, 0, 1))));
		cluster_pause();
	}
}

/*
 * The join has failed, with an error that is on its way to the user.  Nothing
 * that goes wrong here may take its place.
 */
static void
withdraw(const Admission *admission)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		ask_to_be_forgotten(admission);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		ereport(WARNING,
				(errmsg("the cluster goes on counting this node as a learner"),
				 errdetail_internal("%s", error->message),
				 errhint("Call store.join() again, or store.remove_member('%s') on a member.",
						 settings_node_name())));
	}
	PG_END_TRY();
}

/*
 * Take on the identity.  If it fails, the leader is asked to take it back;
 * unless it may have happened all the same, when the node is what it was made.
 */
static void
enter(const Admission *admission)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		check_leader_is_reached(admission);
		adopt(admission);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		if (error->sqlerrcode != ERRCODE_STORE_UNKNOWN)
			withdraw(admission);
		ReThrowError(error);
	}
	PG_END_TRY();
}

/*
 * A node may join if it is a cluster of its own with nothing in it.  The raft
 * worker looks again, when nothing can come in between; this is to find out
 * before the cluster has admitted us.
 */
static void
check_may_join(const char *conninfo, const NodeStatus *node, bool same_cluster)
{
	if (same_cluster)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot join: \"%s\" is this node itself", conninfo),
				 errhint("Give the address of a member of the cluster to join.")));
	if (node->n_members > 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot join: this node is already a member of another cluster"),
				 errhint("Call store.leave(), then drop and create the extension on this node.")));
	if (pg_atomic_read_u64(&progress->last_event) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot join: the store of this node is not empty"),
				 errdetail("Joining a cluster would replace its resources and history."),
				 errhint("Drop and create the extension on this node to empty it.")));
}

Datum
store_join(PG_FUNCTION_ARGS)
{
	char	   *conninfo = api_text_argument(fcinfo, 0, "conninfo");
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	char	   *identity;
	Admission	admission;
	bool		same_cluster;

	api_check_write("store.join()");
	wait_until_running(node);
	identity = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&node->cluster_id)));
	same_cluster = strcmp(identity_of(conninfo), identity) == 0;

	/* Called again, after it was interrupted or for good measure. */
	if (same_cluster && node->n_members > 1)
	{
		cluster_await_own_vote(&node->cluster_id, node->node_id);
		PG_RETURN_VOID();
	}

	check_may_join(conninfo, node, same_cluster);
	ask_to_be_admitted(conninfo, identity, &admission);
	enter(&admission);
	cluster_await_own_vote(&admission.cluster_id, admission.node_id);
	PG_RETURN_VOID();
}
