/*-------------------------------------------------------------------------
 *
 * identity.h
 *	  Is this the server that the stored state of the member belongs to?
 *
 * A member's state must exist once.  The row in store.raft_state travels with
 * every copy of the data folder, with every base backup and to every standby,
 * so it says where it was at home when the member last ran:
 *
 *	system identifier	another one after pg_upgrade, or a logical copy
 *	timeline			another one after promotion of a standby, recovery to a
 *						point in time, and pg_rewind
 *	database			another OID in a database made from this one as template
 *	place				inode and birth time of global/pg_control: another one
 *						in a base backup, and wherever the folder was copied to,
 *						or copied back to
 *
 * The place is what a file cannot take along.  PostgreSQL writes pg_control in
 * place for the whole life of a cluster; moving the folder within its file
 * system, or attaching the file system elsewhere, leaves it alone; changes of
 * owner or mode do, too.  Copying makes a new file.  What it does not notice is
 * a disk that went back as a whole (a snapshot of the volume or of the machine)
 * and a copy written over the files in place: that is for the other members to
 * notice (starts.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_IDENTITY_H
#define STORE_IDENTITY_H

#include "store.h"
#include "log_tables.h"

/* What this server is.  ERROR during recovery, or if pg_control is gone. */
extern void identity_here(ServerIdentity *here);

/*
 * NULL if the stored identity is that of this server; else what differs
 * (palloc'd), to follow "this node is detached: ".
 */
extern char *identity_difference(const ServerIdentity *stored);

/*
 * The number for the start after this one: counted in the upper bits, and with
 * a random part below, so that two nodes that start from the same state differ.
 */
extern uint64 identity_next_start(uint64 start);

#endif							/* STORE_IDENTITY_H */
