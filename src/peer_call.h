/*-------------------------------------------------------------------------
 *
 * peer_call.h
 *	  Ask another member something and wait for the answer.
 *
 * For SQL functions in ordinary backends (joining a cluster, finding out
 * whether an address works), and for the snapshot worker.  The raft worker must
 * not wait: it uses transport.h.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_PEER_CALL_H
#define STORE_PEER_CALL_H

#include "store.h"

typedef struct PeerRows
{
	int			n_rows;
	int			n_columns;
	char	  **values;			/* row by row; NULL for an SQL null */
} PeerRows;

#define PEER_VALUE(rows, row, column) \
	((rows)->values[(row) * (rows)->n_columns + (column)])

/*
 * Connect to a member, run one statement there, disconnect.  Parameters and
 * results are text, in the encoding of this database; a parameter may be
 * NULL.  The statement is given up on both sides after timeout_ms.
 *
 * Whatever goes wrong is an ERROR: an error of the statement with the SQLSTATE
 * and the words of the other side, everything else with
 * ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION or
 * ERRCODE_CONNECTION_FAILURE.  Can be canceled.  The result is in the current
 * memory context.
 */
extern PeerRows *peer_call(const char *conninfo, int timeout_ms,
						   const char *query,
						   int n_params, const char *const *params);

/*
 * The same for who can ask again: NULL, with the reason (palloc'd) in *problem,
 * if the peer could not be reached or could not answer now.
 */
extern PeerRows *peer_try(const char *conninfo, int timeout_ms,
						  const char *query,
						  int n_params, const char *const *params,
						  char **problem);

/*
 * A session of several statements.  Errors are as above, and do not close it;
 * one of peer_open() leaves nothing behind.  purpose names it to the
 * other side, settings are for the session there ("-c name=value").  No wait
 * for the other side may be longer than timeout_ms; how long all of it takes
 * is not limited.  In the current memory context.
 */
typedef struct PeerSession PeerSession;

extern PeerSession *peer_open(const char *conninfo, int timeout_ms,
							  const char *purpose, const char *settings);
extern PeerRows *peer_query(PeerSession *session, const char *query,
							int n_params, const char *const *params);

/*
 * The two halves of that, for who asks several members at once.  A NOTICE of the
 * other side is passed on, and is a sign of life: the wait begins anew.
 */
extern void peer_send(PeerSession *session, const char *query,
					  int n_params, const char *const *params);
extern PeerRows *peer_take(PeerSession *session);

/* Nothing is said to the other side but farewell. */
extern void peer_close(PeerSession *session);

/*
 * Start a COPY ... TO STDOUT; then read its data, message by message.  *data is
 * borrowed until the next call.  Returns its length, or -1 at the end, when
 * *n_rows is how many rows the other side says it has sent.
 */
extern void peer_copy_begin(PeerSession *session, const char *query);
extern int	peer_copy_read(PeerSession *session, const char **data, uint64 *n_rows);

/*
 * Whether a session can be had with this connection string: NULL, or why not
 * (palloc'd).  Cancel and shortage of resources here are still ERRORs.
 */
extern char *peer_problem(const char *conninfo, int timeout_ms);

#endif							/* STORE_PEER_CALL_H */
