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
 * It also says which version of commands the cluster uses: whoever it admits
 * understands that version (versions.h).
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

/*
 * Names of members that were removed are remembered for a while, so that a
 * removal that is asked for again, because its answer was lost, is known to be
 * done.
 */
#define MEMBERSHIP_MAX_REMOVED	8

typedef struct Membership
{
	RequestId	request;		/* who asked for this change */
	uint8		version;		/* of commands; 0 only without members */
	uint64		next_id;		/* for the next member; never goes back */
	uint32		n_removed;
	char		removed[MEMBERSHIP_MAX_REMOVED][STORE_NAME_SIZE];	/* oldest first */
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

/* Take a member out and remember its name; false if there is none. */
extern bool membership_remove(Membership *membership, uint64 id);

/* Was the last member of that name removed not long ago? */
extern bool membership_was_removed(const Membership *membership, const char *name);

/*
 * Is this the number of a member that was there before this membership, and is
 * no more?  Numbers are given once.
 */
extern bool membership_is_former(const Membership *membership, uint64 id);

extern uint32 membership_n_voters(const Membership *membership);

#endif							/* STORE_MEMBERSHIP_H */
