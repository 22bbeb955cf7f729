/*-------------------------------------------------------------------------
 *
 * detail.c
 *	  The DETAIL of a refusal, put together.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "detail.h"
#include "lib/stringinfo.h"

char *
format_detail(const char *format, va_list args)
{
	StringInfoData detail;

	initStringInfo(&detail);
	for (;;)
	{
		va_list		again;
		int			needed;

		/* each attempt uses up the arguments */
		va_copy(again, args);
		needed = appendStringInfoVA(&detail, format, again);
		va_end(again);
		if (needed == 0)
			return detail.data;
		enlargeStringInfo(&detail, needed);
	}
}
