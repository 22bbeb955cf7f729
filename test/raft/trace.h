/*-------------------------------------------------------------------------
 *
 * trace.h
 *	  The group a golden trace is about, shared by the files of raft_trace.
 *
 *		trace.c				the script: commands, and what they should print
 *		trace_cluster.c		the members, their disks, and the ways between them
 *		trace_text.c		how all that is told
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef TRACE_H
#define TRACE_H

#include "raft.h"

#define MAX_NODES		9
#define MAX_LOG			4096
#define MAX_QUEUE		512
#define MAX_OUTPUT		65536
#define ELECTION_MS		1000
#define HEARTBEAT_MS	100

struct entry
{
	raft_term	term;
	bool		is_config;
	struct raft_config config;
};

/* What a disk holds, or what is to be written to it. */
struct disk
{
	raft_term	term;
	raft_id		vote;
	raft_index	base;
	raft_term	base_term;
	struct raft_config_entry base_config;
	raft_index	last;
	raft_index	applied;
	struct entry log[MAX_LOG];
};

struct node
{
	bool		exists;
	bool		up;
	bool		held;			/* the disk keeps writing */
	struct raft raft;
	struct disk written;		/* what the member asked for */
	struct disk durable;		/* what a crash leaves */
	enum raft_state state;		/* as last printed */
	raft_id		leader;
	uint32_t	n_waiting;		/* messages that wait for the flush */
	struct raft_message waiting[MAX_QUEUE];
};

struct packet
{
	struct raft_event event;
	struct entry *entries;
};

struct way
{
	uint32_t	count;
	struct packet packets[MAX_QUEUE];
};

#define U(x) ((unsigned long long) (x))

extern struct node nodes[MAX_NODES + 1];
extern struct way ways[MAX_NODES + 1][MAX_NODES + 1];
extern bool is_cut[MAX_NODES + 1][MAX_NODES + 1];
extern uint64_t now_ms;

/* What the command under way printed. */
extern char output[MAX_OUTPUT];
extern size_t output_length;

extern const char *const state_names[];
extern const char *const status_names[];

/* trace.c: end the program, for the script or the core makes no sense. */
extern void fail(const char *what);

/* trace_text.c; the texts last until the next call */
extern void say(const char *format,...) __attribute__((format(printf, 1, 2)));
extern void forget_output(void);
extern const char *config_text(const struct raft_config *config);
extern const char *range_text(const struct disk *disk, raft_index first,
							  raft_index last);
extern void say_message(const struct raft_message *m, const struct disk *from);

/* trace_cluster.c */
extern void boot(struct node *node, raft_id id);
extern void step(struct node *node, struct raft_event *event,
				 const struct entry *entries);
extern void flush(struct node *node);
extern void apply(struct node *node);
extern void deliver_one(raft_id from, raft_id to);
extern void deliver_all(void);
extern void repeat_oldest(struct way *way);
extern void forget_way(raft_id from, raft_id to);
extern void forget_messages(raft_id id);

#endif							/* TRACE_H */
