/*-------------------------------------------------------------------------
 *
 * fuzz.c
 *	  What the fuzz targets have in common.
 *
 * The sanitizers' allocator calls two hooks, which keep account of what
 * fuzz_one() allocates: to bound it, and to free it, since outside of a server
 * there are no memory contexts.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <sanitizer/allocator_interface.h>

#include "stubs.h"

/* More than any input needs: an input allocates in proportion to its length. */
#define MAX_BLOCKS 65536

/* libFuzzer's own thread, which watches our memory, allocates too. */
static _Thread_local bool tracking = false;

static int	n_blocks;
static const volatile void *blocks[MAX_BLOCKS];
static Size allocated;

extern int	LLVMFuzzerInitialize(int *argc, char ***argv);
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static void
note_malloc(const volatile void *block, size_t size)
{
	if (!tracking)
		return;
	tracking = false;
	REQUIRE(n_blocks < MAX_BLOCKS);
	blocks[n_blocks++] = block;
	allocated += size;
	tracking = true;
}

static void
note_free(const volatile void *block)
{
	int			i;

	if (!tracking)
		return;
	for (i = n_blocks - 1; i >= 0; i--)
	{
		if (blocks[i] == block)
		{
			allocated -= __sanitizer_get_allocated_size((const void *) block);
			blocks[i] = blocks[--n_blocks];
			return;
		}
	}
}

Size
fuzz_allocated(void)
{
	return allocated;
}

void
fuzz_finding(const char *condition, const char *file, int line)
{
	fprintf(stderr, "FINDING: %s:%d: not true: %s\n", file, line, condition);
	abort();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	__sanitizer_install_malloc_and_free_hooks(note_malloc, note_free);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	n_blocks = 0;
	allocated = 0;
	if (sigsetjmp(error_caught, 0) != 0)
	{
		fprintf(stderr, "FINDING: ERROR raised by %s, line %d\n", error_function, error_line);
		abort();
	}

	tracking = true;
	fuzz_one((const char *) data, length);
	tracking = false;

	while (n_blocks > 0)
		free((void *) blocks[--n_blocks]);
	return 0;
}
