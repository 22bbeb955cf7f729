/*-------------------------------------------------------------------------
 *
 * record.h
 *	  A recording of what the core was told, to be told again.
 *
 * The core is a pure function of its state and its events.  So a recording of
 * the state at some point and of the events since, with a digest of the update
 * that followed each, lets anybody step another core through what happened in
 * production and see whether, and where, it does something else.
 *
 * A recording is a header, the bytes of struct raft, and for each step a
 * struct raft_record_step followed by the bytes of the event up to the end of
 * what its type uses.  Bytes are as the machine has them: a recording is read
 * by a replay tool built from the same source on the same kind of machine,
 * which the header checks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RAFT_RECORD_H
#define RAFT_RECORD_H

#include "raft.h"

#define RAFT_RECORD_MAGIC	UINT64_C(0x0152434552545352)

struct raft_record_header
{
	uint64_t	magic;
	uint64_t	sizeof_raft;
	uint64_t	sizeof_event;
};

struct raft_record_step
{
	uint64_t	event_size;		/* bytes of the event that follow */
	uint64_t	digest;			/* of the update that the event led to */
};

extern void raft_record_header_fill(struct raft_record_header *header);
extern bool raft_record_header_fits(const struct raft_record_header *header);

/* The bytes of an event that its type uses; 0 if the type is unknown. */
extern size_t raft_record_event_size(const struct raft_event *event);

/*
 * A digest of everything in an update that the shell acts on: equal updates
 * have equal digests.
 */
extern uint64_t raft_update_digest(const struct raft_update *update);

#endif							/* RAFT_RECORD_H */
