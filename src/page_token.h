/*-------------------------------------------------------------------------
 *
 * page_token.h
 *	  The token with which a list goes on after a page.
 *
 * It says at which index the list is pinned and after which key the next page
 * begins; it belongs to one query of one cluster, and carries a digest with a
 * key that is derived from the cluster, so that no member has to remember it
 * and every member can tell whether it was made by one of them.  The digest
 * keeps mistakes out, not enemies: whoever may list may list from anywhere.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_PAGE_TOKEN_H
#define STORE_PAGE_TOKEN_H

#include "store.h"
#include "utils/uuid.h"

/* What a token belongs to.  NULL where an argument was not given. */
typedef struct PageQuery
{
	const char *api_version;
	const char *kind;
	const char *namespace;
	const char *label_selector;
	const char *field_selector;
} PageQuery;

typedef struct PageToken
{
	uint64		index;			/* 0: the newest state, whatever it is then */
	int64		remaining;		/* items after this page; -1: not known */
	const char *namespace;		/* of the last key; NULL: cluster-scoped */
	const char *name;
} PageToken;

/* Base64url, palloc'd. */
extern char *page_token_encode(const PageToken *token, const PageQuery *query,
							   const pg_uuid_t *cluster_id);

/*
 * Returns NULL and fills in the token, with palloc'd strings; or says what is
 * wrong, as a sentence (static text).
 */
extern const char *page_token_decode(const char *text, const PageQuery *query,
									 const pg_uuid_t *cluster_id, PageToken *token);

#endif							/* STORE_PAGE_TOKEN_H */
