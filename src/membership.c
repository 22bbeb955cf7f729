/*-------------------------------------------------------------------------
 *
 * membership.c
 *	  Who belongs to the cluster, as bytes and as a list.
 *
 * The bytes are a log entry, a part of a message, and a bytea in
 * store.raft_state, so nothing is assumed about their alignment: numbers are
 * copied out.  Only as much of a name is stored as there is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "membership.h"

/* Both without padding, in native byte order. */
typedef struct MembershipHeader
{
	uint64		origin;
	uint64		sequence;
	uint32		slot;
	uint32		n_members;
	uint64		next_id;
	uint32		n_removed;		/* names follow the members */
	uint8		version;
	uint8		zero[3];
} MembershipHeader;

typedef struct MemberHeader
{
	uint64		id;
	uint32		role;
	uint16		name_length;	/* name and conninfo follow, without NUL */
	uint16		conninfo_length;
} MemberHeader;

StaticAssertDecl(sizeof(MembershipHeader) == 40, "MembershipHeader must not be padded");
StaticAssertDecl(sizeof(MemberHeader) == 16, "MemberHeader must not be padded");

static bool
string_is_valid(const char *string, Size size)
{
	Size		length = strnlen(string, size);

	return length < size &&
		pg_encoding_verifymbstr(PG_UTF8, string, length) == length;
}

/* What must be true of every membership, whether made here or received. */
static const char *
check_membership(const Membership *membership)
{
	uint64		last_id = 0;
	int			i;
	int			j;

	if (membership->n_members > RAFT_MAX_MEMBERS)
		return "too many members in membership";
	if (membership->n_removed > MEMBERSHIP_MAX_REMOVED)
		return "too many former members in membership";
	if (membership->version == 0 && membership->n_members > 0)
		return "membership without a version";

	for (i = 0; i < membership->n_members; i++)
	{
		const Member *member = &membership->members[i];

		if (member->id <= last_id)
			return "members out of order in membership";
		last_id = member->id;
		if (member->role != RAFT_LEARNER && member->role != RAFT_VOTER)
			return "unknown role in membership";
		if (member->name[0] == '\0')
			return "member without a name in membership";
		if (!string_is_valid(member->name, sizeof(member->name)) ||
			!string_is_valid(member->conninfo, sizeof(member->conninfo)))
			return "malformed string in membership";
		for (j = 0; j < i; j++)
		{
			if (strcmp(membership->members[j].name, member->name) == 0)
				return "name given twice in membership";
		}
	}
	for (i = 0; i < membership->n_removed; i++)
	{
		if (membership->removed[i][0] == '\0' ||
			!string_is_valid(membership->removed[i], STORE_NAME_SIZE))
			return "malformed string in membership";
	}
	/* nobody at all, and no next id either, is what a new member begins with */
	if (last_id != 0 && membership->next_id <= last_id)
		return "next id of membership is taken";
	return NULL;
}

void
membership_encode(StringInfo buf, const Membership *membership)
{
	MembershipHeader header;
	const char *problem;
	int			i;

	problem = check_membership(membership);
	if (problem)
		elog(ERROR, "%s", problem);

	memset(&header, 0, sizeof(header));
	header.origin = membership->request.origin;
	header.sequence = membership->request.sequence;
	header.slot = membership->request.slot;
	header.n_members = membership->n_members;
	header.next_id = membership->next_id;
	header.n_removed = membership->n_removed;
	header.version = membership->version;
	appendBinaryStringInfo(buf, (char *) &header, sizeof(header));

	for (i = 0; i < membership->n_members; i++)
	{
		const Member *member = &membership->members[i];
		MemberHeader member_header;

		memset(&member_header, 0, sizeof(member_header));
		member_header.id = member->id;
		member_header.role = member->role;
		member_header.name_length = strlen(member->name);
		member_header.conninfo_length = strlen(member->conninfo);
		appendBinaryStringInfo(buf, (char *) &member_header, sizeof(member_header));
		appendBinaryStringInfo(buf, member->name, member_header.name_length);
		appendBinaryStringInfo(buf, member->conninfo, member_header.conninfo_length);
	}

	for (i = 0; i < membership->n_removed; i++)
	{
		uint16		length = strlen(membership->removed[i]);

		appendBinaryStringInfo(buf, (char *) &length, sizeof(length));
		appendBinaryStringInfo(buf, membership->removed[i], length);
	}
}

/* Copy a string out of the bytes, if it is there and fits. */
static const char *
take_string(const char **position, const char *end, Size length, char *string, Size size)
{
	if (length >= size)
		return "string too long in membership";
	if (end - *position < length)
		return "membership is too short";
	if (memchr(*position, '\0', length) != NULL)
		return "malformed string in membership";

	memcpy(string, *position, length);
	memset(string + length, 0, size - length);
	*position += length;
	return NULL;
}

/* The names of former members. */
static const char *
take_removed(const char **position, const char *end, Membership *membership)
{
	for (uint32 i = 0; i < membership->n_removed; i++)
	{
		const char *problem;
		uint16		length;

		if (end - *position < sizeof(length))
			return "membership is too short";
		memcpy(&length, *position, sizeof(length));
		*position += sizeof(length);
		problem = take_string(position, end, length, membership->removed[i],
							  STORE_NAME_SIZE);
		if (problem)
			return problem;
	}
	return NULL;
}

const char *
membership_decode(const char *data, Size length, Membership *membership)
{
	MembershipHeader header;
	const char *position = data;
	const char *end = data + length;
	const char *problem;
	int			i;

	if (length < sizeof(header))
		return "membership is too short";
	memcpy(&header, position, sizeof(header));
	position += sizeof(header);
	if (header.n_members > RAFT_MAX_MEMBERS)
		return "too many members in membership";
	if (header.n_removed > MEMBERSHIP_MAX_REMOVED)
		return "too many former members in membership";
	if (header.zero[0] != 0 || header.zero[1] != 0 || header.zero[2] != 0)
		return "malformed membership";

	memset(membership, 0, sizeof(*membership));
	membership->request.origin = header.origin;
	membership->request.sequence = header.sequence;
	membership->request.slot = header.slot;
	membership->n_members = header.n_members;
	membership->next_id = header.next_id;
	membership->n_removed = header.n_removed;
	membership->version = header.version;

	for (i = 0; i < header.n_members; i++)
	{
		Member	   *member = &membership->members[i];
		MemberHeader member_header;

		if (end - position < sizeof(member_header))
			return "membership is too short";
		memcpy(&member_header, position, sizeof(member_header));
		position += sizeof(member_header);

		member->id = member_header.id;
		if (member_header.role != RAFT_LEARNER && member_header.role != RAFT_VOTER)
			return "unknown role in membership";
		member->role = member_header.role;

		problem = take_string(&position, end, member_header.name_length,
							  member->name, sizeof(member->name));
		if (problem == NULL)
			problem = take_string(&position, end, member_header.conninfo_length,
								  member->conninfo, sizeof(member->conninfo));
		if (problem)
			return problem;
	}

	problem = take_removed(&position, end, membership);
	if (problem)
		return problem;
	if (position != end)
		return "membership is longer than it says";
	return check_membership(membership);
}

void
membership_config(const Membership *membership, struct raft_config *config)
{
	int			i;

	memset(config, 0, sizeof(*config));
	config->n_members = membership->n_members;
	for (i = 0; i < membership->n_members; i++)
	{
		config->members[i].id = membership->members[i].id;
		config->members[i].role = membership->members[i].role;
	}
}

Member *
membership_find(Membership *membership, uint64 id)
{
	int			i;

	for (i = 0; i < membership->n_members; i++)
	{
		if (membership->members[i].id == id)
			return &membership->members[i];
	}
	return NULL;
}

Member *
membership_find_name(Membership *membership, const char *name)
{
	int			i;

	for (i = 0; i < membership->n_members; i++)
	{
		if (strcmp(membership->members[i].name, name) == 0)
			return &membership->members[i];
	}
	return NULL;
}

bool
membership_add(Membership *membership, const Member *member)
{
	int			i;

	if (membership->n_members >= RAFT_MAX_MEMBERS || member->id == 0)
		return false;

	for (i = 0; i < membership->n_members; i++)
	{
		if (membership->members[i].id == member->id)
			return false;
		if (membership->members[i].id > member->id)
			break;
	}
	memmove(&membership->members[i + 1], &membership->members[i],
			(membership->n_members - i) * sizeof(Member));
	membership->members[i] = *member;
	membership->n_members++;
	return true;
}

static void
forget_removed(Membership *membership, uint32 which)
{
	memmove(membership->removed[which], membership->removed[which + 1],
			(membership->n_removed - which - 1) * STORE_NAME_SIZE);
	membership->n_removed--;
	memset(membership->removed[membership->n_removed], 0, STORE_NAME_SIZE);
}

bool
membership_remove(Membership *membership, uint64 id)
{
	Member	   *member = membership_find(membership, id);

	if (member == NULL)
		return false;

	for (uint32 i = membership->n_removed; i-- > 0;)
	{
		if (strcmp(membership->removed[i], member->name) == 0)
			forget_removed(membership, i);
	}
	if (membership->n_removed == MEMBERSHIP_MAX_REMOVED)
		forget_removed(membership, 0);
	memcpy(membership->removed[membership->n_removed++], member->name, STORE_NAME_SIZE);

	memmove(member, member + 1,
			(membership->members + membership->n_members - (member + 1)) * sizeof(Member));
	membership->n_members--;
	memset(&membership->members[membership->n_members], 0, sizeof(Member));
	return true;
}

bool
membership_was_removed(const Membership *membership, const char *name)
{
	for (uint32 i = 0; i < membership->n_removed; i++)
	{
		if (strcmp(membership->removed[i], name) == 0)
			return true;
	}
	return false;
}

bool
membership_is_former(const Membership *membership, uint64 id)
{
	return id < membership->next_id &&
		membership_find((Membership *) membership, id) == NULL;
}

uint32
membership_n_voters(const Membership *membership)
{
	uint32		n = 0;

	for (uint32 i = 0; i < membership->n_members; i++)
	{
		if (membership->members[i].role == RAFT_VOTER)
			n++;
	}
	return n;
}
