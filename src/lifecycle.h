/*-------------------------------------------------------------------------
 *
 * lifecycle.h
 *	  CREATE EXTENSION and DROP EXTENSION, as the workers see them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_LIFECYCLE_H
#define STORE_LIFECYCLE_H

/* Install the hooks (_PG_init). */
extern void lifecycle_init(void);

/*
 * When the current transaction commits, start a new epoch: every worker looks
 * at its tables anew.
 */
extern void lifecycle_new_epoch_at_commit(void);

#endif							/* STORE_LIFECYCLE_H */
