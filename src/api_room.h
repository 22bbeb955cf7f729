/*-------------------------------------------------------------------------
 *
 * api_room.h
 *	  Refusing writes while there is no disk space for them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_API_ROOM_H
#define STORE_API_ROOM_H

#include "store.h"
#include "command.h"

/*
 * ERROR 53100 if the command makes the store grow and the raft worker has
 * found that it must not (disk_space.h).  Otherwise costs a look at an atomic.
 */
extern void api_check_room(const Command *command);

#endif							/* STORE_API_ROOM_H */
