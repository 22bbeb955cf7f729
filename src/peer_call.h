/*-------------------------------------------------------------------------
 *
 * peer_call.h
 *	  Ask another member something and wait for the answer.
 *
 * For SQL functions in ordinary backends (joining a cluster, finding out
 * whether an address works).  The workers must not wait: they use transport.h.
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
 * Whether a session can be had with this connection string: NULL, or why not
 * (palloc'd).  Cancel and shortage of resources here are still ERRORs.
 */
extern char *peer_problem(const char *conninfo, int timeout_ms);

#endif							/* STORE_PEER_CALL_H */
