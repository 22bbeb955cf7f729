/*-------------------------------------------------------------------------
 *
 * fields.c
 *	  An object's fields, opened one level deep, changed, and closed again.
 *
 * The writing half follows convertToJsonb() in jsonb_util.c, with one thing
 * added: a value may be a container in binary form, which is copied as it is.
 * The result is byte for byte what JsonbValueToJsonb() would have made of the
 * same fields, so it does not matter to anybody which of the two made it.
 *
 * Recursion here is as deep as the values are nested, which everything that
 * enters the store has been checked for (STORE_MAX_DEPTH).  check_stack_depth()
 * is not asked: its answer depends on a setting, and members must not differ.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fields.h"

#include "lib/stringinfo.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

static JEntry write_value(StringInfo buf, const JsonbValue *value);
static JEntry write_container(StringInfo buf, const JsonbValue *container);

int
key_compare(const JsonbValue *a, const JsonbValue *b)
{
	int			a_len = a->val.string.len;
	int			b_len = b->val.string.len;

	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a->val.string.val, b->val.string.val, a_len);
}

void
value_string(JsonbValue *value, const char *string)
{
	value->type = jbvString;
	value->val.string.val = unconstify(char *, string);
	value->val.string.len = strlen(string);
}

void
fields_init(Fields *fields, int room)
{
	fields->n_pairs = 0;
	fields->room = Max(room, 4);
	fields->pairs = palloc(mul_size(fields->room, sizeof(JsonbPair)));
}

void
fields_open(Fields *fields, JsonbContainer *object, int more)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	if (!JsonContainerIsObject(object))
		elog(ERROR, "jsonb container is not an object");

	fields_init(fields, JsonContainerSize(object) + more);

	it = JsonbIteratorInit(object);
	(void) JsonbIteratorNext(&it, &value, true);	/* WJB_BEGIN_OBJECT */
	while ((token = JsonbIteratorNext(&it, &key, true)) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);	/* WJB_VALUE */
		fields_append(fields, &key, &value);
	}
	Assert(token == WJB_END_OBJECT);
}

/*
 * Where the key is, or where it would have to be inserted.  Linear: an object
 * has about five fields at the top and fewer than twenty in its metadata, and
 * nearly all comparisons end at the length.
 */
static int
position(const Fields *fields, const JsonbValue *key, bool *found)
{
	int			i;

	*found = false;
	for (i = 0; i < fields->n_pairs; i++)
	{
		int			difference = key_compare(&fields->pairs[i].key, key);

		if (difference >= 0)
		{
			*found = (difference == 0);
			break;
		}
	}
	return i;
}

JsonbValue *
fields_find(const Fields *fields, const char *key)
{
	JsonbValue	key_value;
	int			i;
	bool		found;

	value_string(&key_value, key);
	i = position(fields, &key_value, &found);
	return found ? &fields->pairs[i].value : NULL;
}

static void
make_room(Fields *fields)
{
	if (fields->n_pairs < fields->room)
		return;
	fields->room *= 2;
	fields->pairs = repalloc(fields->pairs,
							 mul_size(fields->room, sizeof(JsonbPair)));
}

void
fields_set(Fields *fields, const char *key, const JsonbValue *value)
{
	JsonbValue	key_value;
	int			i;
	bool		found;

	value_string(&key_value, key);
	i = position(fields, &key_value, &found);
	if (!found)
	{
		make_room(fields);
		memmove(&fields->pairs[i + 1], &fields->pairs[i],
				(fields->n_pairs - i) * sizeof(JsonbPair));
		fields->pairs[i].key = key_value;
		fields->n_pairs++;
	}
	fields->pairs[i].value = *value;
}

void
fields_remove(Fields *fields, const char *key)
{
	JsonbValue	key_value;
	int			i;
	bool		found;

	value_string(&key_value, key);
	i = position(fields, &key_value, &found);
	if (!found)
		return;
	fields->n_pairs--;
	memmove(&fields->pairs[i], &fields->pairs[i + 1],
			(fields->n_pairs - i) * sizeof(JsonbPair));
}

void
fields_append(Fields *fields, const JsonbValue *key, const JsonbValue *value)
{
	make_room(fields);
	fields->pairs[fields->n_pairs].key = *key;
	fields->pairs[fields->n_pairs].value = *value;
	fields->n_pairs++;
}

void
fields_value(const Fields *fields, JsonbValue *value)
{
	value->type = jbvObject;
	value->val.object.nPairs = fields->n_pairs;
	value->val.object.pairs = fields->pairs;
}

Jsonb *
fields_close(const Fields *fields, Size size_hint)
{
	JsonbValue	object;

	fields_value(fields, &object);
	return value_close(&object, size_hint);
}

Jsonb *
value_close(const JsonbValue *value, Size size_hint)
{
	StringInfoData buf;
	Jsonb	   *result;

	if (value->type != jbvObject && value->type != jbvArray && value->type != jbvBinary)
		elog(ERROR, "jsonb value is not a container");
	initStringInfo(&buf);
	enlargeStringInfo(&buf, Min(size_hint, MaxAllocSize / 2));
	appendStringInfoSpaces(&buf, VARHDRSZ);
	(void) write_value(&buf, value);

	result = (Jsonb *) buf.data;
	SET_VARSIZE(result, buf.len);
	return result;
}

void
array_open(JsonbContainer *array, JsonbValue *result)
{
	JsonbIterator *it = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue	element;
	JsonbValue *elements = palloc(sizeof(JsonbValue) * Max(JsonContainerSize(array), 1));
	int			n = 0;

	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
			elements[n++] = element;
	}
	result->type = jbvArray;
	result->val.array.nElems = n;
	result->val.array.elems = elements;
	result->val.array.rawScalar = false;
}

bool
value_is_object(const JsonbValue *value)
{
	return value->type == jbvObject ||
		(value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data));
}

bool
value_is_array(const JsonbValue *value)
{
	return value->type == jbvArray ||
		(value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data));
}

static void
pad_to_int(StringInfo buf)
{
	static const char zeros[ALIGNOF_INT] = {0};

	appendBinaryStringInfo(buf, zeros, INTALIGN(buf->len) - buf->len);
}

/* Append a value's data, padded in front if it has to be. */
static JEntry
write_value(StringInfo buf, const JsonbValue *value)
{
	int			start = buf->len;

	switch (value->type)
	{
		case jbvNull:
			return JENTRY_ISNULL;

		case jbvBool:
			return value->val.boolean ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;

		case jbvString:
			appendBinaryStringInfo(buf, value->val.string.val, value->val.string.len);
			return JENTRY_ISSTRING | (buf->len - start);

		case jbvNumeric:
			pad_to_int(buf);
			appendBinaryStringInfo(buf, (char *) value->val.numeric,
								   VARSIZE_ANY(value->val.numeric));
			return JENTRY_ISNUMERIC | (buf->len - start);

		case jbvBinary:
			pad_to_int(buf);
			appendBinaryStringInfo(buf, (char *) value->val.binary.data,
								   value->val.binary.len);
			return JENTRY_ISCONTAINER | (buf->len - start);

		case jbvObject:
		case jbvArray:
			return write_container(buf, value);

		default:
			elog(ERROR, "unexpected type of jsonb value: %d", (int) value->type);
			return 0;			/* keep compiler quiet */
	}
}

/* Of an object all keys come first, and then all values. */
static const JsonbValue *
child(const JsonbValue *container, int i)
{
	const JsonbPair *pairs = container->val.object.pairs;
	int			n_pairs = container->val.object.nPairs;

	if (container->type == jbvArray)
		return &container->val.array.elems[i];
	return i < n_pairs ? &pairs[i].key : &pairs[i - n_pairs].value;
}

/* Append an object or array: header, JEntrys of all children, their data. */
static JEntry
write_container(StringInfo buf, const JsonbValue *container)
{
	int			start = buf->len;
	bool		is_array = (container->type == jbvArray);
	int			n = is_array ? container->val.array.nElems : container->val.object.nPairs;
	int			n_children = is_array ? n : 2 * n;
	uint32		header = (is_array ? JB_FARRAY : JB_FOBJECT) | n;
	int			entry_offset;
	int			data_start;
	int			i;

	pad_to_int(buf);
	appendBinaryStringInfo(buf, (char *) &header, sizeof(header));
	entry_offset = buf->len;
	appendStringInfoSpaces(buf, n_children * sizeof(JEntry));
	data_start = buf->len;

	for (i = 0; i < n_children; i++)
	{
		JEntry		entry = write_value(buf, child(container, i));

		/* what the rules let in is far smaller; see STORE_MAX_OBJECT_KB */
		if (buf->len - start > JENTRY_OFFLENMASK)
			elog(ERROR, "jsonb object is too large");

		/* every so often the end, not the length: JB_OFFSET_STRIDE */
		if (i % JB_OFFSET_STRIDE == 0)
			entry = (entry & JENTRY_TYPEMASK) | JENTRY_HAS_OFF | (buf->len - data_start);

		memcpy(buf->data + entry_offset, &entry, sizeof(entry));
		entry_offset += sizeof(entry);
	}

	return JENTRY_ISCONTAINER | (buf->len - start);
}

/* Two containers in binary form, value by value. */
static bool
container_equals(JsonbContainer *a, JsonbContainer *b)
{
	JsonbIterator *a_it;
	JsonbIterator *b_it;
	JsonbIteratorToken token;
	JsonbValue	a_value;
	JsonbValue	b_value;
	bool		equal = true;

	/* kind and number of children */
	if (a->header != b->header)
		return false;

	a_it = JsonbIteratorInit(a);
	b_it = JsonbIteratorInit(b);
	while (equal && (token = JsonbIteratorNext(&a_it, &a_value, true)) != WJB_DONE)
	{
		(void) JsonbIteratorNext(&b_it, &b_value, true);
		if (token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM)
			equal = value_equals(&a_value, &b_value);
	}

	/* each iterator frees itself at the end */
	if (a_it)
		pfree(a_it);
	if (b_it)
		pfree(b_it);
	return equal;
}

/*
 * Equality decides whether a write is a change, so members must agree on it.
 * It is that of the jsonb operator "=": numbers are equal by value, 1.0 and
 * 1.00 are the same, and objects are equal irrespective of how they were
 * written.  But compareJsonbContainers() is not asked, because it orders
 * strings by the collation of the database, which can cost much, fail, and
 * differ from member to member.  Here strings are equal if their bytes are,
 * which is what any deterministic collation comes to.
 *
 * Equal bytes always mean equal values, and mostly the bytes are equal.
 */
bool
value_equals(const JsonbValue *a, const JsonbValue *b)
{
	if (a->type != b->type)
		return false;

	switch (a->type)
	{
		case jbvNull:
			return true;

		case jbvBool:
			return a->val.boolean == b->val.boolean;

		case jbvString:
			return key_compare(a, b) == 0;

		case jbvNumeric:
			return DatumGetBool(DirectFunctionCall2(numeric_eq,
													NumericGetDatum(a->val.numeric),
													NumericGetDatum(b->val.numeric)));

		case jbvBinary:
			if (a->val.binary.len == b->val.binary.len &&
				memcmp(a->val.binary.data, b->val.binary.data, a->val.binary.len) == 0)
				return true;
			return container_equals(a->val.binary.data, b->val.binary.data);

		default:
			elog(ERROR, "unexpected type of jsonb value: %d", (int) a->type);
			return false;		/* keep compiler quiet */
	}
}
