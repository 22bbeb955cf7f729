/*-------------------------------------------------------------------------
 *
 * comparison.h
 *	  Whether the members come to the same state.
 *
 * Once a second the leader tells everybody an index that it has applied, and its
 * link of the chain there (chain.h).  Whoever hears of an index from anybody
 * says its own link there to everybody, once it has applied so much.  So all
 * members get to know the links of all at one index, and each can judge by
 * itself:
 *
 *	- Do more than half of the voters have one value, and this node another, then
 *	  this node is wrong, and stops serving.
 *
 *	- Does another member have another value than more than half of the voters,
 *	  then that one is wrong, and will stop by itself.
 *
 *	- Do values differ, and more than half of the voters agree on none, then
 *	  nobody knows who is wrong.  All say so, and go on.
 *
 * Nothing here has to arrive.  A member that missed an index meets the next one,
 * and a chain that once differs always will.
 *
 * Belongs to the raft worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_COMPARISON_H
#define STORE_COMPARISON_H

#include "store.h"
#include "message.h"
#include "transport.h"

extern void comparison_init(Transport *transport, const MessageOrigin *origin,
							uint64 node_id);

/* MESSAGE_CHAIN; leader as far as this node knows, or 0. */
extern void comparison_received(const Message *message, uint64 leader);

/*
 * Every turn.  Returns the index at which this node was found to differ from a
 * majority of the voters, 0 as long as it was not.
 */
extern uint64 comparison_tend(bool leader, uint64 applied_index, uint64 now_ms);

/*
 * The members that differ, in a sentence, or NULL (palloc'd).  *undecided: there
 * is no majority, so what this node has may be wrong, too.
 */
extern const char *comparison_problem(bool *undecided);

#endif							/* STORE_COMPARISON_H */
