/*-------------------------------------------------------------------------
 *
 * api_health.c
 *	  store.health(): is this node well, in a word and a sentence?
 *
 *		CRITICAL	clients of this node do not get what they ask for, now
 *		WARNING		they do, but something is wrong or delayed, or one more
 *					failure may be one too many
 *		OK			nothing to do
 *
 * Everything is judged by what this node knows, so ask every node.  Who answers
 * whom only the leader can tell.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "store.h"

#include "access/xlog.h"
#include "api_row.h"
#include "api_status.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "stats.h"
#include "status.h"
#include "utils/timestamp.h"

STORE_FUNCTION(store_health);

/* So many entries behind is more than a burst: a second of the greatest load. */
#define HEALTH_MAX_LAG	10000

typedef struct Health
{
	const char *status;
	const char *message;		/* palloc'd or static */
} Health;

static Health
critical(const char *message)
{
	return (Health) {"CRITICAL", message};
}

static Health
warning(const char *message)
{
	return (Health) {"WARNING", message};
}

static void
append_name(StringInfo list, const char *name)
{
	appendStringInfo(list, "%s\"%s\"", list->len > 0 ? ", " : "", name);
}

/*
 * Has this member answered lately?  A leader hears from each every heartbeat.
 */
static bool
is_silent(const NodeStatus *node, const MemberStatus *member)
{
	return member->member.id != node->node_id &&
		(member->last_contact == 0 ||
		 TimestampDifferenceExceeds(member->last_contact, GetCurrentTimestamp(),
									2 * Max(store_election_timeout,
											store_heartbeat_interval)));
}

/* The members as their leader sees them. */
static Health
judge_members(const NodeStatus *node)
{
	StringInfoData silent;
	StringInfoData slow;
	StringInfoData full;
	uint32		n_voters = 0;
	uint32		n_silent = 0;
	uint32		n_unheard = 0;
	uint64		last = pg_atomic_read_u64(&progress->last_index);

	initStringInfo(&silent);
	initStringInfo(&slow);
	initStringInfo(&full);
	for (uint32 i = 0; i < node->n_members; i++)
	{
		const MemberStatus *member = &node->members[i];
		bool		voter = (member->member.role == RAFT_VOTER);

		n_voters += voter;
		if (member->low_on_disk)
			append_name(&full, member->member.name);
		if (is_silent(node, member))
		{
			n_silent += voter;
			n_unheard += voter && member->last_contact == 0;
			append_name(&silent, member->member.name);
		}
		else if (member->member.id != node->node_id && !member->copying &&
				 last > member->match_index + HEALTH_MAX_LAG)
			append_name(&slow, member->member.name);
	}

	/*
	 * Voters elected it, and have had no time to answer it as their leader.  If
	 * they never do, it steps down, and then no leader is known.
	 */
	if (n_silent > (n_voters - 1) / 2 && n_unheard > 0)
		return warning(psprintf("just elected; not heard from yet: %s", silent.data));
	if (n_silent > (n_voters - 1) / 2)
		return critical(psprintf("no majority answers: of %u voters not %s",
								 n_voters, silent.data));
	if (silent.len > 0)
		return warning(psprintf("%s not heard from; writes stop when %u more of %u voters fail",
								silent.data, (n_voters - 1) / 2 - n_silent + 1, n_voters));
	if (full.len > 0)
		return warning(psprintf("short of disk space: %s", full.data));
	if (slow.len > 0)
		return warning(psprintf("more than %d entries behind: %s", HEALTH_MAX_LAG, slow.data));
	return (Health) {"OK", psprintf("leader of %u voters and %u learners",
									n_voters, node->n_members - n_voters)};
}

/* What is left is still enough, but less than twice what must be. */
static const char *
shrinking_disk(void)
{
	uint64		limit = (uint64) store_min_free_space * 1024 * 1024;

	for (int place = 0; place < N_DISK_PLACES; place++)
	{
		uint64		n_free = stats_gauge((StatGauge) (STAT_DISK_FREE + place));

		if (stats_gauge((StatGauge) (STAT_DISK_SIZE + place)) != 0 && n_free < 2 * limit)
			return psprintf("writes will be refused below %d MB of disk space, and the file system of the %s has "
							UINT64_FORMAT " MB left",
							store_min_free_space, stats_disk_place_name((DiskPlace) place),
							n_free / (1024 * 1024));
	}
	return NULL;
}

static Health
judge(const NodeStatus *node)
{
	uint64		committed = pg_atomic_read_u64(&progress->commit_index);
	uint64		applied = pg_atomic_read_u64(&progress->applied_index);
	const char *problem = api_problem(node);

	if (RecoveryInProgress())
		return (Health) {"OK", "a standby, which takes no part in the cluster"};
	if (!node->running || node->removed || node->detached || node->leader == 0)
		return critical(problem[0] != '\0' ? problem : "no leader is known");
	if (node->apply_problem[0] != '\0' || node->undecided ||
		pg_atomic_read_u32(&progress->room) != ROOM_ENOUGH)
		return critical(problem);
	if (problem[0] != '\0')
		return warning(problem);
	if (shrinking_disk() != NULL)
		return warning(shrinking_disk());
	if (committed > applied + HEALTH_MAX_LAG)
		return warning(psprintf(UINT64_FORMAT " committed entries are not applied yet",
								committed - applied));
	if (node->state == RAFT_LEADER)
		return judge_members(node);
	return (Health) {"OK", psprintf("%s of \"%s\"", status_state_name(node),
									api_leader_name(node))};
}

Datum
store_health(PG_FUNCTION_ARGS)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	Health		health;
	Row			row = {0};

	status_read(node);
	health = judge(node);
	row_put_text(&row, health.status);
	row_put_text(&row, health.message);
	return row_return(fcinfo, &row);
}
