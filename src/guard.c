/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  Keeps everybody but the workers from writing the store's tables.
 *
 * A row changed on one member alone would make it another store.  The trigger
 * is a statement trigger that always fires, so it stops superusers and
 * sessions in replica mode too; the workers write below the executor, where
 * statement triggers do not fire, or are let through here.
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
		return PointerGetDatum(NULL);

	table = RelationGetRelationName(trigger->tg_relation);
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot change table \"store.%s\" directly", table),
			 errdetail("Its rows are the same on every member, so only the replicated state machine writes them."),
			 strcmp(table, "resources") == 0 ?
			 errhint("Use store.create(), store.put(), store.update(), store.patch() or store.delete().") :
			 strncmp(table, "events", strlen("events")) == 0 ?
			 errhint("Events are written by store.put() and its kin; their history is kept by itself.") :
			 errhint("This table belongs to the store's workers.")));
}
