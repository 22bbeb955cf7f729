/*-------------------------------------------------------------------------
 *
 * check.h
 *	  What programs that check a running cluster have in common.
 *
 * Such a program is a client like any other: threads that ask the nodes by
 * libpq, and others that disturb the nodes meanwhile.
 *
 *	check.c		time, phases, memory, threads, violations
 *	random.c	draws, all from one seed
 *	client.c	a connection with deadlines that moves from node to node
 *	servers.c	processes of the nodes: find, signal, start
 *
 * Every thread draws from its own sequence, so a seed gives the same choices
 * again; how they fall in time is up to the machine.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_NODES		7

/* ------------------------------------------------------------------------
 * random.c
 * ------------------------------------------------------------------------
 */
typedef struct Random
{
	uint64_t	state;
} Random;

extern void random_seed(Random *random, uint64_t seed, uint64_t sequence);
extern uint64_t random_next(Random *random);
/* from "low" to "high", both included */
extern int	random_int(Random *random, int low, int high);
extern bool random_one_in(Random *random, int n);

/* ------------------------------------------------------------------------
 * check.c
 * ------------------------------------------------------------------------
 */
typedef enum Phase
{
	PHASE_TROUBLE,				/* clients work, the nemesis is at work */
	PHASE_QUIET,				/* no more faults, writers stop */
	PHASE_DRAIN,				/* watchers go on up to the end */
	PHASE_OVER					/* too late for those who have not arrived */
} Phase;

typedef struct Node
{
	char	   *folder;			/* data directory */
	char	   *conninfo;
} Node;

typedef struct Check
{
	uint64_t	seed;
	int			seconds;		/* of trouble */
	int			rate;			/* operations a second, of all clients together */
	const char *bindir;			/* for pg_ctl; NULL: search PATH */
	int			n_nodes;
	Node		nodes[MAX_NODES];
	_Atomic int phase;
	_Atomic int violations;
} Check;

extern Check check;

/* Before anything else here. */
extern void check_init(void);
/* FOLDER=CONNINFO; false if it is not, or there is no room for one more. */
extern bool check_add_node(char *argument);

extern int64_t now_ms(void);	/* monotonic */
extern int64_t now_us(void);
/* Wait, but not beyond the end of the phase.  False: it ended. */
extern bool wait_in_phase(Phase phase, int ms);
extern void enter_phase(Phase phase);
/* Something that must not be; printed at once, and counted. */
extern void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern void *allocate(size_t size);
/* Make room for one more in an array that doubles. */
extern void *grow(void *array, int count, int *room, size_t size);
extern pthread_t start_thread(void *(*run) (void *), void *what);

/* ------------------------------------------------------------------------
 * client.c
 * ------------------------------------------------------------------------
 */
typedef struct Client
{
	PGconn	   *conn;			/* NULL: not connected */
	int			node;
	int			connects;		/* so far */
	char		name[32];		/* application_name, for messages */
} Client;

/* How a query ended. */
typedef enum Ending
{
	ENDED_WELL,
	ENDED_REFUSED,				/* SQLSTATE in Answer; the connection is fine */
	ENDED_LOST					/* no answer: the connection is closed */
} Ending;

typedef struct Answer
{
	Ending		ending;
	char		sqlstate[6];
	char		message[200];
	PGresult   *result;			/* if it ended well; the caller clears it */
} Answer;

/* Connect to a node, two seconds at most.  False: it cannot be reached. */
extern bool client_connect(Client *client, int node);
/* Connect to any node, first the one it has; false if the phase ended. */
extern bool client_reach(Client *client, Random *random, Phase until);
extern void client_close(Client *client);
extern Answer client_query(Client *client, int timeout_ms, const char *sql,
						   int n_params, const char *const *params);
/* Wait for anything from the server, at most so long.  False: connection lost. */
extern bool client_listen(Client *client, int timeout_ms);
/* Errors that a client must be ready for while nodes come and go. */
extern bool is_outage(const char *sqlstate);
/*
 * The number that a query gives on a node, 0 if there is none: client_ask() on
 * this connection, at most so long; ask() on one of its own, two seconds at
 * most; insist() again and again up to a limit.
 */
extern int64_t client_ask(Client *client, int node, int timeout_ms, const char *sql);
extern int64_t ask(int node, const char *sql);
extern int64_t insist(Client *client, int node, int limit_ms, const char *sql);

/* ------------------------------------------------------------------------
 * servers.c
 * ------------------------------------------------------------------------
 */
#define MAX_PROCESSES	400

/* 0: it does not run, as far as its folder says. */
extern pid_t server_pid(int node);
/* The same, of one that answers: a number from a file may be anybody's by now. */
extern pid_t server_running_pid(int node);
/* The postmaster first, then its children. */
extern int	server_processes(pid_t postmaster, pid_t *found);
/* "start", "restart", "stop" with mode "fast" or "immediate"; waits for it. */
extern bool server_control(int node, const char *command, const char *mode);
/* Start it, again and again; a violation if it does not in two minutes. */
extern void server_start(int node);
/* The node that says it leads, -1 if none does; leader_changes counts. */
extern int	find_leader(void);
extern int	leader_changes;
/* A worker's process, by its type: "raft", "apply", "notify"; 0: none. */
extern pid_t worker_pid(int node, const char *type);

#endif							/* STORE_CHECK_H */
