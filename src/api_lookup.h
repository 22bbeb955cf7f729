/*-------------------------------------------------------------------------
 *
 * api_lookup.h
 *	  One resource by its key, or all of a kind, without a query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_LOOKUP_H
#define STORE_API_LOOKUP_H

#include "store.h"
#include "access/tupdesc.h"
#include "utils/tuplestore.h"

typedef enum LookupResult
{
	LOOKUP_FOUND,
	LOOKUP_MISSING,
	LOOKUP_NOT_SIMPLE			/* only a query can tell */
} LookupResult;

/*
 * The object of the resource with this key, copied into the current memory
 * context, as a snapshot taken now has it.  The key's values are group,
 * version, kind, namespace, name; a NULL pointer is a namespace that is null.
 * What a query would do is left to it: row security, rights to some columns
 * only, an index that is not there; then nothing was read.
 */
extern LookupResult api_lookup(const Datum key[5], Datum *object);

/*
 * The same for all objects of a group, version and kind, and if namespaced is
 * set of a namespace, in the order of namespace and name: added to a store of
 * rows that have just the object.  False: only a query can tell.
 */
extern bool api_scan(const Datum *key, bool namespaced, Tuplestorestate *store,
					 TupleDesc desc);

#endif							/* STORE_API_LOOKUP_H */
