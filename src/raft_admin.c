/*-------------------------------------------------------------------------
 *
 * raft_admin.c
 *	  Changes to the cluster itself, as the raft worker carries them out.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "raft_admin.h"

#include "lifecycle.h"
#include "machine.h"
#include "log_tables.h"
#include "request.h"
#include "roster.h"
#include "starts.h"
#include "storage/ipc.h"
#include "turn.h"
#include "worker.h"

/*
 * The request whose change was proposed last; sequence 0: none.  The apply
 * worker answers it when the change is applied.  If this leader is deposed
 * before that, the change may happen or not, and nobody would say so.
 */
static struct
{
	uint32		slot;
	uint64		sequence;
}			proposed;

void
admin_refuse(const InboxRecord *record, int sqlstate, const char *message,
			 const char *detail, const char *hint)
{
	request_refuse(record->slot, record->sequence, sqlstate, message, detail, hint);
}

void
admin_propose(const Membership *membership, struct raft_event *event, LogEntry *entry)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	membership_encode(&buffer, membership);
	memset(entry, 0, sizeof(*entry));
	entry->kind = ENTRY_MEMBERSHIP;
	entry->data = buffer.data;
	entry->length = buffer.len;
	membership_config(membership, &event->u.config);
}

/*
 * Is this the repetition of a request that was granted?  Then the answer is
 * the same.  A learner that has acknowledged anything has taken on its
 * identity, and would not ask again: who asks is another life of that node.
 * Otherwise a name is taken once.
 */
static bool
already_admitted(const InboxRecord *record, const struct raft *node,
				 const AdmitRequest *request)
{
	Member	   *member = membership_find_name(roster_current(), request->name);
	Answer		answer = {.kind = ANSWER_INDEX};
	struct raft_peer_progress peer;

	if (member == NULL)
		return false;
	if (member->role == RAFT_LEARNER && strcmp(member->conninfo, request->conninfo) == 0 &&
		raft_progress(node, member->id, &peer) && peer.match_index == 0)
	{
		answer.index = roster_index();
		request_answer(record->slot, record->sequence, &answer);
		return true;
	}
	admin_refuse(record, ERRCODE_DUPLICATE_OBJECT,
				 psprintf("the cluster already has a member named \"%s\"", request->name),
				 psprintf("It is reached at \"%s\".", member->conninfo),
				 psprintf("If that was this node in an earlier life, call store.remove_member('%s') on a member; otherwise set store.node_name of the joining node to another name.",
						  request->name));
	return true;
}

bool
admin_admit(const InboxRecord *record, const struct raft *node,
			const struct raft_update *update, struct raft_event *event,
			LogEntry *entry)
{
	const AdmitRequest *request = (const AdmitRequest *) record->data;
	Membership	next = *roster_current();
	Member		member = {.role = RAFT_LEARNER};
	Member	   *self;

	if (record->length != sizeof(AdmitRequest))
		return false;
	if (update->state != RAFT_LEADER)
	{
		admin_refuse(record, ERRCODE_STORE_UNAVAILABLE, "this node is not the leader",
					 NULL, "Try again: the node that joins finds the leader by itself.");
		return false;
	}
	if (request->understands < next.version)
	{
		admin_refuse(record, ERRCODE_FEATURE_NOT_SUPPORTED,
					 psprintf("the cluster uses version %d of the protocol, and the joining node understands versions up to %d",
							  next.version, request->understands),
					 NULL, "Upgrade the extension's library on the joining node.");
		return false;
	}
	if (already_admitted(record, node, request))
		return false;
	/* Who was alone may have changed its address just now; see greeting.c. */
	self = membership_find(&next, update->leader);
	if (self != NULL && next.n_members == 1)
		strlcpy(self->conninfo, settings_advertise(), sizeof(self->conninfo));

	member.id = next.next_id++;
	strlcpy(member.name, request->name, sizeof(member.name));
	strlcpy(member.conninfo, request->conninfo, sizeof(member.conninfo));
	if (!membership_add(&next, &member))
	{
		admin_refuse(record, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
					 psprintf("a cluster has at most %d members", RAFT_MAX_MEMBERS), NULL, NULL);
		return false;
	}
	next.request.origin = update->leader;
	next.request.slot = record->slot;
	next.request.sequence = record->sequence;
	admin_propose(&next, event, entry);
	return request_claim(record->slot, record->sequence);
}

void
admin_admitted(const InboxRecord *record, enum raft_status status)
{
	switch (status)
	{
		case RAFT_OK:
			proposed.slot = record->slot;
			proposed.sequence = record->sequence;
			break;
		case RAFT_IN_PROGRESS:
		case RAFT_NOT_READY:
		case RAFT_BUSY:
			request_put_off(record->slot, record->sequence, ERRCODE_OBJECT_IN_USE,
							"another change of the membership is in progress", NULL,
							"Try again.");
			break;
		default:
			request_put_off(record->slot, record->sequence, ERRCODE_STORE_UNAVAILABLE,
							"the membership cannot be changed now", NULL, "Try again.");
			break;
	}
}

void
admin_tend(const struct raft_update *update)
{
	if (proposed.sequence == 0 || update->state == RAFT_LEADER)
		return;
	request_put_off(proposed.slot, proposed.sequence, ERRCODE_STORE_UNAVAILABLE,
					"the leader lost its office while it changed the membership",
					"Whether the change happens is seen when there is another leader.",
					"Try again.");
	proposed.sequence = 0;
}

bool
admin_promote(raft_id id, struct raft_event *event, LogEntry *entry)
{
	Membership	next = *roster_current();
	Member	   *member = membership_find(&next, id);

	if (member == NULL || member->role == RAFT_VOTER)
		return false;
	member->role = RAFT_VOTER;
	memset(&next.request, 0, sizeof(next.request));
	admin_propose(&next, event, entry);
	return true;
}

/*
 * Nothing is stored, and nothing is under way that would be.
 */
static bool
is_idle_and_empty(void)
{
	bool		empty;

	if (pg_atomic_read_u64(&progress->applied_index) != turn_written())
		return false;
	worker_begin("looking for resources");
	empty = machine_is_empty();
	worker_commit();
	return empty;
}

void
admin_adopt(const InboxRecord *record)
{
	const AdoptRequest *request = (const AdoptRequest *) record->data;
	RaftState	state;
	Answer		answer = {.kind = ANSWER_INDEX};
	const char *problem;

	memset(&state, 0, sizeof(state));
	if (record->length < sizeof(AdoptRequest) ||
		record->length != sizeof(AdoptRequest) + request->length)
		return;
	if (roster_current()->n_members > 1)
	{
		admin_refuse(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					 "this node is already a member of a cluster", NULL, NULL);
		return;
	}
	problem = membership_decode(record->data + sizeof(AdoptRequest), request->length,
								&state.base_membership);
	if (problem != NULL)
	{
		admin_refuse(record, ERRCODE_PROTOCOL_VIOLATION,
					 psprintf("the membership of the cluster to join is malformed: %s", problem),
					 NULL, NULL);
		return;
	}
	if (!is_idle_and_empty())
	{
		admin_refuse(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					 "cannot join: the store of this node is not empty",
					 "Joining a cluster would replace its resources and history.",
					 "Drop and create the extension on this node to empty it.");
		return;
	}
	if (!request_claim(record->slot, record->sequence))
		return;

	state.cluster_id = request->cluster_id;
	state.node_id = request->node_id;
	worker_begin("entering another cluster");
	log_tables_reset(&state);
	starts_forget();			/* numbers of members mean others there */
	machine_forget_applied();
	lifecycle_new_epoch_at_commit();
	worker_commit();
	request_answer(record->slot, record->sequence, &answer);

	/* What this process knows is of its former life; nothing may be written. */
	ereport(LOG, (errmsg("this node has entered another cluster as member " UINT64_FORMAT,
						 state.node_id)));
	proc_exit(1);
}
