/*-------------------------------------------------------------------------
 *
 * managed_fields.h
 *	  Who owns which fields: metadata.managedFields, opened.
 *
 * There is one entry for each manager, way of writing (Apply, Update) and
 * subresource.  Of those who update, only the MANAGERS_MAX newest are told
 * apart; what older ones own goes to MANAGER_OF_OLD.  So what is kept is bounded
 * by the object and not by its history.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_MANAGED_FIELDS_H
#define STORE_MANAGED_FIELDS_H

#include "store.h"
#include "field_set.h"
#include "utils/jsonb.h"

/* Part of the rules, so they change with COMMAND_VERSION. */
#define MANAGERS_MAX	10
#define MANAGER_OF_OLD	"ancient-changes"

typedef struct Manager
{
	JsonbValue	name;
	JsonbValue	subresource;	/* jbvNull: none */
	JsonbValue	time;			/* jbvNull: none */
	bool		applies;		/* or updates */
	FieldSet   *fields;
} Manager;

typedef struct Managers
{
	int			n;
	Manager    *entries;
} Managers;

/* managedFields of some metadata, or nothing if it is absent or malformed. */
extern void managers_decode(const JsonbValue *managed_fields, Managers *managers);

/* The entry of a manager, NULL if there is none. */
extern Manager *managers_find(const Managers *managers, const char *name,
							  const char *subresource, bool applies);

/* The same, but made if need be, without fields and time. */
extern Manager *managers_add(Managers *managers, const char *name,
							 const char *subresource, bool applies);

/* Drop those who own nothing, put the others in order, and bound them. */
extern void managers_finish(Managers *managers);

/* As managedFields of an object; NULL if there is nobody. */
extern JsonbValue *managers_encode(const Managers *managers, const char *api_version);

#endif							/* STORE_MANAGED_FIELDS_H */
