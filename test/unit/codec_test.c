/*-------------------------------------------------------------------------
 *
 * codec_test.c
 *	  The codecs against themselves, against damage and against noise.
 *
 * Three properties, for commands, memberships and messages alike:
 *
 *	- what was encoded is decoded to the same;
 *	- no beginning of an encoding, and none with a byte too much, is accepted;
 *	- whatever is accepted, however it came about, encodes to the same bytes:
 *	  each thing has one encoding.
 *
 * Bytes are handed over in blocks of just their length, so that the address
 * sanitizer sees each read beyond them.
 *
 * The seed is printed first; given as argument, it replays the run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "command.h"
#include "fields.h"
#include "jsonb_bytes.h"
#include "membership.h"
#include "message.h"
#include "object.h"
#include "samples.h"
#include "stubs.h"

#define ROUNDS 300
#define MUTATIONS 60

static int	n_passed = 0;
static int	n_failed = 0;

#define CHECK(condition) check((condition), #condition, __LINE__)

/* Does the statement end in an ERROR? */
#define CHECK_ERROR(statement) \
	do { \
		if (sigsetjmp(error_caught, 0) == 0) \
		{ \
			statement; \
			check(false, #statement " raises an ERROR", __LINE__); \
		} \
		else \
			n_passed++; \
	} while (0)

static void
check(bool holds, const char *condition, int line)
{
	if (holds)
	{
		n_passed++;
		return;
	}
	n_failed++;
	printf("line %d: not true: %s\n", line, condition);
}

/*----------
 * Decode, and encode again what was accepted
 *----------
 */

typedef const char *(*Recode) (const char *data, Size length, StringInfo again);

static const char *
recode_command(const char *data, Size length, StringInfo again)
{
	Command		command;
	const char *problem = command_decode(data, length, &command);

	if (problem == NULL)
	{
		Command		part;
		Size		position = 0;

		while (txn_next(&command, &position, &part))
			continue;
		command_encode(again, &command);
	}
	return problem;
}

static const char *
recode_membership(const char *data, Size length, StringInfo again)
{
	Membership	membership;
	const char *problem = membership_decode(data, length, &membership);

	if (problem == NULL)
		membership_encode(again, &membership);
	return problem;
}

static const char *
recode_message(const char *data, Size length, StringInfo again)
{
	Message		message;
	const char *problem = message_decode(data, length, &message);

	if (problem == NULL)
	{
		MessageHeader *header = &message.header;

		if (header->kind == MESSAGE_RAFT)
			message_encode_raft(again, &header->origin, &message.raft, message.entries);
		else if (header->kind == MESSAGE_HELLO || header->kind == MESSAGE_REACHED)
			message_encode_address(again, header->kind, &header->origin,
								   header->from, header->to, message.conninfo);
		else if (header->kind == MESSAGE_CHAIN)
			message_encode_chain(again, &header->origin, header->from, header->to,
								 message.link_index, message.link_chain);
		else
			message_encode_forward(again, &header->origin, header->from, header->to,
								   message.term, message.entries, message.n_entries);
	}
	if (message.entries)
		pfree(message.entries);
	return problem;
}

static const char *
recode_jsonb(const char *data, Size length, StringInfo again)
{
	appendBinaryStringInfo(again, data, length);
	return jsonb_bytes_check(data, length);
}

/* Returns whether the bytes were accepted. */
static bool
try_bytes(Recode recode, const char *data, Size length)
{
	char	   *exact = malloc(length > 0 ? length : 1);
	StringInfoData again;
	const char *problem;

	memcpy(exact, data, length);
	initStringInfo(&again);
	if (sigsetjmp(error_caught, 0) != 0)
	{
		CHECK(!"what was decoded cannot be encoded");
		free(exact);
		return true;
	}
	problem = recode(exact, length, &again);
	if (problem == NULL)
		CHECK(again.len == length && memcmp(again.data, data, length) == 0);
	free(exact);
	pfree(again.data);
	return problem == NULL;
}

static void
abuse(Recode recode, StringInfo buf)
{
	Size		length;
	int			i;
	int			j;

	CHECK(try_bytes(recode, buf->data, buf->len));

	/* every beginning of something short; some of something long */
	for (length = 0; length < buf->len; length += 1 + (buf->len > 2000 ? below(500) : 0))
		CHECK(!try_bytes(recode, buf->data, length));

	appendStringInfoChar(buf, '\0');
	CHECK(!try_bytes(recode, buf->data, buf->len));
	buf->len--;

	for (i = 0; i < MUTATIONS; i++)
	{
		char	   *copy = palloc(buf->len);
		int			n_changes = 1 + below(3);

		memcpy(copy, buf->data, buf->len);
		for (j = 0; j < n_changes; j++)
		{
			/* rather in front, where the lengths are */
			Size		at = below(coin() ? buf->len : Min(buf->len, 160));

			copy[at] = coin() ? (char) below(256) : copy[at] ^ (1 << below(8));
		}
		(void) try_bytes(recode, copy, buf->len);
		pfree(copy);
	}
}

/*----------
 * Tests
 *----------
 */

/*
 * Each version reads its own bytes: what a newer one could say is unknown to
 * an older, and what is newer than this server is not read at all.
 */
static void
test_versions(StringInfo buf)
{
	char	   *copy = palloc(buf->len);
	Command		command;

	memcpy(copy, buf->data, buf->len);
	CHECK(command_version(copy, buf->len) >= 1 &&
		  command_version(copy, buf->len) <= COMMAND_VERSION);
	CHECK(command_version(copy, 0) == 0);
	copy[0] = COMMAND_VERSION + 1;
	CHECK(command_version(copy, buf->len) == COMMAND_VERSION + 1);
	CHECK(command_decode(copy, buf->len, &command) != NULL);
	copy[0] = 0;
	CHECK(command_decode(copy, buf->len, &command) != NULL);
	if ((uint8) copy[1] > COMMAND_DELETE)
	{
		copy[0] = 1;
		CHECK(command_decode(copy, buf->len, &command) != NULL);
	}
	pfree(copy);
}

static void
test_command(void)
{
	StringInfoData buf;
	Command		command;
	Command		decoded;
	RequestId	request = {1, 2, 3};
	RequestId	found;

	initStringInfo(&buf);
	random_command(&command);
	command_encode(&buf, &command);

	CHECK(command_decode(buf.data, buf.len, &decoded) == NULL);
	CHECK(decoded.op == command.op && decoded.patch_type == command.patch_type);
	CHECK(decoded.reason == command.reason && decoded.time == command.time);
	CHECK(strcmp(decoded.key.name, command.key.name) == 0);
	CHECK((decoded.key.namespace == NULL) == (command.key.namespace == NULL));
	CHECK(decoded.has_expected == command.has_expected);
	CHECK(decoded.expected == command.expected);
	CHECK(decoded.request.sequence == command.request.sequence);
	if (command.body)
		CHECK(VARSIZE(decoded.body) == VARSIZE(command.body) &&
			  memcmp(decoded.body, command.body, VARSIZE(command.body)) == 0);
	else
		CHECK(decoded.body == NULL);
	CHECK(decoded.version == command.version && decoded.revision == command.revision);
	CHECK(decoded.has_ttl == command.has_ttl && decoded.ttl == command.ttl);
	CHECK(decoded.parts.n_success == command.parts.n_success);
	CHECK(decoded.force == command.force);
	CHECK(command.manager ? strcmp(decoded.manager, command.manager) == 0 :
		  decoded.manager == NULL);
	CHECK(command.subresource ? strcmp(decoded.subresource, command.subresource) == 0 :
		  decoded.subresource == NULL);
	abuse(recode_command, &buf);
	test_versions(&buf);

	command_set_request(buf.data, buf.len, &request);
	CHECK(command_request(buf.data, buf.len, &found));
	CHECK(found.origin == 1 && found.sequence == 2 && found.slot == 3);
	CHECK(!command_request(buf.data, 20, &found));

	/* encoding refuses what decoding would */
	random_part(&command, COMMAND_VERSION, COMMAND_PUT);
	decoded = command;
	decoded.key.name = "\xff";
	CHECK_ERROR(command_encode(&buf, &decoded));
	decoded = command;
	decoded.body = decoded.body ? NULL : random_object();
	CHECK_ERROR(command_encode(&buf, &decoded));
	decoded = command;
	decoded.version = COMMAND_VERSION + 1;
	CHECK_ERROR(command_encode(&buf, &decoded));
	decoded = command;
	decoded.version = 1;
	decoded.has_ttl = true;
	decoded.ttl = 1;
	CHECK_ERROR(command_encode(&buf, &decoded));
	random_part(&decoded, COMMAND_VERSION, COMMAND_COMPARE);
	resetStringInfo(&buf);
	command_encode(&buf, &decoded);
	CHECK(command_decode(buf.data, buf.len, &decoded) != NULL);
}

static void
test_membership(void)
{
	StringInfoData buf;
	Membership	membership;
	Membership	decoded;
	struct raft_config config;

	initStringInfo(&buf);
	random_membership(&membership);
	membership_encode(&buf, &membership);
	CHECK(membership_decode(buf.data, buf.len, &decoded) == NULL);
	CHECK(memcmp(&membership, &decoded, sizeof(membership)) == 0);
	abuse(recode_membership, &buf);

	membership_config(&membership, &config);
	CHECK(config.n_members == membership.n_members);
	if (membership.n_members > 0)
	{
		int			i = below(membership.n_members);
		Member		member = membership.members[i];

		CHECK(config.members[i].id == member.id && config.members[i].role == member.role);
		CHECK(membership_find(&membership, member.id) == &membership.members[i]);
		CHECK(membership_find_name(&membership, member.name) == &membership.members[i]);
		CHECK(!membership_add(&membership, &member));
		CHECK(membership_find(&membership, 5000) == NULL);
	}
	if (membership.n_members > 0)
	{
		Member		gone = membership.members[below(membership.n_members)];
		uint32		n_members = membership.n_members;

		CHECK(!membership_is_former(&membership, gone.id));
		CHECK(membership_remove(&membership, gone.id));
		CHECK(!membership_remove(&membership, gone.id));
		CHECK(membership.n_members == n_members - 1);
		CHECK(membership.n_removed <= MEMBERSHIP_MAX_REMOVED);
		CHECK(membership_was_removed(&membership, gone.name));
		CHECK(membership_is_former(&membership, gone.id));
		CHECK(!membership_is_former(&membership, membership.next_id));
		resetStringInfo(&buf);
		membership_encode(&buf, &membership);
		CHECK(membership_decode(buf.data, buf.len, &decoded) == NULL);
		CHECK(memcmp(&membership, &decoded, sizeof(membership)) == 0);
	}
	if (membership.n_members > 1)
	{
		strcpy(membership.members[0].name, membership.members[1].name);
		CHECK_ERROR(membership_encode(&buf, &membership));
	}
}

static void
test_raft_message(void)
{
	StringInfoData buf;
	MessageOrigin origin;
	struct raft_message raft;
	LogEntry   *entries;
	Message		message;
	MessageHeader header;
	uint64		newest_config = 0;
	int			i;

	initStringInfo(&buf);
	memset(&origin, 7, sizeof(origin));
	entries = random_raft(&raft);
	message_encode_raft(&buf, &origin, &raft, entries);

	CHECK(message_decode_header(buf.data, buf.len, &header) == NULL);
	CHECK(header.kind == MESSAGE_RAFT && header.from == raft.from && header.to == raft.to);
	CHECK(message_decode(buf.data, buf.len, &message) == NULL);
	CHECK(memcmp(&message.raft, &raft, sizeof(raft)) == 0);
	CHECK(message.n_entries == raft.n_entries);
	for (i = 0; i < raft.n_entries; i++)
	{
		LogEntry   *entry = &message.entries[i];

		CHECK(entry->index == entries[i].index && entry->term == entries[i].term);
		CHECK(entry->kind == entries[i].kind && entry->length == entries[i].length);
		CHECK(memcmp(entry->data, entries[i].data, entry->length) == 0);
		CHECK((entry->data - buf.data) % MAXIMUM_ALIGNOF == 0);
		if (entry->kind == ENTRY_MEMBERSHIP)
			newest_config = entry->index;
	}
	CHECK((message.n_configs > 0) == (newest_config > 0));
	if (message.n_configs > 0)
		CHECK(message.configs[message.n_configs - 1].index == newest_config);
	if (message.n_configs > 1)
		CHECK(message.configs[0].index < message.configs[1].index);
	abuse(recode_message, &buf);

	if (raft.n_entries > 0)
	{
		resetStringInfo(&buf);
		entries[0].index++;
		CHECK_ERROR(message_encode_raft(&buf, &origin, &raft, entries));
	}
}

static void
test_forward(void)
{
	StringInfoData buf;
	MessageOrigin origin;
	LogEntry	entries[10];
	int			n_entries = below(10);
	Size		size;
	int			i;

	initStringInfo(&buf);
	memset(&origin, 7, sizeof(origin));
	message_encode_forward(&buf, &origin, 1, 2, 3, NULL, 0);
	size = buf.len;
	resetStringInfo(&buf);
	for (i = 0; i < n_entries; i++)
	{
		random_entry(&entries[i], false);
		size += message_entry_size(entries[i].length);
	}
	message_encode_forward(&buf, &origin, 1, 2, 3, entries, n_entries);
	CHECK(buf.len == size);
	abuse(recode_message, &buf);
}

static void
test_address(MessageKind kind)
{
	StringInfoData buf;
	MessageOrigin origin;
	char		conninfo[STORE_CONNINFO_SIZE];
	Message		message;

	initStringInfo(&buf);
	memset(&origin, 7, sizeof(origin));
	strcpy(conninfo, random_string(1, STORE_CONNINFO_SIZE - 1));
	message_encode_address(&buf, kind, &origin, 1, 2, conninfo);
	CHECK(message_decode(buf.data, buf.len, &message) == NULL);
	CHECK(message.header.kind == kind && strcmp(message.conninfo, conninfo) == 0);
	abuse(recode_message, &buf);

	resetStringInfo(&buf);
	CHECK_ERROR(message_encode_address(&buf, kind, &origin, 1, 2, ""));
}

static void
test_chain(void)
{
	StringInfoData buf;
	MessageOrigin origin;
	Message		message;
	uint64		index = 1 + below(1000000);
	uint64		chain = below(1000000);

	initStringInfo(&buf);
	memset(&origin, 7, sizeof(origin));
	message_encode_chain(&buf, &origin, 1, 2, index, chain);
	CHECK(message_decode(buf.data, buf.len, &message) == NULL);
	CHECK(message.header.kind == MESSAGE_CHAIN && message.n_entries == 0);
	CHECK(message.link_index == index && message.link_chain == chain);
	abuse(recode_message, &buf);

	/* nothing is applied at index 0 */
	resetStringInfo(&buf);
	message_encode_chain(&buf, &origin, 1, 2, 0, chain);
	CHECK(message_decode(buf.data, buf.len, &message) != NULL);
}

static void
test_jsonb(void)
{
	StringInfoData buf;
	Jsonb	   *object = random_object();
	Fields		fields;
	JsonbValue	value;
	int			depth;

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, (char *) object, VARSIZE(object));
	abuse(recode_jsonb, &buf);

	/* as deep as allowed, and one deeper */
	value.type = jbvNull;
	for (depth = 1; depth <= STORE_MAX_DEPTH; depth++)
	{
		fields_init(&fields, 0);
		fields_set(&fields, "a", &value);
		fields_value(&fields, &value);
	}
	object = fields_close(&fields, 0);
	CHECK(jsonb_bytes_check((char *) object, VARSIZE(object)) == NULL);
	fields_init(&fields, 0);
	fields_set(&fields, "a", &value);
	object = fields_close(&fields, 0);
	CHECK(jsonb_bytes_check((char *) object, VARSIZE(object)) != NULL);
}

static void
test_noise(void)
{
	Size		length = below(300);
	char	   *noise = palloc(length + 1);
	Size		i;

	for (i = 0; i < length; i++)
		noise[i] = below(256);
	(void) try_bytes(recode_command, noise, length);
	(void) try_bytes(recode_membership, noise, length);
	(void) try_bytes(recode_message, noise, length);
	(void) try_bytes(recode_jsonb, noise, length);
}

int
main(int argc, char **argv)
{
	uint64		seed = argc > 1 ? strtou64(argv[1], NULL, 10) : (uint64) time(NULL);
	int			i;

	printf("seed " UINT64_FORMAT "\n", seed);
	pg_prng_seed(&prng, seed);

	for (i = 0; i < ROUNDS; i++)
	{
		test_command();
		if (i % 10 == 0)
		{
			test_membership();
			test_raft_message();
		}
		test_forward();
		test_address(MESSAGE_HELLO);
		test_address(MESSAGE_REACHED);
		test_chain();
		test_jsonb();
		test_noise();
	}

	printf("%d passed, %d failed\n", n_passed, n_failed);
	return n_failed > 0;
}
