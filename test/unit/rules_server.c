/*-------------------------------------------------------------------------
 *
 * rules_server.c
 *	  What rules.c needs of the server, for a program that is none.
 *
 * Beside what test/fuzz/jsonb_server.c has.  Numbers, dates and digests are
 * not the real ones, only as good as a test needs that compares them with each
 * other: equal if and only if they stand for the same.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "common/cryptohash.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

MemoryContext CurrentMemoryContext = NULL;

void
fuzz_finding(const char *condition, const char *file, int line)
{
	printf("%s:%d: not true: %s\n", file, line, condition);
	exit(1);
}

/* Memory is given back at the end of the program. */
MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size minContextSize,
							  Size initBlockSize, Size maxBlockSize)
{
	return NULL;
}

void
MemoryContextDelete(MemoryContext context)
{
}

Numeric
int64_to_numeric(int64 value)
{
	char	   *number = palloc(VARHDRSZ + sizeof(value));

	SET_VARSIZE(number, VARHDRSZ + sizeof(value));
	memcpy(VARDATA(number), &value, sizeof(value));
	return (Numeric) number;
}

/* A number that int64_to_numeric() made. */
char *
numeric_normalize(Numeric number)
{
	int64		value;

	memcpy(&value, VARDATA(number), sizeof(value));
	return psprintf(INT64_FORMAT, value);
}

/* Here every month has 31 days. */
int
date2j(int year, int month, int day)
{
	return POSTGRES_EPOCH_JDATE + ((year - 2000) * 12 + month - 1) * 31 + day - 1;
}

void
j2date(int date, int *year, int *month, int *day)
{
	int			days = date - POSTGRES_EPOCH_JDATE + 2000 * 12 * 31;

	*year = days / (12 * 31);
	*month = days / 31 % 12 + 1;
	*day = days % 31 + 1;
}

char *
pg_ultostr_zeropad(char *str, uint32 value, int32 minwidth)
{
	return str + sprintf(str, "%0*u", minwidth, value);
}

int
pg_lltoa(int64 value, char *text)
{
	return sprintf(text, INT64_FORMAT, value);
}

/* A digest that adds up what it is given. */
struct pg_cryptohash_ctx
{
	uint8		sum;
};

pg_cryptohash_ctx *
pg_cryptohash_create(pg_cryptohash_type type)
{
	return palloc0(sizeof(pg_cryptohash_ctx));
}

int
pg_cryptohash_init(pg_cryptohash_ctx *context)
{
	return 0;
}

int
pg_cryptohash_update(pg_cryptohash_ctx *context, const uint8 *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		context->sum = context->sum * 31 + data[i];
	return 0;
}

int
pg_cryptohash_final(pg_cryptohash_ctx *context, uint8 *digest, size_t length)
{
	memset(digest, context->sum, length);
	return 0;
}

void
pg_cryptohash_free(pg_cryptohash_ctx *context)
{
	pfree(context);
}

const char *
pg_cryptohash_error(pg_cryptohash_ctx *context)
{
	return "none";
}
