/*-------------------------------------------------------------------------
 *
 * api_receive.h
 *	  Messages of other members, as they come in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_RECEIVE_H
#define STORE_API_RECEIVE_H

#include "store.h"

/* Once, when the library is loaded: keeps refused messages out of the log. */
extern void api_receive_init(void);

#endif							/* STORE_API_RECEIVE_H */
