/*-------------------------------------------------------------------------
 *
 * peer_error.h
 *	  What went wrong with a peer, as one line for a view or the log.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_PEER_ERROR_H
#define STORE_PEER_ERROR_H

#include "store.h"
#include "libpq-fe.h"

/*
 * Copy a text of the peer or of libpq as one line of valid characters, cut to
 * size bytes with the NUL.
 */
extern void peer_error_fold(char *to, Size size, const char *from);

/* The same for an error that the peer has sent: SQLSTATE and message. */
extern void peer_error_describe(char *to, Size size, const PGresult *result);

/* Its SQLSTATE as errcode() takes it; 0: none. */
extern int	peer_error_sqlstate(const PGresult *result);

/* Does the session there end with this message? */
extern bool peer_error_is_farewell(const PGresult *result);

#endif							/* STORE_PEER_ERROR_H */
