/*-------------------------------------------------------------------------
 *
 * fuzz_raft.c
 *	  A member whose shell is honest and whose peers say anything.
 *
 * The input describes a member and then what happens to it, one operation
 * after the other: messages as bytes for message_decode(), messages made up
 * around what the member knows (its last index, its term, ...; bytes that say
 * something of interest are rare), and what an honest shell reports.
 *
 * Forged messages can lie about terms and commits, and no core can tell.  What
 * is required:
 *
 *	- the state stays sound: every count within its array, the log in order;
 *	- nonsense is refused without any change;
 *	- RAFT_BROKEN comes only of what follower.c names: messages that prove a
 *	  second leader, or a leader that contradicts a commit or itself;
 *	- what the member says can be encoded: an ERROR would end the worker, and
 *	  the next one, for the term that led to it is on the disk.  (Not if a lie
 *	  has used up the numbers: at the last term there is no next one.)
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include "message.h"
#include "raft/core.h"

#define MAX_OPERATIONS 300

/* As message.c has it: positions beyond cannot be stored or encoded. */
#define MAX_POSITION ((uint64) PG_INT64_MAX / 2)

typedef struct Input
{
	const uint8 *next;
	Size		left;
} Input;

static Input input;
static struct raft node;
static struct raft before;
static struct raft_event event;
static struct raft_update update;
static raft_index applied;
static uint64 read_id;
static uint64 now_ms;

static uint8
take(void)
{
	if (input.left == 0)
		return 0;
	input.left--;
	return *input.next++;
}

static uint64
take_word(void)
{
	uint64		word = 0;
	int			i;

	for (i = 0; i < 8; i++)
		word = word << 8 | take();
	return word;
}

/* A number: near something that the member knows, mostly. */
static uint64
take_number(void)
{
	uint8		choice = take();
	int			off = (choice & 0x0f) - 8;

	switch (choice >> 4)
	{
		case 0:
			return choice & 0x0f;
		case 1:
		case 2:
			return node.log.last_index + off;
		case 3:
			return node.commit_index + off;
		case 4:
			return node.log.base_index + off;
		case 5:
		case 6:
			return node.term + off;
		case 7:
			return raft_log_last_term(&node.log) + off;
		case 8:
			return node.matched_index + off;
		case 9:
			return node.round + off;
		case 10:
			return node.log.n_runs > 0 ? node.log.runs[node.log.n_runs / 2].first + off : 1;
		case 11:
			return node.log.n_runs > 0 ? node.log.runs[node.log.n_runs / 2].term + off : 1;
		case 12:
			return event.u.received.message.prev_index + off;
		case 13:
			return MAX_POSITION - (choice & 0x0f);
		case 14:
			return UINT64_MAX - (choice & 0x0f);
		default:
			return take_word();
	}
}

/* This member, another, one of old, a stranger, nobody. */
static raft_id
take_id(void)
{
	uint8		choice = take();

	if (choice < 240 && node.config.config.n_members > 0)
		return node.config.config.members[choice % node.config.config.n_members].id;
	return choice < 250 ? choice - 239 : take_number();
}

static void
take_config(struct raft_config *config)
{
	uint8		n_changes = take() % 3;
	uint8		n_members;
	uint32		i;

	/* what is beyond n_members is nobody's business, whatever it is */
	*config = node.config.config;
	if (n_changes == 0)
	{
		n_members = take() % (RAFT_MAX_MEMBERS + 3);
		config->n_members = n_members;
		for (i = 0; i < Min(n_members, RAFT_MAX_MEMBERS); i++)
		{
			config->members[i].id = i + 1;
			config->members[i].role = take() % 3;
		}
		return;
	}
	while (n_changes-- > 0)
	{
		uint8		choice = take();
		uint32		slot = choice % RAFT_MAX_MEMBERS;

		if (choice < 100 && config->n_members < RAFT_MAX_MEMBERS)
		{
			slot = config->n_members++;
			config->members[slot].id = slot == 0 ? 1 : config->members[slot - 1].id + 1;
			config->members[slot].role = choice % 2;
		}
		else if (choice < 180 && slot < config->n_members)
		{
			memmove(&config->members[slot], &config->members[slot + 1],
					(config->n_members - slot - 1) * sizeof(struct raft_member));
			config->n_members--;
		}
		else
			config->members[slot].role = take() % 3;
	}
}

/*----------
 * What is required
 *----------
 */

static void
check_log(const struct raft_log *log)
{
	uint32_t	i;

	REQUIRE(log->n_runs <= RAFT_MAX_TERM_RUNS);
	REQUIRE(log->base_index <= log->durable_index);
	REQUIRE(log->durable_index <= log->last_index);
	REQUIRE((log->n_runs == 0) == (log->last_index == log->base_index));
	if (memcmp(log->runs, before.log.runs, sizeof(log->runs)) == 0 &&
		log->n_runs == before.log.n_runs && log->base_index == before.log.base_index)
		return;
	for (i = 0; i < log->n_runs; i++)
	{
		REQUIRE(log->runs[i].first > (i == 0 ? log->base_index : log->runs[i - 1].first));
		REQUIRE(i == 0 || log->runs[i].term > log->runs[i - 1].term);
		REQUIRE(log->runs[i].first <= log->last_index);
	}
}

static void
check_node(void)
{
	uint32_t	i;

	check_log(&node.log);
	REQUIRE(node.commit_index <= node.log.last_index);
	REQUIRE(node.config.config.n_members == 0 || raft_config_is_sane(&node.config.config));
	REQUIRE(node.config.index <= node.log.last_index);
	REQUIRE(node.previous_config.index <= node.config.index);
	REQUIRE(node.self == RAFT_NO_SLOT || node.self < node.config.config.n_members);
	REQUIRE(node.n_reads <= RAFT_MAX_READS && node.n_confirming <= node.n_reads);
	for (i = 0; node.state == RAFT_LEADER && i <= RAFT_LEAVING_SLOT; i++)
	{
		REQUIRE(node.peers[i].n_inflight <= RAFT_MAX_INFLIGHT);
		REQUIRE(node.peers[i].inflight_first < RAFT_MAX_INFLIGHT);
	}
	(void) raft_deadline(&node);
	REQUIRE(raft_needed_index(&node) <= node.log.last_index + 1);
}

/* Encode what the member says, with empty entries. */
static void
check_said(const struct raft_message *message)
{
	static const MessageOrigin origin = {.understands = COMMAND_VERSION};
	static LogEntry entries[RAFT_MAX_BATCH];
	StringInfoData buf;
	uint32_t	run = 0;
	uint32_t	i;

	REQUIRE(message->n_entries <= RAFT_MAX_BATCH);

	/* Where a copy or the restored state may begin, but no message leads. */
	if (node.term >= MAX_POSITION || node.log.last_index >= MAX_POSITION - RAFT_MAX_BATCH)
		return;
	for (i = 0; i < message->n_entries; i++)
	{
		entries[i].index = message->prev_index + 1 + i;
		while (run + 1 < message->n_runs && message->runs[run + 1].first <= entries[i].index)
			run++;
		entries[i].term = message->runs[run].term;
	}
	initStringInfo(&buf);
	message_encode_raft(&buf, &origin, message, entries);
	pfree(buf.data);
}

static void
check_update(void)
{
	uint32_t	i;

	REQUIRE(update.n_messages <= RAFT_MAX_MESSAGES);
	REQUIRE(update.n_reads <= RAFT_MAX_READS);
	for (i = 0; i < update.n_messages; i++)
		check_said(&update.messages[i]);
	if (update.append != RAFT_APPEND_NONE)
	{
		REQUIRE(update.append_first <= update.append_last);
		REQUIRE(update.append_last == node.log.last_index);
	}
	if (update.append == RAFT_APPEND_RECEIVED)
	{
		/* the shell takes them from the message */
		const struct raft_message *message = &event.u.received.message;

		REQUIRE(event.type == RAFT_RECEIVED);
		REQUIRE(update.append_first > message->prev_index);
		REQUIRE(update.append_last == message->prev_index + message->n_entries);
	}
}

/* What messages alone can bring about: see the head of follower.c. */
static bool
is_documented(const char *rule)
{
	return strcmp(rule, "one leader in a term") == 0 ||
		strcmp(rule, "committed entries agree") == 0 ||
		strcmp(rule, "committed entries stay") == 0 ||
		strcmp(rule, "a leader only appends") == 0;
}

static void
step(enum raft_event_type type)
{
	event.type = type;
	event.now_ms = now_ms;
	event.random = node.random * UINT64CONST(6364136223846793005) + 1;
	before = node;
	(void) raft_step(&node, &event, &update);

	if (update.status == RAFT_BROKEN)
	{
		if (type != RAFT_RECEIVED || !is_documented(update.violation.rule))
		{
			fprintf(stderr, "%s: expected " UINT64_FORMAT ", found " UINT64_FORMAT "\n",
					update.violation.rule, update.violation.expected,
					update.violation.found);
			REQUIRE(!"only a forged message breaks, and only a documented rule");
		}
		REQUIRE(memcmp(&before.log, &node.log, sizeof(node.log)) == 0);
		REQUIRE(before.commit_index == node.commit_index);
		/* the worker starts anew; here, as if the message had been lost */
		node = before;
		return;
	}
	if (type == RAFT_RECEIVED && !before.disk_failed &&
		!raft_message_is_sane(&before, &event))
	{
		REQUIRE(update.status == RAFT_INVALID);
		before.random = node.random;
		REQUIRE(memcmp(&before, &node, sizeof(node)) == 0);
	}
	REQUIRE(before.term <= node.term && before.commit_index <= node.commit_index);
	check_node();
	check_update();
}

/*----------
 * Operations
 *----------
 */

static void
receive_bytes(void)
{
	Size		length = take() | take() << 8;
	char	   *bytes;
	Message		message;

	length = Min(length, input.left);
	bytes = palloc(length + 1);
	memcpy(bytes, input.next, length);
	input.next += length;
	input.left -= length;

	if (message_decode(bytes, length, &message) == NULL)
	{
		if (message.header.kind == MESSAGE_RAFT)
		{
			event.u.received.message = message.raft;
			event.u.received.n_configs = message.n_configs;
			memcpy(event.u.received.configs, message.configs, sizeof(message.configs));
			step(RAFT_RECEIVED);
		}
		else
		{
			event.u.proposed.count = message.n_entries;
			event.u.proposed.term = message.term;
			step(RAFT_PROPOSED);
		}
	}
	if (message.entries)
		pfree(message.entries);
	pfree(bytes);
}

/* What an honest leader would send next; of the counts, chance decides. */
static void
continue_log(struct raft_message *message)
{
	message->prev_index = node.log.last_index;
	message->prev_term = raft_log_last_term(&node.log);
	message->n_runs = Min(message->n_entries, message->n_runs);
	if (message->n_entries > 0)
		message->n_runs = Max(message->n_runs, 1);
	message->term = Max(message->term, message->prev_term + message->n_runs);
}

/*
 * Each of the bits of "kind" and "shape" decides whether one part of the
 * message is left to chance.
 */
static void
receive_made_up(void)
{
	struct raft_message *message = &event.u.received.message;
	uint8		kind = take();
	uint8		shape = take();
	bool		continues = (kind & 0x20) != 0;
	uint32_t	i;

	memset(&event.u, 0, sizeof(event.u));
	message->type = (kind & 0x0f) % (RAFT_MSG_LAST + 2);
	message->from = take_id();
	message->to = shape & 0x80 ? take_id() : node.id;
	message->accepted = (shape & 1) != 0;
	message->transfer = (shape & 2) != 0;
	message->term = kind & 0x40 ? take_number() :
		node.term + (message->type == RAFT_MSG_PREVOTE_REPLY ? message->accepted : 0);
	message->prev_index = take_number();
	message->prev_term = shape & 4 ?
		raft_term_at(&node, message->prev_index) : take_number();
	message->commit = take_number();
	message->context = kind & 0x80 ? take_number() : node.round;
	message->match = take_number();
	message->hint_index = take_number();
	message->hint_term = take_number();
	message->promise_ms = (uint32_t) take_number();
	if (message->type != RAFT_MSG_APPEND)
	{
		step(RAFT_RECEIVED);
		return;
	}

	message->n_entries = shape & 8 ? take() : take() * 5;
	message->n_runs = take() % (RAFT_MAX_MESSAGE_RUNS + 2);
	if (continues)
		continue_log(message);
	for (i = 0; i < Min(message->n_runs, RAFT_MAX_MESSAGE_RUNS); i++)
	{
		message->runs[i].first = continues || shape & 16 ?
			message->prev_index + 1 + i : take_number();
		message->runs[i].term = continues || shape & 32 ?
			Max(message->prev_term, 1) + i : take_number();
	}
	event.u.received.n_configs = shape & 64 ? take() % 4 : 0;
	for (i = 0; i < Min(event.u.received.n_configs, 2); i++)
	{
		event.u.received.configs[i].index = continues ?
			message->prev_index + 1 + i : take_number();
		take_config(&event.u.received.configs[i].config);
	}
	step(RAFT_RECEIVED);
}

/* A copy's contents come from a peer; the shell asks before it installs one. */
static void
install_snapshot(void)
{
	struct raft_event *e = &event;

	memset(&e->u, 0, sizeof(e->u));
	e->u.snapshot.index = take_number() & PG_INT64_MAX / 2;
	e->u.snapshot.term = take_number() & PG_INT64_MAX / 2;
	take_config(&e->u.snapshot.config.config);
	e->u.snapshot.config.index = take_number();
	if (e->u.snapshot.config.index > e->u.snapshot.index)
		e->u.snapshot.config.index = e->u.snapshot.index;
	if (node.state == RAFT_LEADER || node.disk_failed ||
		!raft_wants_snapshot(&node, e->u.snapshot.index, e->u.snapshot.term))
		return;
	step(RAFT_SNAPSHOT_INSTALLED);
	applied = node.applied_index;
}

static void
report_durable(void)
{
	raft_index	index = node.log.last_index;
	uint8		back = take() % 8;

	memset(&event.u, 0, sizeof(event.u));
	if (index > back)
		index -= back;
	event.u.position.index = index;
	event.u.position.term = raft_term_at(&node, index);
	step(RAFT_DURABLE);
}

static void
report_applied(void)
{
	memset(&event.u, 0, sizeof(event.u));
	if (applied < node.commit_index)
		applied += 1 + take() % (node.commit_index - applied);
	event.u.position.index = applied;
	step(RAFT_APPLIED);
}

static void
report_compacted(void)
{
	raft_index	index = applied - Min(applied, take() % 4);

	/* the shell reads the term in its log; here only the core has one */
	memset(&event.u, 0, sizeof(event.u));
	event.u.position.index = index;
	event.u.position.term = raft_term_at(&node, index);
	if (event.u.position.term != 0)
		step(RAFT_COMPACTED);
}

static void
ask(void)
{
	uint8		what = take();

	memset(&event.u, 0, sizeof(event.u));
	switch (what % 5)
	{
		case 0:
			event.u.proposed.count = what > 250 ? RAFT_MAX_UNCOMMITTED : what / 5;
			step(RAFT_PROPOSED);
			break;
		case 1:
			event.u.read.id = ++read_id;
			step(RAFT_READ_REQUESTED);
			break;
		case 2:
			take_config(&event.u.config);
			step(RAFT_CONFIG_PROPOSED);
			break;
		case 3:
			event.u.peer.peer = take_id();
			step(RAFT_TRANSFER_REQUESTED);
			break;
		default:
			event.u.peer.peer = take_id();
			step(RAFT_LINK_DOWN);
			break;
	}
}

/* A member as it comes from its disk. */
static bool
begin(void)
{
	static struct raft_run runs[RAFT_MAX_TERM_RUNS + 8];
	static const struct raft_options options = {10, 100, true};
	struct raft_restored restored;
	uint8		shape = take();
	uint32_t	n_members = take() % (RAFT_MAX_MEMBERS + 1);
	uint32_t	i;

	memset(&restored, 0, sizeof(restored));
	restored.id = 1 + take() % (n_members + 1);
	restored.base_index = shape & 1 ? 10 : 0;
	restored.base_term = shape & 1 ? 2 : 0;
	restored.n_runs = shape & 2 ? RAFT_MAX_TERM_RUNS - 4 + (shape >> 5) : shape >> 4;
	for (i = 0; i < restored.n_runs; i++)
	{
		runs[i].first = restored.base_index + 1 + 2 * i;
		runs[i].term = restored.base_term + 1 + i;
	}
	restored.runs = runs;
	restored.last_index = restored.base_index + 2 * restored.n_runs;
	restored.term = restored.base_term + restored.n_runs + (shape & 4 ? 1 : 0);
	restored.applied_index = shape & 8 ? restored.base_index : restored.last_index;
	restored.config.config.n_members = n_members;
	for (i = 0; i < n_members; i++)
		restored.config.config.members[i] = (struct raft_member)
		{
			i + 1, i == 3 ? RAFT_LEARNER : RAFT_VOTER
		};
	restored.previous_config = restored.config;
	applied = restored.applied_index;
	return raft_init(&node, &restored, &options, now_ms, 1, NULL) == RAFT_OK;
}

/* Somebody grants a vote. */
static void
vote(enum raft_message_type type, raft_id from, raft_term term)
{
	struct raft_message *message = &event.u.received.message;

	memset(&event.u, 0, sizeof(event.u));
	message->type = type;
	message->from = from;
	message->to = node.id;
	message->term = term;
	message->accepted = true;
	step(RAFT_RECEIVED);
}

/* Let everybody vote for the member. */
static void
elect(void)
{
	uint32_t	i;

	now_ms = Max(now_ms, node.election_deadline_ms);
	memset(&event.u, 0, sizeof(event.u));
	step(RAFT_TIMER);
	for (i = 0; node.state == RAFT_PRE_CANDIDATE && i < node.config.config.n_members; i++)
		vote(RAFT_MSG_PREVOTE_REPLY, node.config.config.members[i].id, node.term + 1);
	for (i = 0; node.state == RAFT_CANDIDATE && i < node.config.config.n_members; i++)
		vote(RAFT_MSG_VOTE_REPLY, node.config.config.members[i].id, node.term);
}

void
fuzz_one(const char *data, Size length)
{
	int			i;

	input.next = (const uint8 *) data;
	input.left = length;
	memset(&event, 0, sizeof(event));
	read_id = 0;
	now_ms = 1000;
	REQUIRE(begin());
	if (node.self != RAFT_NO_SLOT && take() % 2 == 0)
		elect();

	for (i = 0; input.left > 0 && i < MAX_OPERATIONS; i++)
	{
		uint8		operation = take();

		switch (operation % 16)
		{
			case 0:
			case 1:
				receive_bytes();
				break;
			case 8:
			case 9:
				now_ms += operation / 2;
				step(RAFT_TIMER);
				break;
			case 10:
				report_durable();
				break;
			case 11:
				report_applied();
				break;
			case 12:
				report_compacted();
				break;
			case 13:
				ask();
				break;
			case 14:
				install_snapshot();
				break;
			case 15:
				if (operation == 255)
					step(RAFT_DISK_FAILED);
				else
					ask();
				break;
			default:
				receive_made_up();
				break;
		}
	}
}
