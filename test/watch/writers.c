/*-------------------------------------------------------------------------
 *
 * writers.c
 *	  Clients that change twenty keys in every way, and note what was
 *	  acknowledged.
 *
 *-------------------------------------------------------------------------
 */
#include "watch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One object in so many is too large for a payload. */
#define LARGE_ONE_IN	40
#define LARGE_BYTES		9000

#define OBJECT_SIZE		(LARGE_BYTES + 1024)
#define MAX_OPERATIONS	4

const char *const write_names[N_WRITE_KINDS] = {"put", "patch", "delete", "txn", "ttl"};

/*
 * A value of a trait as JSON, or NULL for none.  "null_too": null is a value,
 * which in a patch means that it goes.
 */
static const char *
draw_value(Random *random, Trait trait, bool null_too, char quoted[16])
{
	int			which = random_int(random, 0, N_VALUES);

	if (which == 0)
		return null_too ? "null" : NULL;
	snprintf(quoted, 16, "\"%s\"", trait_values[trait][which - 1]);
	return quoted;
}

/*
 * A whole object, different from every other one by "serial".
 */
static void
write_object(char *to, Random *random, int number)
{
	const Key  *key = &keys[number];
	char		app[16];
	char		tier[16];
	char		zone[16];
	const char *has_app = draw_value(random, TRAIT_APP, false, app);
	const char *has_tier = draw_value(random, TRAIT_TIER, false, tier);
	const char *has_zone = draw_value(random, TRAIT_ZONE, false, zone);
	int			serial = random_int(random, 0, 999999);
	char	   *end = to;

	end += sprintf(end, "{\"apiVersion\": \"%s\", \"kind\": \"%s\", \"metadata\": {\"name\": \"%s\"",
				   key->api_version, key->kind, key->name);
	if (key->namespace[0] != '\0')
		end += sprintf(end, ", \"namespace\": \"%s\"", key->namespace);
	if (has_app != NULL || has_tier != NULL)
	{
		end += sprintf(end, ", \"labels\": {");
		if (has_app != NULL)
			end += sprintf(end, "\"app\": %s", has_app);
		if (has_tier != NULL)
			end += sprintf(end, "%s\"tier\": %s", has_app != NULL ? ", " : "", has_tier);
		end += sprintf(end, "}");
	}
	end += sprintf(end, "}, \"spec\": {\"serial\": %d", serial);
	if (has_zone != NULL)
		end += sprintf(end, ", \"zone\": %s", has_zone);
	if (random_one_in(random, LARGE_ONE_IN))
	{
		end += sprintf(end, ", \"padding\": \"");
		memset(end, 'x', LARGE_BYTES);
		end += LARGE_BYTES;
		end += sprintf(end, "\"");
	}
	sprintf(end, "}}");
}

static void
write_patch(char *to, Random *random)
{
	char		value[16];

	if (random_one_in(random, 3))
		sprintf(to, "{\"spec\": {\"zone\": %s}}",
				draw_value(random, TRAIT_ZONE, true, value));
	else if (random_one_in(random, 3))
		sprintf(to, "{\"metadata\": {\"labels\": {\"tier\": %s}}}",
				draw_value(random, TRAIT_TIER, true, value));
	else
		sprintf(to, "{\"metadata\": {\"labels\": {\"app\": %s}}, \"spec\": {\"patched\": %d}}",
				draw_value(random, TRAIT_APP, true, value), random_int(random, 0, 3));
}

static char *
write_key(char *to, const Key *key)
{
	to += sprintf(to, "{\"apiVersion\": \"%s\", \"kind\": \"%s\", \"name\": \"%s\"",
				  key->api_version, key->kind, key->name);
	if (key->namespace[0] != '\0')
		to += sprintf(to, ", \"namespace\": \"%s\"", key->namespace);
	return to + sprintf(to, "}");
}

/*
 * The operations of a transaction; keys may repeat.  Returns how many of them
 * make an event for certain.
 */
static int
write_operations(char *to, Random *random)
{
	int			count = random_int(random, 2, MAX_OPERATIONS);
	int			certain = 0;

	*to++ = '[';
	for (int i = 0; i < count; i++)
	{
		int			key = random_int(random, 0, N_KEYS - 1);

		if (i > 0)
			*to++ = ',';
		switch (random_int(random, 0, 3))
		{
			case 0:
				to += sprintf(to, "{\"delete\": ");
				to = write_key(to, &keys[key]);
				break;
			case 1:
				to += sprintf(to, "{\"patch\": {\"key\": ");
				to = write_key(to, &keys[key]);
				to += sprintf(to, ", \"type\": \"merge\", \"patch\": ");
				write_patch(to, random);
				to += strlen(to);
				*to++ = '}';
				break;
			default:
				to += sprintf(to, "{\"put\": ");
				write_object(to, random, key);
				to += strlen(to);
				certain++;
				break;
		}
		*to++ = '}';
	}
	sprintf(to, "]");
	return certain;
}

int64_t
write_everywhere(Client *client, Random *random)
{
	static char operations[N_KEYS * OBJECT_SIZE];
	const char *params[] = {operations};
	char	   *to = operations;
	int64_t		index = 0;
	Answer		answer;

	*to++ = '[';
	for (int i = 0; i < N_KEYS; i++)
	{
		to += sprintf(to, "%s{\"put\": ", i > 0 ? "," : "");
		write_object(to, random, i);
		to += strlen(to);
		*to++ = '}';
	}
	sprintf(to, "]");
	answer = client_query(client, 10000, "SELECT resource_version FROM store.txn('[]', $1::jsonb)",
						  1, params);
	if (answer.ending == ENDED_WELL)
		index = strtoll(PQgetvalue(answer.result, 0, 0), NULL, 10);
	PQclear(answer.result);
	return index;
}

static Answer
write_once(Client *client, Random *random, WriteKind kind, int number, int *certain)
{
	char		text[MAX_OPERATIONS * (OBJECT_SIZE + 200)];
	char		ttl[32];
	const Key  *key = &keys[number];
	const char *namespace = key->namespace[0] != '\0' ? key->namespace : NULL;

	switch (kind)
	{
		case WRITE_PUT:
			write_object(text, random, number);
			return client_query(client, 8000,
								"SELECT op, resource_version FROM store.put($1::jsonb)", 1,
								(const char *const[]) {text});
		case WRITE_TTL:
			write_object(text, random, number);
			sprintf(ttl, "%d ms", random_int(random, 100, 3000));
			return client_query(client, 8000,
								"SELECT op, resource_version"
								" FROM store.put($1::jsonb, ttl => $2::interval)", 2,
								(const char *const[]) {text, ttl});
		case WRITE_PATCH:
			write_patch(text, random);
			return client_query(client, 8000,
								"SELECT op, resource_version"
								" FROM store.patch($1, $2, $3::jsonb, $4, $5)", 5,
								(const char *const[]) {key->kind, key->name, text, namespace,
								key->api_version});
		case WRITE_DELETE:
			return client_query(client, 8000,
								"SELECT op, resource_version FROM store.delete($1, $2, $3, $4)", 4,
								(const char *const[]) {key->kind, key->name, namespace,
								key->api_version});
		default:
			*certain = write_operations(text, random);
			return client_query(client, 8000,
								"SELECT 'txn', resource_version FROM store.txn('[]', $1::jsonb)", 1,
								(const char *const[]) {text});
	}
}

static void
note_newest(int64_t index)
{
	int64_t		newest = progress.newest;

	while (newest < index && !atomic_compare_exchange_weak(&progress.newest, &newest, index))
		;
}

static void
note_answer(Writer *writer, WriteKind kind, int key, int certain, const Answer *answer)
{
	const char *op;
	int64_t		index;

	if (answer->ending == ENDED_LOST || strcmp(answer->sqlstate, "RS500") == 0)
	{
		writer->unknown++;
		return;
	}
	if (answer->ending == ENDED_REFUSED)
	{
		if (is_outage(answer->sqlstate))
			writer->unavailable++;
		else
		{
			writer->refused++;
			violation("writer %d: %s of %s was refused: %s %s", writer->number, write_names[kind],
					  keys[key].name, answer->sqlstate, answer->message);
		}
		return;
	}
	op = PQgetvalue(answer->result, 0, 0);
	index = strtoll(PQgetvalue(answer->result, 0, 1), NULL, 10);
	writer->by_kind[kind]++;
	if (strcmp(op, "Unchanged") == 0 || strcmp(op, "NoOp") == 0 ||
		(kind == WRITE_TXN && certain == 0))
	{
		writer->unchanged++;
		return;
	}
	writer->acks = grow(writer->acks, writer->n_acks, &writer->acks_room, sizeof(Ack));
	writer->acks[writer->n_acks++] = (Ack) {
		.index = index,
		.key = kind == WRITE_TXN ? -1 : key,
		.changes = kind == WRITE_TXN ? certain : 1,
	};
	note_newest(index);
}

static WriteKind
draw_kind(Random *random)
{
	int			draw = random_int(random, 1, 100);

	if (draw <= 40)
		return WRITE_PUT;
	if (draw <= 65)
		return WRITE_PATCH;
	if (draw <= 77)
		return WRITE_DELETE;
	if (draw <= 92)
		return WRITE_TXN;
	return WRITE_TTL;
}

void *
writer_main(void *arg)
{
	Writer	   *writer = arg;
	Client		client = {.node = writer->number % check.n_nodes};
	Random		random;
	int64_t		due;

	snprintf(client.name, sizeof(client.name), "writer %d", writer->number);
	random_seed(&random, check.seed, 1000 + (uint64_t) writer->number);
	due = now_ms();
	while (client_reach(&client, &random, PHASE_TROUBLE))
	{
		WriteKind	kind = draw_kind(&random);
		int			key = random_int(&random, 0, N_KEYS - 1);
		int			certain = 0;
		Answer		answer = write_once(&client, &random, kind, key, &certain);

		note_answer(writer, kind, key, certain, &answer);
		PQclear(answer.result);
		if (answer.ending == ENDED_REFUSED && is_outage(answer.sqlstate))
		{
			client_close(&client);
			client.node = random_int(&random, 0, check.n_nodes - 1);
		}

		/* An outage is not made up for: that would be a burst. */
		due += 2 * random_int(&random, 0, 1000 * N_WRITERS / check.rate);
		if (due < now_ms() - 100)
			due = now_ms();
		if (due > now_ms() && !wait_in_phase(PHASE_TROUBLE, (int) (due - now_ms())))
			break;
	}
	writer->connects = client.connects;
	client_close(&client);
	return NULL;
}
