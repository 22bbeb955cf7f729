/*-------------------------------------------------------------------------
 *
 * peer_error.c
 *	  What went wrong with a peer, as one line for a view or the log.
 *
 * libpq's messages span lines, and what a server says before it knows our
 * encoding (that the database does not exist, that it is starting up) may be
 * in any.  Neither may get into a text value as it is.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "peer_error.h"

#include <ctype.h>

#include "mb/pg_wchar.h"

void
peer_error_fold(char *to, Size size, const char *from)
{
	int			length = 0;
	bool		blank = false;

	/* Two bytes may be added in one turn, and the NUL at the end. */
	for (; *from != '\0' && length < size - 2; from++)
	{
		if (isspace((unsigned char) *from))
		{
			blank = (length > 0);
			continue;
		}
		if (blank)
			to[length++] = ' ';
		blank = false;
		to[length++] = *from;
	}

	/* The cut may have gone through a character. */
	length = pg_mbcliplen(to, length, length);
	to[length] = '\0';

	if (!pg_verifymbstr(to, length, true))
	{
		for (char *c = to; *c != '\0'; c++)
		{
			if (IS_HIGHBIT_SET(*c))
				*c = '?';
		}
	}
}

void
peer_error_describe(char *to, Size size, const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (message != NULL && sqlstate != NULL)
	{
		char	   *text = psprintf("%s: %s", sqlstate, message);

		peer_error_fold(to, size, text);
		pfree(text);
	}
	else
		peer_error_fold(to, size, PQresultErrorMessage(result));
}

int
peer_error_sqlstate(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (state == NULL || strlen(state) != 5)
		return 0;
	return MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
}

bool
peer_error_is_farewell(const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	return severity != NULL &&
		(strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}
