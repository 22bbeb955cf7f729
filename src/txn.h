/*-------------------------------------------------------------------------
 *
 * txn.h
 *	  What a transaction does: compares, a branch, many changes at one index.
 *
 * Pure: no I/O, no clock, no setting.  What is stored comes in by a function.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TXN_H
#define STORE_TXN_H

#include "store.h"
#include "command.h"
#include "rules.h"

/*
 * Bytes of the objects that one transaction may read and write, together; part
 * of the rules, so they change with COMMAND_VERSION.
 */
#define TXN_MAX_STATE	(32 * 1024 * 1024)

/* One operation of the branch taken, as if it were a command of its own. */
typedef struct TxnChange
{
	Command		command;
	int32		ordinal;		/* among the operations, from 0 */
	bool		existed;
	StoredObject before;		/* if it existed, as the operations before
								 * this one have left it */
	Outcome		outcome;
} TxnChange;

/*
 * What is stored under a key, false if nothing is.  The object is palloc'd, or
 * NULL if only the rest is asked for: a condition looks at the stamps alone, and
 * there may be a thousand of them on one large object.
 */
typedef bool (*TxnLookup) (const ResourceKey *key, bool with_object, StoredObject *stored);

/*
 * Decide all of a transaction.  Returns the changes to make, in order, none of
 * which is refused; their event may be EVENT_NONE.  *outcome is that of the
 * transaction, without event; if it is refused, there are no changes.
 */
extern TxnChange *txn_apply(const Command *txn, int64 index, const pg_uuid_t *cluster_id,
							TxnLookup lookup, Outcome *outcome, int *n_changes);

#endif							/* STORE_TXN_H */
