/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  Keeps everybody but the workers from writing the store's tables.
 *
 * A row changed on one member alone would make it another store.  The triggers
 * always fire, so they stop superusers and sessions in replica mode too.  There
 * is one for statements, TRUNCATE among them, and one for rows, because the
 * apply worker of a subscription fires only those.  Our own workers write below
 * the executor, where no trigger fires, or are let through here.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "store.h"

#include "commands/extension.h"
#include "commands/trigger.h"
#include "compat.h"
#include "fmgr.h"
#include "utils/rel.h"
#include "worker.h"

STORE_FUNCTION(store_guard);

Datum
store_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const char *table;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("store.guard() was not called as a trigger")));
	if (worker_is_me() || creating_extension)
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
							   trigger->tg_newtuple : trigger->tg_trigtuple);

	table = RelationGetRelationName(trigger->tg_relation);
	if (strncmp(table, "raft_", strlen("raft_")) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot change table \"store.%s\" directly", table),
				 errdetail("It is this member's part in the consensus, and what it promised to the others."),
				 errhint("It belongs to the store's workers.")));
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot change table \"store.%s\" directly", table),
			 errdetail("Its rows are the same on every member, so only the replicated state machine writes them."),
			 strncmp(table, "events", strlen("events")) == 0 ?
			 errhint("Events are written by store.put() and its kin; their history is kept by itself.") :
			 errhint("Use store.create(), store.put(), store.update(), store.patch() or store.delete().")));
}
