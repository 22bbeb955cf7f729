/*-------------------------------------------------------------------------
 *
 * contract.c
 *	  What the core must refuse, and whether a recording tells it apart.
 *
 * The simulator brings a member only into states that its own disk, its own
 * shell and honest peers can bring about.  Here is the rest: durable states
 * that contradict themselves, events no shell should deliver, messages of
 * liars, and memory that was damaged.  Each must be answered with the status
 * that raft.h names, never taken for granted.
 *
 * Every step is made twice, by two copies of the member, the second from the
 * bytes that a recording would keep of the event.  Their digests must agree.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define N_VOTERS	3

static struct raft node;
static struct raft twin;
static struct raft_update update;
static struct raft_update twin_update;
static struct raft_violation violation;
static struct raft_restored restored;
static struct raft_run runs[3];
static struct raft_options options;
static struct raft_event event;

static int	n_passed;
static int	n_failed;

static void
check(bool good, const char *what)
{
	printf("%s - %s\n", good ? "ok" : "not ok", what);
	if (good)
		n_passed++;
	else
		n_failed++;
}

/* ------------------------------------------------------------------------
 * A member to begin with: 1 of voters 1, 2, 3; entries 1..5 of terms 1, 1, 2,
 * 2, 3; the first two applied
 * ------------------------------------------------------------------------
 */

static void
describe(void)
{
	memset(&restored, 0, sizeof(restored));
	options = (struct raft_options) {10, 100};
	runs[0] = (struct raft_run) {1, 1};
	runs[1] = (struct raft_run) {3, 2};
	runs[2] = (struct raft_run) {5, 3};
	restored.id = 1;
	restored.term = 3;
	restored.last_index = 5;
	restored.applied_index = 2;
	restored.n_runs = 3;
	restored.runs = runs;
	restored.config.config.n_members = N_VOTERS;
	for (uint32_t i = 0; i < N_VOTERS; i++)
		restored.config.config.members[i] = (struct raft_member) {i + 1, RAFT_VOTER};
	restored.previous_config = restored.config;
}

static enum raft_status
init(void)
{
	return raft_init(&node, &restored, &options, 1000, 7, &violation);
}

static void
begin(void)
{
	describe();
	if (init() != RAFT_OK)
		abort();
}

/* ------------------------------------------------------------------------
 * Steps
 * ------------------------------------------------------------------------
 */

static struct raft_event *
new_event(enum raft_event_type type)
{
	memset(&event, 0, sizeof(event));
	event.type = type;
	event.now_ms = node.now_ms + 1;
	event.random = 11;
	return &event;
}

static struct raft_message *
new_message(enum raft_message_type type, raft_id from, raft_term term)
{
	struct raft_message *message = &new_event(RAFT_RECEIVED)->u.received.message;

	message->type = type;
	message->from = from;
	message->to = 1;
	message->term = term;
	return message;
}

static enum raft_status
step(void)
{
	struct raft_event copy;
	size_t		size = raft_record_event_size(&event);

	twin = node;
	memset(&copy, 0xa5, sizeof(copy));
	memcpy(&copy, &event, size);
	raft_step(&node, &event, &update);
	raft_step(&twin, &copy, &twin_update);
	if (size != 0 && raft_update_digest(&update) != raft_update_digest(&twin_update))
		check(false, "a recorded event leads to the same update");
	return update.status;
}

static void
expect(enum raft_status status, const char *what)
{
	check(step() == status, what);
}

static void
expect_broken(const char *rule)
{
	check(step() == RAFT_BROKEN && strcmp(update.violation.rule, rule) == 0, rule);
}

static void
reply(enum raft_message_type type, raft_id from, raft_term term)
{
	new_message(type, from, term)->accepted = true;
	step();
}

/* Let the member become leader of the next term and commit its no-op. */
static void
lead(void)
{
	raft_term	term;

	begin();
	new_event(RAFT_TIMER)->now_ms = raft_deadline(&node);
	step();
	term = node.term + 1;
	reply(RAFT_MSG_PREVOTE_REPLY, 2, term);
	reply(RAFT_MSG_VOTE_REPLY, 2, term);
	new_event(RAFT_DURABLE)->u.position.index = node.log.last_index;
	event.u.position.term = term;
	step();
	new_message(RAFT_MSG_APPEND_REPLY, 2, term)->accepted = true;
	event.u.received.message.match = node.log.last_index;
	event.u.received.message.context = node.round;
	step();
	if (node.state != RAFT_LEADER || node.commit_index != node.log.last_index)
		abort();
}

/* ------------------------------------------------------------------------
 * Durable states that contradict themselves
 * ------------------------------------------------------------------------
 */

static void
expect_contradiction(const char *rule)
{
	check(init() == RAFT_INVALID && violation.rule != NULL &&
		  strcmp(violation.rule, rule) == 0, rule);
	describe();
}

static void
test_restored(void)
{
	describe();
	check(init() == RAFT_OK, "a sane state is taken");
	check(raft_init(&node, &restored, &options, 0, 0, NULL) == RAFT_OK,
		  "nobody has to ask for the violation");

	restored.id = 0;
	expect_contradiction("a member has an id");
	restored.base_term = 1;
	expect_contradiction("the base has its own term");
	restored.base_index = 3;
	restored.base_term = 2;
	expect_contradiction("base <= applied");
	restored.applied_index = 6;
	expect_contradiction("applied <= last");
	restored.n_runs = 0;
	expect_contradiction("runs describe the log");
	runs[0].first = 2;
	expect_contradiction("runs ascend");
	runs[2].first = 2;
	expect_contradiction("runs ascend");
	runs[0].term = 0;
	expect_contradiction("terms ascend");
	runs[1].term = 1;
	expect_contradiction("terms ascend");
	runs[2].first = 7;
	expect_contradiction("runs end with the log");
	restored.term = 2;
	expect_contradiction("no entry is of a later term");
	restored.config.index = 6;
	expect_contradiction("the configuration is in the log");
	restored.previous_config.index = 1;
	expect_contradiction("configurations ascend");
	restored.config.config.n_members = RAFT_MAX_MEMBERS + 1;
	expect_contradiction("the configuration is legal");
	restored.config.config.members[1].id = 1;
	expect_contradiction("the configuration is legal");
	restored.config.config.members[0].id = 0;
	expect_contradiction("the configuration is legal");
	restored.config.config.members[2].role = (enum raft_role) 9;
	expect_contradiction("the configuration is legal");
	for (uint32_t i = 0; i < N_VOTERS; i++)
		restored.previous_config.config.members[i].role = RAFT_LEARNER;
	expect_contradiction("the configuration is legal");
	options.heartbeat_interval_ms = 0;
	expect_contradiction("election timeout > 2 * heartbeat interval");
	options.election_timeout_ms = 20;
	expect_contradiction("election timeout > 2 * heartbeat interval");

	/* A copy that ends in a later term than was ever voted in. */
	restored.base_index = restored.last_index = restored.applied_index = 9;
	restored.base_term = 8;
	restored.n_runs = 0;
	restored.vote = 2;
	check(init() == RAFT_OK && node.term == 8 && node.vote == 0,
		  "the term of a copy is entered without a vote");
}

/* More changes of term than the core remembers: the oldest are forgotten. */
static void
test_many_runs(void)
{
	static struct raft_run many[RAFT_MAX_TERM_RUNS + 5];

	describe();
	for (uint32_t i = 0; i < RAFT_MAX_TERM_RUNS + 5; i++)
		many[i] = (struct raft_run) {i + 1, i + 1};
	restored.runs = many;
	restored.n_runs = RAFT_MAX_TERM_RUNS + 5;
	restored.last_index = restored.term = restored.n_runs;
	check(init() == RAFT_OK && raft_term_at(&node, 5) == 0 && raft_term_at(&node, 6) == 6,
		  "the oldest changes of term are forgotten");

	new_event(RAFT_TIMER)->now_ms = raft_deadline(&node);
	step();
	reply(RAFT_MSG_PREVOTE_REPLY, 2, node.term + 1);
	check(node.state != RAFT_LEADER, "nobody leads who has no room for its no-op");

	new_message(RAFT_MSG_APPEND, 2, node.term + 1)->prev_index = node.log.last_index;
	event.u.received.message.prev_term = raft_term_at(&node, node.log.last_index);
	event.u.received.message.n_entries = 1;
	event.u.received.message.n_runs = 1;
	event.u.received.message.runs[0] =
		(struct raft_run) {node.log.last_index + 1, event.u.received.message.term};
	expect(RAFT_BUSY, "entries that change the term once too often wait");
}

static void
test_options(void)
{
	begin();
	options = (struct raft_options) {20, 300};
	raft_set_options(&node, &options);
	check(node.options.election_timeout_ms == 300, "timing can be changed");
	options = (struct raft_options) {200, 300};
	raft_set_options(&node, &options);
	check(node.options.election_timeout_ms == 300, "but not to nonsense");
}

/* ------------------------------------------------------------------------
 * Events no shell should deliver
 * ------------------------------------------------------------------------
 */

static void
test_events(void)
{
	struct raft_peer_progress progress;

	begin();
	new_event((enum raft_event_type) 99);
	check(raft_record_event_size(&event) == 0, "an unknown event cannot be recorded");
	expect(RAFT_INVALID, "an unknown event is none");

	new_event(RAFT_APPLIED)->u.position.index = 3;
	expect_broken("applied <= commit");
	begin();
	new_event(RAFT_COMPACTED)->u.position = (__typeof__(event.u.position)) {3, 2};
	expect_broken("base <= commit");
	begin();
	new_event(RAFT_COMPACTED)->u.position = (__typeof__(event.u.position)) {2, 2};
	expect_broken("the base has its own term");
	begin();
	new_event(RAFT_COMPACTED)->u.position = (__typeof__(event.u.position)) {2, 1};
	expect(RAFT_OK, "what is applied may go");
	new_event(RAFT_COMPACTED)->u.position = (__typeof__(event.u.position)) {2, 1};
	expect(RAFT_STALE, "but only once");
	new_event(RAFT_DURABLE)->u.position = (__typeof__(event.u.position)) {2, 1};
	expect(RAFT_STALE, "what is gone is not durable any more");
	check(!raft_progress(&node, 2, &progress), "only a leader knows of the others");

	new_event(RAFT_SNAPSHOT_INSTALLED)->u.snapshot.index = 2;
	expect(RAFT_STALE, "a copy at the commit index is not wanted");
	new_event(RAFT_SNAPSHOT_INSTALLED)->u.snapshot.index = 50;
	expect(RAFT_STALE, "a copy without a term is none");
	new_event(RAFT_SNAPSHOT_INSTALLED)->u.snapshot.index = 50;
	event.u.snapshot.term = 4;
	expect(RAFT_INVALID, "a copy without a configuration is none");
	event.u.snapshot.config = node.config;
	expect(RAFT_OK, "a whole copy is taken");

	lead();
	new_event(RAFT_LINK_DOWN)->u.peer.peer = 77;
	expect(RAFT_STALE, "the link of a stranger does not matter");
	new_event(RAFT_TRANSFER_REQUESTED)->u.peer.peer = 77;
	expect(RAFT_INVALID, "a stranger cannot succeed");
	new_event(RAFT_PROPOSED);
	expect(RAFT_INVALID, "nothing is no proposal");
	check(!raft_progress(&node, 77, &progress), "nothing is known of strangers");
	check(raft_progress(&node, 1, &progress) && progress.match_index == 6,
		  "a leader knows of itself");
	new_event(RAFT_READ_REQUESTED)->u.read.id = 5;
	expect(RAFT_OK, "a leader takes a read");
	new_message(RAFT_MSG_APPEND_REPLY, 2, node.term)->accepted = true;
	event.u.received.message.match = node.log.last_index;
	event.u.received.message.context = node.round;
	step();
	check(update.n_reads == 1 && update.reads[0].id == 5 && update.reads[0].index == 6,
		  "and answers it when a majority has confirmed it");
	new_event(RAFT_CONFIG_PROPOSED)->u.config = node.config.config;
	event.u.config.n_members = RAFT_MAX_MEMBERS + 1;
	expect(RAFT_INVALID, "a configuration has a bounded number of members");
	new_event(RAFT_DISK_FAILED);
	step();
	new_event(RAFT_TIMER)->now_ms += 100000;
	step();
	check(update.n_messages == 0 && node.state != RAFT_LEADER,
		  "a member whose disk failed is mute");
}

/* ------------------------------------------------------------------------
 * Liars
 * ------------------------------------------------------------------------
 */

static struct raft_message *
append(raft_term term, raft_index prev_index, raft_term prev_term, raft_term entry_term)
{
	struct raft_message *message = new_message(RAFT_MSG_APPEND, 2, term);

	message->prev_index = prev_index;
	message->prev_term = prev_term;
	if (entry_term != 0)
	{
		message->n_entries = 1;
		message->n_runs = 1;
		message->runs[0] = (struct raft_run) {prev_index + 1, entry_term};
	}
	return message;
}

static void
test_nonsense(void)
{
	begin();
	new_message((enum raft_message_type) 99, 2, 4);
	expect(RAFT_INVALID, "an unknown message is none");
	new_message(RAFT_MSG_VOTE, 1, 4);
	expect(RAFT_INVALID, "nobody hears itself");
	new_message(RAFT_MSG_VOTE, 2, 4)->to = 3;
	expect(RAFT_INVALID, "a message for another is not for us");
	new_message(RAFT_MSG_VOTE, 2, 0);
	expect(RAFT_INVALID, "a message has a term");
	new_message(RAFT_MSG_VOTE, 2, UINT64_C(1) << 40);
	expect(RAFT_INVALID, "terms do not jump");
	new_message(RAFT_MSG_VOTE, 2, 4)->prev_index = 5;
	expect(RAFT_INVALID, "an entry has a term");
	new_message(RAFT_MSG_READ_REPLY, 2, 3)->commit = UINT64_MAX;
	expect(RAFT_INVALID, "an index has a limit");
	new_message(RAFT_MSG_APPEND_REPLY, 2, 3)->prev_index = 3;
	event.u.received.message.hint_index = 3;
	event.u.received.message.hint_term = 2;
	expect(RAFT_INVALID, "a hint lies before what was refused");

	append(4, 5, 3, 4)->n_entries = RAFT_MAX_BATCH + 1;
	expect(RAFT_INVALID, "an APPEND has a bounded number of entries");
	append(4, 5, 3, 4)->n_runs = RAFT_MAX_MESSAGE_RUNS + 1;
	expect(RAFT_INVALID, "and of terms");
	append(4, 5, 3, 4)->runs[0].first = 7;
	expect(RAFT_INVALID, "its terms begin with its entries");
	append(4, 5, 3, 5);
	expect(RAFT_INVALID, "its entries are of no later term");
	append(4, 5, 3, 2);
	expect(RAFT_INVALID, "nor of an earlier one than those before");
	append(4, 5, 3, 3)->n_entries = 2;
	event.u.received.message.n_runs = 2;
	event.u.received.message.runs[1] = (struct raft_run) {7, 3};
	expect(RAFT_INVALID, "its terms ascend");
	append(4, 5, 3, 0)->n_runs = 1;
	expect(RAFT_INVALID, "no entries have no terms");
	append(4, 5, 3, 4);
	event.u.received.n_configs = 3;
	expect(RAFT_INVALID, "it has two configurations at the most");
	append(4, 5, 3, 4);
	event.u.received.n_configs = 1;
	event.u.received.configs[0] = node.config;
	event.u.received.configs[0].index = 9;
	expect(RAFT_INVALID, "a configuration is among its entries");
	event.u.received.configs[0].index = 6;
	event.u.received.configs[0].config.n_members = 0;
	expect(RAFT_INVALID, "a configuration is legal");
}

static void
test_liars(void)
{
	begin();
	append(4, 2, 2, 0);
	expect_broken("committed entries agree");
	begin();
	append(4, 1, 1, 2);
	expect_broken("committed entries stay");
	begin();
	append(4, 5, 3, 4);
	step();
	append(4, 4, 2, 4);
	expect_broken("a leader only appends");
	begin();
	append(4, 5, 3, 0);
	step();
	append(4, 5, 3, 0)->from = 3;
	expect_broken("one leader in a term");
	new_message(RAFT_MSG_SNAPSHOT, 3, 4)->prev_index = 9;
	event.u.received.message.prev_term = 4;
	expect_broken("one leader in a term");

	lead();
	new_message(RAFT_MSG_APPEND_REPLY, 2, 4)->accepted = true;
	event.u.received.message.match = 100;
	expect(RAFT_INVALID, "nobody agrees beyond the end of the log");
	new_message(RAFT_MSG_SNAPSHOT_REPLY, 2, 4)->accepted = true;
	event.u.received.message.match = 100;
	expect(RAFT_INVALID, "nor has a copy of it");
	new_message(RAFT_MSG_APPEND_REPLY, 77, 4)->accepted = true;
	expect(RAFT_STALE, "strangers acknowledge nothing");
}

/* ------------------------------------------------------------------------
 * Damaged memory
 * ------------------------------------------------------------------------
 */

static void
expect_damage(const char *rule)
{
	new_event(RAFT_LINK_DOWN)->u.peer.peer = 77;
	expect_broken(rule);
}

static void
test_damage(void)
{
	begin();
	node.log.base_index = 3;
	expect_damage("base <= applied");
	begin();
	node.applied_index = 4;
	expect_damage("applied <= commit");
	begin();
	node.commit_index = 6;
	expect_damage("commit <= last");
	begin();
	node.log.durable_index = 6;
	expect_damage("durable <= last");
	begin();
	node.term = 2;
	expect_damage("no entry is of a later term");
	lead();
	node.vote = 2;
	expect_damage("a candidate votes for itself");
	lead();
	node.peers[1].match_index = node.peers[1].next_index;
	expect_damage("match < next");
	lead();
	node.peers[2].next_index = node.log.last_index + 2;
	expect_damage("next <= last + 1");
}

static void
test_header(void)
{
	struct raft_record_header header;

	raft_record_header_fill(&header);
	check(raft_record_header_fits(&header), "a recording of this core is known");
	header.sizeof_event++;
	check(!raft_record_header_fits(&header), "one of another layout is not");
	raft_record_header_fill(&header);
	header.sizeof_raft++;
	check(!raft_record_header_fits(&header), "nor one of another state");
	header.magic++;
	check(!raft_record_header_fits(&header), "nor anything else");
}

int
main(void)
{
	test_restored();
	test_many_runs();
	test_options();
	test_events();
	test_nonsense();
	test_liars();
	test_damage();
	test_header();
	printf("%d passed, %d failed\n", n_passed, n_failed);
	return n_failed != 0;
}
