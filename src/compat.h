/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  PostgreSQL 15 to 18 from one source.
 *
 * The code is written for the newest version; what an older one lacks is
 * made here out of what it has.  Each shim says which version made it
 * necessary, so that it can go when that version is the oldest supported.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_COMPAT_H
#define STORE_COMPAT_H

#include "postgres.h"

/* Since 16, postgres.h leaves this to those who look into a varlena. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Before the macros that take their functions' names. */
#include "access/genam.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "storage/lock.h"

/*
 * Since 16, an update tells apart whether all indexes need a new entry, none,
 * or just the summarizing ones (BRIN), which a HOT update leaves behind.
 */
#if PG_VERSION_NUM >= 160000
#define UPDATE_ONLY_SUMMARIZING(update_indexes) \
	((update_indexes) == TU_Summarizing)
#else
typedef bool TU_UpdateIndexes;

#define TU_None			false
#define UPDATE_ONLY_SUMMARIZING(update_indexes)	false
#define ExecInsertIndexTuples(info, slot, estate, update, no_error, conflict, \
							  arbiters, only_summarizing) \
	((void) (only_summarizing), \
	 ExecInsertIndexTuples(info, slot, estate, update, no_error, conflict, \
						   arbiters))
#endif

/* Since 16, the lists in shared memory are like the others. */
#if PG_VERSION_NUM >= 160000
#define shared_list_is_empty(list) dlist_is_empty(list)
#else
#define shared_list_is_empty(list) SHMQueueEmpty(list)
#endif

/* Since 18, an index scan can count what it does, for EXPLAIN. */
#if PG_VERSION_NUM < 180000
#define index_beginscan(heap, index, snapshot, instrument, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, nkeys, norderbys)
#endif

/* Since 17, one can ask for a stronger lock, too. */
#if PG_VERSION_NUM < 170000
#define LockHeldByMe(tag, mode, or_stronger) \
	((void) (or_stronger), LockHeldByMe(tag, mode))
#endif

/* Since 16, the name says that it is the place and not the number of a backend. */
#if PG_VERSION_NUM >= 160000
#define store_local_beentry(place) pgstat_get_local_beentry_by_index(place)
#else
#define store_local_beentry(place) pgstat_fetch_stat_local_beentry(place)
#endif

/* Since 17, a process knows its place among all without asking its PGPROC. */
#if PG_VERSION_NUM < 170000
#define MyProcNumber	(MyProc->pgprocno)
#endif

/* Since 16, one function knows the owners of all kinds of objects. */
#if PG_VERSION_NUM >= 160000
#define store_owns_database(database, role) \
	object_ownercheck(DatabaseRelationId, database, role)
#else
#define store_owns_database(database, role) pg_database_ownercheck(database, role)
#endif

/*
 * Since 16, PG_FUNCTION_INFO_V1 exports the function, not just its record; we
 * compile with hidden visibility, so that nothing else leaves the library.
 */
#define STORE_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

#endif							/* STORE_COMPAT_H */
