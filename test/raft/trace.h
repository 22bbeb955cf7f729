/*-------------------------------------------------------------------------
 *
 * trace.h
 *	  The group a golden trace is about, shared by the files of raft_trace.
 *
 *		trace.c				the script: commands, and what they should print
 *		trace_cluster.c		the members, their disks, and the ways between them
 *		trace_odd.c			what no honest disk, shell or member does
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
#define MAX_LOG			20000
#define MAX_CONFIGS		512
#define MAX_QUEUE		512
#define MAX_OUTPUT		65536
#define ELECTION_MS		1000
#define HEARTBEAT_MS	100

struct entry
{
	raft_term	term;
	const struct raft_config *config;	/* NULL: it carries none */
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
extern const char *const message_names[];

/* trace.c; fail() ends the program: the script or the core makes no sense */
extern void fail(const char *what);
extern struct raft_config parse_config(const char *text);
extern struct node *node_of(const char *text);
extern raft_id id_of(const struct node *node);
extern const char *option(char **words, int n_words, const char *name);
extern uint64_t number_option(char **words, int n_words, const char *name,
							  uint64_t otherwise);

/* trace_odd.c */
extern void bend(struct raft_restored *restored, struct raft_options *options,
				 char **words, int n_words);
extern bool run_odd(char **words, int n_words);

/* trace_text.c; the texts last until the next call */
extern void say(const char *format,...) __attribute__((format(printf, 1, 2)));
extern void forget_output(void);
extern const char *config_text(const struct raft_config *config);
extern const char *range_text(const struct disk *disk, raft_index first,
							  raft_index last);
extern void say_message(const struct raft_message *m, const struct disk *from);

/* trace_cluster.c */
extern void boot(struct node *node, raft_id id, char **words, int n_words);
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
