/*-------------------------------------------------------------------------
 *
 * jsonb_server.c
 *	  How the server reads a jsonb.
 *
 * The server's functions live in the server's program, which a fuzz target
 * cannot be linked with.  These are those that store calls, after
 * src/backend/utils/adt/jsonb_util.c of PostgreSQL 15.  What matters here is
 * that they compute every offset and length in the same way, from the same
 * words, with as little suspicion.
 *
 * Portions Copyright (c) 2014-2022, PostgreSQL Global Development Group
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

uint32
getJsonbOffset(const JsonbContainer *jc, int index)
{
	uint32		offset = 0;
	int			i;

	/* back to the nearest entry that stores its end offset */
	for (i = index - 1; i >= 0; i--)
	{
		offset += JBE_OFFLENFLD(jc->children[i]);
		if (JBE_HAS_OFF(jc->children[i]))
			break;
	}
	return offset;
}

uint32
getJsonbLength(const JsonbContainer *jc, int index)
{
	if (JBE_HAS_OFF(jc->children[index]))
		return JBE_OFFLENFLD(jc->children[index]) - getJsonbOffset(jc, index);
	return JBE_OFFLENFLD(jc->children[index]);
}

static void
fill_value(JsonbContainer *container, int index, char *base, uint32 offset,
		   JsonbValue *result)
{
	JEntry		entry = container->children[index];

	if (JBE_ISNULL(entry))
		result->type = jbvNull;
	else if (JBE_ISSTRING(entry))
	{
		result->type = jbvString;
		result->val.string.val = base + offset;
		result->val.string.len = getJsonbLength(container, index);
		REQUIRE(result->val.string.len >= 0);
	}
	else if (JBE_ISNUMERIC(entry))
	{
		result->type = jbvNumeric;
		result->val.numeric = (Numeric) (base + INTALIGN(offset));
	}
	else if (JBE_ISBOOL_TRUE(entry) || JBE_ISBOOL_FALSE(entry))
	{
		result->type = jbvBool;
		result->val.boolean = JBE_ISBOOL_TRUE(entry) != 0;
	}
	else
	{
		REQUIRE(JBE_ISCONTAINER(entry));
		result->type = jbvBinary;
		result->val.binary.data = (JsonbContainer *) (base + INTALIGN(offset));
		result->val.binary.len = getJsonbLength(container, index) -
			(INTALIGN(offset) - offset);
		REQUIRE(result->val.binary.len >= 0);
	}
}

static JsonbIterator *
iterator_new(JsonbContainer *container, JsonbIterator *parent)
{
	JsonbIterator *it = palloc0(sizeof(JsonbIterator));

	it->container = container;
	it->parent = parent;
	it->nElems = JsonContainerSize(container);
	it->children = container->children;
	switch (container->header & (JB_FARRAY | JB_FOBJECT))
	{
		case JB_FARRAY:
			it->dataProper = (char *) it->children + it->nElems * sizeof(JEntry);
			it->isScalar = JsonContainerIsScalar(container);
			it->state = JBI_ARRAY_START;
			break;
		case JB_FOBJECT:
			it->dataProper = (char *) it->children + it->nElems * sizeof(JEntry) * 2;
			it->state = JBI_OBJECT_START;
			break;
		default:
			REQUIRE(!"a known kind of container");
	}
	return it;
}

static JsonbIterator *
iterator_leave(JsonbIterator *it)
{
	JsonbIterator *parent = it->parent;

	pfree(it);
	return parent;
}

JsonbIterator *
JsonbIteratorInit(JsonbContainer *container)
{
	return iterator_new(container, NULL);
}

JsonbIteratorToken
JsonbIteratorNext(JsonbIterator **it, JsonbValue *val, bool skipNested)
{
	if (*it == NULL)
		return WJB_DONE;

recurse:
	switch ((*it)->state)
	{
		case JBI_ARRAY_START:
			val->type = jbvArray;
			val->val.array.nElems = (*it)->nElems;
			val->val.array.rawScalar = (*it)->isScalar;
			(*it)->curIndex = 0;
			(*it)->curDataOffset = 0;
			(*it)->curValueOffset = 0;
			(*it)->state = JBI_ARRAY_ELEM;
			return WJB_BEGIN_ARRAY;

		case JBI_ARRAY_ELEM:
			if ((*it)->curIndex >= (*it)->nElems)
			{
				*it = iterator_leave(*it);
				return WJB_END_ARRAY;
			}
			fill_value((*it)->container, (*it)->curIndex, (*it)->dataProper,
					   (*it)->curDataOffset, val);
			JBE_ADVANCE_OFFSET((*it)->curDataOffset, (*it)->children[(*it)->curIndex]);
			(*it)->curIndex++;
			if (val->type == jbvBinary && !skipNested)
			{
				*it = iterator_new(val->val.binary.data, *it);
				goto recurse;
			}
			return WJB_ELEM;

		case JBI_OBJECT_START:
			val->type = jbvObject;
			val->val.object.nPairs = (*it)->nElems;
			(*it)->curIndex = 0;
			(*it)->curDataOffset = 0;
			(*it)->curValueOffset = getJsonbOffset((*it)->container, (*it)->nElems);
			(*it)->state = JBI_OBJECT_KEY;
			return WJB_BEGIN_OBJECT;

		case JBI_OBJECT_KEY:
			if ((*it)->curIndex >= (*it)->nElems)
			{
				*it = iterator_leave(*it);
				return WJB_END_OBJECT;
			}
			fill_value((*it)->container, (*it)->curIndex, (*it)->dataProper,
					   (*it)->curDataOffset, val);
			REQUIRE(val->type == jbvString);
			(*it)->state = JBI_OBJECT_VALUE;
			return WJB_KEY;

		case JBI_OBJECT_VALUE:
			(*it)->state = JBI_OBJECT_KEY;
			fill_value((*it)->container, (*it)->curIndex + (*it)->nElems,
					   (*it)->dataProper, (*it)->curValueOffset, val);
			JBE_ADVANCE_OFFSET((*it)->curDataOffset, (*it)->children[(*it)->curIndex]);
			JBE_ADVANCE_OFFSET((*it)->curValueOffset,
							   (*it)->children[(*it)->curIndex + (*it)->nElems]);
			(*it)->curIndex++;
			if (val->type == jbvBinary && !skipNested)
			{
				*it = iterator_new(val->val.binary.data, *it);
				goto recurse;
			}
			return WJB_VALUE;
	}
	return WJB_DONE;
}

JsonbValue *
getKeyJsonValueFromContainer(JsonbContainer *container, const char *keyVal, int keyLen,
							 JsonbValue *res)
{
	int			count = JsonContainerSize(container);
	char	   *base = (char *) (container->children + count * 2);
	int			low = 0;
	int			high = count;

	REQUIRE(JsonContainerIsObject(container));
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		const char *key = base + getJsonbOffset(container, middle);
		int			length = getJsonbLength(container, middle);
		int			difference = length == keyLen ?
			memcmp(key, keyVal, keyLen) : (length > keyLen ? 1 : -1);

		if (difference == 0)
		{
			int			index = middle + count;

			if (res == NULL)
				res = palloc(sizeof(JsonbValue));
			fill_value(container, index, base, getJsonbOffset(container, index), res);
			return res;
		}
		if (difference < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *
JsonbTypeName(JsonbValue *val)
{
	return val->type == jbvBinary ? "container" : "scalar";
}

/* Of fields.c: whether two numbers are equal, near enough. */
Datum
numeric_eq(PG_FUNCTION_ARGS)
{
	return (Datum) 0;
}

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

Datum
DirectFunctionCall2Coll(PGFunction func, Oid collation, Datum arg1, Datum arg2)
{
	Numeric		a = DatumGetNumeric(arg1);
	Numeric		b = DatumGetNumeric(arg2);

	return BoolGetDatum(VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0);
}

/*----------
 * What functions refer to that no target calls.  (The fuzzer's tables keep
 * them from being dropped.)
 *----------
 */

int
errcode(int sqlerrcode)
{
	return 0;
}

int
errmsg(const char *fmt,...)
{
	return 0;
}

int
errdetail(const char *fmt,...)
{
	return 0;
}

int
errhint(const char *fmt,...)
{
	return 0;
}

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

Datum
numeric_float8_no_overflow(PG_FUNCTION_ARGS)
{
	return (Datum) 0;
}

Datum
DirectFunctionCall1Coll(PGFunction func, Oid collation, Datum arg1)
{
	return (Datum) 0;
}
