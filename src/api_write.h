/*-------------------------------------------------------------------------
 *
 * api_write.h
 *	  What the functions that write share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_WRITE_H
#define STORE_API_WRITE_H

#include "store.h"
#include "command.h"
#include "fmgr.h"
#include "request.h"

/* The jsonb argument, not null, not larger than store.max_object_size. */
extern Jsonb *api_body_argument(FunctionCallInfo fcinfo, int argno, const char *name);

extern Reason api_reason_argument(FunctionCallInfo fcinfo, int argno);

/* Who writes, and through which subresource; both may be null. */
extern void api_manager_arguments(FunctionCallInfo fcinfo, int manager, int subresource,
								  Command *command);

/* False if there is no patch type of this name. */
extern bool api_patch_type(const char *name, PatchType *type);

/*
 * The version of commands that the cluster uses; waits until this node knows
 * it.  ERROR RS503 if that takes too long.
 */
extern uint8 api_version(void);

/* ERROR if the command says what its version cannot. */
extern void api_check_version(const Command *command);

/*
 * Stamp the command with time and request, and with the version unless it has
 * one, send it, and wait until it
 * is applied here.  A refusal is raised as an ERROR.
 */
extern void api_submit(Command *command, Answer *answer);

/* The same; returns store.result, as the calling SQL function does. */
extern Datum api_perform(FunctionCallInfo fcinfo, Command *command);

#endif							/* STORE_API_WRITE_H */
