/*-------------------------------------------------------------------------
 *
 * list_items.h
 *	  The items of a list that is a set or a map.
 *
 * An item has an identity: of a set it is its value, of a map it is the values
 * of some of its fields.  It is written as managedFields does, v:"a" or
 * k:{"name":"a"}, with the fields in ascending order, so that equal items have
 * equal bytes.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_LIST_ITEMS_H
#define STORE_LIST_ITEMS_H

#include "store.h"
#include "utils/jsonb.h"

#define LIST_MAX_KEYS 8

typedef enum ListKind
{
	LIST_ATOMIC,				/* a value: items are nobody's business */
	LIST_SET,
	LIST_MAP
} ListKind;

/* How items are told apart; names are in ascending order. */
typedef struct ListKeys
{
	ListKind	kind;
	int			n;				/* of LIST_MAP; 1 <= n <= LIST_MAX_KEYS */
	JsonbValue	names[LIST_MAX_KEYS];
	JsonbValue	defaults[LIST_MAX_KEYS];	/* jbvNull: there is none */
} ListKeys;

/*
 * The identity of an item, palloc'd.  False if it has none: of a set because it
 * is no scalar, of a map because a field is missing.
 */
extern bool item_identity(const ListKeys *keys, const JsonbValue *item, JsonbValue *identity);

/* Is this one of the fields that tell items apart? */
extern bool is_list_key(const ListKeys *keys, const JsonbValue *name);

/* Items by identity. */
typedef struct ListIndexEntry
{
	JsonbValue	identity;
	int			position;
} ListIndexEntry;

typedef struct ListIndex
{
	int			n_items;		/* of the list */
	JsonbValue *items;			/* in their order */
	JsonbValue *identities;		/* of each; jbvNull if it has none */
	int			n_entries;		/* <= n_items: those with an identity */
	ListIndexEntry *entries;	/* ascending by identity, then position */
} ListIndex;

/* The items may be open or in binary form. */
extern void list_index(ListIndex *index, const ListKeys *keys, const JsonbValue *array);

/* Where the first item of this identity is, -1 if there is none. */
extern int	list_find(const ListIndex *index, const JsonbValue *identity);

#endif							/* STORE_LIST_ITEMS_H */
