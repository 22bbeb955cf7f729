/*-------------------------------------------------------------------------
 *
 * raft_worker.c
 *	  The raft worker: the one process that runs consensus.
 *
 * One loop.  A turn gathers what has happened (messages and requests from the
 * inbox, the clock, broken links, the apply worker's progress), steps the core
 * through it, carries out the duties that follow (turn.c), and sleeps until
 * something happens or is due.  Everything that arrived while a turn was being
 * flushed is the next turn's batch.
 *
 * The worker waits for nothing but its own disk: no lock, no socket, no user.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "worker.h"

#include "blocker.h"
#include "clock.h"
#include "common/pg_prng.h"
#include "compaction.h"
#include "comparison.h"
#include "disk_space.h"
#include "forwarding.h"
#include "greeting.h"
#include "inbox.h"
#include "machine.h"
#include "miscadmin.h"
#include "outbox.h"
#include "pacing.h"
#include "pending.h"
#include "raft_admin.h"
#include "raft_verbs.h"
#include "recorder.h"
#include "recovery.h"
#include "link_report.h"
#include "log_tables.h"
#include "request.h"
#include "retention.h"
#include "roster.h"
#include "slow_disk.h"
#include "snapshot.h"
#include "starts.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "transport.h"
#include "turn.h"
#include "utils/memutils.h"
#include "versions.h"

/* What one turn takes from the inbox before it looks at the clock again. */
#define TURN_RECORDS	4096

/* How often the copy of our state for display is renewed, if nothing changes. */
#define PUBLISH_MS		100

/* A node that was removed has nothing to do; it is woken by its sessions. */
#define REMOVED_NAP_MS	60000

/* A leader that says for so many heartbeats that we need a copy means it. */
#define SNAPSHOT_BEATS	3

/* How often the log is looked at for segments to empty. */
#define COMPACT_MS		1000

static struct
{
	struct raft node;
	struct raft_update update;	/* of the last step */
	struct raft_event event;	/* being built */
	struct raft_options options;
	MessageOrigin origin;		/* our cluster, and the number of this start */
	uint64		node_id;
	Transport  *transport;
	MemoryContext turn_context;

	uint64		now_ms;			/* at the start of the turn */
	uint64		applied_index;	/* what the core was told */
	uint64		applied_term;	/* what pending_sweep() was told */
	uint64		published_ms;
	uint64		compacted_ms;
	uint64		membership_index;	/* of the published one */
	bool		membership_known;
	bool		state_changed;	/* worth publishing at once */
	bool		more_records;	/* the inbox was not emptied */
	bool		refused;		/* the core took no proposal this turn */
	bool		read_refused;	/* nor a question for a read index */
	bool		removed;		/* this node is no member any more, for good */
	uint64		diverged_ms;	/* when its state was found to differ; 0: never */
	raft_id		promotable;
	char		last_leader[STORE_NAME_SIZE];
	LogEntry	batch[RAFT_MAX_BATCH];
}			worker;

/* ------------------------------------------------------------------------
 * Stepping the core
 * ------------------------------------------------------------------------
 */

static struct raft_event *
new_event(enum raft_event_type type)
{
	worker.event.type = type;
	worker.event.now_ms = monotonic_ms();
	worker.event.random = pg_prng_uint64(&pg_global_prng_state);
	return &worker.event;
}

/* The leader says that it no longer has the log that we need. */
static void
heed_snapshot(void)
{
	const struct raft_message *message = &worker.event.u.received.message;

	if (snapshot_want(worker.update.snapshot_from, message->prev_index,
					  worker.event.now_ms, SNAPSHOT_BEATS * store_heartbeat_interval))
		status_wake(WORKER_LAUNCHER);
}

/*
 * Step the core through worker.event, and take on the duties that follow;
 * entries are what the event would append.
 */
static enum raft_status
step(const LogEntry *entries)
{
	struct raft_update *update = &worker.update;
	enum raft_state old_state = update->state;
	raft_id		old_leader = update->leader;
	raft_term	old_term = update->term;
	enum raft_status status = raft_step(&worker.node, &worker.event, update);

	recorder_step(&worker.event, update);
	if (status == RAFT_BROKEN)
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("consensus invariant does not hold: %s", update->violation.rule),
				 errdetail("Expected " UINT64_FORMAT ", found " UINT64_FORMAT ".",
						   update->violation.expected, update->violation.found)));

	status_publish_lease(raft_lease_until(&worker.node), update->commit_index);
	if (update->append == RAFT_APPEND_RECEIVED)
		entries += update->append_first - entries[0].index;
	turn_absorb(update, entries);

	if (update->snapshot_from != 0)
		heed_snapshot();
	if (update->promotable != 0)
		worker.promotable = update->promotable;
	if (update->lost_data != 0)
		recovery_lost_data(update->lost_data);
	if (update->config_changed || update->state != old_state ||
		update->leader != old_leader || update->term != old_term)
		worker.state_changed = true;
	return status;
}

/* While the log is on loan, it is not ours to touch. */
static void
await_log(void)
{
	while (snapshot_loan(NULL, NULL) == SNAPSHOT_LOAN_GRANTED)
	{
		worker_sleep(-1);
		worker_check();
	}
}

/* ------------------------------------------------------------------------
 * What has happened
 * ------------------------------------------------------------------------
 */

/*
 * A member is reached at another address.  The leader writes it into the
 * membership; if that cannot be now, there will be another greeting.
 */
static void
member_moved(uint64 id, const char *conninfo)
{
	LogEntry	entry;

	if (verbs_move(id, conninfo, new_event(RAFT_CONFIG_PROPOSED), &entry) &&
		step(&entry) == RAFT_OK)
		ereport(LOG,
				(errmsg("member \"%s\" has moved to \"%s\"", roster_name(id), conninfo)));
}

static void
receive_greeting(const Message *message)
{
	if (message->header.kind == MESSAGE_REACHED)
		greeting_answered(message->header.from, message->conninfo);
	else if (greeting_received(message->header.from, message->conninfo) &&
			 worker.update.state == RAFT_LEADER)
		member_moved(message->header.from, message->conninfo);
}

static void
receive_message(InboxRecord *record)
{
	Message		message;
	const char *problem = message_decode(record->data, record->length, &message);

	if (problem != NULL ||
		memcmp(&message.header.origin.cluster_id, &worker.origin.cluster_id,
			   sizeof(pg_uuid_t)) != 0 ||
		message.header.to != worker.node_id ||
		!recovery_is_newest_start(&message.header))
		return;					/* of a former life; the sender was checked */
	transport_heard_from(worker.transport, message.header.from);
	versions_heard(&message.header);
	disk_space_heard(&message.header);

	if (message.header.kind == MESSAGE_HELLO || message.header.kind == MESSAGE_REACHED)
	{
		receive_greeting(&message);
		return;
	}
	if (message.header.kind == MESSAGE_CHAIN)
	{
		comparison_received(&message, worker.update.leader);
		return;
	}
	if (message.header.kind == MESSAGE_FORWARD)
	{
		if (worker.update.state == RAFT_LEADER)
			forwarding_receive(&message, worker.update.term);
		return;
	}

	new_event(RAFT_RECEIVED);
	worker.event.u.received.message = message.raft;
	worker.event.u.received.n_configs = message.n_configs;
	for (uint32 i = 0; i < message.n_configs; i++)
		worker.event.u.received.configs[i] = message.configs[i];
	step(message.entries);
}

/*
 * A write that nobody waits for, of one of our own workers.  It is proposed
 * now or never: whoever wants it will ask again, of the leader there is then.
 */
static void
take_own_write(InboxRecord *record)
{
	LogEntry	entry = {.data = record->data, .length = record->length};

	if (worker.update.state == RAFT_LEADER)
		pending_add_forwarded(&entry, worker.update.term);
}

static void
receive_verb(const InboxRecord *record)
{
	struct raft_event *event = new_event(RAFT_CONFIG_PROPOSED);
	LogEntry	entry;

	if (verbs_begin(record, &worker.node, &worker.update, event, &entry))
		verbs_stepped(record, event, step(&entry));
}

static void
receive_records(void)
{
	InboxRecord *record = NULL;
	int			n = 0;

	while (n++ < TURN_RECORDS && (record = inbox_next()) != NULL)
	{
		switch ((InboxKind) record->kind)
		{
			case INBOX_WRITE:
				if (record->sequence == 0)
					take_own_write(record);
				else
					pending_add_write(record, worker.node_id);
				break;
			case INBOX_READ:
				pending_add_read(record->slot, record->sequence);
				break;
			case INBOX_MESSAGE:
				receive_message(record);
				break;
			case INBOX_ADOPT:
				admin_adopt(record);
				break;
			case INBOX_RECOVER:
				recovery_serve(record, &worker.update, worker.transport);
				break;
			case INBOX_ADMIT:
			case INBOX_REMOVE:
			case INBOX_TRANSFER:
				receive_verb(record);
				break;
			case INBOX_FILLER:
				break;
		}
	}
	worker.more_records = (record != NULL);
	inbox_release();
}

static void
notice_links(void)
{
	uint64		peer = transport_shut_out_by(worker.transport);

	if (peer != 0 && membership_find(roster_current(), peer) != NULL)
		recovery_shut_out(peer, worker.transport);
	while ((peer = transport_next_link_down(worker.transport)) != 0)
	{
		outbox_clear(peer);
		new_event(RAFT_LINK_DOWN)->u.peer.peer = peer;
		step(NULL);
	}
	while ((peer = outbox_next_dropped()) != 0)
	{
		new_event(RAFT_LINK_DOWN)->u.peer.peer = peer;
		step(NULL);
	}
}

static void
notice_applied(void)
{
	uint64		term = pg_atomic_read_u64(&progress->applied_term);
	uint64		index = pg_atomic_read_u64(&progress->applied_index);

	if (index == worker.applied_index && term == worker.applied_term)
		return;
	worker.applied_term = term;
	worker.applied_index = index;
	new_event(RAFT_APPLIED)->u.position.index = index;
	step(NULL);
	pending_sweep(term);
}

/*
 * Is this node no member any more?  Its own log says so; or, if it was away
 * when that was decided, another member does, in answer to a greeting.  (Who
 * catches up may walk through memberships from before it joined: there its
 * number was not given yet.)
 */
static void
notice_removal(void)
{
	bool		expelled = transport_is_expelled(worker.transport);
	bool		removed = expelled ||
		(worker.update.state == RAFT_DETACHED &&
		 roster_index() <= worker.update.commit_index &&
		 membership_is_former(roster_current(), worker.node_id));

	if (worker.removed || !removed)
		return;
	if (expelled)
		recovery_note_removal();
	worker.removed = true;
	worker.state_changed = true;
	ereport(LOG,
			(errmsg("this node was removed from its cluster"),
			 errhint("Drop the extension here, or create it anew and call store.join().")));
}

static void
notice_time(void)
{
	/* Who was removed stands for no election. */
	if (worker.removed || worker.now_ms < raft_deadline(&worker.node))
		return;
	new_event(RAFT_TIMER);
	step(NULL);
}

/* ------------------------------------------------------------------------
 * What the clients want
 * ------------------------------------------------------------------------
 */

static bool
writes_are_due(uint64 now)
{
	if (worker.update.state != RAFT_LEADER)
		return false;
	pacing_note(now, worker.update.term, worker.update.commit_index);
	return !worker.refused && pacing_is_due(now);
}

static void
propose_writes(void)
{
	while (writes_are_due(worker.now_ms))
	{
		raft_term	term = worker.update.term;
		uint32		n = pending_writes(term, RAFT_MAX_BATCH, PACING_BYTES, worker.batch);

		if (n == 0)
			return;
		new_event(RAFT_PROPOSED);
		worker.event.u.proposed.count = n;
		worker.event.u.proposed.term = term;
		worker.refused = (step(worker.batch) != RAFT_OK);
		if (worker.refused)
			pending_refused(n);
		else
		{
			pending_proposed(n, term);
			pacing_proposed(worker.now_ms, n, worker.update.append_last);
		}
	}
}

static void
ask_for_reads(void)
{
	uint64		id = pending_read_batch(worker.now_ms,
										worker.now_ms - Min(worker.now_ms, store_election_timeout));

	if (id == 0)
		return;
	new_event(RAFT_READ_REQUESTED)->u.read.id = id;
	worker.read_refused = (step(NULL) != RAFT_OK);
	if (worker.read_refused)
		pending_read_result(id, 0);
}

static bool
reads_are_due(void)
{
	return worker.update.leader != 0 && !worker.read_refused && pending_reads_are_due();
}

static void
promote_learner(void)
{
	LogEntry	entry;

	if (worker.promotable == 0 || worker.update.state != RAFT_LEADER)
		return;
	if (admin_promote(worker.promotable, new_event(RAFT_CONFIG_PROPOSED), &entry))
		step(&entry);
	worker.promotable = 0;
}

/* Every member understands more than the cluster uses. */
static void
raise_version(void)
{
	LogEntry	entry;

	if (worker.update.state == RAFT_LEADER &&
		versions_raise(worker.node_id, worker.now_ms, worker.options.election_timeout_ms,
					   new_event(RAFT_CONFIG_PROPOSED), &entry))
		step(&entry);
}

static void
tend_members(void)
{
	char	   *address;

	if (!worker.removed &&
		greeting_tend(&worker.node, &worker.update, worker.now_ms,
					  worker.options.election_timeout_ms, &address))
		member_moved(worker.node_id, address);
	greeting_close_links(worker.removed, worker.update.commit_index, worker.now_ms);
	admin_tend(&worker.update);
}

/*
 * A node whose state is not that of the others stops serving; it gives away the
 * leadership first, if it has it and somebody takes it.
 */
static void
compare_states(void)
{
	uint64		index = comparison_tend(worker.update.state == RAFT_LEADER,
										worker.applied_index, worker.now_ms);

	if (index == 0 || worker.removed)
		return;
	if (worker.diverged_ms == 0)
	{
		recovery_note_divergence(index);
		worker.diverged_ms = worker.now_ms;
	}
	if (worker.update.state != RAFT_LEADER ||
		worker.now_ms - worker.diverged_ms > 2 * worker.options.election_timeout_ms)
		proc_exit(1);
	new_event(RAFT_TRANSFER_REQUESTED)->u.peer.peer = 0;
	(void) step(NULL);
}

/* ------------------------------------------------------------------------
 * What others may know
 * ------------------------------------------------------------------------
 */

static void
publish(void)
{
	static NodeStatus status;
	const char *leader = roster_name(worker.update.leader);
	Member	   *self = membership_find(roster_current(), worker.node_id);

	if (leader[0] != '\0')
		strlcpy(worker.last_leader, leader, sizeof(worker.last_leader));

	status.cluster_id = worker.origin.cluster_id;
	status.node_id = worker.node_id;
	if (self != NULL)
		strlcpy(status.name, self->name, sizeof(status.name));
	else
		strlcpy(status.name, settings_node_name(), sizeof(status.name));
	status.state = worker.update.state;
	status.learner = (self != NULL && self->role == RAFT_LEARNER);
	status.leader = worker.update.leader;
	status.removed = worker.removed;
	if (worker.removed)
	{
		status.state = RAFT_DETACHED;
		status.leader = 0;
	}
	else if (worker.update.state == RAFT_DETACHED && self == NULL)
	{
		/* catching up, in a past that did not know it yet */
		status.state = RAFT_FOLLOWER;
		status.learner = true;
	}
	status.next_id = roster_index() <= worker.update.commit_index ?
		roster_current()->next_id : 0;
	status.term = worker.update.term;
	strlcpy(status.last_leader, worker.last_leader, sizeof(status.last_leader));
	status.first_index = raft_first_index(&worker.node);
	link_report_members(&worker.node, worker.transport, worker.node_id, &status);
	versions_report(worker.node_id, &status);
	disk_space_report(worker.node_id, &status);
	status_publish(&status);
	link_report_problems(worker.transport, worker.update.leader, worker.node_id,
						 worker.removed, worker.now_ms);

	worker.published_ms = worker.now_ms;
	worker.state_changed = false;
}

/*
 * The committed membership, for the copies that this node sends.
 */
static void
publish_membership(void)
{
	uint64		index = raft_committed_config(&worker.node)->index;
	const Membership *membership = roster_at(index);

	if ((worker.membership_known && index == worker.membership_index) || membership == NULL)
		return;
	snapshot_publish_membership(index, membership);
	status_set_version(membership->version);
	worker.membership_index = index;
	worker.membership_known = true;
}

/*
 * Progress is published every turn; the rest when it changed, or now and then,
 * and before the progress: whoever is told that a change of the membership is
 * committed must find it in the status.
 */
static void
publish_progress(void)
{
	uint64		committed = turn_committed();

	if (worker.state_changed || worker.now_ms - worker.published_ms >= PUBLISH_MS)
		publish();
	publish_membership();
	pg_atomic_write_u64(&progress->last_index, turn_written());
	if (committed > pg_atomic_read_u64(&progress->commit_index))
		pg_atomic_write_u64(&progress->commit_index, committed);
	else if (pacing_apply_deadline() == 0)
		return;
	if (pacing_wakes_apply(worker.now_ms, worker.update.state == RAFT_LEADER))
		status_wake(WORKER_APPLY);
}

/* ------------------------------------------------------------------------
 * The loop
 * ------------------------------------------------------------------------
 */

/* A leader with a slow disk hands over. */
static void
watch_disk(void)
{
	if (!slow_disk_noticed(turn_write_ms(), worker.now_ms, worker.options.election_timeout_ms,
						   worker.update.state == RAFT_LEADER))
		return;
	new_event(RAFT_TRANSFER_REQUESTED)->u.peer.peer = 0;
	if (step(NULL) == RAFT_OK)
		ereport(LOG,
				(errmsg("handing leadership over, because this node's disk is slow"),
				 errdetail("The last %d writes to the log each took longer than half of store.election_timeout, the last one " UINT64_FORMAT " ms.",
						   SLOW_DISK_WRITES, turn_write_ms())));
}

/* So does one that is short of disk space. */
static void
watch_space(void)
{
	raft_id		successor = disk_space_tend(&worker.node, &worker.update, worker.node_id,
											worker.now_ms, &worker.options, &worker.origin.disk);

	if (successor == 0)
		return;
	new_event(RAFT_TRANSFER_REQUESTED)->u.peer.peer = successor;
	step(NULL);
}

/*
 * Carry out what the turn gathered.  The core's answer to what became durable
 * may be more duties, such as an acknowledgement.
 */
static void
flush_turn(void)
{
	raft_index	index;
	raft_term	term;

	while (turn_flush(&worker.node, &index, &term))
	{
		new_event(RAFT_DURABLE);
		worker.event.u.position.index = index;
		worker.event.u.position.term = term;
		step(NULL);
		watch_disk();
	}
}

/*
 * Empty log segments.  All of the log is kept for as long as there is room in
 * the rotation, and on the disk, for members that join or come back.
 */
static void
compact_log(void)
{
	uint64		base_term;
	uint64		base_index;

	if (worker.now_ms - worker.compacted_ms < COMPACT_MS)
		return;
	worker.compacted_ms = worker.now_ms;
	if (!log_tables_is_crowded() && !disk_space_is_low())
		return;

	worker_begin("emptying log segments");
	base_index = log_tables_compact(compaction_limit(&worker.node, worker.applied_index),
									&base_term);
	worker_commit();
	if (base_index != 0)
	{
		new_event(RAFT_COMPACTED);
		worker.event.u.position.index = base_index;
		worker.event.u.position.term = base_term;
		step(NULL);
	}
}

/*
 * The snapshot worker has a copy, and asks for the log in order to replace
 * both.  Nothing is under way here that is not on disk.  If it succeeds, a new
 * epoch begins and this process ends; if not, it goes on where it was.
 */
static void
lend_log(void)
{
	uint64		index;
	uint64		term;

	if (snapshot_loan(&index, &term) != SNAPSHOT_LOAN_ASKED)
		return;
	snapshot_answer_loan(worker.update.state != RAFT_LEADER &&
						 raft_wants_snapshot(&worker.node, index, term));
	status_wake(WORKER_SNAPSHOT);
	await_log();
}

static void
sleep_until_due(void)
{
	uint64		now = monotonic_ms();
	uint64		due = raft_deadline(&worker.node);
	uint64		other;
	uint32		n_wanted = 0;

	other = greeting_deadline(&worker.update, worker.options.election_timeout_ms);
	if (worker.removed)
		due = now + REMOVED_NAP_MS;
	else if (other != 0)
		due = Min(due, other);
	if (worker.more_records || writes_are_due(now) || reads_are_due())
		due = now;
	other = pending_read_deadline(store_election_timeout);
	if (other != 0)
		due = Min(due, other);
	other = pacing_apply_deadline();
	if (other != 0)
		due = Min(due, other);
	other = blocker_watch(now, turn_committed() > worker.applied_index,
						  worker.applied_index);
	if (other != 0)
		due = Min(due, other);

	if (worker.update.state == RAFT_LEADER)
	{
		other = pacing_deadline(now);
		if (other != 0)
			due = Min(due, other);
		n_wanted = due > now ? pacing_wants(now) : 0;
	}
	inbox_doze(n_wanted, pending_reads_under_way());
	transport_wait(worker.transport, due > now ? (long) (due - now) : 0);
}

static struct raft_options
timing(void)
{
	return (struct raft_options) {
		.heartbeat_interval_ms = store_heartbeat_interval,
		.election_timeout_ms = Max(store_election_timeout, 3 * store_heartbeat_interval),
		.leader_lease = store_leader_lease
	};
}

static void
follow_settings(void)
{
	struct raft_options options = timing();

	if (options.heartbeat_interval_ms != worker.options.heartbeat_interval_ms ||
		options.election_timeout_ms != worker.options.election_timeout_ms ||
		options.leader_lease != worker.options.leader_lease)
	{
		worker.options = options;
		raft_set_options(&worker.node, &options);
		recorder_cut();
	}
	recorder_tend(&worker.node);
}

static void
one_turn(void)
{
	ResetLatch(MyLatch);
	inbox_doze(0, false);
	worker.refused = false;
	worker.read_refused = false;
	worker_check();
	worker.now_ms = monotonic_ms();
	follow_settings();

	notice_links();
	receive_records();
	notice_applied();
	notice_removal();
	notice_time();

	if (worker.update.state == RAFT_LEADER)
	{
		retention_propose(worker.now_ms, worker.update.term);
		propose_writes();
	}
	else if (worker.update.leader != 0)
		forwarding_send(worker.transport, &worker.origin, worker.node_id, worker.update.leader,
						worker.update.term, worker.now_ms, worker.batch);
	if (worker.update.leader != 0)
		ask_for_reads();
	promote_learner();
	raise_version();
	watch_space();
	tend_members();
	compare_states();

	flush_turn();
	publish_progress();
	compact_log();
	lend_log();
	sleep_until_due();
	MemoryContextReset(worker.turn_context);
}

static void
open_node(void)
{
	RaftLogContents *contents = palloc0(sizeof(RaftLogContents));
	MemoryContext oldcontext = CurrentMemoryContext;
	uint64		applied_index;
	const char *problem;

	await_log();
	worker_begin("opening the log");
	MemoryContextSwitchTo(oldcontext);
	log_tables_open(contents);
	applied_index = machine_open().index;
	worker.removed = recovery_was_removed(&contents->state);
	problem = recovery_begin_start(&contents->state);
	pg_atomic_write_u32(&progress->divergence, recovery_has_diverged() ?
						DIVERGENCE_FOUND : DIVERGENCE_NONE);
	worker_commit();
	if (problem != NULL)
	{
		pg_atomic_write_u64(&progress->commit_index, applied_index);
		recovery_run_detached(problem);
	}

	worker.origin.cluster_id = contents->state.cluster_id;
	worker.origin.start = contents->state.start;
	worker.origin.understands = COMMAND_VERSION;
	worker.node_id = contents->state.node_id;
	worker.transport = transport_create();
	worker.options = timing();
	turn_restore(&worker.node, contents, applied_index, &worker.options);
	roster_init(contents, worker.transport);
	turn_init(contents->last_index);
	pending_init(contents->state.term);
	outbox_init(worker.transport, &worker.origin);
	greeting_init(worker.transport, &worker.origin, worker.node_id);
	comparison_init(worker.transport, &worker.origin, worker.node_id);
	inbox_begin();

	worker.applied_index = applied_index;
	worker.update.term = contents->state.term;
	worker.update.commit_index = applied_index;
	worker.update.state = RAFT_FOLLOWER;
	worker.state_changed = true;
	pg_atomic_write_u64(&progress->commit_index, applied_index);
	ereport(LOG,
			(errmsg("store member %s is running: term " UINT64_FORMAT ", log up to " UINT64_FORMAT ", applied up to " UINT64_FORMAT,
					settings_node_name(), contents->state.term,
					contents->last_index, applied_index)));
}

static void
stopped(int code, Datum arg)
{
	status_set_stopped();
}

void
store_raft_main(Datum arg)
{
	worker_start(WORKER_RAFT, "local");
	before_shmem_exit(stopped, (Datum) 0);

	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "store raft worker",
												ALLOCSET_DEFAULT_SIZES));
	open_node();
	worker.turn_context = AllocSetContextCreate(CurrentMemoryContext, "store raft turn",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(worker.turn_context);
	for (;;)
		one_turn();
}
