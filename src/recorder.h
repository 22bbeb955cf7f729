/*-------------------------------------------------------------------------
 *
 * recorder.h
 *	  Recording the events of the raft worker's core (store.record_directory).
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_RECORDER_H
#define STORE_RECORDER_H

#include "store.h"
#include "raft/raft.h"

/*
 * Once a turn, between steps: begin a recording if the setting asks for one,
 * end it if not, push out what the last turn recorded.
 */
extern void recorder_tend(const struct raft *node);

/* The core was changed other than by a step: what follows is a new recording. */
extern void recorder_cut(void);

/* A step was made.  Does nothing while nothing is recorded. */
extern void recorder_step(const struct raft_event *event,
						  const struct raft_update *update);

#endif							/* STORE_RECORDER_H */
