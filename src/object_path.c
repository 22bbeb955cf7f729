/*-------------------------------------------------------------------------
 *
 * object_path.c
 *	  Where in an object something is, for people.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "object_path.h"

static bool
is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '_' || c == '-';
}

static void
append_path(StringInfo buf, const PathStep *step)
{
	const char *s;
	int			length;
	int			i;

	if (step == NULL)
		return;
	append_path(buf, step->parent);

	if (step->key == NULL)
	{
		appendStringInfo(buf, "[%d]", step->index);
		return;
	}

	s = step->key->val.string.val;
	length = step->key->val.string.len;
	for (i = 0; i < length && is_plain(s[i]); i++)
		;
	if (length == 0 || i < length)
		appendStringInfo(buf, "[\"%.*s\"]", length, s);
	else
		appendStringInfo(buf, "%s%.*s", buf->len > 0 ? "." : "", length, s);
}

char *
path_text(const PathStep *step)
{
	StringInfoData buf;

	initStringInfo(&buf);
	append_path(&buf, step);
	return buf.data;
}
