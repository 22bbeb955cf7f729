/*-------------------------------------------------------------------------
 *
 * digest.h
 *	  64-bit digests, by which members compare what they have.
 *
 * They guard against errors of this code and of hardware, not against anybody
 * who means to deceive.  Two inputs of one length that differ in no more than
 * one aligned word of 8 bytes have different digests, for sure; any other two
 * with the probability that 64 bits give.
 *
 * Words are read in native byte order, in which jsonb and the log are, too:
 * members are of one byte order (message.h).  The values are stored and compared
 * between members, so they are for ever.
 *
 * Pure: no I/O, no clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_DIGEST_H
#define STORE_DIGEST_H

#include "store.h"
#include "rules.h"

/* The digest of bytes, after whatever has led to "seed". */
extern uint64 digest_bytes(uint64 seed, const void *data, Size length);

/* Of a resource: its object, which has its key, and its stamps. */
extern uint64 digest_resource(const StoredObject *stored);

#endif							/* STORE_DIGEST_H */
