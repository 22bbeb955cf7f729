/*-------------------------------------------------------------------------
 *
 * fuzz_jsonb.c
 *	  Bytes that claim to be a jsonb.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "jsonb_bytes.h"
#include "object.h"

void
fuzz_one(const char *data, Size length)
{
	if (jsonb_bytes_check(data, length) == NULL)
		walk_jsonb(data, length);
}
