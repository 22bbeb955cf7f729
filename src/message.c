/*-------------------------------------------------------------------------
 *
 * message.c
 *	  What members say to each other, as bytes.
 *
 * A message is
 *
 *		envelope		magic, kind, number of entries, cluster, start, version,
 *						disk space, from, to
 *		body			RaftBody and the runs of terms, ForwardBody, ChainBody,
 *						or AddressBody and a conninfo, padded to MAXALIGN
 *		entries			EntryHeader and payload, padded to MAXALIGN, each
 *
 * Every part is a multiple of MAXIMUM_ALIGNOF long.  The entries of an APPEND
 * carry neither index nor term: both follow from prev_index and the runs, and
 * what is not there cannot contradict them.
 *
 * Decoding trusts nothing.  It establishes all that a reader may rely on
 * without having seen the core: enums are in range, counts fit their arrays,
 * runs are in order and within the entries.  What only the state of the core
 * can judge (whether the term is current, whether the sender is a member) is
 * left to the core.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "message.h"
#include "port/pg_bswap.h"
#include "storage/shmem.h"

/*
 * Indexes and terms are stored as bigint.  No real one comes near, and with
 * some room above, sums cannot wrap around.
 */
#define MAX_POSITION	((uint64) PG_INT64_MAX / 2)

/* All without padding, in native byte order. */
typedef struct Envelope
{
	uint32		magic;
	uint32		kind;
	uint8		cluster_id[UUID_LEN];
	uint64		start;
	uint64		from;
	uint64		to;
	uint32		n_entries;
	uint8		understands;
	uint8		disk;
	uint8		zero[2];
} Envelope;

typedef struct RaftBody
{
	uint32		type;
	uint8		accepted;
	uint8		transfer;
	uint8		n_runs;
	uint8		zero;
	uint64		term;
	uint64		prev_index;
	uint64		prev_term;
	uint64		commit;
	uint64		context;
	uint64		match;
	uint64		hint_index;
	uint64		hint_term;
	uint32		promise_ms;
	uint32		zero_too;		/* n_runs RunBody follow */
} RaftBody;

typedef struct RunBody
{
	uint64		first;
	uint64		term;
} RunBody;

typedef struct ForwardBody
{
	uint64		term;
} ForwardBody;

typedef struct AddressBody
{
	uint32		length;			/* of the conninfo, without NUL */
	uint32		zero;
} AddressBody;

typedef struct ChainBody
{
	uint64		index;
	uint64		chain;
} ChainBody;

typedef struct EntryHeader
{
	uint32		kind;
	uint32		length;
} EntryHeader;

StaticAssertDecl(sizeof(Envelope) == 56, "Envelope must not be padded");
StaticAssertDecl(sizeof(RaftBody) == 80, "RaftBody must not be padded");
StaticAssertDecl(sizeof(RunBody) == 16, "RunBody must not be padded");
StaticAssertDecl(sizeof(ForwardBody) == 8, "ForwardBody must not be padded");
StaticAssertDecl(sizeof(AddressBody) == 8, "AddressBody must not be padded");
StaticAssertDecl(sizeof(ChainBody) == 16, "ChainBody must not be padded");
StaticAssertDecl(sizeof(EntryHeader) == 8 && MAXIMUM_ALIGNOF == 8,
				 "parts of a message must keep it MAXALIGNed");

/* Bytes yet to be decoded. */
typedef struct Cursor
{
	const char *position;
	Size		left;
} Cursor;

Size
message_entry_size(uint32 length)
{
	return sizeof(EntryHeader) + MAXALIGN((Size) length);
}

static void
put_envelope(StringInfo buf, MessageKind kind, const MessageOrigin *origin,
			 uint64 from, uint64 to, uint32 n_entries)
{
	Envelope	envelope;

	/* alignment counts from the start */
	if (buf->len != 0)
		elog(ERROR, "message must begin at the start of its buffer");

	memset(&envelope, 0, sizeof(envelope));
	envelope.magic = MESSAGE_MAGIC;
	envelope.kind = kind;
	memcpy(envelope.cluster_id, origin->cluster_id.data, UUID_LEN);
	envelope.start = origin->start;
	envelope.from = from;
	envelope.to = to;
	envelope.n_entries = n_entries;
	envelope.understands = origin->understands;
	envelope.disk = origin->disk;
	appendBinaryStringInfo(buf, (char *) &envelope, sizeof(envelope));
}

static void
put_padding(StringInfo buf, uint32 length)
{
	static const char zeros[MAXIMUM_ALIGNOF] = {0};

	appendBinaryStringInfo(buf, zeros, MAXALIGN((Size) length) - length);
}

static void
put_entries(StringInfo buf, const LogEntry *entries, uint32 n_entries)
{
	uint32		i;

	for (i = 0; i < n_entries; i++)
	{
		const LogEntry *entry = &entries[i];
		EntryHeader header;

		memset(&header, 0, sizeof(header));
		header.kind = entry->kind;
		header.length = entry->length;
		appendBinaryStringInfo(buf, (char *) &header, sizeof(header));
		if (entry->length > 0)
			appendBinaryStringInfo(buf, entry->data, entry->length);
		put_padding(buf, entry->length);
	}
}

/*
 * What must be true of a message of the core, whether it goes out or comes in.
 */
static const char *
check_raft(const struct raft_message *raft)
{
	int			i;

	if (raft->from == 0 || raft->to == 0)
		return "message without sender or addressee";
	if ((uint32) raft->type > RAFT_MSG_LAST)
		return "unknown type of message";
	if (raft->term > MAX_POSITION || raft->prev_index > MAX_POSITION ||
		raft->prev_term > MAX_POSITION || raft->commit > MAX_POSITION ||
		raft->match > MAX_POSITION || raft->hint_index > MAX_POSITION ||
		raft->hint_term > MAX_POSITION)
		return "index or term of message is out of range";

	if (raft->n_entries > RAFT_MAX_BATCH)
		return "too many entries in message";
	if (raft->n_entries > 0 && raft->type != RAFT_MSG_APPEND)
		return "entries in a message that carries none";
	if (raft->n_runs > RAFT_MAX_MESSAGE_RUNS)
		return "too many terms in message";
	if ((raft->n_runs == 0) != (raft->n_entries == 0))
		return "terms of message do not match its entries";

	for (i = 0; i < raft->n_runs; i++)
	{
		const struct raft_run *run = &raft->runs[i];

		if (i == 0 ? run->first != raft->prev_index + 1 :
			run->first <= raft->runs[i - 1].first)
			return "terms of message are out of order";
		if (run->first > raft->prev_index + raft->n_entries)
			return "terms of message do not match its entries";
		if (run->term > raft->term ||
			(i == 0 ? run->term < Max(raft->prev_term, 1) :
			 run->term <= raft->runs[i - 1].term))
			return "terms of message are out of order";
	}
	return NULL;
}

/* Give every entry its index and its term, as the runs say. */
static void
number_entries(const struct raft_message *raft, LogEntry *entries)
{
	int			run = 0;
	uint32		i;

	for (i = 0; i < raft->n_entries; i++)
	{
		uint64		index = raft->prev_index + 1 + i;

		while (run + 1 < raft->n_runs && raft->runs[run + 1].first <= index)
			run++;
		entries[i].index = index;
		entries[i].term = raft->runs[run].term;
	}
}

void
message_encode_raft(StringInfo buf, const MessageOrigin *origin,
					const struct raft_message *raft, const LogEntry *entries)
{
	RaftBody	body;
	const char *problem;
	int			run = 0;
	int			i;

	problem = check_raft(raft);
	if (problem)
		elog(ERROR, "%s", problem);

	/* the entries must be those that the core speaks of */
	for (i = 0; i < raft->n_entries; i++)
	{
		while (run + 1 < raft->n_runs && raft->runs[run + 1].first <= entries[i].index)
			run++;
		if (entries[i].index != raft->prev_index + 1 + i ||
			entries[i].term != raft->runs[run].term)
			elog(ERROR, "entry %llu of term %llu does not belong into the message",
				 (unsigned long long) entries[i].index,
				 (unsigned long long) entries[i].term);
	}

	put_envelope(buf, MESSAGE_RAFT, origin, raft->from, raft->to, raft->n_entries);

	memset(&body, 0, sizeof(body));
	body.type = raft->type;
	body.accepted = raft->accepted;
	body.transfer = raft->transfer;
	body.n_runs = raft->n_runs;
	body.term = raft->term;
	body.prev_index = raft->prev_index;
	body.prev_term = raft->prev_term;
	body.commit = raft->commit;
	body.context = raft->context;
	body.match = raft->match;
	body.hint_index = raft->hint_index;
	body.hint_term = raft->hint_term;
	body.promise_ms = raft->promise_ms;
	appendBinaryStringInfo(buf, (char *) &body, sizeof(body));

	for (i = 0; i < raft->n_runs; i++)
	{
		RunBody		run_body;

		run_body.first = raft->runs[i].first;
		run_body.term = raft->runs[i].term;
		appendBinaryStringInfo(buf, (char *) &run_body, sizeof(run_body));
	}

	put_entries(buf, entries, raft->n_entries);
}

void
message_encode_forward(StringInfo buf, const MessageOrigin *origin,
					   uint64 from, uint64 to, uint64 term,
					   const LogEntry *entries, uint32 n_entries)
{
	ForwardBody body;

	/* more than a leader would ever accept */
	if (n_entries > RAFT_MAX_UNCOMMITTED)
		elog(ERROR, "too many entries in message");

	put_envelope(buf, MESSAGE_FORWARD, origin, from, to, n_entries);
	body.term = term;
	appendBinaryStringInfo(buf, (char *) &body, sizeof(body));
	put_entries(buf, entries, n_entries);
}

void
message_encode_address(StringInfo buf, MessageKind kind, const MessageOrigin *origin,
					   uint64 from, uint64 to, const char *conninfo)
{
	AddressBody body = {.length = strlen(conninfo)};

	if (body.length == 0 || body.length >= STORE_CONNINFO_SIZE)
		elog(ERROR, "address in message is empty or too long");

	put_envelope(buf, kind, origin, from, to, 0);
	appendBinaryStringInfo(buf, (char *) &body, sizeof(body));
	appendBinaryStringInfo(buf, conninfo, body.length);
	put_padding(buf, body.length);
}

void
message_encode_chain(StringInfo buf, const MessageOrigin *origin,
					 uint64 from, uint64 to, uint64 index, uint64 chain)
{
	ChainBody	body = {index, chain};

	put_envelope(buf, MESSAGE_CHAIN, origin, from, to, 0);
	appendBinaryStringInfo(buf, (char *) &body, sizeof(body));
}

static bool
take(Cursor *cursor, void *result, Size size)
{
	if (cursor->left < size)
		return false;
	memcpy(result, cursor->position, size);
	cursor->position += size;
	cursor->left -= size;
	return true;
}

static const char *
take_envelope(Cursor *cursor, MessageHeader *header, uint32 *n_entries)
{
	Envelope	envelope;

	if (!take(cursor, &envelope, sizeof(envelope)))
		return "message is too short";
	if (envelope.magic == pg_bswap32(MESSAGE_MAGIC))
		return "message is from a machine of the other byte order";
	if (envelope.magic != MESSAGE_MAGIC)
		return "not a message, or one of another version";
	if (envelope.kind < MESSAGE_RAFT || envelope.kind > MESSAGE_CHAIN)
		return "unknown kind of message";
	if (envelope.start > (uint64) PG_INT64_MAX)
		return "number of the sender's start is out of range";
	if (envelope.from == 0 || envelope.to == 0)
		return "message without sender or addressee";
	if (envelope.zero[0] != 0 || envelope.zero[1] != 0 || envelope.understands == 0)
		return "malformed message";

	memcpy(header->origin.cluster_id.data, envelope.cluster_id, UUID_LEN);
	header->origin.start = envelope.start;
	header->origin.understands = envelope.understands;
	header->origin.disk = envelope.disk;
	header->from = envelope.from;
	header->to = envelope.to;
	header->kind = envelope.kind;
	*n_entries = envelope.n_entries;
	return NULL;
}

static const char *
take_raft(Cursor *cursor, const MessageHeader *header, uint32 n_entries,
		  struct raft_message *raft)
{
	RaftBody	body;
	int			i;

	if (!take(cursor, &body, sizeof(body)))
		return "message is too short";
	if (body.type > RAFT_MSG_LAST)
		return "unknown type of message";
	if (body.accepted > 1 || body.transfer > 1 || body.zero != 0 || body.zero_too != 0)
		return "malformed message";
	if (body.n_runs > RAFT_MAX_MESSAGE_RUNS)
		return "too many terms in message";

	raft->type = body.type;
	raft->from = header->from;
	raft->to = header->to;
	raft->term = body.term;
	raft->prev_index = body.prev_index;
	raft->prev_term = body.prev_term;
	raft->n_entries = n_entries;
	raft->n_runs = body.n_runs;
	raft->commit = body.commit;
	raft->context = body.context;
	raft->accepted = body.accepted;
	raft->transfer = body.transfer;
	raft->match = body.match;
	raft->hint_index = body.hint_index;
	raft->hint_term = body.hint_term;
	raft->promise_ms = body.promise_ms;

	for (i = 0; i < raft->n_runs; i++)
	{
		RunBody		run_body;

		if (!take(cursor, &run_body, sizeof(run_body)))
			return "message is too short";
		raft->runs[i].first = run_body.first;
		raft->runs[i].term = run_body.term;
	}
	return check_raft(raft);
}

static const char *
take_forward(Cursor *cursor, uint32 n_entries, uint64 *term)
{
	ForwardBody body;

	if (!take(cursor, &body, sizeof(body)))
		return "message is too short";
	if (body.term > MAX_POSITION)
		return "index or term of message is out of range";
	if (n_entries > RAFT_MAX_UNCOMMITTED)
		return "too many entries in message";
	*term = body.term;
	return NULL;
}

/* Padding is zero, so that a message has one encoding. */
static bool
is_padded(const Cursor *cursor, uint32 length)
{
	for (Size i = length; i < MAXALIGN((Size) length); i++)
	{
		if (cursor->position[i] != '\0')
			return false;
	}
	return true;
}

static const char *
take_address(Cursor *cursor, uint32 n_entries, char *conninfo)
{
	AddressBody body;

	if (!take(cursor, &body, sizeof(body)))
		return "message is too short";
	if (n_entries != 0)
		return "entries in a message that carries none";
	if (body.zero != 0)
		return "malformed message";
	if (body.length == 0 || body.length >= STORE_CONNINFO_SIZE)
		return "address in message is empty or too long";
	if (cursor->left < MAXALIGN((Size) body.length))
		return "message is too short";
	if (!is_padded(cursor, body.length) ||
		memchr(cursor->position, '\0', body.length) != NULL ||
		pg_encoding_verifymbstr(PG_UTF8, cursor->position, body.length) != body.length)
		return "malformed message";
	memcpy(conninfo, cursor->position, body.length);
	conninfo[body.length] = '\0';
	cursor->position += MAXALIGN((Size) body.length);
	cursor->left -= MAXALIGN((Size) body.length);
	return NULL;
}

static const char *
take_chain(Cursor *cursor, uint32 n_entries, Message *message)
{
	ChainBody	body;

	if (!take(cursor, &body, sizeof(body)))
		return "message is too short";
	if (n_entries != 0)
		return "entries in a message that carries none";
	if (body.index == 0 || body.index > MAX_POSITION)
		return "index or term of message is out of range";
	message->link_index = body.index;
	message->link_chain = body.chain;
	return NULL;
}

/* One entry; its data stays where it is. */
static const char *
take_entry(Cursor *cursor, MessageKind kind, LogEntry *entry)
{
	EntryHeader header;

	if (!take(cursor, &header, sizeof(header)))
		return "message is too short for its entries";
	if (cursor->left < MAXALIGN((Size) header.length))
		return "message is too short for its entries";
	if (!is_padded(cursor, header.length))
		return "malformed message";

	switch (header.kind)
	{
		case ENTRY_NOOP:
			if (header.length != 0)
				return "data in an entry that has none";
			/* a leader's own */
			if (kind == MESSAGE_FORWARD)
				return "entry that cannot be forwarded in message";
			break;
		case ENTRY_COMMAND:
		case ENTRY_MEMBERSHIP:
			break;
		default:
			return "unknown kind of entry in message";
	}

	entry->index = 0;
	entry->term = 0;
	entry->kind = header.kind;
	entry->length = header.length;
	entry->data = cursor->position;
	cursor->position += MAXALIGN((Size) header.length);
	cursor->left -= MAXALIGN((Size) header.length);
	return NULL;
}

/*
 * Read a membership among the entries.  All of them must be sound, the newest
 * two are kept, the older one first.
 */
static const char *
note_config(Message *message, const LogEntry *entry)
{
	Membership	membership;
	struct raft_config_entry *config;
	const char *problem;

	problem = membership_decode(entry->data, entry->length, &membership);
	if (problem)
		return problem;

	if (message->n_configs == lengthof(message->configs))
	{
		message->configs[0] = message->configs[1];
		message->n_configs--;
	}
	config = &message->configs[message->n_configs++];
	config->index = entry->index;
	membership_config(&membership, &config->config);
	return NULL;
}

const char *
message_decode_header(const char *data, Size length, MessageHeader *header)
{
	Cursor		cursor = {data, length};
	uint32		n_entries;

	return take_envelope(&cursor, header, &n_entries);
}

const char *
message_decode(const char *data, Size length, Message *message)
{
	Cursor		cursor = {data, length};
	const char *problem;
	uint32		i;

	Assert((const char *) MAXALIGN(data) == data);

	memset(message, 0, sizeof(*message));
	problem = take_envelope(&cursor, &message->header, &message->n_entries);
	if (problem)
		return problem;

	switch (message->header.kind)
	{
		case MESSAGE_RAFT:
			problem = take_raft(&cursor, &message->header, message->n_entries,
								&message->raft);
			break;
		case MESSAGE_FORWARD:
			problem = take_forward(&cursor, message->n_entries, &message->term);
			break;
		case MESSAGE_HELLO:
		case MESSAGE_REACHED:
			problem = take_address(&cursor, message->n_entries, message->conninfo);
			break;
		case MESSAGE_CHAIN:
			problem = take_chain(&cursor, message->n_entries, message);
			break;
	}
	if (problem)
		return problem;

	/* before anything is allocated for them */
	if (message->n_entries > cursor.left / sizeof(EntryHeader))
		return "message is too short for its entries";
	if (message->n_entries > 0)
		message->entries = palloc(mul_size(message->n_entries, sizeof(LogEntry)));

	for (i = 0; i < message->n_entries; i++)
	{
		problem = take_entry(&cursor, message->header.kind, &message->entries[i]);
		if (problem)
			return problem;
	}
	if (cursor.left != 0)
		return "message is longer than it says";

	if (message->header.kind != MESSAGE_RAFT)
		return NULL;

	number_entries(&message->raft, message->entries);
	for (i = 0; i < message->n_entries; i++)
	{
		if (message->entries[i].kind != ENTRY_MEMBERSHIP)
			continue;
		problem = note_config(message, &message->entries[i]);
		if (problem)
			return problem;
	}
	return NULL;
}
