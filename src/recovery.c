/*-------------------------------------------------------------------------
 *
 * recovery.c
 *	  A member that must not go on by itself, and an operator's word.
 *
 * Founding a cluster from a member's state happens in one transaction of the
 * raft worker: new cluster id, this node as its only voter, an empty log whose
 * base is far ahead of all that the old cluster can have given out, and the
 * applied position there, with the floor of the history.  Before that the rest
 * of the log is applied, committed or not: what an entry here has, somebody may
 * have been told.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "recovery.h"

#include "fmgr.h"
#include "identity.h"
#include "lifecycle.h"
#include "machine.h"
#include "mb/pg_wchar.h"
#include "request.h"
#include "roster.h"
#include "starts.h"
#include "storage/ipc.h"
#include "turn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "worker.h"

/*
 * The index of a new cluster begins at a multiple of this, at least so far
 * ahead that the old cluster cannot have got there since.
 */
#define INDEX_JUMP		UINT64CONST(1000000000)

/* While the rest of the log is being applied. */
#define APPLY_LOOK_MS	50

#define VERBS_HINT \
	"If this is the only and the newest copy of the member, call store.keep_identity()." \
	" To go on from this state in a cluster of its own, call store.restore_as_new_cluster()." \
	" Otherwise drop the extension, remove the member from its cluster, and join anew."

#define SHUT_OUT_HINT \
	"Drop the extension, remove the member from its cluster, and join anew;" \
	" or call store.restore_as_new_cluster() to go on from this state in a cluster of its own."

/* What raft_state says of a member that was removed, in place of a reason. */
#define REMOVED_MARK	"it was removed from its cluster"

/* And how the reason begins of one whose state differs. */
#define DIVERGED_MARK	"its state differs"

static struct
{
	RaftLogContents log;
	const char *reason;

	/* The request for a new cluster that waits for the log to be applied. */
	bool		founding;
	uint32		slot;
	uint64		sequence;
}			detached;

static void
refuse(const InboxRecord *record, int sqlstate, const char *message,
	   const char *detail, const char *hint)
{
	request_refuse(record->slot, record->sequence, sqlstate, message, detail, hint);
}

static void
open_log(void)
{
	MemoryContext oldcontext = CurrentMemoryContext;

	worker_begin("opening the log");
	MemoryContextSwitchTo(oldcontext);
	log_tables_close();
	log_tables_open(&detached.log);
	worker_commit();
}

/* ------------------------------------------------------------------------
 * A new cluster
 * ------------------------------------------------------------------------
 */

static void
describe_new_cluster(RaftState *next)
{
	const RaftState *state = &detached.log.state;
	Member		self = {.id = 1, .role = RAFT_VOTER};

	memset(next, 0, sizeof(*next));
	next->cluster_id = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	next->node_id = self.id;
	next->term = state->term + 1;
	next->base_index = (detached.log.last_index / INDEX_JUMP + 2) * INDEX_JUMP;
	next->base_term = next->term;
	next->base_membership.next_id = self.id + 1;
	next->base_membership.version = COMMAND_VERSION;
	strlcpy(self.name, settings_node_name(), sizeof(self.name));
	strlcpy(self.conninfo, settings_advertise(), sizeof(self.conninfo));
	(void) membership_add(&next->base_membership, &self);
}

/* The answer is the index from which the new cluster goes on. */
static void
found_new_cluster(void)
{
	RaftState  *next = palloc(sizeof(RaftState));
	Answer		answer = {.kind = ANSWER_INDEX};
	ServerIdentity here;
	char	   *old_id;
	char	   *new_id;

	describe_new_cluster(next);
	old_id = DatumGetCString(DirectFunctionCall1(uuid_out,
												 UUIDPGetDatum(&detached.log.state.cluster_id)));
	new_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&next->cluster_id)));

	worker_begin("founding a new cluster");
	identity_here(&here);
	log_tables_reset(next);
	log_tables_save_start(&here, identity_next_start(detached.log.state.start), "");
	starts_forget();
	machine_jump(next->base_index);
	lifecycle_new_epoch_at_commit();
	worker_commit();

	ereport(LOG,
			(errmsg("this node has left cluster %s and founded cluster %s", old_id, new_id),
			 errdetail("The log ended at entry " UINT64_FORMAT "; revisions go on after "
					   UINT64_FORMAT ".",
					   detached.log.last_index, next->base_index)));
	answer.index = next->base_index;
	request_answer(detached.slot, detached.sequence, &answer);
	proc_exit(1);
}

/* Has all of the log been applied?  If so, found the cluster. */
static void
go_on_founding(void)
{
	uint64		last_index = detached.log.last_index;

	if (!detached.founding)
		return;
	if (!request_is_waiting(detached.slot, detached.sequence))
	{
		detached.founding = false;
		return;
	}
	if (pg_atomic_read_u64(&progress->applied_index) < last_index)
	{
		if (pg_atomic_read_u64(&progress->commit_index) < last_index)
		{
			pg_atomic_write_u64(&progress->commit_index, last_index);
			status_wake(WORKER_APPLY);
		}
		return;
	}
	if (request_claim(detached.slot, detached.sequence))
		found_new_cluster();
	detached.founding = false;
}

static void
begin_founding(const InboxRecord *record)
{
	if (detached.founding &&
		request_is_waiting(detached.slot, detached.sequence))
	{
		refuse(record, ERRCODE_OBJECT_IN_USE, "a new cluster is being founded already", NULL, NULL);
		return;
	}
	detached.founding = true;
	detached.slot = record->slot;
	detached.sequence = record->sequence;
}

/* ------------------------------------------------------------------------
 * A detached node
 * ------------------------------------------------------------------------
 */

static void
keep_identity(const InboxRecord *record)
{
	const RaftState *state = &detached.log.state;
	Answer		answer = {.kind = ANSWER_INDEX};
	ServerIdentity here;

	if (state->shut_out[0] != '\0')
	{
		refuse(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			   "cannot keep the identity of a member that the others have shut out",
			   psprintf("Reason: %s.", detached.reason), SHUT_OUT_HINT);
		return;
	}
	if (!request_claim(record->slot, record->sequence))
		return;

	worker_begin("keeping the identity of the member");
	identity_here(&here);
	log_tables_save_start(&here, identity_next_start(state->start), "");
	worker_commit();
	ereport(LOG, (errmsg("this node keeps its identity, by an operator's order")));
	request_answer(record->slot, record->sequence, &answer);
	proc_exit(1);
}

static void
serve_verb(const InboxRecord *record)
{
	const RecoverRequest *request = (const RecoverRequest *) record->data;

	if (record->length != sizeof(RecoverRequest))
		return;
	switch (request->verb)
	{
		case RECOVER_KEEP_IDENTITY:
			keep_identity(record);
			break;
		case RECOVER_AS_NEW_CLUSTER:
			begin_founding(record);
			break;
		case RECOVER_WITHOUT_QUORUM:
			refuse(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				   "cannot recover from a detached node",
				   psprintf("Reason: %s.", detached.reason),
				   "Take a survivor whose state is its own, or call store.restore_as_new_cluster().");
			break;
	}
}

static void
serve_detached(const InboxRecord *record)
{
	switch ((InboxKind) record->kind)
	{
		case INBOX_FILLER:
		case INBOX_MESSAGE:
			break;
		case INBOX_RECOVER:
			serve_verb(record);
			break;
		case INBOX_WRITE:
		case INBOX_READ:
		case INBOX_ADMIT:
		case INBOX_ADOPT:
		case INBOX_REMOVE:
		case INBOX_TRANSFER:
			if (record->sequence != 0)
				refuse(record, ERRCODE_STORE_UNAVAILABLE,
					   "this node is detached from its cluster",
					   psprintf("Nothing was written. Reason: %s.", detached.reason),
					   "See store.status and the server log for what to do. Reads with store.read_consistency = local see the state of old.");
			break;
	}
}

static void
publish_detached(void)
{
	NodeStatus *status = palloc0(sizeof(NodeStatus));
	const Membership *membership = &detached.log.membership;
	Member	   *self = membership_find(&detached.log.membership, detached.log.state.node_id);

	status->cluster_id = detached.log.state.cluster_id;
	status->node_id = detached.log.state.node_id;
	strlcpy(status->name, self != NULL ? self->name : settings_node_name(), sizeof(status->name));
	status->state = RAFT_DETACHED;
	status->detached = true;
	status->term = detached.log.state.term;
	status->first_index = detached.log.state.base_index + 1;
	status->n_members = membership->n_members;
	for (uint32 i = 0; i < membership->n_members; i++)
		status->members[i].member = membership->members[i];
	status_publish(status);
	status_set_divergence(NULL, false);
	status_set_version(membership->version);
	status_set_problem(WORKER_RAFT, psprintf("this node is detached: %s", detached.reason));
	pg_atomic_write_u64(&progress->last_index, detached.log.last_index);
	pfree(status);
}

static void serve_until_decided(void) pg_attribute_noreturn();

static void
serve_until_decided(void)
{
	MemoryContext turn_context = AllocSetContextCreate(CurrentMemoryContext,
													   "store detached turn",
													   ALLOCSET_DEFAULT_SIZES);

	publish_detached();
	MemoryContextSwitchTo(turn_context);
	for (;;)
	{
		InboxRecord *record;

		worker_check();
		while ((record = inbox_next()) != NULL)
			serve_detached(record);
		inbox_release();
		go_on_founding();
		MemoryContextReset(turn_context);
		worker_sleep(detached.founding ? APPLY_LOOK_MS : -1);
	}
}

void
recovery_run_detached(const char *reason)
{
	open_log();
	detached.reason = reason;
	ereport(WARNING,
			(errmsg("this node does not take part in its cluster: %s", reason),
			 errdetail("Votes and acknowledgements from an older or second copy of a member could lose what was acknowledged."),
			 errhint("%s", detached.log.state.shut_out[0] != '\0' ? SHUT_OUT_HINT : VERBS_HINT)));
	inbox_begin();
	serve_until_decided();
}

/* ------------------------------------------------------------------------
 * A member that runs
 * ------------------------------------------------------------------------
 */

const char *
recovery_begin_start(RaftState *state)
{
	const char *problem;

	if (state->shut_out[0] != '\0' && !recovery_was_removed(state))
		return state->shut_out;
	problem = identity_difference(&state->home);
	if (problem != NULL)
		return problem;
	state->start = identity_next_start(state->start);
	log_tables_save_start(&state->home, state->start, state->shut_out);
	starts_load();
	return NULL;
}

void
recovery_shut_out(uint64 by, Transport *transport)
{
	RaftState  *state = palloc(sizeof(RaftState));
	char		reason[SHUT_OUT_SIZE];
	LinkStatus	link;
	int			length;

	transport_status(transport, by, &link);
	length = snprintf(reason, sizeof(reason), "member \"%s\" refuses it (%s)",
					  roster_name(by), link.last_error);
	if (length >= sizeof(reason))
		reason[pg_mbcliplen(reason, length, sizeof(reason) - 1)] = '\0';

	worker_begin("noting that this member is shut out");
	log_tables_read_state(state);
	log_tables_save_start(&state->home, state->start, reason);
	worker_commit();
	ereport(LOG, (errmsg("this node is shut out of its cluster: %s", reason)));
	proc_exit(1);
}

void
recovery_note_removal(void)
{
	RaftState  *state = palloc(sizeof(RaftState));

	worker_begin("noting that this member was removed");
	log_tables_read_state(state);
	log_tables_save_start(&state->home, state->start, REMOVED_MARK);
	worker_commit();
}

bool
recovery_was_removed(const RaftState *state)
{
	return strcmp(state->shut_out, REMOVED_MARK) == 0;
}

void
recovery_note_divergence(uint64 index)
{
	RaftState  *state = palloc(sizeof(RaftState));
	char		reason[SHUT_OUT_SIZE];

	snprintf(reason, sizeof(reason),
			 DIVERGED_MARK " from that of a majority of the members since index " UINT64_FORMAT " or before",
			 index);
	worker_begin("noting that the state of this member differs");
	log_tables_read_state(state);
	log_tables_save_start(&state->home, state->start, reason);
	worker_commit();
	pg_atomic_write_u32(&progress->divergence, DIVERGENCE_FOUND);
	ereport(WARNING,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("this node stops serving: %s", reason),
			 errdetail("More than half of the voters agree on what the log up to there has led to, and this node has come to something else."),
			 errhint("See \"Divergence\" in the documentation of operations. " SHUT_OUT_HINT)));
}

bool
recovery_has_diverged(void)
{
	RaftState  *state = palloc0(sizeof(RaftState));
	bool		diverged;

	log_tables_read_state(state);
	diverged = strncmp(state->shut_out, DIVERGED_MARK, strlen(DIVERGED_MARK)) == 0;
	pfree(state);
	return diverged;
}

/*
 * A member's disk went back.  It is told with the next message it sends.
 */
void
recovery_lost_data(raft_id member)
{
	worker_begin("noting that a member has lost data");
	starts_note_loss(member);
	worker_commit();
	ereport(LOG,
			(errmsg("member \"%s\" has lost part of the log that it acknowledged, and is shut out",
					roster_name(member)),
			 errdetail("Its disk was restored to an earlier state or exchanged."),
			 errhint("Do not restore a member from a backup; let a new one join in its place.")));
}

/*
 * Sessions have looked at this before us, but what they let pass may have been
 * overtaken in the inbox.  What starts_note() writes is durable when we go on.
 */
bool
recovery_is_newest_start(const MessageHeader *header)
{
	switch (starts_judge(header->from, header->origin.start))
	{
		case START_KNOWN:
			return true;
		case START_NEWER:
			break;
		default:
			return false;
	}
	if (membership_find(roster_current(), header->from) != NULL)
	{
		worker_begin("noting the start of a member");
		starts_note(header->from, header->origin.start, roster_current());
		worker_commit();
	}
	return true;
}

/* Voters that take our messages, ourselves included, and voters in all. */
static void
count_voters(Transport *transport, uint64 self, uint32 *n_reached, uint32 *n_voters)
{
	const Membership *membership = roster_current();

	*n_reached = *n_voters = 0;
	for (uint32 i = 0; i < membership->n_members; i++)
	{
		const Member *member = &membership->members[i];
		LinkStatus	link;

		if (member->role != RAFT_VOTER)
			continue;
		(*n_voters)++;
		transport_status(transport, member->id, &link);
		if (member->id == self || (link.connected && link.last_error[0] == '\0'))
			(*n_reached)++;
	}
}

/*
 * Whether to give up the others; answers if not.
 */
static bool
may_abandon(const InboxRecord *record, const RecoverRequest *request,
			const struct raft_update *update, Transport *transport)
{
	const RaftState *state = &detached.log.state;
	uint32		n_reached;
	uint32		n_voters;

	if (memcmp(&request->cluster_id, &state->cluster_id, sizeof(pg_uuid_t)) != 0)
	{
		refuse(record, ERRCODE_INVALID_PARAMETER_VALUE,
			   "that is not the id of this node's cluster",
			   "The id says which cluster is given up.",
			   "Pass cluster_id of store.status.");
		return false;
	}
	count_voters(transport, state->node_id, &n_reached, &n_voters);
	if (update->leader == 0 && update->state != RAFT_LEADER && 2 * n_reached <= n_voters)
		return true;
	refuse(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
		   "the cluster has not lost its majority",
		   update->leader != 0 ? psprintf("Member \"%s\" leads it.", roster_name(update->leader)) :
		   psprintf("%u of %u voters are reached.", n_reached, n_voters),
		   "A cluster that reaches a majority of its voters goes on by itself.");
	return false;
}

void
recovery_serve(const InboxRecord *record, const struct raft_update *update,
			   Transport *transport)
{
	const RecoverRequest *request = (const RecoverRequest *) record->data;

	if (record->length != sizeof(RecoverRequest))
		return;
	if (request->verb != RECOVER_WITHOUT_QUORUM)
	{
		refuse(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			   "this node is not detached",
			   "It takes part in its cluster under its own identity.",
			   request->verb == RECOVER_AS_NEW_CLUSTER ?
			   "To go on after the loss of a majority, see store.recover_without_quorum()." : NULL);
		return;
	}

	worker_begin("reading the state of this member");
	log_tables_read_state(&detached.log.state);
	worker_commit();
	if (!may_abandon(record, request, update, transport))
		return;

	/*
	 * From here on this process only reads what it has written: duties of this
	 * turn that are not durable were not promised to anybody.
	 */
	MemoryContextSwitchTo(TopMemoryContext);
	open_log();
	detached.reason = "an operator gave up the other members";
	begin_founding(record);
	inbox_release();
	serve_until_decided();
}
