/*-------------------------------------------------------------------------
 *
 * api_history.c
 *	  store.compact()
 *
 * The floor of the history moves by a command in the log like any change, so
 * every member answers alike what can be read and what is gone.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"
#include "api_write.h"

#include "compat.h"
#include "status.h"

STORE_FUNCTION(store_compact);

Datum
store_compact(PG_FUNCTION_ARGS)
{
	Command		command = {
		.op = COMMAND_COMPACT,
		.key = {.api_group = "", .version = "", .kind = "", .name = ""}
	};
	Answer		answer;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"resource_version\" must not be null")));
	command.revision = PG_GETARG_INT64(0);
	if (command.revision < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"resource_version\" must not be negative")));
	api_check_write("store.compact()");

	api_submit(&command, &answer);

	/* The apply worker publishes it before it answers. */
	PG_RETURN_INT64((int64) pg_atomic_read_u64(&progress->floor));
}
