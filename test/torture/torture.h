/*-------------------------------------------------------------------------
 *
 * torture.h
 *	  Clients on all nodes, a nemesis below them, and a judge afterwards.
 *
 *	main.c			arguments, phases, what is there at the end, the summary
 *	clients.c		writes and reads, each noted in the history
 *	watchers.c		store.watch(), noted in the history
 *	nemesis.c		which fault comes when
 *	faults.c		processes, members, disk, clock
 *	faults_sql.c	what users do to a server: locks, connections, compaction
 *	faults_net.c	the network, by the proxy
 *	history.c, judge.c, judge_reads.c
 *					a program of their own, too: torture judge FILE
 *	proxy.c			the network between the nodes, a program of its own
 *	shim.c			disk and clock of a server, preloaded into it
 *
 * What it stands on is in test/lib.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TORTURE_H
#define STORE_TORTURE_H

#include "history.h"

#define N_KEYS			8
#define N_CLIENTS		12
#define N_WATCHERS		3

typedef struct Torture
{
	const char *history_path;
	const char *control_path;	/* of the proxy; NULL: no faults of the network */
	bool		has_shim;		/* the servers have it */
	bool		patient;		/* clients wait for an answer, however long */
	const char *only;			/* faults to choose from, with commas; NULL: all */
	int64_t		start;			/* index when the first client began */
	_Atomic int64_t final;		/* watchers may stop there; 0: not known yet */
	_Atomic int64_t bookmarks[N_WATCHERS];
	long		outcomes[N_VERBS][N_OUTCOMES];	/* under the history's lock */
	long		doubts[N_VERBS];	/* unknown, and not because a session was lost */
} Torture;

extern Torture torture;

/* A line of the history, without its end. */
extern void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern void note_operation(const Operation *operation);

/*
 * A node that is made anew is nobody's to use: it is a cluster of its own for a
 * moment.  node_enter(): false if it is closed, or else node_leave() follows.
 * node_close() returns when nobody uses it any more.
 */
extern bool node_enter(int node);
extern void node_leave(int node);
extern void node_close(int node);
extern void node_open(int node);
/* A session number that no other session has. */
extern int	next_session(void);

extern void *client_main(void *number);
extern void *watcher_main(void *number);

/* ------------------------------------------------------------------------
 * Faults.  Each returns false if it could not be had; those that last do so for
 * some time drawn from "random", and are healed when they return.
 * ------------------------------------------------------------------------
 */
typedef bool (*FaultFunction) (int node, Random *random);

typedef struct Fault
{
	const char *name;
	FaultFunction make;
	int			nemesis;		/* which of the three draws it */
	int			count;			/* so far */
} Fault;

extern Fault faults[];
extern const int n_faults;

#define N_NEMESES		3

/* Chosen, if anybody chose, and to be had with these servers. */
extern bool fault_is_wanted(const Fault *fault);

extern void *nemesis_main(void *number);
/* Whether a fault's servers have to be left alone by the other nemeses. */
extern bool node_hold(int node);
extern void node_release(int node);

/* faults.c */
extern bool fault_kill(int node, Random *random);
extern bool fault_kill_leader(int node, Random *random);
extern bool fault_kill_all(int node, Random *random);
extern bool fault_stop(int node, Random *random);
extern bool fault_stop_all(int node, Random *random);
extern bool fault_stop_raft(int node, Random *random);
extern bool fault_stop_apply(int node, Random *random);
extern bool fault_crash_raft(int node, Random *random);
extern bool fault_crash_apply(int node, Random *random);
extern bool fault_end_raft(int node, Random *random);
extern bool fault_end_apply(int node, Random *random);
extern bool fault_restart(int node, Random *random);
extern bool fault_transfer(int node, Random *random);
extern bool fault_replace(int node, Random *random);
extern bool fault_slow_disk(int node, Random *random);
extern bool fault_broken_disk(int node, Random *random);
extern bool fault_full_disk(int node, Random *random);
extern bool fault_clock(int node, Random *random);
extern void shim_open(void);
extern void shim_heal(void);

/* faults_sql.c */
extern bool fault_lock(int node, Random *random);
extern bool fault_long_transaction(int node, Random *random);
extern bool fault_no_connections(int node, Random *random);
extern bool fault_end_links(int node, Random *random);
extern bool fault_compact(int node, Random *random);

/* faults_net.c */
extern void network_open(void);
extern void network_heal(void);
extern void network_stats(char *text, size_t size);
extern bool fault_isolate(int node, Random *random);
extern bool fault_isolate_leader(int node, Random *random);
extern bool fault_late_leader(int node, Random *random);
extern bool fault_deaf(int node, Random *random);
extern bool fault_mute(int node, Random *random);
extern bool fault_bridge(int node, Random *random);
extern bool fault_delay(int node, Random *random);
extern bool fault_loss(int node, Random *random);
extern bool fault_reorder(int node, Random *random);
extern bool fault_throttle(int node, Random *random);
extern bool fault_reset(int node, Random *random);

#endif							/* STORE_TORTURE_H */
