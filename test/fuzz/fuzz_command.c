/*-------------------------------------------------------------------------
 *
 * fuzz_command.c
 *	  A command as it lies in a message or in the log.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

void
fuzz_one(const char *data, Size length)
{
	walk_command(data, length);
}
