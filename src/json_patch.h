/*-------------------------------------------------------------------------
 *
 * json_patch.h
 *	  JSON Patch, RFC 6902, with the pointers of RFC 6901.
 *
 * Pure: no I/O, no clock, no setting; the same result on every member.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_JSON_PATCH_H
#define STORE_JSON_PATCH_H

#include "store.h"
#include "object.h"
#include "utils/jsonb.h"

/*
 * Limits; part of the rules, so they change with COMMAND_VERSION.  As many
 * operations as Kubernetes allows, and about as many bytes to be copied, or
 * values to be moved or visited, as keep the state machine busy for some tenths
 * of a second.
 */
#define JSON_PATCH_MAX_OPERATIONS	10000
#define JSON_PATCH_MAX_WORK			(64 * 1024 * 1024)

/*
 * Is this an array of well-formed operations?  If not, false, and why in
 * *error, with the number of the operation (from 0) in the detail.
 */
extern bool json_patch_check(Jsonb *patch, ObjectError *error);

/*
 * The patched target, palloc'd, or NULL, and why in *error.  It is an object,
 * not nested deeper than STORE_MAX_DEPTH; how large it is, is not judged.
 */
extern Jsonb *json_patch_apply(Jsonb *target, Jsonb *patch, ObjectError *error);

#endif							/* STORE_JSON_PATCH_H */
