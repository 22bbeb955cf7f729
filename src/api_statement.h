/*-------------------------------------------------------------------------
 *
 * api_statement.h
 *	  Waiting in the middle of a statement without holding up the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_STATEMENT_H
#define STORE_API_STATEMENT_H

#include "store.h"
#include "executor/execdesc.h"
#include "nodes/execnodes.h"
#include "utils/resowner.h"

/* A statement whose snapshot was given back; query is NULL if it was not. */
typedef struct StatementPause
{
	QueryDesc  *query;
	ResourceOwner owner;
} StatementPause;

/*
 * Give the snapshot of the running statement back before a set-returning
 * function waits, and take a new one afterwards.  Where the statement needs its
 * snapshot for more than this function, it is kept: see there.  After an ERROR
 * in between there is nothing to do.
 */
extern void statement_pause(const ReturnSetInfo *result, StatementPause *pause);
extern void statement_resume(StatementPause *pause);

/*
 * Between these two, locks and all else that queries take belong to an owner of
 * their own and are released at the end, not with the transaction.
 */
typedef struct StatementScope
{
	ResourceOwner owner;
	ResourceOwner outer;
} StatementScope;

extern void statement_enter(StatementScope *scope);
extern void statement_leave(StatementScope *scope);

#endif							/* STORE_API_STATEMENT_H */
