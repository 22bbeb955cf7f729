/*-------------------------------------------------------------------------
 *
 * raft_verbs.c
 *	  Removing members, handing over, moving: the leader's part.
 *
 * What is safe is decided here and nowhere else, by the one process that knows
 * both the membership in force and who is there.  Consensus would let a leader
 * remove whom it likes; this refuses what would leave a cluster that cannot
 * write: the removal of its only voter, and one after which the voters that
 * can be reached are no majority.
 *
 * Whatever may succeed a moment later (another change is under way, a member
 * was not heard yet in this term) is put off, not refused: the session that
 * asked asks again.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "raft_verbs.h"

#include "raft_admin.h"
#include "request.h"
#include "roster.h"

static void
answer_done(const InboxRecord *record)
{
	Answer		answer = {.kind = ANSWER_INDEX, .index = roster_index()};

	request_answer(record->slot, record->sequence, &answer);
}

static void
put_off(const InboxRecord *record, int sqlstate, const char *message,
		const char *detail, const char *hint)
{
	request_put_off(record->slot, record->sequence, sqlstate, message, detail, hint);
}

static char *
list_names(const Membership *membership)
{
	StringInfoData names;

	initStringInfo(&names);
	for (uint32 i = 0; i < membership->n_members; i++)
		appendStringInfo(&names, "%s\"%s\"", i > 0 ? ", " : "",
						 membership->members[i].name);
	return names.data;
}

static void
refuse_unknown(const InboxRecord *record, const char *name)
{
	admin_refuse(record, ERRCODE_UNDEFINED_OBJECT,
				 psprintf("there is no member named \"%s\"", name),
				 psprintf("The members are %s.", list_names(roster_current())),
				 "See store.members.");
}

/*
 * Whether a member has been heard of since then.  That it was heard of lately
 * is not enough: whoever removes a member often does so because servers are
 * being stopped.
 */
static bool
was_heard(const struct raft *node, uint64 id, uint64 self, uint64 since_ms)
{
	struct raft_peer_progress peer;

	if (id == self)
		return true;
	return raft_progress(node, id, &peer) && peer.last_contact_ms > since_ms;
}

/*
 * The voters without one of them, and whether those that can be reached are a
 * majority; who cannot is listed in *missing.
 */
static bool
rest_has_quorum(const struct raft *node, uint64 without, uint64 self, uint64 since_ms,
				StringInfo missing)
{
	const Membership *membership = roster_current();
	uint32		n_voters = 0;
	uint32		n_reached = 0;

	for (uint32 i = 0; i < membership->n_members; i++)
	{
		const Member *member = &membership->members[i];

		if (member->role != RAFT_VOTER || member->id == without)
			continue;
		n_voters++;
		if (was_heard(node, member->id, self, since_ms))
			n_reached++;
		else
			appendStringInfo(missing, "%s\"%s\"", missing->len > 0 ? ", " : "",
							 member->name);
	}
	return n_reached >= n_voters / 2 + 1;
}

/*
 * There is no member of that name or number.  Then it has been removed, unless
 * there never was one.
 */
static void
answer_gone(const InboxRecord *record, const MemberRequest *request,
			const struct raft_update *update)
{
	if (request->learner == 0 && !membership_was_removed(roster_current(), request->name))
		refuse_unknown(record, request->name);
	else if (roster_index() <= update->commit_index)
		answer_done(record);
	else
		put_off(record, ERRCODE_OBJECT_IN_USE, "the removal is not committed yet",
				NULL, "Try again.");
}

static bool
begin_remove(const InboxRecord *record, const struct raft *node,
			 const struct raft_update *update, struct raft_event *event, LogEntry *entry)
{
	const MemberRequest *request = (const MemberRequest *) record->data;
	const char *name = request->name;
	Membership	next = *roster_current();
	Member	   *member;
	StringInfoData missing;

	member = request->learner != 0 ? membership_find(&next, request->learner) :
		membership_find_name(&next, name);
	if (member == NULL)
	{
		answer_gone(record, request, update);
		return false;
	}
	if (request->learner != 0 && member->role != RAFT_LEARNER)
	{
		answer_done(record);
		return false;
	}
	if (member->role == RAFT_VOTER && membership_n_voters(&next) == 1)
	{
		admin_refuse(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					 psprintf("cannot remove \"%s\": it is the only voter of the cluster", name),
					 NULL,
					 "To give up the store of that node, drop the extension there.");
		return false;
	}
	initStringInfo(&missing);
	if (member->role == RAFT_VOTER &&
		!rest_has_quorum(node, member->id, update->leader, request->since_ms, &missing))
	{
		put_off(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				psprintf("removing \"%s\" would leave the cluster without a majority", name),
				psprintf("Not to be reached: %s.", missing.data),
				"Start these members first, or remove those that are gone for good.");
		return false;
	}
	if (member->id == update->leader)
	{
		event->type = RAFT_TRANSFER_REQUESTED;
		event->u.peer.peer = 0;
		return true;
	}

	(void) membership_remove(&next, member->id);
	next.request.origin = update->leader;
	next.request.slot = record->slot;
	next.request.sequence = record->sequence;
	event->type = RAFT_CONFIG_PROPOSED;
	admin_propose(&next, event, entry);
	return request_claim(record->slot, record->sequence);
}

static bool
begin_transfer(const InboxRecord *record, const struct raft_update *update,
			   struct raft_event *event)
{
	const char *name = ((const MemberRequest *) record->data)->name;
	Membership *membership = roster_current();
	Member	   *member = membership_find_name(membership, name);

	event->type = RAFT_TRANSFER_REQUESTED;
	event->u.peer.peer = 0;
	if (name[0] == '\0')
	{
		if (membership_n_voters(membership) > 1)
			return true;
		admin_refuse(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					 "cannot transfer leadership: the leader is the only voter", NULL,
					 "Let another node join first.");
		return false;
	}
	if (member == NULL)
	{
		refuse_unknown(record, name);
		return false;
	}
	if (member->id == update->leader)
	{
		answer_done(record);
		return false;
	}
	if (member->role == RAFT_LEARNER)
	{
		admin_refuse(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					 psprintf("cannot transfer leadership to \"%s\": it is a learner", name),
					 "Only a voter can lead.",
					 psprintf("Call store.promote('%s') first.", name));
		return false;
	}
	event->u.peer.peer = member->id;
	return true;
}

bool
verbs_begin(const InboxRecord *record, const struct raft *node,
			const struct raft_update *update, struct raft_event *event, LogEntry *entry)
{
	if (record->kind == INBOX_ADMIT)
		return admin_admit(record, node, update, event, entry);
	if (record->length != sizeof(MemberRequest))
		return false;
	if (update->state != RAFT_LEADER)
	{
		put_off(record, ERRCODE_STORE_UNAVAILABLE, "this node is not the leader", NULL,
				"Try again.");
		return false;
	}
	if (record->kind == INBOX_REMOVE)
		return begin_remove(record, node, update, event, entry);
	return begin_transfer(record, update, event);
}

/* A transfer has no answer but this: whether it worked is seen by who leads. */
static void
transfer_stepped(const InboxRecord *record, const struct raft_event *event,
				 enum raft_status status)
{
	Member	   *target = membership_find(roster_current(), event->u.peer.peer);

	if (status == RAFT_OK || status == RAFT_IN_PROGRESS)
		put_off(record, ERRCODE_STORE_UNAVAILABLE, "leadership is being handed over",
				"No other voter has taken it over yet.", "Try again.");
	else if (target != NULL)
		put_off(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				psprintf("member \"%s\" cannot take over leadership now", target->name),
				"The leader does not hear from it, or it is still being copied to.",
				"See store.members on the leader.");
	else
		put_off(record, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				"no other voter can take over leadership now",
				"The leader hears from no other voter, or they are still being copied to.",
				"See store.members on the leader.");
}

void
verbs_stepped(const InboxRecord *record, const struct raft_event *event,
			  enum raft_status status)
{
	if (event->type == RAFT_TRANSFER_REQUESTED)
		transfer_stepped(record, event, status);
	else
		admin_admitted(record, status);
}

bool
verbs_move(uint64 id, const char *conninfo, struct raft_event *event, LogEntry *entry)
{
	Membership	next = *roster_current();
	Member	   *member = membership_find(&next, id);

	if (member == NULL || strcmp(member->conninfo, conninfo) == 0)
		return false;
	memset(member->conninfo, 0, sizeof(member->conninfo));
	strlcpy(member->conninfo, conninfo, sizeof(member->conninfo));
	memset(&next.request, 0, sizeof(next.request));
	event->type = RAFT_CONFIG_PROPOSED;
	admin_propose(&next, event, entry);
	return true;
}
