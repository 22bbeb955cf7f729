/*-------------------------------------------------------------------------
 *
 * command.c
 *	  A change to resources as bytes.
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
#define COMMAND_HAS_TTL			0x08
#define COMMAND_MUST_EXIST		0x10
#define COMMAND_MUST_NOT_EXIST	0x20
#define COMMAND_FORCE			0x40

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

	/* since version 2 */
	int64		argument;		/* of HAS_TTL the ttl, of COMPACT the revision */

	/* since version 3: strings behind those of the key; empty if there is none */
	uint16		manager_length; /* without the NUL */
	uint16		subresource_length;
	uint32		unused;			/* 0 */
} CommandHeader;

StaticAssertDecl(sizeof(CommandHeader) == 88, "CommandHeader must not be padded");

/* What every version begins with; the request id is in it. */
#define REQUEST_END	offsetof(CommandHeader, time)

/* What the bytes of each version may say. */
static const struct
{
	Size		header_size;
	int			last_op;
	int			last_patch_type;
	uint16		flags;
	bool		managers;		/* there are strings for them */
}			versions[] =
{
	[1] = {offsetof(CommandHeader, argument), COMMAND_DELETE, PATCH_MERGE, 0x07, false},
	[2] = {offsetof(CommandHeader, manager_length), COMMAND_COMPARE, PATCH_JSON, 0x3F, false},
	[3] = {sizeof(CommandHeader), COMMAND_COMPARE, PATCH_APPLY, 0x7F, true},
};

/* How a part of a transaction begins; the command follows, padded with zeros. */
typedef struct PartHeader
{
	uint32		length;			/* of the command, without padding */
	uint32		unused;			/* 0 */
} PartHeader;

static const char *const reason_names[] =
{
	[REASON_OPERATOR] = "operator",
	[REASON_CONTROLLER] = "controller",
	[REASON_GARBAGE_COLLECTOR] = "garbage_collector",
	[REASON_ADMISSION] = "admission",
	[REASON_SCHEDULER] = "scheduler",
};

static bool
has_body(int op)
{
	return op == COMMAND_CREATE || op == COMMAND_PUT || op == COMMAND_UPDATE ||
		op == COMMAND_PATCH;
}

static bool
has_key(int op)
{
	return op != COMMAND_TXN && op != COMMAND_COMPACT;
}

/* Who applies has a name; who deletes needs none. */
static const char *
check_manager(const CommandHeader *header)
{
	bool		applies = (header->patch_type == PATCH_APPLY);

	if (applies ? header->manager_length == 0 : (header->flags & COMMAND_FORCE) != 0)
		return "unexpected force, or no manager, in command";
	if ((header->manager_length != 0 && !has_body(header->op)) ||
		(header->subresource_length != 0 && header->manager_length == 0) ||
		header->unused != 0)
		return "unexpected manager in command";
	return NULL;
}

/*
 * What belongs to which operation: a body, a patch type, flags.
 */
static const char *
check_shape(const CommandHeader *header)
{
	const uint16 wants = COMMAND_HAS_EXPECTED | COMMAND_HAS_UID |
		COMMAND_MUST_EXIST | COMMAND_MUST_NOT_EXIST;
	int			op = header->op;
	uint16		flags = header->flags;

	if (op < COMMAND_CREATE || op > versions[header->version].last_op)
		return "unknown operation in command";
	if (op == COMMAND_PATCH ?
		header->patch_type < PATCH_MERGE ||
		header->patch_type > versions[header->version].last_patch_type :
		header->patch_type != PATCH_NONE)
		return "unknown patch type in command";
	if (header->reason >= lengthof(reason_names))
		return "unknown reason in command";
	if ((header->body_length != 0) != (has_body(op) || op == COMMAND_TXN))
		return "command without a body, or with a body too much";

	if (flags & ~versions[header->version].flags)
		return "unknown flags in command";
	if (!has_key(op) && flags != 0)
		return "unexpected flags in command";
	if (op == COMMAND_COMPARE ?
		(flags & wants) == 0 || (flags & wants & ((flags & wants) - 1)) != 0 :
		(flags & (COMMAND_MUST_EXIST | COMMAND_MUST_NOT_EXIST)) != 0)
		return "unexpected condition in command";
	if (flags & COMMAND_HAS_TTL)
	{
		if (!has_body(op) || op == COMMAND_PATCH || header->argument <= 0)
			return "unexpected time to live in command";
	}
	else if (op == COMMAND_COMPACT ? header->argument < 0 : header->argument != 0)
		return "unexpected argument in command";
	return check_manager(header);
}

static const char *
check_key(const ResourceKey *key, int op)
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
		if (!has_key(op) && length != 0)
			return "unexpected key in command";
		if (has_key(op) && length == 0 && i != KEY_API_GROUP)
			return "empty name in command";
		if (pg_encoding_verifymbstr(PG_UTF8, parts[i], length) != length)
			return "invalid UTF-8 in command";
	}
	return NULL;
}

/* With what does not fit in a header as an ERROR; NULL is as long as "". */
static uint16
text_length(const char *s)
{
	Size		length = s ? strlen(s) : 0;

	if (length > PG_UINT16_MAX)
		elog(ERROR, "string of command is too long");
	return length;
}

static const char *
check_text(const char *s)
{
	int			length = strlen(s);

	return pg_encoding_verifymbstr(PG_UTF8, s, length) == length ? NULL :
		"invalid UTF-8 in command";
}

static void
make_header(const Command *command, CommandHeader *header)
{
	memset(header, 0, sizeof(*header));
	header->version = command->version;
	header->op = command->op;
	header->patch_type = command->patch_type;
	header->reason = command->reason;
	header->slot = command->request.slot;
	header->origin = command->request.origin;
	header->sequence = command->request.sequence;
	header->time = command->time;
	if (command->has_expected)
	{
		header->flags |= COMMAND_HAS_EXPECTED;
		header->expected = command->expected;
	}
	if (command->has_uid)
	{
		header->flags |= COMMAND_HAS_UID;
		memcpy(header->uid, command->uid.data, UUID_LEN);
	}
	if (command->key.namespace)
		header->flags |= COMMAND_HAS_NAMESPACE;
	if (command->has_ttl)
	{
		header->flags |= COMMAND_HAS_TTL;
		header->argument = command->ttl;
	}
	if (command->existence == EXISTENCE_REQUIRED)
		header->flags |= COMMAND_MUST_EXIST;
	else if (command->existence == EXISTENCE_REFUSED)
		header->flags |= COMMAND_MUST_NOT_EXIST;
	if (command->op == COMMAND_COMPACT)
		header->argument = command->revision;
	if (command->force)
		header->flags |= COMMAND_FORCE;
	header->manager_length = text_length(command->manager);
	header->subresource_length = text_length(command->subresource);
	if (command->body)
		header->body_length = VARSIZE(command->body);
	else if (command->op == COMMAND_TXN)
		header->body_length = command->parts.length + sizeof(uint32) * 4;
}

uint8
command_needs(const Command *command)
{
	CommandHeader header;
	uint8		version = 1;

	make_header(command, &header);
	while (version < lengthof(versions) - 1 &&
		   (header.op > versions[version].last_op ||
			header.patch_type > versions[version].last_patch_type ||
			(header.flags & ~versions[version].flags) != 0 ||
			(header.manager_length != 0 && !versions[version].managers)))
		version++;
	return version;
}

/* Bytes of a fixed alignment, relative to where the command starts. */
static void
pad(StringInfo buf, int start, int alignment)
{
	while ((buf->len - start) % alignment != 0)
		appendStringInfoChar(buf, '\0');
}

void
command_encode(StringInfo buf, const Command *command)
{
	CommandHeader header;
	const char *parts[KEY_PARTS];
	const char *problem = NULL;
	int			start = buf->len;
	int			i;

	parts[KEY_API_GROUP] = command->key.api_group;
	parts[KEY_VERSION] = command->key.version;
	parts[KEY_KIND] = command->key.kind;
	parts[KEY_NAMESPACE] = command->key.namespace;
	parts[KEY_NAME] = command->key.name;

	if (command->version == 0 || command->version > COMMAND_VERSION)
		problem = "unknown version of command";
	if (problem == NULL)
	{
		make_header(command, &header);
		problem = check_shape(&header);
	}
	if (problem == NULL)
		problem = check_key(&command->key, command->op);
	if (problem == NULL && command->manager)
		problem = check_text(command->manager);
	if (problem == NULL && command->subresource)
		problem = check_text(command->subresource);
	if (problem == NULL && command->manager && !versions[command->version].managers)
		problem = "manager in a command of an older version";
	if (problem)
		elog(ERROR, "%s", problem);

	for (i = 0; i < KEY_PARTS; i++)
		header.key_length[i] = text_length(parts[i]);

	appendBinaryStringInfo(buf, (char *) &header, versions[header.version].header_size);
	for (i = 0; i < KEY_PARTS; i++)
		appendBinaryStringInfo(buf, parts[i] ? parts[i] : "", header.key_length[i] + 1);
	if (versions[header.version].managers)
	{
		appendBinaryStringInfo(buf, command->manager ? command->manager : "",
							   header.manager_length + 1);
		appendBinaryStringInfo(buf, command->subresource ? command->subresource : "",
							   header.subresource_length + 1);
	}
	if (command->body)
	{
		pad(buf, start, ALIGNOF_INT);
		appendBinaryStringInfo(buf, (char *) command->body, header.body_length);
	}
	else if (command->op == COMMAND_TXN)
	{
		uint32		counts[4] = {command->parts.n_compares, command->parts.n_success,
		command->parts.n_failure, 0};

		pad(buf, start, MAXIMUM_ALIGNOF);
		appendBinaryStringInfo(buf, (char *) counts, sizeof(counts));
		appendBinaryStringInfo(buf, command->parts.data, command->parts.length);
	}
}

void
txn_append(StringInfo buf, const Command *part)
{
	PartHeader	header = {0, 0};
	int			start = buf->len;

	Assert(start % MAXIMUM_ALIGNOF == 0);
	appendBinaryStringInfo(buf, (char *) &header, sizeof(header));
	command_encode(buf, part);
	header.length = buf->len - start - sizeof(header);
	memcpy(buf->data + start, &header, sizeof(header));
	pad(buf, 0, MAXIMUM_ALIGNOF);
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

/* Zeros, up to the alignment. */
static const char *
take_padding(const char *data, const char **position, const char *end, int alignment)
{
	for (; (*position - data) % alignment != 0; (*position)++)
	{
		if (*position == end)
			return "command is too short for its body";
		if (**position != '\0')
			return "malformed padding in command";
	}
	return NULL;
}

/* What is left of the bytes must be padding and the body. */
static const char *
take_body(const char *data, const char *position, const char *end,
		  Size body_length, Jsonb **body)
{
	const char *problem;

	*body = NULL;
	if (body_length == 0)
		return position == end ? NULL : "command is longer than it says";

	problem = take_padding(data, &position, end, ALIGNOF_INT);
	if (problem)
		return problem;
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

/*
 * Is this a command that may stand in this place of a transaction, and does it
 * leave to the transaction what is the transaction's?
 */
static const char *
check_part(const Command *txn, const Command *part, uint32 number)
{
	bool		is_compare = (part->op == COMMAND_COMPARE);

	if (part->version != txn->version)
		return "part of another version than its transaction";
	if (is_compare != (number < txn->parts.n_compares) ||
		(!is_compare && (!has_key(part->op) || part->op == COMMAND_UPDATE)))
		return "unexpected operation in transaction";
	if (part->reason != 0 || part->time != 0 || part->has_ttl ||
		part->request.origin != 0 || part->request.sequence != 0 || part->request.slot != 0)
		return "unexpected value in part of transaction";
	return NULL;
}

static const char *decode(const char *data, Size length, Command *command);

/* What is left of the bytes must be padding and the parts, each well formed. */
static const char *
take_parts(const char *data, const char *position, const char *end,
		   Size parts_length, Command *txn)
{
	TxnParts   *parts = &txn->parts;
	uint32		counts[4];
	uint64		n_parts;
	const char *problem = take_padding(data, &position, end, MAXIMUM_ALIGNOF);

	if (problem)
		return problem;
	if (end - position != parts_length || parts_length < sizeof(counts))
		return "length of command does not match its parts";
	memcpy(counts, position, sizeof(counts));
	position += sizeof(counts);
	parts->n_compares = counts[0];
	parts->n_success = counts[1];
	parts->n_failure = counts[2];
	parts->length = end - position;
	parts->data = position;
	n_parts = (uint64) counts[0] + counts[1] + counts[2];
	if (n_parts > TXN_MAX_PARTS || parts_length > TXN_MAX_BYTES || counts[3] != 0)
		return "transaction is too large";

	for (uint32 i = 0; i < n_parts; i++)
	{
		PartHeader	header;
		Command		part;

		if (end - position < sizeof(header))
			return "transaction is too short for its parts";
		memcpy(&header, position, sizeof(header));
		position += sizeof(header);
		if (header.unused != 0 || end - position < header.length)
			return "malformed part in transaction";

		/* no transaction in a transaction, and no recursion to find out */
		if (header.length < 2 || (uint8) position[1] == COMMAND_TXN)
			return "unexpected operation in transaction";
		problem = decode(position, header.length, &part);
		if (problem == NULL)
			problem = check_part(txn, &part, i);
		if (problem)
			return problem;
		position += header.length;
		problem = take_padding(data, &position, end, MAXIMUM_ALIGNOF);
		if (problem)
			return problem;
	}
	return position == end ? NULL : "transaction is longer than it says";
}

bool
txn_next(const Command *txn, Size *position, Command *part)
{
	PartHeader	header;

	if (*position >= txn->parts.length)
		return false;
	memcpy(&header, txn->parts.data + *position, sizeof(header));
	if (decode(txn->parts.data + *position + sizeof(header), header.length, part) != NULL)
		elog(ERROR, "part of a transaction was not checked");
	*position += MAXALIGN(sizeof(header) + header.length);
	return true;
}

/* The header says something: what, and does it leave empty what it must? */
static const char *
take_header(const char *data, Size length, CommandHeader *header)
{
	const char *problem;

	memset(header, 0, sizeof(*header));
	memcpy(header, data, versions[(uint8) data[0]].header_size);

	problem = check_shape(header);
	if (problem)
		return problem;
	if (!(header->flags & COMMAND_HAS_NAMESPACE) && header->key_length[KEY_NAMESPACE] != 0)
		return "unexpected namespace in command";
	if (!(header->flags & COMMAND_HAS_EXPECTED) && header->expected != 0)
		return "unexpected resource version in command";
	if (!(header->flags & COMMAND_HAS_UID) && !is_zero(header->uid, UUID_LEN))
		return "unexpected uid in command";
	return NULL;
}

static void
read_header(const CommandHeader *header, Command *command)
{
	memset(command, 0, sizeof(*command));
	command->version = header->version;
	command->op = header->op;
	command->patch_type = header->patch_type;
	command->reason = header->reason;
	command->request.origin = header->origin;
	command->request.sequence = header->sequence;
	command->request.slot = header->slot;
	command->time = header->time;
	command->has_expected = (header->flags & COMMAND_HAS_EXPECTED) != 0;
	command->expected = header->expected;
	command->has_uid = (header->flags & COMMAND_HAS_UID) != 0;
	memcpy(command->uid.data, header->uid, UUID_LEN);
	command->has_ttl = (header->flags & COMMAND_HAS_TTL) != 0;
	if (command->has_ttl)
		command->ttl = header->argument;
	if (header->flags & COMMAND_MUST_EXIST)
		command->existence = EXISTENCE_REQUIRED;
	else if (header->flags & COMMAND_MUST_NOT_EXIST)
		command->existence = EXISTENCE_REFUSED;
	if (command->op == COMMAND_COMPACT)
		command->revision = header->argument;
	command->force = (header->flags & COMMAND_FORCE) != 0;
}

/* The strings behind those of the key, if this version has them. */
static const char *
take_manager(const CommandHeader *header, const char **position, const char *end,
			 Command *command)
{
	const char *problem;

	if (!versions[header->version].managers)
		return NULL;
	problem = take_string(position, end, header->manager_length, &command->manager);
	if (problem == NULL)
		problem = take_string(position, end, header->subresource_length,
							  &command->subresource);
	if (problem == NULL)
		problem = check_text(command->manager);
	if (problem == NULL)
		problem = check_text(command->subresource);
	if (header->manager_length == 0)
		command->manager = NULL;
	if (header->subresource_length == 0)
		command->subresource = NULL;
	return problem;
}

uint8
command_version(const char *data, Size length)
{
	return length > 0 ? (uint8) data[0] : 0;
}

static const char *
decode(const char *data, Size length, Command *command)
{
	CommandHeader header;
	const char *parts[KEY_PARTS];
	const char *position;
	const char *end = data + length;
	const char *problem;
	uint8		version = command_version(data, length);
	int			i;

	/* the version first, because the rest may mean something else in another */
	if (version > COMMAND_VERSION)
		return "command is of a newer version than this server understands";
	if (version == 0)
		return "command has no version";
	if (length < versions[version].header_size)
		return "command is too short";
	problem = take_header(data, length, &header);
	if (problem)
		return problem;

	position = data + versions[version].header_size;
	for (i = 0; i < KEY_PARTS; i++)
	{
		problem = take_string(&position, end, header.key_length[i], &parts[i]);
		if (problem)
			return problem;
	}

	read_header(&header, command);
	command->key.api_group = parts[KEY_API_GROUP];
	command->key.version = parts[KEY_VERSION];
	command->key.kind = parts[KEY_KIND];
	if (header.flags & COMMAND_HAS_NAMESPACE)
		command->key.namespace = parts[KEY_NAMESPACE];
	command->key.name = parts[KEY_NAME];

	problem = check_key(&command->key, command->op);
	if (problem == NULL)
		problem = take_manager(&header, &position, end, command);
	if (problem)
		return problem;
	if (command->op == COMMAND_TXN)
		return take_parts(data, position, end, header.body_length, command);
	return take_body(data, position, end, header.body_length, &command->body);
}

const char *
command_decode(const char *data, Size length, Command *command)
{
	const char *problem;

	Assert((const char *) MAXALIGN(data) == data);

	problem = decode(data, length, command);
	if (problem == NULL && command->op == COMMAND_COMPARE)
		return "condition outside of a transaction";
	return problem;
}

CommandOp
command_op(const char *data, Size length)
{
	return length < REQUEST_END ? (CommandOp) 0 :
		(CommandOp) ((const CommandHeader *) data)->op;
}

bool
command_request(const char *data, Size length, RequestId *request)
{
	CommandHeader header;

	if (length < REQUEST_END)
		return false;
	memcpy(&header, data, REQUEST_END);
	request->origin = header.origin;
	request->sequence = header.sequence;
	request->slot = header.slot;
	return true;
}

void
command_set_request(char *data, Size length, const RequestId *request)
{
	CommandHeader header;

	if (length < REQUEST_END)
		elog(ERROR, "command is too short");
	memcpy(&header, data, REQUEST_END);
	header.origin = request->origin;
	header.sequence = request->sequence;
	header.slot = request->slot;
	memcpy(data, &header, REQUEST_END);
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
