/*-------------------------------------------------------------------------
 *
 * page_token.c
 *	  The token with which a list goes on after a page.
 *
 * As bytes: version, index, remaining, the digest of the query, whether the
 * last key has a namespace, namespace and name with a NUL each, and the keyed
 * digest of all that.  Numbers are in network byte order, so that members on
 * any machine read them alike.
 *
 * There is one text for a token: base64url without padding, the unused bits of
 * the last character 0.  So whoever changes a character changes the token.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "page_token.h"

#include "common/cryptohash.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "port/pg_bswap.h"

#define TOKEN_VERSION	1

/* Digests are cut to this: enough that no two are ever the same by chance. */
#define QUERY_DIGEST_SIZE	16
#define TOKEN_DIGEST_SIZE	16

/* Longest bytes of a token that are looked at; names are far shorter. */
#define MAX_TOKEN_SIZE	8192

typedef struct TokenHeader
{
	uint64		index;
	int64		remaining;
	uint8		query[QUERY_DIGEST_SIZE];
	uint8		version;
	uint8		has_namespace;
} TokenHeader;

#define HEADER_SIZE	(offsetof(TokenHeader, has_namespace) + 1)

static const char alphabet[] =
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/*----------
 * Text
 *----------
 */

static char *
to_text(const uint8 *bytes, int length)
{
	char	   *text = palloc(length * 4 / 3 + 4);
	char	   *p = text;
	uint32		bits = 0;
	int			n_bits = 0;

	for (int i = 0; i < length; i++)
	{
		bits = (bits << 8) | bytes[i];
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			*p++ = alphabet[(bits >> (n_bits - 6)) & 0x3F];
	}
	if (n_bits > 0)
		*p++ = alphabet[(bits << (6 - n_bits)) & 0x3F];
	*p = '\0';
	return text;
}

/* The number of bytes, or -1 if the text is not one we write. */
static int
from_text(const char *text, uint8 *bytes)
{
	uint32		bits = 0;
	int			n_bits = 0;
	int			length = 0;

	for (; *text != '\0'; text++)
	{
		const char *found = strchr(alphabet, *text);

		if (found == NULL || length == MAX_TOKEN_SIZE)
			return -1;
		bits = (bits << 6) | (uint32) (found - alphabet);
		n_bits += 6;
		if (n_bits >= 8)
		{
			n_bits -= 8;
			bytes[length++] = (bits >> n_bits) & 0xFF;
		}
	}
	if (n_bits >= 6 || (bits & ((1U << n_bits) - 1)) != 0)
		return -1;
	return length;
}

/*----------
 * Digests
 *----------
 */

static void
digest(const uint8 *bytes, int length, uint8 *result)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, bytes, length) < 0 ||
		pg_cryptohash_final(hash, result, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
	pg_cryptohash_free(hash);
}

static void
append_argument(StringInfo to, const char *argument)
{
	appendStringInfoChar(to, argument != NULL ? '1' : '0');
	appendBinaryStringInfo(to, argument ? argument : "", argument ? strlen(argument) + 1 : 1);
}

static void
digest_query(const PageQuery *query, uint8 *result)
{
	StringInfoData all;
	uint8		whole[PG_SHA256_DIGEST_LENGTH];

	initStringInfo(&all);
	append_argument(&all, query->api_version);
	append_argument(&all, query->kind);
	append_argument(&all, query->namespace);
	append_argument(&all, query->label_selector);
	append_argument(&all, query->field_selector);
	digest((uint8 *) all.data, all.len, whole);
	memcpy(result, whole, QUERY_DIGEST_SIZE);
	pfree(all.data);
}

/* The digest of a token, with a key that all members of the cluster share. */
static void
digest_token(const uint8 *bytes, int length, const pg_uuid_t *cluster_id, uint8 *result)
{
	static const char purpose[] = "store.list_page continue";
	uint8		seed[sizeof(purpose) + UUID_LEN];
	uint8		key[PG_SHA256_DIGEST_LENGTH];
	uint8		whole[PG_SHA256_DIGEST_LENGTH];
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);

	memcpy(seed, purpose, sizeof(purpose));
	memcpy(seed + sizeof(purpose), cluster_id->data, UUID_LEN);
	digest(seed, sizeof(seed), key);

	if (hmac == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (pg_hmac_init(hmac, key, sizeof(key)) < 0 ||
		pg_hmac_update(hmac, bytes, length) < 0 ||
		pg_hmac_final(hmac, whole, sizeof(whole)) < 0)
		elog(ERROR, "could not compute HMAC: %s", pg_hmac_error(hmac));
	pg_hmac_free(hmac);
	memcpy(result, whole, TOKEN_DIGEST_SIZE);
}

/*----------
 * Tokens
 *----------
 */

char *
page_token_encode(const PageToken *token, const PageQuery *query,
				  const pg_uuid_t *cluster_id)
{
	StringInfoData bytes;
	TokenHeader header;
	uint8		keyed[TOKEN_DIGEST_SIZE];
	const char *namespace = token->namespace ? token->namespace : "";
	char	   *text;

	memset(&header, 0, sizeof(header));
	header.version = TOKEN_VERSION;
	header.index = pg_hton64(token->index);
	header.remaining = (int64) pg_hton64((uint64) token->remaining);
	header.has_namespace = (token->namespace != NULL);
	digest_query(query, header.query);

	initStringInfo(&bytes);
	appendBinaryStringInfo(&bytes, (char *) &header, HEADER_SIZE);
	appendBinaryStringInfo(&bytes, namespace, strlen(namespace) + 1);
	appendBinaryStringInfo(&bytes, token->name, strlen(token->name) + 1);
	digest_token((uint8 *) bytes.data, bytes.len, cluster_id, keyed);
	appendBinaryStringInfo(&bytes, (char *) keyed, sizeof(keyed));

	text = to_text((uint8 *) bytes.data, bytes.len);
	pfree(bytes.data);
	return text;
}

const char *
page_token_decode(const char *text, const PageQuery *query,
				  const pg_uuid_t *cluster_id, PageToken *token)
{
	uint8	   *bytes = palloc(MAX_TOKEN_SIZE);
	int			length = from_text(text, bytes);
	TokenHeader header;
	uint8		keyed[TOKEN_DIGEST_SIZE];
	uint8		queried[QUERY_DIGEST_SIZE];
	const char *strings;

	/* two strings have two NULs at least */
	if (length < (int) (HEADER_SIZE + 2 + TOKEN_DIGEST_SIZE))
		return "It is no token of store.list_page(), or was cut short.";
	length -= TOKEN_DIGEST_SIZE;
	digest_token(bytes, length, cluster_id, keyed);
	if (memcmp(keyed, bytes + length, TOKEN_DIGEST_SIZE) != 0)
		return "It was not made by this cluster, or was changed.";

	/* From here on the bytes are ours. */
	memset(&header, 0, sizeof(header));
	memcpy(&header, bytes, HEADER_SIZE);
	if (header.version != TOKEN_VERSION)
		return "It is of another version of store.";
	digest_query(query, queried);
	if (memcmp(queried, header.query, QUERY_DIGEST_SIZE) != 0)
		return "It belongs to a list of another kind, namespace or selector.";

	strings = (const char *) bytes + HEADER_SIZE;
	token->index = pg_ntoh64(header.index);
	token->remaining = (int64) pg_ntoh64((uint64) header.remaining);
	token->namespace = header.has_namespace ? strings : NULL;
	token->name = strings + strlen(strings) + 1;
	return NULL;
}
