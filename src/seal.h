/*-------------------------------------------------------------------------
 *
 * seal.h
 *	  What goes with a message over the network: a number and a checksum.
 *
 * The number grows with each message that a start of a member (starts.h) sends,
 * to whomever, so that whoever gets a message knows that it was not there
 * before.  The checksum covers message and number: what was damaged on the way
 * or in somebody's memory is refused, whatever it would have meant.  Neither
 * keeps out who wants to lie.
 *
 * Pure: no I/O, no clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "store.h"

/* Bytes behind the message. */
#define SEAL_SIZE	16

/* Write the seal of a message that ends where the seal begins. */
extern void seal_message(char *seal, const char *message, Size length, uint64 number);

/*
 * Look at sealed bytes: *length becomes that of the message.  False if this is
 * not how they were sent.
 */
extern bool seal_check(const char *bytes, Size *length, uint64 *number);

#endif							/* STORE_SEAL_H */
