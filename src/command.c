/*-------------------------------------------------------------------------
 *
 * command.c
 *	  A change to one resource as bytes.
 *
 * The bytes are kept in the log and cross the network, so decoding trusts
 * none of them.  A command has one encoding: whatever is left over, unknown or
 * not zero where it should be is refused, so that two members can never read
 * the same bytes in two ways.
 *
 * What encoding lets pass, decoding must accept: a command that is in the log
 * and cannot be read would stop every member.  So encoding checks the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "command.h"
#include "mb/pg_wchar.h"

#define COMMAND_HAS_EXPECTED	0x01
#define COMMAND_HAS_UID			0x02
#define COMMAND_HAS_NAMESPACE	0x04
#define COMMAND_FLAGS			0x07

/* The strings of the key, in this order. */
enum
{
	KEY_API_GROUP,
	KEY_VERSION,
	KEY_KIND,
	KEY_NAMESPACE,
	KEY_NAME,
	KEY_PARTS
};

/*
 * How a command begins.  Members are ordered so that there is no padding; the
 * request id stays at its offset in every version, because processes that
 * know nothing of the version look for it.
 */
typedef struct CommandHeader
{
	uint8		version;
	uint8		op;
	uint8		patch_type;
	uint8		reason;
	uint32		slot;
	uint64		origin;
	uint64		sequence;
	int64		time;
	int64		expected;		/* 0 unless COMMAND_HAS_EXPECTED */
	uint8		uid[UUID_LEN];	/* 0 unless COMMAND_HAS_UID */
	uint32		body_length;	/* with varlena header; 0 if none */
	uint16		flags;
	uint16		key_length[KEY_PARTS];	/* without the NUL */
} CommandHeader;

StaticAssertDecl(sizeof(CommandHeader) == 72, "CommandHeader must not be padded");

static const char *const reason_names[] =
{
	[REASON_OPERATOR] = "operator",
	[REASON_CONTROLLER] = "controller",
	[REASON_GARBAGE_COLLECTOR] = "garbage_collector",
	[REASON_ADMISSION] = "admission",
	[REASON_SCHEDULER] = "scheduler",
};

/* Which body and which patch type belong to which operation. */
static const char *
check_shape(uint8 version, int op, int patch_type, int reason, bool has_body)
{
	if (version == 0)
		return "command has no version";
	if (version > COMMAND_VERSION)
		return "command is of a newer version than this server understands";
	if (op < COMMAND_CREATE || op > COMMAND_DELETE)
		return "unknown operation in command";
	if (patch_type != (op == COMMAND_PATCH ? PATCH_MERGE : PATCH_NONE))
		return "unknown patch type in command";
	if (reason < 0 || reason >= lengthof(reason_names))
		return "unknown reason in command";
	if (has_body != (op != COMMAND_DELETE))
		return "command without a body, or with a body too much";
	return NULL;
}

static const char *
check_key(const ResourceKey *key)
{
	const char *parts[KEY_PARTS];
	int			i;

	parts[KEY_API_GROUP] = key->api_group;
	parts[KEY_VERSION] = key->version;
	parts[KEY_KIND] = key->kind;
	parts[KEY_NAMESPACE] = key->namespace;
	parts[KEY_NAME] = key->name;

	for (i = 0; i < KEY_PARTS; i++)
	{
		int			length;

		if (parts[i] == NULL)
			continue;
		length = strlen(parts[i]);
		if (length == 0 && i != KEY_API_GROUP)
			return "empty name in command";
		if (pg_encoding_verifymbstr(PG_UTF8, parts[i], length) != length)
			return "invalid UTF-8 in command";
	}
	return NULL;
}

void
command_encode(StringInfo buf, const Command *command)
{
	CommandHeader header;
	const char *parts[KEY_PARTS];
	const char *problem;
	int			start = buf->len;
	int			i;

	parts[KEY_API_GROUP] = command->key.api_group;
	parts[KEY_VERSION] = command->key.version;
	parts[KEY_KIND] = command->key.kind;
	parts[KEY_NAMESPACE] = command->key.namespace ? command->key.namespace : "";
	parts[KEY_NAME] = command->key.name;

	problem = check_shape(command->version, command->op, command->patch_type,
						  command->reason, command->body != NULL);
	if (problem == NULL)
		problem = check_key(&command->key);
	if (problem)
		elog(ERROR, "%s", problem);

	memset(&header, 0, sizeof(header));
	header.version = command->version;
	header.op = command->op;
	header.patch_type = command->patch_type;
	header.reason = command->reason;
	header.slot = command->request.slot;
	header.origin = command->request.origin;
	header.sequence = command->request.sequence;
	header.time = command->time;
	if (command->has_expected)
	{
		header.flags |= COMMAND_HAS_EXPECTED;
		header.expected = command->expected;
	}
	if (command->has_uid)
	{
		header.flags |= COMMAND_HAS_UID;
		memcpy(header.uid, command->uid.data, UUID_LEN);
	}
	if (command->key.namespace)
		header.flags |= COMMAND_HAS_NAMESPACE;
	if (command->body)
		header.body_length = VARSIZE(command->body);
	for (i = 0; i < KEY_PARTS; i++)
	{
		Size		length = strlen(parts[i]);

		if (length > PG_UINT16_MAX)
			elog(ERROR, "key of command is too long");
		header.key_length[i] = length;
	}

	appendBinaryStringInfo(buf, (char *) &header, sizeof(header));
	for (i = 0; i < KEY_PARTS; i++)
		appendBinaryStringInfo(buf, parts[i], header.key_length[i] + 1);
	if (command->body)
	{
		while ((buf->len - start) % ALIGNOF_INT != 0)
			appendStringInfoChar(buf, '\0');
		appendBinaryStringInfo(buf, (char *) command->body, header.body_length);
	}
}

static bool
is_zero(const uint8 *bytes, Size length)
{
	Size		i;

	for (i = 0; i < length; i++)
	{
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/*
 * Take the next string of the key out of the bytes, and move on behind it.
 */
static const char *
take_string(const char **position, const char *end, Size length, const char **string)
{
	const char *s = *position;

	if (end - s < length + 1)
		return "command is too short for its key";
	if (s[length] != '\0' || memchr(s, '\0', length) != NULL)
		return "malformed string in command";
	*string = s;
	*position = s + length + 1;
	return NULL;
}

/* What is left of the bytes must be padding and the body. */
static const char *
take_body(const char *data, const char *position, const char *end,
		  Size body_length, Jsonb **body)
{
	*body = NULL;
	if (body_length == 0)
		return position == end ? NULL : "command is longer than it says";

	for (; (position - data) % ALIGNOF_INT != 0; position++)
	{
		if (position == end)
			return "command is too short for its body";
		if (*position != '\0')
			return "malformed padding in command";
	}
	if (end - position != body_length)
		return "length of command does not match its body";

	/*
	 * A plain, uncompressed varlena of just this length, with room for the
	 * header of a container, so that at least the outermost macros of jsonb
	 * are safe to use.
	 */
	if (body_length < VARHDRSZ + sizeof(uint32) ||
		!VARATT_IS_4B_U(position) || VARSIZE(position) != body_length)
		return "malformed body in command";
	*body = (Jsonb *) unconstify(char *, position);
	return NULL;
}

const char *
command_decode(const char *data, Size length, Command *command)
{
	CommandHeader header;
	const char *parts[KEY_PARTS];
	const char *position;
	const char *end;
	const char *problem;
	int			i;

	Assert((const char *) MAXALIGN(data) == data);

	/* the version first, because the rest may mean something else in another */
	if (length >= 1 && (uint8) data[0] > COMMAND_VERSION)
		return "command is of a newer version than this server understands";
	if (length < sizeof(header))
		return "command is too short";
	memcpy(&header, data, sizeof(header));

	problem = check_shape(header.version, header.op, header.patch_type,
						  header.reason, header.body_length != 0);
	if (problem)
		return problem;
	if (header.flags & ~COMMAND_FLAGS)
		return "unknown flags in command";
	if (!(header.flags & COMMAND_HAS_NAMESPACE) && header.key_length[KEY_NAMESPACE] != 0)
		return "unexpected namespace in command";
	if (!(header.flags & COMMAND_HAS_EXPECTED) && header.expected != 0)
		return "unexpected resource version in command";
	if (!(header.flags & COMMAND_HAS_UID) && !is_zero(header.uid, UUID_LEN))
		return "unexpected uid in command";

	position = data + sizeof(header);
	end = data + length;
	for (i = 0; i < KEY_PARTS; i++)
	{
		problem = take_string(&position, end, header.key_length[i], &parts[i]);
		if (problem)
			return problem;
	}

	memset(command, 0, sizeof(*command));
	command->version = header.version;
	command->op = header.op;
	command->patch_type = header.patch_type;
	command->reason = header.reason;
	command->request.origin = header.origin;
	command->request.sequence = header.sequence;
	command->request.slot = header.slot;
	command->time = header.time;
	command->key.api_group = parts[KEY_API_GROUP];
	command->key.version = parts[KEY_VERSION];
	command->key.kind = parts[KEY_KIND];
	if (header.flags & COMMAND_HAS_NAMESPACE)
		command->key.namespace = parts[KEY_NAMESPACE];
	command->key.name = parts[KEY_NAME];
	command->has_expected = (header.flags & COMMAND_HAS_EXPECTED) != 0;
	command->expected = header.expected;
	command->has_uid = (header.flags & COMMAND_HAS_UID) != 0;
	memcpy(command->uid.data, header.uid, UUID_LEN);

	problem = check_key(&command->key);
	if (problem)
		return problem;
	return take_body(data, position, end, header.body_length, &command->body);
}

bool
command_request(const char *data, Size length, RequestId *request)
{
	CommandHeader header;

	if (length < sizeof(header))
		return false;
	memcpy(&header, data, sizeof(header));
	request->origin = header.origin;
	request->sequence = header.sequence;
	request->slot = header.slot;
	return true;
}

void
command_set_request(char *data, Size length, const RequestId *request)
{
	CommandHeader header;

	if (length < sizeof(header))
		elog(ERROR, "command is too short");
	memcpy(&header, data, sizeof(header));
	header.origin = request->origin;
	header.sequence = request->sequence;
	header.slot = request->slot;
	memcpy(data, &header, sizeof(header));
}

const char *
reason_name(Reason reason)
{
	if ((unsigned int) reason >= lengthof(reason_names))
		elog(ERROR, "unknown reason: %d", (int) reason);
	return reason_names[reason];
}

bool
reason_parse(const char *name, Reason *reason)
{
	int			i;

	for (i = 0; i < lengthof(reason_names); i++)
	{
		if (strcmp(name, reason_names[i]) == 0)
		{
			*reason = i;
			return true;
		}
	}
	return false;
}
