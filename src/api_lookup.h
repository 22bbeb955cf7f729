/*-------------------------------------------------------------------------
 *
 * api_lookup.h
 *	  One resource by its key, without a query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_LOOKUP_H
#define STORE_API_LOOKUP_H

#include "store.h"

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

#endif							/* STORE_API_LOOKUP_H */
