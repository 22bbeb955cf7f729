/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  What the fuzz targets have in common.
 *
 * A target is one file with fuzz_one().  It is handed bytes in a block of just
 * their length, MAXALIGNed, that the address sanitizer watches.  It may leak:
 * what it allocated is freed after it, as a memory context would be.  An ERROR
 * is a finding, because decoders return what is wrong, and what was decoded
 * can be encoded.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "postgres.h"

extern void fuzz_one(const char *data, Size length);

/* What has been allocated since fuzz_one() began, and not freed. */
extern Size fuzz_allocated(void);

/* What must hold, whatever the bytes.  If it does not, that is a finding. */
#define REQUIRE(condition) \
	do { \
		if (!(condition)) \
			fuzz_finding(#condition, __FILE__, __LINE__); \
	} while (0)

extern void fuzz_finding(const char *condition, const char *file, int line)
			pg_attribute_noreturn();

/* Touch all of a jsonb that jsonb_bytes_check() accepted (walk.c). */
extern void walk_jsonb(const char *data, Size length);

/* Decode a command, encode it again, and walk its body if that is sound. */
extern void walk_command(const char *data, Size length);

#endif							/* FUZZ_H */
