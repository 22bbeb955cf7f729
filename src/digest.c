/*-------------------------------------------------------------------------
 *
 * digest.c
 *	  64-bit digests, by which members compare what they have.
 *
 * Four lanes take the words in turn, because the multiplications of one lane
 * wait for each other.  Each step, and the way in which the lanes come together,
 * can be undone if all but one of its inputs are known: so one word that differs
 * makes a difference to the end.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "digest.h"

/* Odd, with about as many ones as zeros, and no pattern. */
#define FACTOR_STEP	UINT64CONST(0xd1b54a32d192ed03)
#define FACTOR_JOIN	UINT64CONST(0x9fb21c651e98df25)
#define LANE_APART	UINT64CONST(0xa0761d6478bd642f)

static inline uint64
rotate(uint64 value, int n)
{
	return (value << n) | (value >> (64 - n));
}

static inline uint64
step(uint64 lane, uint64 word)
{
	return rotate(lane ^ word, 29) * FACTOR_STEP;
}

/* Every bit of the result depends on every bit that goes in. */
static inline uint64
join(uint64 value, uint64 lane)
{
	value ^= lane;
	value ^= value >> 32;
	value *= FACTOR_JOIN;
	value ^= value >> 29;
	value *= FACTOR_STEP;
	value ^= value >> 32;
	return value;
}

typedef struct Lanes
{
	uint64		a;
	uint64		b;
	uint64		c;
	uint64		d;
} Lanes;

/* A round takes a word for each lane.  (No loop: gcc -O2 would leave it one.) */
static inline void
take(Lanes *lanes, const uint64 *words)
{
	lanes->a = step(lanes->a, words[0]);
	lanes->b = step(lanes->b, words[1]);
	lanes->c = step(lanes->c, words[2]);
	lanes->d = step(lanes->d, words[3]);
}

uint64
digest_bytes(uint64 seed, const void *data, Size length)
{
	const char *position = data;
	Size		left = length;
	uint64		words[4];
	Lanes		lanes = {
		seed, seed + LANE_APART, seed + 2 * LANE_APART, seed + 3 * LANE_APART
	};

	for (; left >= sizeof(words); left -= sizeof(words), position += sizeof(words))
	{
		memcpy(words, position, sizeof(words));
		take(&lanes, words);
	}
	if (left > 0)
	{
		/* zeros after the end are told from zeros at the end by the length */
		memset(words, 0, sizeof(words));
		memcpy(words, position, left);
		take(&lanes, words);
	}

	seed = join(seed, length);
	seed = join(seed, lanes.a);
	seed = join(seed, lanes.b);
	seed = join(seed, lanes.c);
	return join(seed, lanes.d);
}

StaticAssertDecl(UUID_LEN % sizeof(int64) == 0, "stamps must not be padded");

uint64
digest_resource(const StoredObject *stored)
{
	struct
	{
		int64		create_revision;
		int64		resource_version;
		int64		generation;
		int64		expires;
		int64		expires_at;
		pg_uuid_t	uid;
	}			stamps = {
		stored->create_revision,
		stored->resource_version,
		stored->generation,
		stored->expires,
		stored->expires ? stored->expires_at : 0,
		stored->uid
	};

	return digest_bytes(digest_bytes(0, &stamps, sizeof(stamps)),
						VARDATA(stored->object), VARSIZE(stored->object) - VARHDRSZ);
}
