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

#include <setjmp.h>
#include <time.h>

#include "command.h"
#include "common/pg_prng.h"
#include "fields.h"
#include "jsonb_bytes.h"
#include "membership.h"
#include "message.h"
#include "object.h"

#define ROUNDS 300
#define MUTATIONS 60

static pg_prng_state prng;
static int	n_passed = 0;
static int	n_failed = 0;
static sigjmp_buf error_caught;

/*
 * The server's half of ereport(): an ERROR comes back to ENCODING_FAILS.
 */
bool
errstart(int elevel, const char *domain)
{
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return true;
}

int
errmsg_internal(const char *fmt,...)
{
	return 0;
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	siglongjmp(error_caught, 1);
}

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

static uint64
below(uint64 bound)
{
	return pg_prng_uint64(&prng) % bound;
}

static bool
coin(void)
{
	return below(2) == 1;
}

static char *
random_string(int min_length, int max_length)
{
	int			length = min_length + below(max_length - min_length + 1);
	char	   *s = palloc(length + 1);
	int			i;

	for (i = 0; i < length; i++)
		s[i] = 'a' + below(26);
	s[length] = '\0';
	return s;
}

/*----------
 * Samples
 *----------
 */

static void
random_value(JsonbValue *value, int depth)
{
	Fields		fields;
	char	   *last;
	int			n;
	int			i;

	switch (below(depth > 0 ? 4 : 3))
	{
		case 0:
			value->type = jbvNull;
			break;
		case 1:
			value->type = jbvBool;
			value->val.boolean = coin();
			break;
		case 2:
			value_string(value, random_string(0, 12));
			break;
		default:
			n = coin() ? below(5) : below(80);
			last = "";
			fields_init(&fields, 0);
			for (i = 0; i < n; i++)
			{
				JsonbValue	key;
				JsonbValue	member;

				/* each key one longer than the last is the easy way to order */
				last = psprintf("%s%c", last, (char) ('a' + below(26)));
				value_string(&key, last);
				random_value(&member, depth - 1);
				fields_append(&fields, &key, &member);
			}
			fields_value(&fields, value);
			break;
	}
}

static Jsonb *
random_object(void)
{
	Fields		fields;
	JsonbValue	value;

	fields_init(&fields, 0);
	random_value(&value, 3);
	fields_set(&fields, "spec", &value);
	value_string(&value, "Thing");
	fields_set(&fields, "kind", &value);
	return fields_close(&fields, 0);
}

/* A command on one resource, as it could stand in a transaction. */
static void
random_part(Command *command, uint8 version, CommandOp op)
{
	memset(command, 0, sizeof(*command));
	command->version = version;
	command->op = op;
	if (op == COMMAND_PATCH)
		command->patch_type = version > 1 && coin() ? PATCH_JSON : PATCH_MERGE;
	command->key.api_group = random_string(0, 20);
	command->key.version = random_string(1, 9);
	command->key.kind = random_string(1, 9);
	command->key.namespace = coin() ? random_string(1, 20) : NULL;
	command->key.name = random_string(1, 253);
	if (op == COMMAND_COMPARE)
	{
		command->existence = coin() ? EXISTENCE_REQUIRED : EXISTENCE_REFUSED;
		return;
	}
	command->has_expected = coin();
	if (command->has_expected)
		command->expected = pg_prng_uint64(&prng);
	command->has_uid = coin();
	if (command->has_uid)
		memset(command->uid.data, below(256), UUID_LEN);
	if (command->op != COMMAND_DELETE)
		command->body = random_object();
}

static uint32
random_parts(StringInfo parts, CommandOp first_op)
{
	static const CommandOp ops[] = {COMMAND_CREATE, COMMAND_PUT, COMMAND_PATCH, COMMAND_DELETE};
	uint32		n = below(4);

	for (uint32 i = 0; i < n; i++)
	{
		Command		part;

		random_part(&part, COMMAND_VERSION,
					first_op == COMMAND_COMPARE ? first_op : ops[below(lengthof(ops))]);
		txn_append(parts, &part);
	}
	return n;
}

static void
random_txn(Command *command)
{
	StringInfoData parts;

	memset(command, 0, sizeof(*command));
	command->version = COMMAND_VERSION;
	command->op = COMMAND_TXN;
	initStringInfo(&parts);
	command->parts.n_compares = random_parts(&parts, COMMAND_COMPARE);
	command->parts.n_success = random_parts(&parts, COMMAND_PUT);
	command->parts.n_failure = random_parts(&parts, COMMAND_PUT);
	command->parts.length = parts.len;
	command->parts.data = parts.data;
	command->key.api_group = command->key.version = command->key.kind = command->key.name = "";
}

static void
random_command(Command *command)
{
	int			op = COMMAND_CREATE + below(7);

	if (op == COMMAND_TXN)
		random_txn(command);
	else
		random_part(command, op == COMMAND_COMPACT || coin() ? COMMAND_VERSION : 1, op);
	if (op == COMMAND_COMPACT)
	{
		memset(&command->key, 0, sizeof(command->key));
		command->key.api_group = command->key.version = "";
		command->key.kind = command->key.name = "";
		command->has_expected = command->has_uid = false;
		command->expected = 0;
		memset(&command->uid, 0, sizeof(command->uid));
		command->body = NULL;
		command->revision = pg_prng_uint64(&prng) >> 1;
	}
	if (command->version > 1 && op <= COMMAND_UPDATE && coin())
	{
		command->has_ttl = true;
		command->ttl = 1 + below(1000000);
	}
	command->reason = below(REASON_SCHEDULER + 1);
	command->request.origin = pg_prng_uint64(&prng);
	command->request.sequence = pg_prng_uint64(&prng);
	command->request.slot = pg_prng_uint32(&prng);
	command->time = pg_prng_uint64(&prng);
}

static void
random_membership(Membership *membership)
{
	int			n = below(RAFT_MAX_MEMBERS + 1);
	int			i;

	memset(membership, 0, sizeof(*membership));
	membership->request.origin = pg_prng_uint64(&prng);
	for (i = 0; i < n; i++)
	{
		Member		member;

		memset(&member, 0, sizeof(member));
		member.id = 1 + below(1000);
		member.role = coin() ? RAFT_VOTER : RAFT_LEARNER;
		snprintf(member.name, sizeof(member.name), "node%d_%s", i, random_string(0, 9));
		strcpy(member.conninfo, random_string(0, STORE_CONNINFO_SIZE - 1));
		membership_add(membership, &member);
	}
	membership->next_id = 1001;
}

/* An entry with a payload that fits its kind. */
static void
random_entry(LogEntry *entry, bool may_be_noop)
{
	StringInfoData buf;
	Command		command;
	Membership	membership;

	initStringInfo(&buf);
	memset(entry, 0, sizeof(*entry));
	switch (below(may_be_noop ? 6 : 5))
	{
		case 0:
			entry->kind = ENTRY_MEMBERSHIP;
			random_membership(&membership);
			membership_encode(&buf, &membership);
			break;
		case 5:
			entry->kind = ENTRY_NOOP;
			break;
		default:
			entry->kind = ENTRY_COMMAND;
			random_command(&command);
			command_encode(&buf, &command);
			break;
	}
	entry->length = buf.len;
	entry->data = buf.data;
}

static LogEntry *
random_raft(struct raft_message *raft)
{
	LogEntry   *entries = NULL;
	uint64		term = 1 + below(5);
	int			i;

	memset(raft, 0, sizeof(*raft));
	raft->type = below(RAFT_MSG_LAST + 1);
	raft->from = 1 + below(10);
	raft->to = 1 + below(10);
	raft->prev_index = below(1000000);
	raft->prev_term = term;
	raft->commit = below(1000000);
	raft->context = pg_prng_uint64(&prng);
	raft->accepted = coin();
	raft->transfer = coin();
	raft->match = below(1000000);
	raft->hint_index = below(1000000);
	raft->hint_term = below(1000);

	if (raft->type == RAFT_MSG_APPEND)
		raft->n_entries = below(20);
	if (raft->n_entries > 0)
		entries = palloc(raft->n_entries * sizeof(LogEntry));
	for (i = 0; i < raft->n_entries; i++)
	{
		random_entry(&entries[i], true);
		entries[i].index = raft->prev_index + 1 + i;
		if (i == 0 || (raft->n_runs < RAFT_MAX_MESSAGE_RUNS && below(3) == 0))
		{
			term += 1 + below(3);
			raft->runs[raft->n_runs].first = entries[i].index;
			raft->runs[raft->n_runs].term = term;
			raft->n_runs++;
		}
		entries[i].term = term;
	}
	raft->term = term + below(3);
	return entries;
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
			message_encode_raft(again, &header->cluster_id, &message.raft, message.entries);
		else
			message_encode_forward(again, &header->cluster_id, header->from, header->to,
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
	pg_uuid_t	cluster_id;
	struct raft_message raft;
	LogEntry   *entries;
	Message		message;
	MessageHeader header;
	uint64		newest_config = 0;
	int			i;

	initStringInfo(&buf);
	memset(cluster_id.data, 7, UUID_LEN);
	entries = random_raft(&raft);
	message_encode_raft(&buf, &cluster_id, &raft, entries);

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
		CHECK_ERROR(message_encode_raft(&buf, &cluster_id, &raft, entries));
	}
}

static void
test_forward(void)
{
	StringInfoData buf;
	pg_uuid_t	cluster_id;
	LogEntry	entries[10];
	int			n_entries = below(10);
	Size		size;
	int			i;

	initStringInfo(&buf);
	memset(cluster_id.data, 7, UUID_LEN);
	message_encode_forward(&buf, &cluster_id, 1, 2, 3, NULL, 0);
	size = buf.len;
	resetStringInfo(&buf);
	for (i = 0; i < n_entries; i++)
	{
		random_entry(&entries[i], false);
		size += message_entry_size(entries[i].length);
	}
	message_encode_forward(&buf, &cluster_id, 1, 2, 3, entries, n_entries);
	CHECK(buf.len == size);
	abuse(recode_message, &buf);
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
		test_jsonb();
		test_noise();
	}

	printf("%d passed, %d failed\n", n_passed, n_failed);
	return n_failed > 0;
}
