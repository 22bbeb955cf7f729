/*-------------------------------------------------------------------------
 *
 * samples.h
 *	  Random commands, memberships and messages, all of them valid.
 *
 * Included by one file of a program, which seeds "prng".
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef TEST_SAMPLES_H
#define TEST_SAMPLES_H

#include "postgres.h"

#include "command.h"
#include "common/pg_prng.h"
#include "fields.h"
#include "membership.h"
#include "message.h"

static pg_prng_state prng;

static uint64
below(uint64 bound)
{
	return pg_prng_uint64(&prng) % bound;
}

static bool
coin(void)
{
	return below(2) == 1;
}

static char *
random_string(int min_length, int max_length)
{
	int			length = min_length + below(max_length - min_length + 1);
	char	   *s = palloc(length + 1);
	int			i;

	for (i = 0; i < length; i++)
		s[i] = 'a' + below(26);
	s[length] = '\0';
	return s;
}

static void
random_value(JsonbValue *value, int depth)
{
	Fields		fields;
	char	   *last;
	int			n;
	int			i;

	switch (below(depth > 0 ? 4 : 3))
	{
		case 0:
			value->type = jbvNull;
			break;
		case 1:
			value->type = jbvBool;
			value->val.boolean = coin();
			break;
		case 2:
			value_string(value, random_string(0, 12));
			break;
		default:
			n = coin() ? below(5) : below(80);
			last = "";
			fields_init(&fields, 0);
			for (i = 0; i < n; i++)
			{
				JsonbValue	key;
				JsonbValue	member;

				/* each key one longer than the last is the easy way to order */
				last = psprintf("%s%c", last, (char) ('a' + below(26)));
				value_string(&key, last);
				random_value(&member, depth - 1);
				fields_append(&fields, &key, &member);
			}
			fields_value(&fields, value);
			break;
	}
}

static Jsonb *
random_object(void)
{
	Fields		fields;
	JsonbValue	value;

	fields_init(&fields, 0);
	random_value(&value, 3);
	fields_set(&fields, "spec", &value);
	value_string(&value, "Thing");
	fields_set(&fields, "kind", &value);
	return fields_close(&fields, 0);
}

/* A command on one resource, as it could stand in a transaction. */
static void
random_part(Command *command, uint8 version, CommandOp op)
{
	memset(command, 0, sizeof(*command));
	command->version = version;
	command->op = op;
	if (op == COMMAND_PATCH)
		command->patch_type = PATCH_MERGE +
			below(version == 1 ? 1 : version == 2 ? 2 : 4);
	command->key.api_group = random_string(0, 20);
	command->key.version = random_string(1, 9);
	command->key.kind = random_string(1, 9);
	command->key.namespace = coin() ? random_string(1, 20) : NULL;
	command->key.name = random_string(1, 253);
	if (op == COMMAND_COMPARE)
	{
		command->existence = coin() ? EXISTENCE_REQUIRED : EXISTENCE_REFUSED;
		return;
	}
	command->has_expected = coin();
	if (command->has_expected)
		command->expected = pg_prng_uint64(&prng);
	command->has_uid = coin();
	if (command->has_uid)
		memset(command->uid.data, below(256), UUID_LEN);
	if (command->op == COMMAND_DELETE)
		return;
	command->body = random_object();
	if (version > 2 && (command->patch_type == PATCH_APPLY || coin()))
		command->manager = random_string(1, 20);
	if (command->manager && coin())
		command->subresource = random_string(1, 20);
	command->force = command->patch_type == PATCH_APPLY && coin();
}

static uint32
random_parts(StringInfo parts, CommandOp first_op)
{
	static const CommandOp ops[] = {COMMAND_CREATE, COMMAND_PUT, COMMAND_PATCH, COMMAND_DELETE};
	uint32		n = below(4);

	for (uint32 i = 0; i < n; i++)
	{
		Command		part;

		random_part(&part, COMMAND_VERSION,
					first_op == COMMAND_COMPARE ? first_op : ops[below(lengthof(ops))]);
		txn_append(parts, &part);
	}
	return n;
}

static void
random_txn(Command *command)
{
	StringInfoData parts;

	memset(command, 0, sizeof(*command));
	command->version = COMMAND_VERSION;
	command->op = COMMAND_TXN;
	initStringInfo(&parts);
	command->parts.n_compares = random_parts(&parts, COMMAND_COMPARE);
	command->parts.n_success = random_parts(&parts, COMMAND_PUT);
	command->parts.n_failure = random_parts(&parts, COMMAND_PUT);
	command->parts.length = parts.len;
	command->parts.data = parts.data;
	command->key.api_group = command->key.version = command->key.kind = command->key.name = "";
}

static void
random_command(Command *command)
{
	int			op = COMMAND_CREATE + below(7);

	if (op == COMMAND_TXN)
		random_txn(command);
	else
		random_part(command, op == COMMAND_COMPACT || coin() ? COMMAND_VERSION : 1 + below(2), op);
	if (op == COMMAND_COMPACT)
	{
		memset(&command->key, 0, sizeof(command->key));
		command->key.api_group = command->key.version = "";
		command->key.kind = command->key.name = "";
		command->has_expected = command->has_uid = false;
		command->expected = 0;
		memset(&command->uid, 0, sizeof(command->uid));
		command->body = NULL;
		command->manager = command->subresource = NULL;
		command->revision = pg_prng_uint64(&prng) >> 1;
	}
	if (command->version > 1 && op <= COMMAND_UPDATE && coin())
	{
		command->has_ttl = true;
		command->ttl = 1 + below(1000000);
	}
	command->reason = below(REASON_SCHEDULER + 1);
	command->request.origin = pg_prng_uint64(&prng);
	command->request.sequence = pg_prng_uint64(&prng);
	command->request.slot = pg_prng_uint32(&prng);
	command->time = pg_prng_uint64(&prng);
}

static void
random_membership(Membership *membership)
{
	int			n = below(RAFT_MAX_MEMBERS + 1);
	int			i;

	memset(membership, 0, sizeof(*membership));
	membership->request.origin = pg_prng_uint64(&prng);
	for (i = 0; i < n; i++)
	{
		Member		member;

		memset(&member, 0, sizeof(member));
		member.id = 1 + below(1000);
		member.role = coin() ? RAFT_VOTER : RAFT_LEARNER;
		snprintf(member.name, sizeof(member.name), "node%d_%s", i, random_string(0, 9));
		strcpy(member.conninfo, random_string(0, STORE_CONNINFO_SIZE - 1));
		membership_add(membership, &member);
	}
	membership->next_id = 1001;
	membership->version = 1 + below(255);
	membership->n_removed = below(MEMBERSHIP_MAX_REMOVED + 1);
	for (i = 0; i < membership->n_removed; i++)
		snprintf(membership->removed[i], STORE_NAME_SIZE, "gone%d_%s", i, random_string(0, 9));
}

/* An entry with a payload that fits its kind. */
static void
random_entry(LogEntry *entry, bool may_be_noop)
{
	StringInfoData buf;
	Command		command;
	Membership	membership;

	initStringInfo(&buf);
	memset(entry, 0, sizeof(*entry));
	switch (below(may_be_noop ? 6 : 5))
	{
		case 0:
			entry->kind = ENTRY_MEMBERSHIP;
			random_membership(&membership);
			membership_encode(&buf, &membership);
			break;
		case 5:
			entry->kind = ENTRY_NOOP;
			break;
		default:
			entry->kind = ENTRY_COMMAND;
			random_command(&command);
			command_encode(&buf, &command);
			break;
	}
	entry->length = buf.len;
	entry->data = buf.data;
}

static LogEntry *
random_raft(struct raft_message *raft)
{
	LogEntry   *entries = NULL;
	uint64		term = 1 + below(5);
	int			i;

	memset(raft, 0, sizeof(*raft));
	raft->type = below(RAFT_MSG_LAST + 1);
	raft->from = 1 + below(10);
	raft->to = 1 + below(10);
	raft->prev_index = below(1000000);
	raft->prev_term = term;
	raft->commit = below(1000000);
	raft->context = pg_prng_uint64(&prng);
	raft->accepted = coin();
	raft->transfer = coin();
	raft->match = below(1000000);
	raft->hint_index = below(1000000);
	raft->hint_term = below(1000);
	raft->promise_ms = below(100000);

	if (raft->type == RAFT_MSG_APPEND)
		raft->n_entries = below(20);
	if (raft->n_entries > 0)
		entries = palloc(raft->n_entries * sizeof(LogEntry));
	for (i = 0; i < raft->n_entries; i++)
	{
		random_entry(&entries[i], true);
		entries[i].index = raft->prev_index + 1 + i;
		if (i == 0 || (raft->n_runs < RAFT_MAX_MESSAGE_RUNS && below(3) == 0))
		{
			term += 1 + below(3);
			raft->runs[raft->n_runs].first = entries[i].index;
			raft->runs[raft->n_runs].term = term;
			raft->n_runs++;
		}
		entries[i].term = term;
	}
	raft->term = term + below(3);
	return entries;
}

#endif							/* TEST_SAMPLES_H */
