/*-------------------------------------------------------------------------
 *
 * jsonb_bytes.c
 *	  Bytes of another member that claim to be a jsonb.
 *
 * PostgreSQL trusts a jsonb that it finds in a table: its functions follow the
 * offsets in it without asking where they lead.  So whatever comes over the
 * network is walked through once, before anything else touches it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "jsonb_bytes.h"
#include "mb/pg_wchar.h"
#include "utils/jsonb.h"

/* The private parts of numeric.c that a check of its bytes needs. */
#define NUMERIC_SHORT_FORM	0x8000	/* of the header: one word, not two */
#define NUMERIC_SPECIAL		0xC000	/* of the header: NaN or infinite */
#define NUMERIC_NBASE		10000

static const char *
check_numeric_bytes(const char *data, Size length)
{
	Size		header_length = VARHDRSZ + sizeof(uint16);
	uint16		header;
	Size		i;

	if (length < header_length ||
		!VARATT_IS_4B_U(data) || VARSIZE(data) != length)
		return "malformed number in jsonb";

	memcpy(&header, data + VARHDRSZ, sizeof(header));
	if ((header & NUMERIC_SPECIAL) == NUMERIC_SPECIAL)
		return "number in jsonb is not finite";
	if (!(header & NUMERIC_SHORT_FORM))
		header_length += sizeof(int16);
	if (length < header_length || (length - header_length) % sizeof(int16) != 0)
		return "malformed number in jsonb";

	for (i = header_length; i < length; i += sizeof(int16))
	{
		int16		digit;

		memcpy(&digit, data + i, sizeof(digit));
		if (digit < 0 || digit >= NUMERIC_NBASE)
			return "malformed number in jsonb";
	}
	return NULL;
}

static const char *check_container_bytes(const char *data, Size length, int depth);

/* One node, whose data (with leading padding) lies at data + start .. data + end. */
static const char *
check_node_bytes(const char *data, JEntry entry, Size start, Size end, int depth)
{
	Size		aligned = INTALIGN(start);

	switch (entry & JENTRY_TYPEMASK)
	{
		case JENTRY_ISSTRING:
			if (pg_encoding_verifymbstr(PG_UTF8, data + start, end - start) != end - start)
				return "invalid UTF-8 in jsonb";
			return NULL;

		case JENTRY_ISNUMERIC:
			if (aligned > end)
				return "malformed number in jsonb";
			return check_numeric_bytes(data + aligned, end - aligned);

		case JENTRY_ISBOOL_FALSE:
		case JENTRY_ISBOOL_TRUE:
		case JENTRY_ISNULL:
			if (start != end)
				return "malformed constant in jsonb";
			return NULL;

		case JENTRY_ISCONTAINER:
			if (aligned > end)
				return "malformed container in jsonb";
			return check_container_bytes(data + aligned, end - aligned, depth + 1);

		default:
			return "unknown type in jsonb";
	}
}

/*
 * A container: header, one JEntry for each child, then their data.  In an
 * object the keys are the first half of the children.
 */
static const char *
check_container_bytes(const char *data, Size length, int depth)
{
	const JsonbContainer *container = (const JsonbContainer *) data;
	bool		is_object;
	Size		n_children;
	Size		n_keys;
	Size		data_length;
	Size		start = 0;
	Size		key_start = 0;
	Size		key_length = 0;
	Size		i;

	if (depth > STORE_MAX_DEPTH)
		return "jsonb is nested too deep";
	if (length < sizeof(uint32))
		return "jsonb is too short";

	switch (container->header & ~JB_CMASK)
	{
		case JB_FOBJECT:
			is_object = true;
			break;
		case JB_FARRAY:
			is_object = false;
			break;
		case JB_FARRAY | JB_FSCALAR:
			if (depth != 1 || JsonContainerSize(container) != 1)
				return "malformed scalar in jsonb";
			is_object = false;
			break;
		default:
			return "unknown kind of container in jsonb";
	}

	n_keys = is_object ? JsonContainerSize(container) : 0;
	n_children = is_object ? 2 * n_keys : JsonContainerSize(container);
	if ((length - sizeof(uint32)) / sizeof(JEntry) < n_children)
		return "jsonb is too short for its entries";
	data_length = length - sizeof(uint32) - n_children * sizeof(JEntry);
	data += length - data_length;

	for (i = 0; i < n_children; i++)
	{
		JEntry		entry = container->children[i];
		Size		end = (JBE_HAS_OFF(entry) ? 0 : start) + JBE_OFFLENFLD(entry);
		const char *problem;

		if (end < start || end > data_length)
			return "entry of jsonb is out of bounds";
		if (i < n_keys)
		{
			Size		this_length = end - start;

			if (!JBE_ISSTRING(entry))
				return "key in jsonb is not a string";
			if (i > 0 &&
				(this_length < key_length ||
				 (this_length == key_length &&
				  memcmp(data + key_start, data + start, key_length) >= 0)))
				return "keys in jsonb are out of order";
			key_start = start;
			key_length = this_length;
		}
		else if ((container->header & JB_FSCALAR) && JBE_ISCONTAINER(entry))
			return "malformed scalar in jsonb";

		problem = check_node_bytes(data, entry, start, end, depth);
		if (problem)
			return problem;
		start = end;
	}

	if (start != data_length)
		return "jsonb is longer than it says";
	return NULL;
}

const char *
jsonb_bytes_check(const char *data, Size length)
{
	Assert((const char *) INTALIGN(data) == data);

	if (length < VARHDRSZ + sizeof(uint32) ||
		!VARATT_IS_4B_U(data) || VARSIZE(data) != length)
		return "malformed header of jsonb";
	return check_container_bytes(data + VARHDRSZ, length - VARHDRSZ, 1);
}
