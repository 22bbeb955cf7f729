/*-------------------------------------------------------------------------
 *
 * conninfo.c
 *	  The connection options with which one member calls another.
 *
 * Two strings meet here.  A member's conninfo says where it is; it travels in
 * the replicated membership, anybody may read it, and so it holds no secret.
 * store.peer_options says how this node proves who it is (user, sslcert,
 * passfile), is local to it, and may be read by superusers only.  The second
 * overrides the first, so that what a cluster has agreed on cannot make this
 * node connect in a way that its operator did not want (sslmode).
 *
 * Neither overrides what we need to understand the answers: client_encoding.
 *
 * The strings are merged here and not left to libpq's "the last one wins",
 * because one keyword, options, is to be joined and not replaced, and because
 * the caller has to know the connect_timeout: libpq does not look at it when
 * the connection is made by PQconnectPoll().
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "conninfo.h"

#include "libpq-fe.h"
#include "mb/pg_wchar.h"

#define FALLBACK_CONNECT_TIMEOUT_S	3
#define MIN_CONNECT_TIMEOUT_S		2
#define MAX_CONNECT_TIMEOUT_S		3600

typedef struct Fallback
{
	const char *keyword;
	const char *value;
} Fallback;

/*
 * A dead peer must be noticed in seconds, not in the two hours of the kernel's
 * defaults: after 5 + 3 * 2 s when nothing is on its way, after 6 s when
 * something is.  Kerberos is off unless asked for, because libpq would talk
 * to its servers synchronously.
 */
static const Fallback fallbacks[] = {
	{"connect_timeout", CppAsString2(FALLBACK_CONNECT_TIMEOUT_S)},
	{"keepalives", "1"},
	{"keepalives_idle", "5"},
	{"keepalives_interval", "2"},
	{"keepalives_count", "3"},
	{"tcp_user_timeout", "6000"},
	{"gssencmode", "disable"},
};

static const char *
get_option(const ConninfoOptions *options, const char *keyword)
{
	for (int i = 0; i < options->n_options; i++)
	{
		if (strcmp(options->keywords[i], keyword) == 0)
			return options->values[i];
	}
	return NULL;
}

static void
set_option(ConninfoOptions *options, const char *keyword, const char *value)
{
	int			i = 0;

	while (i < options->n_options && strcmp(options->keywords[i], keyword) != 0)
		i++;

	if (i == options->n_options)
	{
		if (i == CONNINFO_MAX_OPTIONS)
			elog(ERROR, "too many connection options");
		options->keywords[i] = pstrdup(keyword);
		options->n_options++;
		options->keywords[options->n_options] = NULL;
		options->values[options->n_options] = NULL;
	}
	options->values[i] = pstrdup(value);
}

/*
 * Returns false if the string is malformed, with libpq's complaint, which may
 * quote any part of the string.
 */
static bool
merge_string(ConninfoOptions *options, const char *string, char **complaint)
{
	char	   *libpq_complaint = NULL;
	PQconninfoOption *parsed = PQconninfoParse(string, &libpq_complaint);

	*complaint = NULL;
	if (parsed == NULL)
	{
		*complaint = pchomp(libpq_complaint ? libpq_complaint : "out of memory");
		PQfreemem(libpq_complaint);
		return false;
	}

	for (PQconninfoOption *option = parsed; option->keyword != NULL; option++)
	{
		if (option->val != NULL)
			set_option(options, option->keyword, option->val);
	}
	PQconninfoFree(parsed);
	return true;
}

/*
 * As libpq reads it in PQconnectdb(), except that 0 does not mean forever, and
 * nonsense counts as nothing said.
 */
static int
effective_connect_timeout_ms(const ConninfoOptions *options)
{
	const char *value = get_option(options, "connect_timeout");
	char	   *end;
	long		seconds = strtol(value, &end, 10);

	if (end == value || *end != '\0' || seconds <= 0)
		seconds = FALLBACK_CONNECT_TIMEOUT_S;
	return (int) Min(Max(seconds, MIN_CONNECT_TIMEOUT_S), MAX_CONNECT_TIMEOUT_S) * 1000;
}

char *
conninfo_assemble(const char *conninfo, const char *application_name,
				  const char *settings, ConninfoOptions *options)
{
	char	   *complaint;
	const char *operators_settings;

	memset(options, 0, sizeof(*options));

	for (int i = 0; i < lengthof(fallbacks); i++)
		set_option(options, fallbacks[i].keyword, fallbacks[i].value);
	set_option(options, "application_name", application_name);
	set_option(options, "dbname", store_database);

	if (!merge_string(options, conninfo, &complaint))
		return psprintf("connection string is malformed: %s", complaint);

	/* This complaint might quote a password. */
	if (!merge_string(options, store_peer_options, &complaint))
		return pstrdup("setting store.peer_options is not a valid connection string");

	/* In a list of settings, too, the last one wins. */
	operators_settings = get_option(options, "options");
	set_option(options, "options",
			   psprintf("%s %s", settings,
						operators_settings ? operators_settings : ""));

	/* Text from there ends up in our log and our views. */
	set_option(options, "client_encoding", GetDatabaseEncodingName());

	options->connect_timeout_ms = effective_connect_timeout_ms(options);
	return NULL;
}
