/*-------------------------------------------------------------------------
 *
 * status.c
 *	  Shared memory through which the processes of this node see each other.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "status.h"

#include "clock.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/wait_event.h"

#define STATUS_TRANCHE "store"

typedef struct StatusShared
{
	SharedProgress progress;

	/* procno + 1 of each worker; 0: not there */
	pg_atomic_uint32 workers[N_WORKERS];

	ConditionVariable version_known;

	LWLock	   *lock;			/* protects node */
	NodeStatus	node;
} StatusShared;

SharedProgress *progress = NULL;

static StatusShared *shared = NULL;
static WorkerKind my_kind;

Size
status_shmem_size(void)
{
	return sizeof(StatusShared);
}

void
status_request_locks(void)
{
	RequestNamedLWLockTranche(STATUS_TRANCHE, 1);
}

void
status_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("store status", status_shmem_size(), &found);
	progress = &shared->progress;
	if (found)
		return;

	memset(shared, 0, sizeof(StatusShared));
	pg_atomic_init_u64(&progress->last_index, 0);
	pg_atomic_init_u64(&progress->commit_index, 0);
	pg_atomic_init_u64(&progress->lease_until_ms, 0);
	pg_atomic_init_u64(&progress->lease_index, 0);
	pg_atomic_init_u64(&progress->applied_index, 0);
	pg_atomic_init_u64(&progress->applied_term, 0);
	pg_atomic_init_u64(&progress->last_event, 0);
	pg_atomic_init_u64(&progress->floor, 0);
	pg_atomic_init_u64(&progress->history_gone, 0);
	pg_atomic_init_u64(&progress->wanted_floor, 0);
	pg_atomic_init_u64(&progress->answered_index, PG_UINT64_MAX);
	pg_atomic_init_u64(&progress->apply_lives, 0);
	pg_atomic_init_u64(&progress->notified_index, 0);
	pg_atomic_init_u64(&progress->epoch, 0);
	pg_atomic_init_u32(&progress->version, 0);
	pg_atomic_init_u32(&progress->room, ROOM_ENOUGH);
	pg_atomic_init_u32(&progress->divergence, DIVERGENCE_UNKNOWN);
	ConditionVariableInit(&shared->version_known);
	for (int i = 0; i < N_WORKERS; i++)
		pg_atomic_init_u32(&shared->workers[i], 0);
	shared->lock = &(GetNamedLWLockTranche(STATUS_TRANCHE))->lock;
}

void
status_reset_progress(void)
{
	pg_atomic_write_u64(&progress->lease_until_ms, 0);
	pg_atomic_write_u64(&progress->last_index, 0);
	pg_atomic_write_u64(&progress->commit_index, 0);
	pg_atomic_write_u64(&progress->applied_index, 0);
	pg_atomic_write_u64(&progress->applied_term, 0);
	pg_atomic_write_u64(&progress->last_event, 0);
	pg_atomic_write_u64(&progress->floor, 0);
	pg_atomic_write_u64(&progress->history_gone, 0);
	pg_atomic_write_u64(&progress->wanted_floor, 0);
	pg_atomic_write_u64(&progress->answered_index, PG_UINT64_MAX);
	pg_atomic_write_u64(&progress->notified_index, 0);
	pg_atomic_write_u32(&progress->version, 0);
	pg_atomic_write_u32(&progress->divergence, DIVERGENCE_UNKNOWN);
}

static void
unregister(int code, Datum arg)
{
	pg_atomic_write_u32(&shared->workers[my_kind], 0);
}

bool
status_register(WorkerKind kind)
{
	uint32		nobody = 0;

	if (!pg_atomic_compare_exchange_u32(&shared->workers[kind], &nobody,
										MyProcNumber + 1))
		return false;
	my_kind = kind;
	before_shmem_exit(unregister, (Datum) 0);
	return true;
}

static PGPROC *
worker_proc(WorkerKind kind)
{
	uint32		procno = pg_atomic_read_u32(&shared->workers[kind]);

	return procno == 0 ? NULL : &ProcGlobal->allProcs[procno - 1];
}

void
status_wake(WorkerKind kind)
{
	PGPROC	   *proc = worker_proc(kind);

	/* A latch set for a process that is just leaving disturbs nobody. */
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

int
status_worker_pid(WorkerKind kind)
{
	PGPROC	   *proc = worker_proc(kind);

	return proc == NULL ? 0 : proc->pid;
}

void
status_publish_lease(uint64 until_ms, uint64 index)
{
	bool		same_until = pg_atomic_read_u64(&progress->lease_until_ms) == until_ms;
	bool		same_index = pg_atomic_read_u64(&progress->lease_index) == index;

	/* Whoever has just taken the lease that ends needs its index. */
	if (until_ms == 0)
		same_index = true;
	if (same_until && same_index)
		return;
	if (!same_index)
		pg_atomic_write_u64(&progress->lease_index, index);
	pg_write_barrier();
	if (!same_until)
		pg_atomic_write_u64(&progress->lease_until_ms, until_ms);
	pg_memory_barrier();
}

uint64
status_read_lease(uint64 *index)
{
	uint64		until_ms = pg_atomic_read_u64(&progress->lease_until_ms);

	pg_read_barrier();
	*index = pg_atomic_read_u64(&progress->lease_index);
	return until_ms;
}

void
status_publish(const NodeStatus *node)
{
	NodeStatus *to = &shared->node;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	to->running = true;
	to->cluster_id = node->cluster_id;
	to->node_id = node->node_id;
	strlcpy(to->name, node->name, sizeof(to->name));
	to->state = node->state;
	to->learner = node->learner;
	to->detached = node->detached;
	to->removed = node->removed;
	to->next_id = node->next_id;
	to->term = node->term;
	to->leader = node->leader;
	strlcpy(to->last_leader, node->last_leader, sizeof(to->last_leader));
	to->first_index = node->first_index;
	to->n_members = node->n_members;
	memcpy(to->members, node->members, node->n_members * sizeof(MemberStatus));
	LWLockRelease(shared->lock);
}

void
status_set_stopped(void)
{
	status_publish_lease(0, 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->node.running = false;
	shared->node.removed = false;
	shared->node.next_id = 0;
	shared->node.n_members = 0;
	shared->node.leader = 0;
	LWLockRelease(shared->lock);
}

/* NULL is no problem. */
static void
set_problem(char *to, Size size, const char *problem)
{
	if (problem == NULL)
		problem = "";

	/* Each has one writer, so a look without the lock is safe. */
	if (strncmp(to, problem, size - 1) == 0)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	strlcpy(to, problem, size);
	LWLockRelease(shared->lock);
}

void
status_set_problem(WorkerKind kind, const char *problem)
{
	NodeStatus *node = &shared->node;

	switch (kind)
	{
		case WORKER_APPLY:
			set_problem(node->apply_problem, sizeof(node->apply_problem), problem);
			break;
		case WORKER_NOTIFY:
			set_problem(node->notify_problem, sizeof(node->notify_problem), problem);
			break;
		case WORKER_SNAPSHOT:
			set_problem(node->snapshot_problem, sizeof(node->snapshot_problem), problem);
			break;
		default:
			set_problem(node->problem, sizeof(node->problem), problem);
			break;
	}
}

void
status_set_divergence(const char *problem, bool undecided)
{
	NodeStatus *node = &shared->node;

	node->undecided = undecided;
	set_problem(node->divergence, sizeof(node->divergence), problem);
}

void
status_set_queue_problem(const char *problem)
{
	NodeStatus *node = &shared->node;

	set_problem(node->queue_problem, sizeof(node->queue_problem), problem);
}

void
status_set_disk_problem(const char *problem)
{
	NodeStatus *node = &shared->node;

	set_problem(node->disk_problem, sizeof(node->disk_problem), problem);
}

void
status_read(NodeStatus *node)
{
	const NodeStatus *from = &shared->node;

	LWLockAcquire(shared->lock, LW_SHARED);
	memcpy(node, from, offsetof(NodeStatus, members) +
		   from->n_members * sizeof(MemberStatus));
	LWLockRelease(shared->lock);
}

uint8
status_version(void)
{
	return pg_atomic_read_u32(&progress->version);
}

void
status_set_version(uint8 version)
{
	bool		known = status_version() != 0;

	pg_atomic_write_u32(&progress->version, version);
	if (!known)
		ConditionVariableBroadcast(&shared->version_known);
}

uint8
status_await_version(long timeout_ms)
{
	uint64		deadline;

	if (status_version() != 0)
		return status_version();
	deadline = monotonic_ms() + timeout_ms;
	ConditionVariablePrepareToSleep(&shared->version_known);
	while (status_version() == 0 && timeout_ms > 0)
	{
		(void) ConditionVariableTimedSleep(&shared->version_known, timeout_ms,
										   PG_WAIT_EXTENSION);
		timeout_ms = deadline_left_ms(deadline);
	}
	ConditionVariableCancelSleep();
	return status_version();
}

bool
status_is_addressee(const pg_uuid_t *cluster_id, uint64 node_id)
{
	bool		result;

	LWLockAcquire(shared->lock, LW_SHARED);
	result = shared->node.running && !shared->node.detached &&
		shared->node.node_id == node_id &&
		memcmp(&shared->node.cluster_id, cluster_id, sizeof(pg_uuid_t)) == 0;
	LWLockRelease(shared->lock);
	return result;
}

bool
status_is_former(uint64 node_id)
{
	bool		former;

	LWLockAcquire(shared->lock, LW_SHARED);
	former = shared->node.running && node_id < shared->node.next_id;
	for (uint32 i = 0; former && i < shared->node.n_members; i++)
		former = (shared->node.members[i].member.id != node_id);
	LWLockRelease(shared->lock);
	return former;
}

bool
status_is_removed(void)
{
	volatile NodeStatus *node = &shared->node;

	/* Every read asks.  No lock: it is set once, for good. */
	return node->removed && node->running;
}

void
status_read_leader(char *last_leader, bool *known, uint64 *node_id)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	strlcpy(last_leader, shared->node.last_leader, STORE_NAME_SIZE);
	*known = shared->node.leader != 0;
	*node_id = shared->node.node_id;
	LWLockRelease(shared->lock);
}

bool
status_is_leader(void)
{
	bool		leader;

	LWLockAcquire(shared->lock, LW_SHARED);
	leader = shared->node.running && shared->node.state == RAFT_LEADER;
	LWLockRelease(shared->lock);
	return leader;
}

const char *
status_state_name(const NodeStatus *node)
{
	if (!node->running || node->detached)
		return "detached";
	switch (node->state)
	{
		case RAFT_DETACHED:
			return "detached";
		case RAFT_FOLLOWER:
			return node->learner ? "learner" : "follower";
		case RAFT_PRE_CANDIDATE:
		case RAFT_CANDIDATE:
			return "candidate";
		case RAFT_LEADER:
			return "leader";
	}
	return "unknown";
}
