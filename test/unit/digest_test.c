/*-------------------------------------------------------------------------
 *
 * digest_test.c
 *	  What the digests by which members compare themselves promise.
 *
 *		they are those of every other release: known values;
 *		an input that differs in a bit, or in any word, has another digest;
 *		zeros at the end count, and so does every stamp of a resource;
 *		no two of many short inputs have the same.
 *
 * Usage: digest_test [seed].
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "common/pg_prng.h"
#include "digest.h"

#undef printf

#define MAX_LENGTH		300
#define N_CASES			2000
#define N_SHORT			200000

static int	n_passed = 0;
static int	n_failed = 0;
static pg_prng_state prng;

#define CHECK(condition) \
	do { \
		if (condition) \
			n_passed++; \
		else \
		{ \
			n_failed++; \
			printf("line %d: not true: %s\n", __LINE__, #condition); \
		} \
	} while (0)

/* They are in the tables of every member, so they never change. */
static void
test_known_values(void)
{
	CHECK(digest_bytes(0, "", 0) == UINT64CONST(0xd3d1c6a265851ead));
	CHECK(digest_bytes(1, "", 0) == UINT64CONST(0x61a691079af3dda0));
	CHECK(digest_bytes(0, "store", 5) == UINT64CONST(0x84e54858caffb1b9));
	CHECK(digest_bytes(7, "The quick brown fox jumps over the lazy dog.", 44) == UINT64CONST(0x841742e48a74f977));
}

static void
test_differences(void)
{
	char		bytes[MAX_LENGTH + 8] = {0};
	bool		all_differ = true;

	for (int n = 0; n < N_CASES; n++)
	{
		Size		length = 1 + pg_prng_uint64(&prng) % MAX_LENGTH;
		Size		place = pg_prng_uint64(&prng) % length;
		uint64		seed = pg_prng_uint64(&prng);
		uint64		digest;

		for (Size i = 0; i < length; i++)
			bytes[i] = (char) pg_prng_uint64(&prng);
		digest = digest_bytes(seed, bytes, length);

		bytes[place] ^= 1 << (pg_prng_uint64(&prng) % 8);
		all_differ &= digest_bytes(seed, bytes, length) != digest;
		all_differ &= digest_bytes(seed, bytes, length) !=
			digest_bytes(seed + 1, bytes, length);

		bytes[length] = '\0';
		all_differ &= digest_bytes(seed, bytes, length) !=
			digest_bytes(seed, bytes, length + 1);
	}
	CHECK(all_differ);
}

static int
compare(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return (x > y) - (x < y);
}

/* Numbers in a row, as indexes are. */
static void
test_collisions(void)
{
	static uint64 digests[N_SHORT];
	int			n_equal = 0;

	for (uint64 i = 0; i < N_SHORT; i++)
		digests[i] = digest_bytes(0, &i, sizeof(i));
	qsort(digests, N_SHORT, sizeof(uint64), compare);
	for (int i = 1; i < N_SHORT; i++)
		n_equal += (digests[i] == digests[i - 1]);
	CHECK(n_equal == 0);
}

static void
test_resource(void)
{
	static uint64 body[3];
	StoredObject stored = {
		.object = (Jsonb *) body,
		.create_revision = 5,
		.resource_version = 8,
		.generation = 2
	};
	uint64		digest;

	SET_VARSIZE(body, sizeof(body));
	digest = digest_resource(&stored);
	CHECK(digest_resource(&stored) == digest);

#define CHANGED(change, back) \
	do { \
		change; \
		CHECK(digest_resource(&stored) != digest); \
		back; \
		CHECK(digest_resource(&stored) == digest); \
	} while (0)

	CHANGED(stored.create_revision++, stored.create_revision--);
	CHANGED(stored.resource_version++, stored.resource_version--);
	CHANGED(stored.generation++, stored.generation--);
	CHANGED(stored.uid.data[9]++, stored.uid.data[9]--);
	CHANGED(body[2]++, body[2]--);
	CHANGED(SET_VARSIZE(body, sizeof(body) - 1), SET_VARSIZE(body, sizeof(body)));
	CHANGED(stored.expires = true, stored.expires = false);

	/* what does not expire has no time that counts */
	stored.expires_at = 77;
	CHECK(digest_resource(&stored) == digest);
	stored.expires = true;
	digest = digest_resource(&stored);
	CHANGED(stored.expires_at++, stored.expires_at--);
}

int
main(int argc, char **argv)
{
	uint64		seed = argc > 1 ? strtoul(argv[1], NULL, 10) : (uint64) time(NULL);

	printf("seed %llu\n", (unsigned long long) seed);
	pg_prng_seed(&prng, seed);
	test_known_values();
	test_differences();
	test_collisions();
	test_resource();
	printf("%d passed, %d failed\n", n_passed, n_failed);
	return n_failed > 0;
}
