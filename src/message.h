/*-------------------------------------------------------------------------
 *
 * message.h
 *	  What members say to each other, as bytes.
 *
 * One envelope, and five kinds of content: a message of the consensus core
 * (with the entries of an APPEND), commands that a member forwards to the
 * leader, a greeting, with which a member says where it wants to be reached
 * now, or the answer to one, which was sent there, and what a member has come
 * to by applying the log (comparison.h).  The envelope names the
 * cluster, the sender with the number of its start, and the addressee, says
 * which version of commands the sender understands, and begins with a magic
 * number in native byte order, so that bytes of another machine type, version
 * or cluster are refused before anything else is looked at.
 *
 * Every entry's payload begins at a MAXALIGNed offset from the start of the
 * message, so that commands can be used where they lie.
 *
 * Pure: no I/O, no clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_MESSAGE_H
#define STORE_MESSAGE_H

#include "store.h"
#include "command.h"
#include "membership.h"
#include "lib/stringinfo.h"
#include "raft/raft.h"
#include "utils/uuid.h"

#define MESSAGE_MAGIC	0x53544f03	/* "STO", version of the format */

/* An entry in a message or on its way to or from the log. */
typedef struct LogEntry
{
	uint64		index;
	uint64		term;
	EntryKind	kind;
	uint32		length;
	const char *data;			/* borrowed; MAXALIGNed */
} LogEntry;

typedef enum MessageKind
{
	MESSAGE_RAFT = 1,			/* raft, and for APPEND entries */
	MESSAGE_FORWARD = 2,		/* term, and entries: proposals for the leader
								 * of that term; their index and term are 0 */
	MESSAGE_HELLO = 3,			/* the sender's conninfo, as it has it */
	MESSAGE_REACHED = 4,		/* the addressee's: sent to that address */
	MESSAGE_CHAIN = 5			/* an index that the sender has applied, and its
								 * link of the chain there */
} MessageKind;

/* In MessageOrigin.disk; bits that are not known mean nothing. */
#define MESSAGE_DISK_LOW	1	/* the sender is short of space */
#define MESSAGE_DISK_CLOSED 2	/* as the leader: nobody may write */

/*
 * Whose words these are: of which cluster, of which start of the sender, and
 * of what server.
 */
typedef struct MessageOrigin
{
	pg_uuid_t	cluster_id;
	uint64		start;			/* see starts.h */
	uint8		understands;	/* COMMAND_VERSION of the sender; see versions.h */
	uint8		disk;			/* MESSAGE_DISK_*; see disk_space.h */
} MessageOrigin;

typedef struct MessageHeader
{
	MessageOrigin origin;
	uint64		from;
	uint64		to;
	MessageKind kind;
} MessageHeader;

typedef struct Message
{
	MessageHeader header;
	struct raft_message raft;	/* MESSAGE_RAFT */
	uint64		term;			/* MESSAGE_FORWARD */
	char		conninfo[STORE_CONNINFO_SIZE];	/* MESSAGE_HELLO, _REACHED */
	uint64		link_index;		/* MESSAGE_CHAIN */
	uint64		link_chain;
	uint32		n_entries;
	LogEntry   *entries;		/* palloc'd array, data points into the bytes */

	/* MESSAGE_RAFT, APPEND: the newest memberships among the entries */
	uint32		n_configs;
	struct raft_config_entry configs[2];
} Message;

/*
 * Append an encoded message to buf, which must be empty (alignment counts
 * from its start).  raft->n_entries says how many entries there are.
 */
extern void message_encode_raft(StringInfo buf, const MessageOrigin *origin,
								const struct raft_message *raft,
								const LogEntry *entries);

extern void message_encode_forward(StringInfo buf, const MessageOrigin *origin,
								   uint64 from, uint64 to, uint64 term,
								   const LogEntry *entries, uint32 n_entries);

/* MESSAGE_HELLO or MESSAGE_REACHED */
extern void message_encode_address(StringInfo buf, MessageKind kind,
								   const MessageOrigin *origin, uint64 from, uint64 to,
								   const char *conninfo);

extern void message_encode_chain(StringInfo buf, const MessageOrigin *origin,
								 uint64 from, uint64 to, uint64 index, uint64 chain);

/* Space that an entry takes in a message, for cutting messages to size. */
extern Size message_entry_size(uint32 length);

/* The envelope alone.  Returns NULL, or what is wrong (static text). */
extern const char *message_decode_header(const char *data, Size length,
										 MessageHeader *header);

/*
 * The whole message; data must be MAXALIGNed and outlive the result.  Returns
 * NULL, or what is wrong (static text).  Allocates the entries array in the
 * current memory context, never more than the length of the data warrants.
 */
extern const char *message_decode(const char *data, Size length, Message *message);

#endif							/* STORE_MESSAGE_H */
