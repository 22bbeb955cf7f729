/*-------------------------------------------------------------------------
 *
 * history.h
 *	  What happened, as a file of lines, and what the judge makes of it.
 *
 * A word is anything without a blank.  Times are microseconds of one monotonic
 * clock.  "#" begins a comment.
 *
 *	H SEED KEYS NODES START
 *		the keys are k0, k1, ...; none was there at index START
 *	W CLIENT SESSION NODE BEGIN END VERB OUTCOME SQLSTATE INDEX PART...
 *		a write.  VERB: put, create, delete, txn.  OUTCOME:
 *			ok		done at INDEX
 *			noop	nothing to do, or nothing to change
 *			else	the compares of a transaction did not hold at INDEX
 *			refused certainly not done
 *			unknown
 *		PART: ?k3=120 (if at version 120), ?k3+ (if there), ?k3- (if not there),
 *			+k3=4-17 (put the 17th value of client 4), -k3 (delete)
 *	R CLIENT SESSION NODE BEGIN END VERB OUTCOME SQLSTATE INDEX SCOPE ITEM...
 *		a read.  VERB: get, list, plain (SQL after a barrier, which gave INDEX),
 *		local, page (which says that it is of INDEX), lpage (the same of a session
 *		that reads locally), past (of INDEX, which was asked for).
 *		SCOPE: a key, or * for all.  ITEM: k3=4-17@120, or =DIGEST of all bytes
 *	V WATCHER NODE SINCE BOOKMARK EVENT...
 *		an answer to a watcher.  EVENT: A120.0:k3=4-17; M for changed, D for
 *		deleted, with the last value; 0 is the ordinal
 *	F NODE FLOOR DIGEST
 *		at the end: where the history begins, and a digest of all bytes
 *	S NODE ITEM...			at the end: what is there
 *	E NODE EVENT...			at the end: the history above the floor
 *	N NEMESIS TURN NODE FAULT BEGIN END made|not
 *		of a nemesis; not for the judge
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TORTURE_HISTORY_H
#define STORE_TORTURE_HISTORY_H

#include "../lib/check.h"

#define MAX_KEYS		32
#define MAX_PARTS		8
#define DIGEST_SIZE		33

/* A value is written by one operation only. */
typedef struct Value
{
	int			client;
	int			serial;
} Value;

typedef enum Verb
{
	VERB_PUT, VERB_CREATE, VERB_DELETE, VERB_TXN,
	VERB_GET, VERB_LIST, VERB_PLAIN, VERB_LOCAL, VERB_PAGE, VERB_LPAGE, VERB_PAST,
	N_VERBS
} Verb;

typedef enum Outcome
{
	OUTCOME_OK, OUTCOME_NOOP, OUTCOME_ELSE, OUTCOME_REFUSED, OUTCOME_UNKNOWN,
	N_OUTCOMES
} Outcome;

extern const char *const verb_names[N_VERBS];
extern const char *const outcome_names[N_OUTCOMES];

typedef enum PartKind
{
	PART_IF_VERSION, PART_IF_THERE, PART_IF_ABSENT, PART_PUT, PART_DELETE
} PartKind;

typedef struct Part
{
	PartKind	kind;
	int			key;
	int64_t		version;		/* IF_VERSION */
	Value		value;			/* PUT */
} Part;

typedef struct Item
{
	int			key;
	Value		value;
	int64_t		version;
} Item;

typedef struct Operation
{
	int			line;			/* of the file, 0 while it is made */
	int			client;
	int			session;
	int			node;
	int64_t		begin_us;
	int64_t		end_us;
	Verb		verb;
	Outcome		outcome;
	char		sqlstate[6];
	int64_t		index;			/* 0: none */
	int			n_parts;
	Part		parts[MAX_PARTS];
	int			scope;			/* of a read; -1: all keys */
	int			n_items;
	Item	   *items;
	char		digest[DIGEST_SIZE];	/* empty: none */

	int64_t		low;			/* all acknowledged before it began is up to here */
	int			n_seen;			/* PUTs of it that are in the history */
	bool		explained;		/* an unknown deletion that was seen */
} Operation;

typedef struct Event
{
	int64_t		index;
	int			ordinal;
	char		type;
	int			key;
	Value		value;

	int			before;			/* position of the one before on this key, -1 */
	int			after;			/* and of the one after it */
} Event;

/* One answer to a watcher, or the history of a node at the end. */
typedef struct Stream
{
	int			line;
	int			watcher;		/* -1: a node's history */
	int			node;
	int64_t		since;
	int64_t		bookmark;
	int			n_events;
	Event	   *events;
} Stream;

typedef struct FinalState
{
	bool		there;			/* F line seen */
	int64_t		floor;
	char		digest[2 * DIGEST_SIZE];
	int			n_items;
	Item		items[MAX_KEYS];
} FinalState;

typedef struct History
{
	uint64_t	seed;
	int			n_keys;
	int			n_nodes;
	int64_t		start;

	Operation  *operations;		/* in the order in which they began */
	int			n_operations;
	int			operations_room;
	Stream	   *streams;
	int			n_streams;
	int			streams_room;
	FinalState	finals[MAX_NODES];

	Event	   *events;			/* what anybody saw, once, in order */
	int			n_events;
	int			events_room;
} History;

/* history.c: exits if the file is no history. */
extern void history_read(History *history, const char *path);
extern bool same_value(Value a, Value b);
/* The position of the first event above an index. */
extern int	history_above(const History *history, int64_t index);
/* What is stored under a key at an index: an event, NULL if nothing is. */
extern const Event *history_state(const History *history, int key, int64_t index);
/* The key's newest event up to an index, a deletion or not; -1 if there is none. */
extern int	history_newest(const History *history, int key, int64_t index);

/*
 * judge.c: print each violation by the name of its rule, and return how many
 * there were.
 */
extern int	judge(History *history);
/* One violation; of the whole history if line is 0. */
extern void blame(const char *rule, int line, const char *format, ...)
			__attribute__((format(printf, 3, 4)));

/* judge_reads.c */
extern void judge_reads(const History *history);

#endif							/* STORE_TORTURE_HISTORY_H */
