/*-------------------------------------------------------------------------
 *
 * log.h
 *	  The shape of the log: which entry has which term.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef RAFT_LOG_H
#define RAFT_LOG_H

#include "raft.h"

/* Whether the term of an entry (or of the base) is known. */
extern bool raft_log_knows(const struct raft_log *log, raft_index index);

/* The term of an entry, or 0 if it is not known. */
extern raft_term raft_log_term_at(const struct raft_log *log, raft_index index);

extern raft_term raft_log_last_term(const struct raft_log *log);

/*
 * Whether n_runs more runs fit without forgetting the term of an entry at or
 * after keep_index.
 */
extern bool raft_log_has_room(const struct raft_log *log, uint32_t n_runs,
							  raft_index keep_index);

/* Append "count" entries of one term, not below the last term. */
extern void raft_log_extend(struct raft_log *log, raft_index count,
							raft_term term);

/* Remove every entry from "from" on; base_index < from <= last_index. */
extern void raft_log_truncate(struct raft_log *log, raft_index from);

/* Make (index, term) the base; base_index <= index <= last_index. */
extern void raft_log_compact(struct raft_log *log, raft_index index,
							 raft_term term);

/* Make the log empty after (index, term). */
extern void raft_log_reset(struct raft_log *log, raft_index index,
						   raft_term term);

/*
 * The terms of the entries from "first" on, at most "count" of them, into
 * runs[].  Returns how many entries these runs cover: less than asked for
 * where the runs did not suffice or the log ends.
 */
extern uint32_t raft_log_describe(const struct raft_log *log, raft_index first,
								  uint32_t count, struct raft_run *runs,
								  uint32_t *n_runs);

/*
 * The last index at or before "index" at which a log could agree with one
 * that has "term" there: the last whose own term is not above it.
 */
extern raft_index raft_log_may_agree(const struct raft_log *log,
									 raft_index index, raft_term term);

/*
 * The first entry of an APPEND that the log lacks or holds with another term,
 * or one past the last entry if there is none.  Entries whose term the log
 * has forgotten are taken to be equal: they are committed.
 */
extern raft_index raft_log_first_difference(const struct raft_log *log,
											const struct raft_message *message);

/* Append the entries of an APPEND from "first" = last_index + 1 on. */
extern void raft_log_append_message(struct raft_log *log,
									const struct raft_message *message,
									raft_index first);

#endif							/* RAFT_LOG_H */
