/*-------------------------------------------------------------------------
 *
 * membership.h
 *	  Who belongs to the cluster, by number, name and address.
 *
 * The consensus core knows members by id and role; people and libpq know them
 * by name and conninfo.  A membership holds both.  It is the payload of a log
 * entry of kind ENTRY_MEMBERSHIP, takes effect when appended, and is stored
 * nowhere else but at the base of the log.
 *
 * Pure: no I/O, no clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_MEMBERSHIP_H
#define STORE_MEMBERSHIP_H

#include "store.h"
#include "command.h"
#include "lib/stringinfo.h"
#include "raft/raft.h"

typedef struct Member
{
	uint64		id;
	enum raft_role role;
	char		name[STORE_NAME_SIZE];	/* unique among the members */
	char		conninfo[STORE_CONNINFO_SIZE];	/* without secrets */
} Member;

typedef struct Membership
{
	RequestId	request;		/* who asked for this change */
	uint64		next_id;		/* for the next member; never goes back */
	uint32		n_members;
	Member		members[RAFT_MAX_MEMBERS];	/* ascending id */
} Membership;

extern void membership_encode(StringInfo buf, const Membership *membership);

/* Returns NULL, or what is wrong with the bytes (static text). */
extern const char *membership_decode(const char *data, Size length,
									 Membership *membership);

/* The part that the core understands. */
extern void membership_config(const Membership *membership, struct raft_config *config);

extern Member *membership_find(Membership *membership, uint64 id);
extern Member *membership_find_name(Membership *membership, const char *name);

/* Insert in order of id; false if there is no room or the id is taken. */
extern bool membership_add(Membership *membership, const Member *member);

#endif							/* STORE_MEMBERSHIP_H */
