/*-------------------------------------------------------------------------
 *
 * seal.c
 *	  What goes with a message over the network: a number and a checksum.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "seal.h"

#include "port/pg_crc32c.h"

typedef struct Seal
{
	uint64		number;
	uint32		checksum;		/* of the message and the number */
	uint32		zero;
} Seal;

StaticAssertDecl(sizeof(Seal) == SEAL_SIZE, "a seal must not be padded");

static uint32
checksum(const char *message, Size length, uint64 number)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, message, length);
	COMP_CRC32C(crc, &number, sizeof(number));
	FIN_CRC32C(crc);
	return crc;
}

void
seal_message(char *to, const char *message, Size length, uint64 number)
{
	Seal		seal = {.number = number, .checksum = checksum(message, length, number)};

	memcpy(to, &seal, sizeof(seal));
}

bool
seal_check(const char *bytes, Size *length, uint64 *number)
{
	Seal		seal;

	if (*length < sizeof(seal))
		return false;
	*length -= sizeof(seal);
	memcpy(&seal, bytes + *length, sizeof(seal));
	*number = seal.number;
	return seal.zero == 0 && seal.checksum == checksum(bytes, *length, seal.number);
}
