/*-------------------------------------------------------------------------
 *
 * stubs.h
 *	  What the codecs need of the server, for programs that are none.
 *
 * Included by one file of a program.  An ERROR comes back to the sigsetjmp()
 * of error_caught, which the program must have called.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef TEST_STUBS_H
#define TEST_STUBS_H

#include "postgres.h"

#include <setjmp.h>

static sigjmp_buf error_caught;
static const char *error_function;	/* where it was raised */
static int	error_line;

/* The server's half of ereport(). */
bool
errstart(int elevel, const char *domain)
{
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return true;
}

int
errmsg_internal(const char *fmt,...)
{
	return 0;
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	error_function = funcname;
	error_line = lineno;
	siglongjmp(error_caught, 1);
}

#ifdef USE_ASSERT_CHECKING
#if PG_VERSION_NUM >= 160000
void
ExceptionalCondition(const char *condition, const char *file, int line)
#else
void
ExceptionalCondition(const char *condition, const char *type, const char *file, int line)
#endif
{
	fprintf(stderr, "TRAP: %s, %s:%d\n", condition, file, line);
	abort();
}
#endif

#endif							/* TEST_STUBS_H */
