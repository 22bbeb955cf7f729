/*-------------------------------------------------------------------------
 *
 * walk.c
 *	  Do with decoded bytes what the state machine does.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "command.h"
#include "fields.h"
#include "mb/pg_wchar.h"
#include "jsonb_bytes.h"
#include "object.h"

static volatile char sum;		/* volatile, so that what adds to it is read */

/* Read every byte, for the address sanitizer to see. */
static void
touch(const void *data, Size length)
{
	Size		i;

	for (i = 0; i < length; i++)
		sum = sum ^ ((const char *) data)[i];
}

/*
 * Verify a string, as the server's library does, which is built without
 * sanitizers: so here is seen whether all of it may be read.  The linker puts
 * this in the place of the other (fuzz.mk).
 */
extern int	__real_pg_encoding_verifymbstr(int encoding, const char *string, int length);
extern int	__wrap_pg_encoding_verifymbstr(int encoding, const char *string, int length);

int
__wrap_pg_encoding_verifymbstr(int encoding, const char *string, int length)
{
	touch(string, length);
	return __real_pg_encoding_verifymbstr(encoding, string, length);
}

static void
touch_value(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
		case jbvBool:
			break;
		case jbvString:
			touch(value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			touch(value->val.numeric, VARSIZE(value->val.numeric));
			break;
		case jbvBinary:
			touch(value->val.binary.data, value->val.binary.len);
			break;
		default:
			REQUIRE(!"a value of a known type");
	}
}

static void
walk_container(JsonbContainer *container)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue	value;
	int			depth = 0;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
			case WJB_BEGIN_OBJECT:
				depth++;
				REQUIRE(depth <= STORE_MAX_DEPTH);
				break;
			case WJB_END_ARRAY:
			case WJB_END_OBJECT:
				depth--;
				break;
			default:
				touch_value(&value);
		}
	}
	REQUIRE(depth == 0);
}

void
walk_jsonb(const char *data, Size length)
{
	Jsonb	   *object = (Jsonb *) unconstify(char *, data);
	ResourceKey key;
	ObjectError error;
	Fields		fields;
	JsonbValue	value;
	Jsonb	   *closed;
	int			i;

	walk_container(&object->root);

	value.type = jbvBinary;
	value.val.binary.data = &object->root;
	value.val.binary.len = length - VARHDRSZ;
	REQUIRE(value_equals(&value, &value));

	if (object_identify(object, &key, &error))
		touch(key.name, strlen(key.name));
	else
		touch(error.detail, strlen(error.detail));

	if (!JB_ROOT_IS_OBJECT(object))
		return;
	fields_open(&fields, &object->root, 1);
	for (i = 0; i < fields.n_pairs; i++)
		touch_value(&fields.pairs[i].value);

	/* what is closed again is as sound as what was opened */
	closed = fields_close(&fields, length);
	REQUIRE(jsonb_bytes_check((char *) closed, VARSIZE(closed)) == NULL);
	value_string(&value, "added");
	fields_set(&fields, "resourceVersion", &value);
	closed = fields_close(&fields, length);
	REQUIRE(jsonb_bytes_check((char *) closed, VARSIZE(closed)) == NULL);
	walk_container(&closed->root);
}

void
walk_command(const char *data, Size length)
{
	Command		command;
	RequestId	request;
	StringInfoData again;

	if (command_decode(data, length, &command) != NULL)
		return;

	REQUIRE(command_request(data, length, &request));
	REQUIRE(request.sequence == command.request.sequence);
	(void) reason_name(command.reason);

	initStringInfo(&again);
	command_encode(&again, &command);
	REQUIRE(again.len == length && memcmp(again.data, data, length) == 0);

	if (command.body != NULL &&
		jsonb_bytes_check((char *) command.body, VARSIZE(command.body)) == NULL)
		walk_jsonb((char *) command.body, VARSIZE(command.body));
}
