/*-------------------------------------------------------------------------
 *
 * conninfo.h
 *	  The connection options with which one member calls another.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_CONNINFO_H
#define STORE_CONNINFO_H

#include "store.h"

/* More than libpq knows of, in any version (about 50 in 18). */
#define CONNINFO_MAX_OPTIONS	80

/*
 * Each keyword occurs once.  Both arrays end with a NULL, as
 * PQconnectStartParams() wants them (with expand_dbname = 0).
 */
typedef struct ConninfoOptions
{
	int			n_options;
	const char *keywords[CONNINFO_MAX_OPTIONS + 1];
	const char *values[CONNINFO_MAX_OPTIONS + 1];
	int			connect_timeout_ms; /* as libpq would apply it per host */
} ConninfoOptions;

/*
 * Assemble the options for a connection to a member: our own fallbacks, then
 * its conninfo, then store.peer_options.  A later source overrides an earlier
 * one.  settings is what the session there should run with ("-c name=value"),
 * as far as the operator has not decided otherwise.
 *
 * Returns NULL, or what is wrong (palloc'd, free of secrets).  Everything is
 * allocated in the current memory context.
 */
extern char *conninfo_assemble(const char *conninfo,
							   const char *application_name,
							   const char *settings,
							   ConninfoOptions *options);

#endif							/* STORE_CONNINFO_H */
