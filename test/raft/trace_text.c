/*-------------------------------------------------------------------------
 *
 * trace_text.c
 *	  How a golden trace tells what happens: one short line for each thing.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>

const char *const state_names[] = {
	"detached", "follower", "pre-candidate", "candidate", "leader"
};
const char *const status_names[] = {
	"ok", "not leader", "busy", "not ready", "in progress", "invalid", "stale",
	"BROKEN"
};
const char *const message_names[] = {
	"pre-vote", "pre-vote reply", "vote", "vote reply", "append",
	"append reply", "read", "read reply", "timeout now", "snapshot",
	"snapshot reply"
};

char		output[MAX_OUTPUT];
size_t		output_length;

/* Add a line of output. */
void
say(const char *format,...)
{
	va_list		arguments;
	int			length;

	output_length += (size_t) snprintf(output + output_length,
									   MAX_OUTPUT - output_length, "  ");
	va_start(arguments, format);
	length = vsnprintf(output + output_length, MAX_OUTPUT - output_length,
					   format, arguments);
	va_end(arguments);
	output_length += (size_t) length;
	if (output_length + 4 >= MAX_OUTPUT)
		fail("too much output");
	output[output_length++] = '\n';
	output[output_length] = '\0';
}

void
forget_output(void)
{
	output_length = 0;
	output[0] = '\0';
}

const char *
config_text(const struct raft_config *config)
{
	static char text[256];
	size_t		length = 0;
	uint32_t	i;

	text[0] = '\0';
	for (i = 0; i < config->n_members; i++)
		length += (size_t) snprintf(text + length, sizeof(text) - length,
									"%s%llu%c", i > 0 ? "," : "",
									U(config->members[i].id),
									config->members[i].role == RAFT_VOTER ?
									'v' : 'l');
	return length > 0 ? text : "nobody";
}

/* The entries first..last of a member's log, as runs of equal term. */
const char *
range_text(const struct disk *disk, raft_index first, raft_index last)
{
	static char text[512];
	size_t		length = 0;

	text[0] = '\0';
	while (first <= last)
	{
		raft_term	term = disk->log[first].term;
		raft_index	end = first;

		if (length > 256)
		{
			snprintf(text + length, sizeof(text) - length, ", ..., %llu.%llu",
					 U(last), U(disk->log[last].term));
			break;
		}
		while (end < last && disk->log[end + 1].term == term)
			end++;
		length += (size_t) snprintf(text + length, sizeof(text) - length,
									length > 0 ? ", %llu.%llu" : "%llu.%llu",
									U(first), U(term));
		if (end > first)
			length += (size_t) snprintf(text + length, sizeof(text) - length,
										"-%llu.%llu", U(end), U(term));
		first = end + 1;
	}
	return text;
}

void
say_message(const struct raft_message *m, const struct disk *from)
{
	char		text[512];
	size_t		length = 0;

#define ADD(...) \
	(length += (size_t) snprintf(text + length, sizeof(text) - length, __VA_ARGS__))

	ADD("%llu>%llu %s", U(m->from), U(m->to), message_names[m->type]);
	ADD(" term %llu", U(m->term));
	switch (m->type)
	{
		case RAFT_MSG_PREVOTE:
		case RAFT_MSG_VOTE:
			ADD(" last %llu.%llu%s", U(m->prev_index), U(m->prev_term),
				m->transfer ? " by transfer" : "");
			break;
		case RAFT_MSG_PREVOTE_REPLY:
		case RAFT_MSG_VOTE_REPLY:
			ADD(m->accepted ? " granted" : " refused");
			break;
		case RAFT_MSG_APPEND:
			ADD(" after %llu.%llu", U(m->prev_index), U(m->prev_term));
			if (m->n_entries > 0)
				ADD(": %s", range_text(from, m->prev_index + 1,
									   m->prev_index + m->n_entries));
			ADD(" commit %llu round %llu", U(m->commit), U(m->context));
			break;
		case RAFT_MSG_APPEND_REPLY:
			if (m->accepted)
				ADD(" match %llu", U(m->match));
			else if (m->prev_index == 0)
				ADD(" refuses the term");
			else
				ADD(" refuses %llu try %llu.%llu", U(m->prev_index),
					U(m->hint_index), U(m->hint_term));
			ADD(" round %llu", U(m->context));
			break;
		case RAFT_MSG_READ:
			break;
		case RAFT_MSG_READ_REPLY:
			ADD(m->commit > 0 ? " index %llu" : " refused", U(m->commit));
			break;
		case RAFT_MSG_TIMEOUT_NOW:
			break;
		case RAFT_MSG_SNAPSHOT:
			ADD(" at least %llu.%llu", U(m->prev_index), U(m->prev_term));
			break;
		case RAFT_MSG_SNAPSHOT_REPLY:
			ADD(" match %llu", U(m->match));
			break;
	}
	if (m->after_flush)
		ADD(" (after flush)");
	say("%s", text);
#undef ADD
}

/* Put a message on its way, with the entries it covers. */
