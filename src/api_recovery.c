/*-------------------------------------------------------------------------
 *
 * api_recovery.c
 *	  What an operator says when a member cannot go on by itself.
 *
 * The raft worker does it (recovery.c); here are the questions, and the
 * warnings.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api.h"

#include "clock.h"
#include "compat.h"
#include "inbox.h"
#include "miscadmin.h"
#include "request.h"
#include "status.h"
#include "storage/latch.h"
#include "utils/uuid.h"
#include "utils/wait_event.h"

STORE_FUNCTION(store_keep_identity);
STORE_FUNCTION(store_restore_as_new_cluster);
STORE_FUNCTION(store_recover_without_quorum);

/* How often a session looks whether the workers have started anew. */
#define LOOK_MS		50

static uint64
decide(RecoverVerb verb, const pg_uuid_t *cluster_id)
{
	RecoverRequest request;
	RequestId	id;
	Answer		answer;

	memset(&request, 0, sizeof(request));
	request.verb = verb;
	if (cluster_id != NULL)
		request.cluster_id = *cluster_id;
	request_begin(&id);
	request_call(INBOX_RECOVER, &id, (char *) &request, sizeof(request), &answer);
	return answer.index;
}

/*
 * The decision is made and stays, so running out of time is no error.
 */
static void
wait_until_attached(void)
{
	NodeStatus *node = palloc0(sizeof(NodeStatus));
	uint64		deadline = monotonic_ms() + store_request_timeout;

	for (;;)
	{
		status_read(node);
		if (node->running && !node->detached)
			return;
		if (monotonic_ms() >= deadline)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	ereport(NOTICE,
			(errmsg("the store is still starting"),
			 errhint("See store.status.")));
}

Datum
store_keep_identity(PG_FUNCTION_ARGS)
{
	api_check_write("store.keep_identity()");
	(void) decide(RECOVER_KEEP_IDENTITY, NULL);
	ereport(WARNING,
			(errmsg("this node goes on under its identity"),
			 errdetail("If another copy of it runs, or if this one is not the newest, what was acknowledged may be lost.")));
	wait_until_attached();
	PG_RETURN_VOID();
}

static Datum
new_cluster(RecoverVerb verb, const pg_uuid_t *cluster_id)
{
	uint64		index = decide(verb, cluster_id);

	ereport(WARNING,
			(errmsg("this node is a cluster of its own now"),
			 errdetail("Writes that its former cluster acknowledged and that had not reached this node are not in it."),
			 errhint("Former members must not serve clients any more. They can join this cluster once their extension is dropped and created anew.")));
	wait_until_attached();
	PG_RETURN_INT64((int64) index);
}

Datum
store_restore_as_new_cluster(PG_FUNCTION_ARGS)
{
	api_check_write("store.restore_as_new_cluster()");
	return new_cluster(RECOVER_AS_NEW_CLUSTER, NULL);
}

Datum
store_recover_without_quorum(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"cluster_id\" must not be null"),
				 errhint("Pass cluster_id of store.status: it says which cluster is given up.")));
	api_check_write("store.recover_without_quorum()");
	return new_cluster(RECOVER_WITHOUT_QUORUM, PG_GETARG_UUID_P(0));
}
