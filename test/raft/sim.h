/*-------------------------------------------------------------------------
 *
 * sim.h
 *	  A whole cluster in one process, with time, disks and network made up.
 *
 * The simulator is the proof of src/raft: it plays the shell around many
 * cores, draws every misfortune from one seed, and knows what no member can
 * know, which is the truth about all of them.  Its rooms:
 *
 *		sim.c			the seed, its options, the phases, the report
 *		sim_time.c		chance, the queue of things to come, failures, trace
 *		sim_log.c		entries, logs, and the registry of all entries ever made
 *		sim_net.c		links, cuts, and packets on their way
 *		sim_shell.c		one member's turn: gather, step, flush, send, apply
 *		sim_disk.c		what survives a crash; snapshots and compaction
 *		sim_duty.c		carrying out one update, with the contract's checks
 *		sim_twin.c		a member that is recorded, and replayed at once
 *		sim_check.c		what the contract says of one update
 *		sim_truth.c		what must hold of the cluster as a whole
 *		sim_load.c		clients, operators and misfortune
 *		sim_live.c		the liveness phase: what a healed majority owes
 *
 * Everything is one global, because there is one simulation at a time and a
 * failure leaves it by longjmp.  Nothing may depend on an address or on the
 * wall clock, or a failing seed would not replay.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_H
#define SIM_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft.h"

#define MAX_NODES			24		/* machines in one run; slot i has id i + 1 */
#define MAX_INDEX			(1u << 17)	/* entries in one log */
#define MAX_TERM			(1u << 14)
#define MAX_CONFIGS			4096	/* configurations ever proposed */
#define MAX_LOG_CONFIGS		1024	/* configurations in one log */
#define FENCE				UINT64_C(0x5afe5afe5afe5afe)
#define MAX_READS			1024	/* reads outstanding on one member */

/* How a run can end; also the exit code. */
enum sim_class
{
	SIM_PASSED = 0,
	SIM_USAGE = 1,
	SIM_SAFETY = 2,				/* the cluster did what it must never do */
	SIM_LIVENESS = 3,			/* it did not do in time what it owes */
	SIM_BROKEN = 4,				/* the core itself said so: RAFT_BROKEN */
	SIM_CONTRACT = 5,			/* an update broke the contract of raft.h */
	SIM_HARNESS = 6				/* the simulator is at fault */
};

enum entry_kind
{
	ENTRY_NOOP,
	ENTRY_COMMAND,
	ENTRY_CONFIG
};

/*
 * An entry.  The chain is a hash over everything up to it, so that two logs
 * are known to be equal up to an index by looking at that index alone.
 */
struct entry
{
	raft_term	term;
	uint64_t	value;
	uint64_t	chain;
	uint32_t	kind;
	uint32_t	config;			/* ENTRY_CONFIG: its place in sim.configs */
};

struct log_config
{
	raft_index	index;
	uint32_t	config;
};

/* A log, on disk or as the member sees it; e[] is addressed by index. */
struct log
{
	raft_index	base;
	raft_term	base_term;
	uint64_t	base_chain;
	uint32_t	base_config;
	raft_index	last;
	struct entry *e;
	uint32_t	n_configs;		/* among the entries, oldest first */
	struct log_config configs[MAX_LOG_CONFIGS];
};

/* A state machine: all that matters is which entries made it. */
struct machine
{
	raft_index	index;
	raft_term	term;
	uint64_t	chain;			/* of the log at index */
	uint64_t	hash;			/* of the commands applied */
	uint32_t	config;			/* in force at index */
};

enum packet_kind
{
	PACKET_RAFT,
	PACKET_FORWARD				/* a proposal on its way to the leader */
};

struct packet
{
	enum packet_kind kind;
	uint32_t	from;			/* slots */
	uint32_t	to;
	struct raft_message message;
	uint64_t	value;			/* FORWARD: the first command */
	uint32_t	count;
	struct entry *entries;		/* APPEND: what message.n_entries counts */
	uint32_t	room;
	uint32_t	next;			/* in the free list */
};

enum item_kind
{
	ITEM_PACKET,
	ITEM_PROPOSE,
	ITEM_READ,
	ITEM_CONFIG,
	ITEM_TRANSFER,
	ITEM_DURABLE,
	ITEM_APPLIED,
	ITEM_LINK_DOWN,
	ITEM_SNAPSHOT
};

/* Something a member will be told in one of its next turns. */
struct item
{
	enum item_kind kind;
	uint32_t	packet;
	uint64_t	a;
	uint64_t	b;
	bool		overtaken;		/* DURABLE: some of it was removed since */
	uint32_t	next;
};

enum op_kind
{
	OP_VOTE,
	OP_TRUNCATE,
	OP_APPEND
};

/* A durable write that is not yet durable. */
struct op
{
	enum op_kind kind;
	uint64_t	update;			/* ops of one update are atomic */
	raft_term	term;
	raft_id		vote;
	raft_index	first;
	uint32_t	count;
	uint32_t	at;				/* OP_APPEND: place in the buffer */
};

/* A growing array of slot or packet numbers. */
struct list
{
	uint32_t   *at;
	uint32_t	n;
	uint32_t	room;
};

struct pending_read
{
	uint64_t	id;
	raft_index	floor;			/* committed anywhere when it was asked for */
	uint64_t	asked_us;
};

struct node
{
	struct raft raft;
	uint64_t	fence;			/* nothing is written behind the core */
	uint32_t	slot;
	bool		exists;
	bool		up;
	bool		retired;		/* removed, and switched off for good */
	bool		healed;			/* liveness phase: owes and is owed */
	bool		muted;			/* its disk failed; it must say nothing more */
	uint32_t	life;			/* counts starts and crashes */

	/* What it is known to believe, as of its last update. */
	raft_term	term;
	raft_id		vote;
	enum raft_state state;
	raft_id		leader;
	raft_index	commit;
	raft_id		promotable;
	bool		was_leader;		/* when the step under way began */
	uint64_t	stepped_ms;		/* the time of its last step */

	/*
	 * A leader: how far it had committed at the newest mark and at the two
	 * before it.  Marks are at least an election timeout apart.
	 */
	uint64_t	marked_ms;
	raft_index	marks[3];
	uint32_t	config;			/* in force, in sim.configs */
	raft_index	config_index;
	bool		voter;			/* in the configuration in force */
	bool		voter_before;	/* in the one before it */

	/* Its log, and how far that equals the disk. */
	struct log	log;
	raft_index	synced;

	/* Its disk */
	struct log	disk;
	raft_term	disk_term;
	raft_id		disk_vote;
	struct machine disk_machine;
	struct op  *ops;
	uint32_t	n_ops;
	uint32_t	ops_room;
	struct entry *op_entries;
	uint32_t	n_op_entries;
	uint32_t	op_entries_room;
	bool		flushing;
	bool		fail_next_flush;
	bool		coup;			/* goes deaf when it hands over */
	bool		crash_next_flush;
	uint64_t	slow_until;

	struct machine machine;
	raft_index	told_applied;	/* what the core knows of it */
	bool		applying;
	bool		copying;		/* a snapshot is being pulled */
	struct machine copy;
	uint32_t	copy_from;		/* the slot it is pulled from */

	/* Its turn */
	uint32_t	inbox_head;		/* items; UINT32_MAX: none */
	uint32_t	inbox_tail;
	uint32_t	n_inbox;
	bool		turn_due;
	uint64_t	wake_at;
	uint64_t	paused_until;
	struct list before_flush;
	struct list after_flush;

	/* Its clock */
	uint64_t	rate;			/* 1024: exact; under leases, mostly as
								 * wrong as it may be */
	uint64_t	offset_ms;
	struct raft_options options;	/* its timing */

	/* What its raft worker tells its backends; see lease_read(). */
	uint64_t	lease_until;
	raft_index	lease_index;

	uint64_t	next_read;
	uint32_t	n_reads;
	struct pending_read reads[MAX_READS];

	/* Liveness phase */
	bool		wrote;
	bool		read;
};

enum event_kind
{
	EV_DELIVER,
	EV_TURN,
	EV_WAKE,
	EV_FLUSHED,
	EV_APPLY,
	EV_COPIED,
	EV_RESTART,
	EV_CLIENT,
	EV_OPERATOR,
	EV_FAULT,
	EV_HEAL,
	EV_DEAFEN,
	EV_EXAMINE					/* liveness phase: what is owed by now? */
};

struct event
{
	uint64_t	at;
	uint64_t	seq;
	enum event_kind kind;
	uint32_t	slot;
	uint64_t	arg;
};

/* What the seed decided. */
struct sim_options
{
	uint32_t	n_nodes;
	uint32_t	n_founders;		/* the others join */
	struct raft_options raft;
	uint64_t	safety_steps;

	/* in 1/1024 */
	uint32_t	loss;
	uint32_t	duplication;
	uint32_t	split;			/* APPENDs cut into chunks */
	uint32_t	straggler;		/* packets that take very long */
	bool		fifo;
	uint64_t	delay_min_us;
	uint64_t	delay_max_us;
	uint64_t	flush_min_us;
	uint64_t	flush_max_us;
	uint64_t	apply_max_us;
	uint64_t	gather_max_us;
	uint32_t	skew;			/* how far clocks may run apart, in 1/1024 */
	bool		torn;			/* a crash may cut an update's writes apart */
	bool		send_at_once;	/* not at the end of the turn */
	uint32_t	late_durable;	/* DURABLE queues behind other events */
	uint32_t	crash_in_flush;
	uint32_t	noise;			/* messages distorted into nonsense */

	uint64_t	client_gap_us;
	uint32_t	reads;			/* share of reads among requests */
	uint32_t	burst;			/* share of huge proposals */
	uint64_t	operator_gap_us;
	uint64_t	fault_gap_us;
	uint64_t	restart_gap_us;
	uint32_t	weights[10];		/* of the kinds of faults */
	uint32_t	compact_after;	/* entries; 0: never */
	bool		keep_needed;	/* compact no more than everybody has */
};

enum fault_kind
{
	FAULT_CRASH,
	FAULT_CRASH_ALL,
	FAULT_PAUSE,
	FAULT_SLOW_DISK,
	FAULT_DISK_FAILURE,
	FAULT_SPLIT,				/* symmetric partition */
	FAULT_ONE_WAY,
	FAULT_BRIDGE,
	FAULT_COUP,					/* a leader goes deaf as it hands over */
	FAULT_EXILE					/* a leader is cut off, and others start anew */
};

#define N_FAULTS 10

/* Added up over all seeds of a process. */
struct sim_stats
{
	uint64_t	seeds;
	uint64_t	failed;
	uint64_t	failed_class[8];
	uint64_t	events;
	uint64_t	entries;
	uint64_t	elections;
	uint64_t	faults[N_FAULTS];
	uint64_t	torn;
	uint64_t	lost;
	uint64_t	duplicated;
	uint64_t	split;
	uint64_t	proposals;
	uint64_t	refused;
	uint64_t	reads;
	uint64_t	reads_refused;
	uint64_t	reads_leased;
	uint64_t	config_changes;
	uint64_t	transfers;
	uint64_t	snapshots;
	uint64_t	compactions;
	uint64_t	worst_recovery;	/* in election timeouts */
};

/* One index of the registry: an entry that was made there, by term. */
struct registered
{
	raft_term	term;
	uint64_t	chain;
	uint32_t	next;
};

/* One index of the history that all members must share. */
struct committed
{
	uint64_t	chain;
	uint64_t	hash;
	raft_term	entry_term;
	raft_term	commit_term;	/* of the leader that first committed it */
};

struct sim
{
	uint64_t	seed;
	struct sim_options options;
	struct sim_stats stats;
	uint64_t	random[4];

	uint64_t	now_us;
	uint64_t	step;			/* the event number of reports */
	uint64_t	seq;
	struct event *heap;
	uint32_t	n_heap;
	uint32_t	heap_room;

	struct node nodes[MAX_NODES];
	uint32_t	n_nodes;		/* slots in use */

	struct packet *packets;
	uint32_t	n_packets;
	uint32_t	packets_room;
	uint32_t	free_packet;
	struct item *items;
	uint32_t	n_items;
	uint32_t	items_room;
	uint32_t	free_item;

	bool		cut[MAX_NODES][MAX_NODES];	/* from, to */
	uint64_t	fifo_at[MAX_NODES][MAX_NODES];
	uint64_t	cut_number;

	struct raft_config *configs;
	uint32_t	n_configs;

	/* The truth */
	uint32_t   *registry;		/* by index: head of a list */
	struct registered *registered;
	uint32_t	n_registered;
	uint32_t	registered_room;
	raft_index	highest_index;	/* ever made */
	struct committed *committed;
	raft_index	n_committed;
	raft_index	committed_config_index;
	uint32_t	committed_config;
	raft_index	highest_acked;	/* acknowledged to a client */
	raft_term	highest_term;
	uint8_t		leader_of[MAX_TERM];
	uint8_t		voted_for[MAX_NODES][MAX_TERM];
	uint8_t    *origin;			/* by command: slot + 1 */
	uint32_t   *origin_life;
	uint64_t	n_commands;

	/* Phases */
	bool		liveness;
	uint32_t	live_configs;	/* the first one proposed in this phase */
	uint32_t	stage;
	uint64_t	stage_began_us;
	uint64_t	liveness_began_us;
	raft_term	stable_term;
	raft_id		stable_leader;
	raft_id		heir;			/* leadership is asked to move to it */
	raft_id		mute_heir;
	raft_id		amnesiac;		/* its disk went back in time */
	bool		loss_noticed;
	raft_id		outcast;		/* cut off from the leader, but from nobody else */
	bool		quiet;			/* clients are silent */
	raft_id		guest;			/* joins, is promoted, and leaves again */
	bool		done;

	/* Reporting */
	bool		trace;
	uint64_t	trace_from;
	jmp_buf		failed;
	enum sim_class failure;
	char		failure_text[512];

	struct raft_update update;
};

extern struct sim sim;

/* sim_time.c */
extern void random_start(uint64_t seed);
extern uint64_t random_word(void);
extern uint64_t random_below(uint64_t n);
extern uint64_t random_between(uint64_t low, uint64_t high);
extern bool random_chance(uint32_t of_1024);
extern uint64_t random_gap(uint64_t mean);
extern void event_push(uint64_t at, enum event_kind kind, uint32_t slot, uint64_t arg);
extern bool event_pop(struct event *event);
extern void trace(const char *format,...) __attribute__((format(printf, 1, 2)));
extern void fail(enum sim_class class, const char *format,...)
			__attribute__((format(printf, 2, 3), noreturn));
extern void *grow(void *array, uint32_t *room, uint32_t needed, size_t size);
extern void list_add(struct list *list, uint32_t value);
extern const char *state_name(enum raft_state state);
extern const char *message_name(enum raft_message_type type);
extern const char *status_name(enum raft_status status);

/* sim_log.c */
extern void log_reset(struct log *log, raft_index base, raft_term term,
					  uint64_t chain, uint32_t config);
extern void log_append(struct log *log, const struct entry *entry);
extern void log_truncate(struct log *log, raft_index from);
extern void log_compact(struct log *log, raft_index index);
extern void log_copy(struct log *to, const struct log *from);
extern raft_term log_term(const struct log *log, raft_index index);
extern uint64_t log_chain(const struct log *log, raft_index index);
extern bool log_holds(const struct log *log, raft_index index, uint64_t chain);
extern uint32_t log_config_at(const struct log *log, raft_index index,
							  raft_index *config_index);
extern uint64_t entry_chain(uint64_t previous, raft_index index,
							const struct entry *entry);
extern void registry_reset(void);
extern void registry_check(raft_index index, const struct entry *entry, bool new);
extern void registry_forget(const struct log *log, raft_term term);
extern uint32_t config_add(const struct raft_config *config);
extern bool config_equal(const struct raft_config *a, const struct raft_config *b);
extern int	config_find(const struct raft_config *config, raft_id id);
extern uint32_t config_voters(const struct raft_config *config);

/* sim_net.c */
extern uint32_t packet_new(void);
extern void packet_free(uint32_t number);
extern void packet_entries(struct packet *packet, const struct entry *entries, uint32_t n);
extern void net_send(uint32_t number);
extern void net_deliver(uint32_t number);
extern void net_heal(void);
extern void net_split(void);
extern void net_one_way(void);
extern void net_bridge(void);
extern void net_deafen(uint32_t slot);
extern void net_exile(uint32_t slot);

/* sim_disk.c */
extern void disk_vote(struct node *node, raft_term term, raft_id vote);
extern void disk_truncate(struct node *node, raft_index from);
extern void disk_append(struct node *node, raft_index first, raft_index last);
extern void disk_flushed(struct node *node);
extern void disk_crashed(struct node *node);
extern void disk_compact(struct node *node);
extern void disk_start_copy(struct node *node, raft_id from);
extern void disk_install(struct node *node);
extern void disk_apply(struct node *node);
extern bool disk_forget(struct node *node);
extern void disk_restore(struct node *node);

/* sim_shell.c */
extern uint64_t node_clock(const struct node *node);
extern struct node *node_of(raft_id id);
extern struct node *node_new(uint32_t config);
extern struct item *inbox_add(struct node *node, enum item_kind kind);
extern void inbox_overtake(struct node *node, raft_index from);
extern void node_start(struct node *node);
extern void node_retime(struct node *node);
extern void node_crash(struct node *node);
extern void node_turn(struct node *node);
extern void node_wake(struct node *node);
extern void node_flushed(struct node *node);
extern void node_free_memory(struct node *node);
extern void node_schedule(struct node *node);

/* sim_duty.c */
extern void step_noise(struct node *node, const struct raft_event *original);
extern void node_step(struct node *node, struct raft_event *event,
					  const struct packet *packet, uint64_t value);

/* sim_twin.c */
extern void twin_start(const struct node *node);
extern void twin_step(const struct node *node, const struct raft_event *event,
					  const struct raft_update *update);

/* sim_check.c */
extern void check_hard_state(const struct node *node, const struct raft_event *event,
							 const struct raft_update *update);
extern void check_truncate(const struct node *node, const struct raft_event *event,
						   const struct raft_update *update);
extern void check_append(const struct node *node, const struct raft_event *event,
						 const struct raft_update *update);
extern void check_message(const struct node *node, const struct raft_event *event,
						  const struct raft_message *message);
extern void check_core(const struct node *node, const struct raft_update *update);
extern void check_config(struct node *node, bool announced);
extern void check_status(const struct node *node, const struct raft_event *event,
						 enum raft_status status);

/* sim_truth.c */
extern void check_leaving(const struct node *node, const struct raft_message *message);
extern void check_leader(const struct node *node, const struct raft_update *update);
extern void check_progress(const struct node *node);
extern void check_office(const struct node *node);
extern void check_abdication(const struct node *node, const struct raft_event *event,
							 raft_term term_before);
extern void check_commit(struct node *node, const struct raft_update *update);
extern void check_read(struct node *node, const struct raft_read_result *result);
extern void read_forget(struct node *node, uint64_t id);
extern void check_applied(const struct node *node);
extern void lease_publish(struct node *node);
extern bool lease_read(const struct node *node);

/* sim_load.c */
extern void load_start(void);
extern void load_client(void);
extern void load_operator(void);
extern void load_fault(void);
extern void load_curious(const struct node *leader);
extern void load_deafen(uint32_t slot, bool ask);
extern void load_write(struct node *node, uint32_t count);
extern void load_read(struct node *node);
extern struct node *some_leader(void);

/* sim_live.c */
extern void live_start(void);
extern void live_examine(void);
extern void live_promotable(void);

#endif							/* SIM_H */
