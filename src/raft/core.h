/*-------------------------------------------------------------------------
 *
 * core.h
 *	  What the rooms of the core ask of each other.
 *
 * raft.c takes an event in, hands it to the room in charge, and checks what
 * comes out.  The rooms follow the duties of the protocol:
 *
 *		restore.c		beginning from the durable state
 *		election.c		terms, votes and the timers that lead to them
 *		leader.c		replication as the leader sees it, and commit
 *		follower.c		replication as everybody else sees it
 *		membership.c	which configuration is in force, and changing it
 *		read.c			linearizable reads
 *		lease.c			reads without asking anybody
 *		transfer.c		giving leadership to another member
 *		quorum.c		what a majority has reached
 *		message.c		making messages, and judging received ones
 *		log.c			which entry has which term
 *
 * Every function below acts on one member within one step, and adds to the
 * update of that step.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef RAFT_CORE_H
#define RAFT_CORE_H

#include "log.h"
#include "raft.h"

/* What a quorum is asked for; see raft_quorum_reached(). */
enum raft_measure
{
	RAFT_BY_VOTE,				/* 1: granted, 0: not */
	RAFT_BY_MATCH,
	RAFT_BY_CONTACT,
	RAFT_BY_ROUND,
	RAFT_BY_PROMISE
};

/* raft.c */
extern enum raft_status raft_broken(struct raft_update *update, const char *rule,
									uint64_t expected, uint64_t found);

/* quorum.c */
extern uint64_t raft_majority_reached(uint64_t *values, uint32_t n_values);
extern uint64_t raft_quorum_reached(const struct raft *node,
									enum raft_measure measure);
extern bool raft_is_sole_voter(const struct raft *node);

/* message.c */
extern struct raft_message *raft_message_new(const struct raft *node,
											 struct raft_update *update,
											 enum raft_message_type type,
											 raft_id to);
extern bool raft_message_is_sane(const struct raft *node,
								 const struct raft_event *event);

/* election.c */
extern void raft_reset_election_timer(struct raft *node);
extern void raft_become_follower(struct raft *node, struct raft_update *update,
								 raft_term term, raft_id leader);
extern void raft_election_timeout(struct raft *node, struct raft_update *update);
extern void raft_campaign(struct raft *node, struct raft_update *update,
						  bool by_transfer);
extern bool raft_hears_leader(const struct raft *node);
extern enum raft_status raft_on_prevote(struct raft *node,
										const struct raft_message *message,
										struct raft_update *update);
extern enum raft_status raft_on_prevote_reply(struct raft *node,
											  const struct raft_message *message,
											  struct raft_update *update);
extern enum raft_status raft_on_vote(struct raft *node,
									 const struct raft_message *message,
									 struct raft_update *update);
extern enum raft_status raft_on_vote_reply(struct raft *node,
										   const struct raft_message *message,
										   struct raft_update *update);

/* leader.c */
extern void raft_become_leader(struct raft *node, struct raft_update *update);
extern void raft_start_peer(struct raft *node, uint32_t slot);
extern void raft_leader_timeout(struct raft *node, struct raft_update *update);
extern bool raft_append_own(struct raft *node, struct raft_update *update,
							enum raft_append kind, uint32_t count);
extern void raft_replicate_to_all(struct raft *node, struct raft_update *update);
extern void raft_advance_commit(struct raft *node, struct raft_update *update);
extern void raft_begin_round(struct raft *node, struct raft_update *update);
extern bool raft_in_contact(const struct raft *node, uint32_t slot);
extern bool raft_has_caught_up(const struct raft *node, uint32_t slot);
extern enum raft_status raft_on_proposed(struct raft *node,
										 const struct raft_event *event,
										 struct raft_update *update);
extern enum raft_status raft_on_append_reply(struct raft *node,
											 const struct raft_message *message,
											 struct raft_update *update);
extern enum raft_status raft_on_snapshot_reply(struct raft *node,
											   const struct raft_message *message,
											   struct raft_update *update);
extern enum raft_status raft_on_link_down(struct raft *node, raft_id id,
										  struct raft_update *update);

/* follower.c */
extern enum raft_status raft_on_append(struct raft *node,
									   const struct raft_event *event,
									   struct raft_update *update);
extern enum raft_status raft_on_snapshot(struct raft *node,
										 const struct raft_message *message,
										 struct raft_update *update);
extern enum raft_status raft_on_installed(struct raft *node,
										  const struct raft_event *event,
										  struct raft_update *update);
extern void raft_acknowledge_durable(struct raft *node,
									 struct raft_update *update);

/* membership.c */
extern bool raft_config_is_sane(const struct raft_config *config);
extern uint32_t raft_slot_of(const struct raft *node, raft_id id);
extern bool raft_is_voter(const struct raft *node, uint32_t slot);
extern bool raft_may_campaign(const struct raft *node);
extern const struct raft_config_entry *raft_config_at_commit(const struct raft *node);
extern void raft_find_self(struct raft *node);
extern void raft_adopt_config(struct raft *node, struct raft_update *update,
							  const struct raft_config_entry *entry);
extern void raft_roll_back_config(struct raft *node, struct raft_update *update,
								  raft_index truncate_from);
extern raft_id raft_promotable(const struct raft *node);
extern void raft_leave_if_removed(struct raft *node, struct raft_update *update);
extern enum raft_status raft_on_config_proposed(struct raft *node,
												const struct raft_event *event,
												struct raft_update *update);

/* read.c */
extern void raft_drop_reads(struct raft *node, struct raft_update *update);
extern void raft_expire_reads(struct raft *node, struct raft_update *update);
extern uint64_t raft_reads_deadline(const struct raft *node);
extern void raft_poll_reads(struct raft *node, struct raft_update *update);
extern enum raft_status raft_on_read_requested(struct raft *node,
											   const struct raft_event *event,
											   struct raft_update *update);
extern enum raft_status raft_on_read(struct raft *node,
									 const struct raft_message *message,
									 struct raft_update *update);
extern enum raft_status raft_on_read_reply(struct raft *node,
										   const struct raft_message *message,
										   struct raft_update *update);

/* lease.c */
extern void raft_promise(struct raft *node);
extern uint64_t raft_own_promise(const struct raft *node);
extern void raft_number_round(struct raft *node);
extern void raft_note_promise(struct raft *node, struct raft_peer *peer,
							  const struct raft_message *message);

/* transfer.c */
extern void raft_hand_over(struct raft *node, struct raft_update *update);
extern void raft_poll_transfer(struct raft *node, struct raft_update *update);
extern enum raft_status raft_on_transfer_requested(struct raft *node,
												   const struct raft_event *event,
												   struct raft_update *update);
extern enum raft_status raft_on_timeout_now(struct raft *node,
											const struct raft_message *message,
											struct raft_update *update);

#endif							/* RAFT_CORE_H */
