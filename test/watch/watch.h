/*-------------------------------------------------------------------------
 *
 * watch.h
 *	  The checker of watches: who writes, who watches, who disturbs, who judges.
 *
 * A client program that knows of the product what any client knows: SQL and
 * NOTIFY.  Writers change twenty keys; a hundred watchers, half of them by
 * store.watch() and half by LISTEN, keep what they were told; a nemesis kills,
 * stops and restarts the nodes below them.  When all is quiet again, the judge
 * reads store.events once and works out, by filters of its own, what every
 * single answer had to be.
 *
 *	main.c		arguments, threads, the report
 *	filter.c	keys, filters, and what they select
 *	writers.c	put, patch, delete, txn, ttl
 *	watchers.c	watching by store.watch()
 *	listeners.c	watching by LISTEN, gaps closed by store.watch()
 *	nemesis.c	faults
 *	judge.c		what should have been delivered
 *	doctor.c	streams with a flaw put in, which the judge must find
 *
 * What it stands on is in test/lib.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_WATCH_CHECK_H
#define STORE_WATCH_CHECK_H

#include "../lib/check.h"

#define N_KEYS			20
#define N_WRITERS		6
#define N_WATCHERS		50		/* by store.watch() */
#define N_LISTENERS		50

/* How far the run has got; main.c. */
typedef struct Progress
{
	_Atomic int64_t start;		/* applied when the first writer began */
	_Atomic int64_t newest;		/* the newest acknowledged write */
	_Atomic int64_t final;		/* where watchers may stop; 0: not known yet */
} Progress;

extern Progress progress;

/* ------------------------------------------------------------------------
 * filter.c: keys and what a watcher asks for
 * ------------------------------------------------------------------------
 */
typedef struct Key
{
	const char *group;
	const char *version;
	const char *api_version;
	const char *kind;
	const char *namespace;		/* "" for none */
	char		name[8];
} Key;

extern Key	keys[N_KEYS];		/* in key order */

extern void keys_define(void);
/* The number of a key, -1 if it is none of ours. */
extern int	key_find(const char *group, const char *version, const char *kind,
					 const char *namespace, const char *name);

/* What selectors look at, as small numbers, 0 for absent. */
typedef enum Trait
{
	TRAIT_APP,					/* label */
	TRAIT_TIER,					/* label */
	TRAIT_ZONE,					/* spec.zone */
	N_TRAITS,
	TRAIT_NAME = N_TRAITS,		/* of the key */
	TRAIT_NAMESPACE				/* of the key */
} Trait;

typedef struct Traits
{
	uint8_t		value[N_TRAITS];
} Traits;

#define N_VALUES 3				/* of each trait, beside "absent" */

extern const char *const trait_values[N_TRAITS][N_VALUES];
extern uint8_t trait_number(Trait trait, const char *value);

typedef enum TermOp
{
	TERM_IN,
	TERM_NOT_IN,
	TERM_EXISTS,
	TERM_ABSENT
} TermOp;

typedef struct Term
{
	Trait		trait;
	TermOp		op;
	uint32_t	values;			/* bit n: value n */
} Term;

typedef struct Filter
{
	const char *kind;			/* NULL: all */
	const char *api_version;	/* NULL: all */
	const char *namespace;		/* NULL: all */
	int			n_terms;
	Term		terms[4];
	char		label_selector[200];	/* "": none */
	char		field_selector[200];
} Filter;

extern void filter_draw(Filter *filter, Random *random);
extern bool filter_has_key(const Filter *filter, int key);
extern bool filter_selects(const Filter *filter, int key, const Traits *traits);

/* ------------------------------------------------------------------------
 * What watchers were told
 * ------------------------------------------------------------------------
 */
typedef struct Row
{
	int64_t		index;
	uint64_t	object;			/* hash of its text; 0: left out */
	int16_t		key;
	char		type;			/* first letter */
} Row;

/* One answer: what was told to be all there is in (since, bookmark]. */
typedef struct Batch
{
	int64_t		since;
	int64_t		bookmark;
	int			first;			/* of the stream's rows */
	int			count;
	int			limit;			/* asked for; 0: none */
	bool		heard;			/* by NOTIFY */
} Batch;

typedef struct Stream
{
	char		name[32];
	Filter		filter;
	Row		   *rows;
	int			n_rows;
	int			rows_room;
	Batch	   *batches;
	int			n_batches;
	int			batches_room;
} Stream;

extern uint64_t hash_text(const char *text);
extern Batch *stream_open_batch(Stream *stream, int64_t since, int limit);
extern void stream_add_row(Stream *stream, Row row);
/* Take the newest batch back. */
extern void stream_drop_batch(Stream *stream);

/* ------------------------------------------------------------------------
 * writers.c
 * ------------------------------------------------------------------------
 */
typedef enum WriteKind
{
	WRITE_PUT,
	WRITE_PATCH,
	WRITE_DELETE,
	WRITE_TXN,
	WRITE_TTL,
	N_WRITE_KINDS
} WriteKind;

extern const char *const write_names[N_WRITE_KINDS];

/* An acknowledged write that changed something. */
typedef struct Ack
{
	int64_t		index;
	int			key;			/* -1: a transaction, of any keys */
	int			changes;		/* at least */
} Ack;

typedef struct Writer
{
	int			number;
	Ack		   *acks;
	int			n_acks;
	int			acks_room;
	int			by_kind[N_WRITE_KINDS]; /* acknowledged */
	int			unchanged;		/* acknowledged, without an event */
	int			refused;
	int			unknown;		/* no answer, or RS500 */
	int			unavailable;	/* RS503 */
	int			connects;
} Writer;

extern void *writer_main(void *writer);
/* Change something in every namespace of every kind, in one transaction. */
extern int64_t write_everywhere(Client *client, Random *random);

/* ------------------------------------------------------------------------
 * watchers.c, listeners.c
 * ------------------------------------------------------------------------
 */
typedef struct Watcher
{
	int			number;
	Stream		stream;
	Client		client;
	Random		random;
	int64_t		last;			/* complete up to here */
	int			limit;
	int			timeout_ms;		/* of store.watch() */
	int			patience_ms;	/* beyond that, before it moves on */
	int			notifications;
	int			repairs;		/* gaps closed within a connection */
	int			resumes;		/* gaps that a lost connection left */
	int			behind;			/* RS504: the next node had not got so far */
} Watcher;

extern void *watcher_main(void *watcher);
extern void *listener_main(void *watcher);
/* Draw filter, limit and patience; wait; choose where to begin. */
extern bool watcher_begin(Watcher *watcher, bool listens);
/*
 * Ask once for what comes after watcher->last and keep the answer.  False: no
 * answer, and the connection is lost or should be given up.
 */
extern bool watcher_ask(Watcher *watcher, int timeout_ms);
/* Has it seen everything up to progress.final?  Or is it too late to go on? */
extern bool watcher_is_done(Watcher *watcher);

/* ------------------------------------------------------------------------
 * nemesis.c
 * ------------------------------------------------------------------------
 */
typedef enum Fault
{
	FAULT_KILL,					/* SIGKILL of a postmaster, and a later start */
	FAULT_KILL_LEADER,
	FAULT_STOP,					/* SIGSTOP of all processes of a node */
	FAULT_RESTART,				/* pg_ctl restart -m fast */
	FAULT_LEADERSHIP,			/* the leader's raft worker stopped, or a transfer */
	FAULT_CRASH,				/* SIGKILL of a worker: all sessions end */
	FAULT_NOTIFY,				/* the notify worker ended; sessions stay */
	N_FAULTS
} Fault;

extern const char *const fault_names[N_FAULTS];
extern int	fault_counts[N_FAULTS];

extern void *nemesis_main(void *unused);

/* ------------------------------------------------------------------------
 * judge.c, doctor.c
 * ------------------------------------------------------------------------
 */
typedef struct Event
{
	int64_t		index;
	int			ordinal;
	int			key;
	char		type;
	bool		existed;
	Traits		before;
	Traits		after;
	uint64_t	object;			/* hash of the object's text */
	uint64_t	previous;		/* of the object before, 0 if none */
	uint64_t	left;			/* of the object before, with the new version */
	size_t		size;			/* of the object's text */
} Event;

typedef struct History
{
	Event	   *events;
	int			count;
	int			room;
} History;

extern bool history_read(History *history, Client *client);
/* Does the history itself hang together, and are acknowledged writes in it? */
extern void judge_history(const History *history);
extern void judge_acks(const History *history, const Writer *writer);
/*
 * The first flaw of a stream as text in "flaw", or false if it has none.
 * Counts the rows that were right in *deliveries.
 */
extern bool judge_stream(const History *history, const Stream *stream, long *deliveries,
						 char *flaw, size_t size);
/* The number of flaws put into copies of the streams that the judge found. */
extern int	doctor_streams(const History *history, const Stream *const *streams, int count,
						   int *tried);

#endif							/* STORE_WATCH_CHECK_H */
