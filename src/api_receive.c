/*-------------------------------------------------------------------------
 *
 * api_receive.c
 *	  store.raft_receive(): a message comes in.
 *
 * It comes from whoever has the right to call it, so it may be anything: noise,
 * a message that was damaged, heard before, meant for somebody else, or made
 * up.  Everything is checked here, in the session of the caller, before shared
 * memory is touched, so that the raft worker meets only what it can digest.
 * What is refused is counted by reason (store.stat_refused), and mentioned in
 * the server log now and then: who floods us with it must not fill the disk.
 *
 * A member that lies in well-formed words is believed, as Raft does.  A role
 * that is bound to one member (store.peer_member) can lie only in its name.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "api_receive.h"

#include "access/detoast.h"
#include "compat.h"
#include "inbox.h"
#include "jsonb_bytes.h"
#include "message.h"
#include "seal.h"
#include "starts.h"
#include "stats.h"
#include "status.h"

STORE_FUNCTION(store_raft_receive);

static emit_log_hook_type prev_emit_log_hook = NULL;

/* Is what refuse() raised last to stay out of the server log? */
static bool hushed;

static void
hush_log(ErrorData *edata)
{
	/* whoever called us may have caught that one, and this is another */
	if (hushed && edata->funcname != NULL && strcmp(edata->funcname, "refuse") == 0 &&
		edata->filename != NULL && strstr(edata->filename, "api_receive") != NULL)
		edata->output_to_server = false;
	hushed = false;
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

void
api_receive_init(void)
{
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = hush_log;
}

static int
sqlstate_of(StatRefusal reason)
{
	switch (reason)
	{
		case STAT_REFUSED_TOO_LARGE:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case STAT_REFUSED_FOREIGN:
			return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		case STAT_REFUSED_FORGED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case STAT_REFUSED_REMOVED:
			return ERRCODE_STORE_REMOVED;
		case STAT_REFUSED_SHUT_OUT:
			return ERRCODE_STORE_SHUT_OUT;
		default:
			return ERRCODE_PROTOCOL_VIOLATION;
	}
}

/* The statement is not logged: it has the message in it, whatever that is. */
static void pg_attribute_noreturn()
refuse(StatRefusal reason, const char *message, const char *hint)
{
	hushed = !stats_count_refusal(reason);
	ereport(ERROR,
			(errcode(sqlstate_of(reason)),
			 errmsg_internal("%s", message),
			 hint != NULL ? errhint("%s", hint) : 0,
			 errhidestmt(true)));
}

/* The jsonb in a command, or in those of a transaction. */
static const char *
check_bodies(const Command *command)
{
	const char *problem = NULL;
	Size		position = 0;
	Command		part;

	if (command->op != COMMAND_TXN)
		return command->body == NULL ? NULL :
			jsonb_bytes_check((char *) command->body, VARSIZE(command->body));
	while (problem == NULL && txn_next(command, &position, &part))
		problem = check_bodies(&part);
	return problem;
}

/*
 * What is in the message.  A leader that was upgraded before us may have
 * committed commands of a newer version: they enter our log unread, and wait
 * there for our own upgrade.  But as a leader we propose nothing that we could
 * not apply.
 */
static void
check_message(const char *data, Size length)
{
	Message		message;
	const char *problem = message_decode(data, length, &message);

	for (uint32 i = 0; problem == NULL && i < message.n_entries; i++)
	{
		const LogEntry *entry = &message.entries[i];
		Command		command;
		Membership	membership;

		if (entry->kind == ENTRY_COMMAND)
		{
			if (message.header.kind == MESSAGE_RAFT &&
				command_version(entry->data, entry->length) > COMMAND_VERSION)
				continue;
			problem = command_decode(entry->data, entry->length, &command);
			if (problem == NULL)
				problem = check_bodies(&command);
		}
		else if (entry->kind == ENTRY_MEMBERSHIP)
			problem = membership_decode(entry->data, entry->length, &membership);
	}
	if (problem != NULL)
		refuse(STAT_REFUSED_MALFORMED, psprintf("malformed message: %s", problem), NULL);
}

/* Whose words these may be, and to whom they may be said. */
static void
check_parties(const MessageHeader *header)
{
	if (!status_is_addressee(&header->origin.cluster_id, header->to))
	{
		/*
		 * An open session would keep an administrator from renaming or moving
		 * a database that was taken out of use for that.
		 */
		if (!settings_in_store_database())
			ereport(FATAL,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the store of this server lives in another database")));
		refuse(STAT_REFUSED_FOREIGN,
			   psprintf("this node is not member " UINT64_FORMAT " of that cluster, or is detached",
						header->to), NULL);
	}
	if (header->from == header->to)
		refuse(STAT_REFUSED_FORGED, "this node sends no messages to itself", NULL);
	if (store_peer_member != 0 && header->from != (uint64) store_peer_member)
		refuse(STAT_REFUSED_FORGED,
			   psprintf("this session may not speak as member " UINT64_FORMAT, header->from),
			   "Its role is bound to another one: see store.peer_member and store.grant_peer().");
	if (header->kind == MESSAGE_HELLO && status_is_former(header->from))
		refuse(STAT_REFUSED_REMOVED,
			   psprintf("member " UINT64_FORMAT " was removed from this cluster", header->from),
			   NULL);
}

/*
 * A member that was started again from an older state of its disk, or that
 * runs twice, learns it here, and stops (see starts.h).
 */
static void
check_start(const MessageHeader *header)
{
	const char *reason = NULL;

	switch (starts_judge(header->from, header->origin.start))
	{
		case START_KNOWN:
		case START_NEWER:
			return;
		case START_OLDER:
			reason = "a later start of it is known";
			break;
		case START_TWIN:
			reason = "another node was started with its identity";
			break;
		case START_LOST_DATA:
			reason = "it has lost data that it had acknowledged";
			break;
	}
	refuse(STAT_REFUSED_SHUT_OUT,
		   psprintf("member " UINT64_FORMAT " is shut out: %s", header->from, reason), NULL);
}

/*
 * Greetings go by connections of their own, and may be overtaken.
 */
static void
check_number(const MessageHeader *header, uint64 number)
{
	if ((header->kind == MESSAGE_RAFT || header->kind == MESSAGE_FORWARD) &&
		!starts_is_unheard(header->from, header->origin.start, number))
		refuse(STAT_REFUSED_REPLAYED,
			   psprintf("message " UINT64_FORMAT " of member " UINT64_FORMAT
						" has been here before, or is too late", number, header->from), NULL);
}

Datum
store_raft_receive(PG_FUNCTION_ARGS)
{
	Size		length = toast_raw_datum_size(PG_GETARG_DATUM(0)) - VARHDRSZ;
	MessageHeader header;
	const char *problem;
	uint64		number;
	char	   *data;

	if (length > inbox_max_length())
		refuse(STAT_REFUSED_TOO_LARGE, psprintf("message of %zu bytes is too large", length),
			   "Increase store.inbox_size on this node.");

	/* Payloads want to be aligned, and a varlena's are not. */
	data = palloc(length);
	memcpy(data, VARDATA_ANY(PG_GETARG_BYTEA_PP(0)), length);

	if (!seal_check(data, &length, &number))
		refuse(STAT_REFUSED_DAMAGED, "malformed message: it is not whole", NULL);
	problem = message_decode_header(data, length, &header);
	if (problem != NULL)
		refuse(STAT_REFUSED_MALFORMED, psprintf("malformed message: %s", problem), NULL);
	check_parties(&header);
	check_start(&header);
	check_message(data, length);
	check_number(&header, number);

	(void) inbox_put(INBOX_MESSAGE, 0, 0, data, length);
	pfree(data);
	PG_RETURN_VOID();
}
