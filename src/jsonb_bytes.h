/*-------------------------------------------------------------------------
 *
 * jsonb_bytes.h
 *	  Bytes of another member that claim to be a jsonb.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_JSONB_BYTES_H
#define STORE_JSONB_BYTES_H

#include "store.h"

/*
 * Check bytes that claim to be a jsonb with its varlena header, before any
 * function of jsonb touches them: every length and offset lies within bounds,
 * keys are in order, strings are UTF-8, numbers are well formed, nesting ends
 * at STORE_MAX_DEPTH.  data must be aligned to an int.  Returns NULL, or what
 * is wrong (static text).
 */
extern const char *jsonb_bytes_check(const char *data, Size length);

#endif							/* STORE_JSONB_BYTES_H */
