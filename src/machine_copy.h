/*-------------------------------------------------------------------------
 *
 * machine_copy.h
 *	  A copy of the state machine, as it comes in and takes the tables' place.
 *
 * What arrives is gathered in staging tables first.  They are unlogged: after
 * a crash they are empty, and the copy is fetched again.  When all of it is
 * there, one transaction replaces the rows of the tables by those of the copy.
 * It deletes and inserts, and does not TRUNCATE: so sessions go on reading the
 * old state until it commits, whatever snapshot they hold, and then the new
 * one; and a crash leaves no files that belong to nobody.
 *
 * All functions run inside a transaction of the caller.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_MACHINE_COPY_H
#define STORE_MACHINE_COPY_H

#include "store.h"
#include "commands/copy.h"
#include "machine.h"

typedef enum MachinePart
{
	MACHINE_RESOURCES,
	MACHINE_EVENTS
} MachinePart;

/* The query whose rows, in COPY's binary format, are this part; for the sender. */
extern const char *machine_copy_query(MachinePart part);

/* Empty the staging tables. */
extern void machine_copy_clear(void);

/*
 * Fill one of them from COPY data in binary format that the callback delivers.
 * Returns the number of rows.
 */
extern uint64 machine_copy_load(MachinePart part, copy_data_source_cb source);

/*
 * Keep everybody else from writing, until the end of the transaction.  Waits
 * for the apply worker to finish what it is at.
 */
extern void machine_copy_lock(void);

/*
 * Replace the rows of the tables and the applied position.  Malformed rows are
 * an ERROR, and so are resources that do not add up to the digest: a member
 * whose tables are damaged must not pass that on.
 */
extern void machine_copy_install(const MachinePosition *position);

#endif							/* STORE_MACHINE_COPY_H */
