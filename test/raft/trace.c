/*-------------------------------------------------------------------------
 *
 * trace.c
 *	  Golden traces: scripts of what happens to a group, with every word the
 *	  members say about it.
 *
 * The simulator finds what nobody thought of.  A trace tells what somebody did
 * think of: a figure of the paper, an outage that other implementations had.
 * It is read from top to bottom like the story it tells:
 *
 *		# Why this happens.
 *		> propose 1 2
 *		  1 appends 2.1-3.1
 *		  1>2 append after 1.1: 2.1-3.1 commit 1
 *
 * Lines that begin with "#" are narrative, with ">" commands, and the indented
 * lines below a command are exactly what it must print.  Positions are written
 * index.term.  Nothing happens by itself: no message arrives and no time passes
 * unless a command says so.  "raft_trace -w FILE" rewrites the output of a
 * trace; read the difference before you believe it.
 *
 * The commands, with N for a member:
 *
 *		start N term=T vote=V base=I.T log=T,T..T,.. applied=I config=1v,2v,3l
 *								(all but N and config may be missing)
 *		lead N CONFIG			all of CONFIG start, N wins term 1: said quietly
 *		timer N					time passes to N's deadline, and N acts on it
 *		wait MS					time passes
 *		deliver N>M [COUNT]		the oldest messages on this way arrive
 *		deliver all				until nothing is on its way
 *		repeat N>M				the oldest message on this way is doubled
 *		drop N>M | drop N | drop all
 *								lost: one way, to and from N, everything
 *		cut N>M | cut N | heal	from now on it is lost; no longer
 *		hold N | flush N		N's disk keeps writing until it is flushed
 *		crash N | restart N		what was not flushed is lost; what is on its
 *								way is not
 *		stop N					crash without a word, but keep the disk
 *		propose N COUNT [term=T]
 *		read N ID[..ID] | config N 1v,2v | transfer N M | link-down N M
 *		compact N I | install N M	N forgets its log up to I; N gets M's copy
 *		durable N I T			N's disk reports I.T once more
 *		disk-failed N | wipe N I	N's disk fails; N's log loses I and all after
 *		show N | log N			what N believes; the terms of N's log
 *
 * More, for what no honest disk, shell or member does, are in trace_odd.c.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *file_name;
static int	line_number;

void
fail(const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file_name, line_number, what);
	exit(2);
}

struct raft_config
parse_config(const char *text)
{
	struct raft_config config;

	memset(&config, 0, sizeof(config));
	if (strcmp(text, "crowd") == 0)
		config.n_members = RAFT_MAX_MEMBERS + 1;
	while (*text >= '0' && *text <= '9')
	{
		struct raft_member *member = &config.members[config.n_members++];

		member->id = strtoull(text, (char **) &text, 10);
		member->role = *text == 'l' ? RAFT_LEARNER :
			*text == '?' ? (enum raft_role) 9 : RAFT_VOTER;
		text += *text == 'l' || *text == 'v' || *text == '?';
		text += *text == ',';
	}
	return config;
}

struct node *
node_of(const char *text)
{
	unsigned long id = text == NULL ? 0 : strtoul(text, NULL, 10);

	if (id == 0 || id > MAX_NODES)
		fail("no such member");
	return &nodes[id];
}

raft_id
id_of(const struct node *node)
{
	return (raft_id) (node - nodes);
}

/* The value of "name=value" among the words, or NULL. */
const char *
option(char **words, int n_words, const char *name)
{
	size_t		length = strlen(name);
	int			i;

	for (i = 2; i < n_words; i++)
	{
		if (strncmp(words[i], name, length) == 0 && words[i][length] == '=')
			return words[i] + length + 1;
	}
	return NULL;
}

uint64_t
number_option(char **words, int n_words, const char *name, uint64_t otherwise)
{
	const char *text = option(words, n_words, name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
start(struct node *node, char **words, int n_words)
{
	struct disk *disk = &node->durable;
	const char *text = option(words, n_words, "log");
	const char *base = option(words, n_words, "base");
	const char *config = option(words, n_words, "config");

	memset(node, 0, sizeof(*node));
	if (base != NULL)
	{
		disk->base = disk->last = strtoull(base, (char **) &base, 10);
		disk->base_term = *base == '.' ? strtoull(base + 1, NULL, 10) : 0;
	}
	while (text != NULL && *text != '\0')
	{
		raft_term	term = strtoull(text, (char **) &text, 10);
		raft_term	end = strncmp(text, "..", 2) == 0 ?
			strtoull(text + 2, (char **) &text, 10) : term;

		for (; term <= end; term++)
			disk->log[++disk->last].term = term;
		text += *text == ',';
	}
	disk->term = number_option(words, n_words, "term",
							   disk->last > 0 ? disk->log[disk->last].term : 0);
	disk->vote = number_option(words, n_words, "vote", 0);
	disk->applied = number_option(words, n_words, "applied", 0);
	if (config != NULL)
		disk->base_config.config = parse_config(config);
	boot(node, id_of(node), words, n_words);
}

/* The usual beginning of a story, not told again every time. */
static void
lead(struct node *node, const char *text)
{
	struct raft_config config = parse_config(text);
	struct raft_event event;
	uint32_t	i;

	for (i = 0; i < config.n_members; i++)
	{
		struct node *member = &nodes[config.members[i].id];

		memset(member, 0, sizeof(*member));
		member->durable.base_config.config = config;
		boot(member, config.members[i].id, NULL, 0);
	}
	memset(&event, 0, sizeof(event));
	event.type = RAFT_TIMER;
	now_ms = raft_deadline(&node->raft);
	step(node, &event, NULL);
	deliver_all();
	forget_output();
}

static void
cut(const char *text)
{
	const char *arrow = strchr(text, '>');
	raft_id		from = id_of(node_of(text));
	raft_id		other;

	if (arrow != NULL)
	{
		is_cut[from][id_of(node_of(arrow + 1))] = true;
		return;
	}
	for (other = 1; other <= MAX_NODES; other++)
	{
		is_cut[from][other] = true;
		is_cut[other][from] = true;
	}
}

static void
show(const struct node *node)
{
	const struct raft *raft = &node->raft;

	say("%llu %s term %llu vote %llu leader %llu log %llu..%llu durable %llu"
		" commit %llu config %s%s", U(id_of(node)), state_names[raft->state],
		U(raft->term), U(raft->vote), U(raft->leader), U(raft_first_index(raft)),
		U(raft_last_index(raft)), U(raft_durable_index(raft)),
		U(raft->commit_index), config_text(&raft_config(raft)->config),
		raft_config(raft) != raft_committed_config(raft) ? " uncommitted" : "");
}

static void
install(struct node *node, const struct node *from)
{
	struct disk *disk = &node->written;
	raft_index	index = from->written.applied;
	raft_term	term = raft_term_at(&from->raft, index);
	struct raft_event event;

	if (!raft_wants_snapshot(&node->raft, index, term))
	{
		say("%llu has no use for a copy at %llu.%llu", U(id_of(node)), U(index),
			U(term));
		return;
	}

	disk->base = disk->last = disk->applied = index;
	disk->base_term = term;
	disk->log[index].term = term;
	disk->base_config = *raft_committed_config(&from->raft);
	memset(&event, 0, sizeof(event));
	event.type = RAFT_SNAPSHOT_INSTALLED;
	event.u.snapshot.index = index;
	event.u.snapshot.term = term;
	event.u.snapshot.config = disk->base_config;
	step(node, &event, NULL);
}

/* The commands that are just an event. */
static bool
run_event(struct node *node, char **words, int n_words)
{
	const char *name = words[0];
	const char *text = n_words > 2 ? words[2] : "0";
	uint64_t	number = strtoull(text, NULL, 10);
	struct raft_event event;

	memset(&event, 0, sizeof(event));
	if (strcmp(name, "timer") == 0)
	{
		if (raft_deadline(&node->raft) == UINT64_MAX)
		{
			say("%llu waits for nothing", U(id_of(node)));
			return true;
		}
		if (now_ms < raft_deadline(&node->raft))
			now_ms = raft_deadline(&node->raft);
		event.type = RAFT_TIMER;
	}
	else if (strcmp(name, "propose") == 0)
	{
		event.type = RAFT_PROPOSED;
		event.u.proposed.count = n_words > 2 ? (uint32_t) number : 1;
		event.u.proposed.term = number_option(words, n_words, "term", 0);
	}
	else if (strcmp(name, "read") == 0)
	{
		const char *dots = strstr(text, "..");
		uint64_t	last = dots == NULL ? number : strtoull(dots + 2, NULL, 10);

		event.type = RAFT_READ_REQUESTED;
		for (; number < last; number++)
		{
			event.u.read.id = number;
			step(node, &event, NULL);
		}
		event.u.read.id = number;
	}
	else if (strcmp(name, "config") == 0)
	{
		event.type = RAFT_CONFIG_PROPOSED;
		event.u.config = parse_config(text);
	}
	else if (strcmp(name, "transfer") == 0)
	{
		event.type = RAFT_TRANSFER_REQUESTED;
		event.u.peer.peer = number;
	}
	else if (strcmp(name, "link-down") == 0)
	{
		event.type = RAFT_LINK_DOWN;
		event.u.peer.peer = number;
	}
	else if (strcmp(name, "compact") == 0)
	{
		event.type = RAFT_COMPACTED;
		event.u.position.index = number;
		event.u.position.term = raft_term_at(&node->raft, number);
		node->written.base_config = *raft_committed_config(&node->raft);
		node->written.base = number;
		node->written.base_term = event.u.position.term;
	}
	else if (strcmp(name, "durable") == 0)
	{
		event.type = RAFT_DURABLE;
		event.u.position.index = number;
		event.u.position.term = n_words > 3 ? strtoull(words[3], NULL, 10) : 0;
	}
	else if (strcmp(name, "disk-failed") == 0)
		event.type = RAFT_DISK_FAILED;
	else
		return false;

	step(node, &event, NULL);
	return true;
}

static bool
run_on_way(char **words, int n_words)
{
	bool		deliver = strcmp(words[0], "deliver") == 0;
	bool		repeat = strcmp(words[0], "repeat") == 0;
	const char *arrow = n_words > 1 ? strchr(words[1], '>') : NULL;
	raft_id		from;
	raft_id		to;
	uint32_t	count;

	if (!deliver && !repeat && strcmp(words[0], "drop") != 0)
		return false;

	if (!repeat && n_words > 1 && strcmp(words[1], "all") == 0)
	{
		if (deliver)
			deliver_all();
		else
			forget_messages(0);
		return true;
	}
	if (arrow == NULL)
	{
		if (deliver || repeat)
			fail("on which way?");
		forget_messages(id_of(node_of(n_words > 1 ? words[1] : NULL)));
		return true;
	}

	from = id_of(node_of(words[1]));
	to = id_of(node_of(arrow + 1));
	count = ways[from][to].count;
	if (!deliver && !repeat)
		forget_way(from, to);
	else if (count == 0)
		fail("nothing is on this way");
	else if (repeat)
		repeat_oldest(&ways[from][to]);
	else
	{
		if (n_words > 2 && strtoul(words[2], NULL, 10) < count)
			count = (uint32_t) strtoul(words[2], NULL, 10);
		while (count-- > 0)
			deliver_one(from, to);
	}
	return true;
}

static void
run(char *command)
{
	char	   *words[16];
	int			n_words = 0;
	char	   *word;
	struct node *node;

	for (word = strtok(command, " \t\n"); word != NULL && n_words < 16;
		 word = strtok(NULL, " \t\n"))
		words[n_words++] = word;
	if (n_words == 0)
		fail("no command");

	if (run_on_way(words, n_words) || run_odd(words, n_words))
		return;
	if (strcmp(words[0], "wait") == 0)
	{
		now_ms += n_words > 1 ? strtoull(words[1], NULL, 10) : 0;
		return;
	}

	if (strcmp(words[0], "heal") == 0)
	{
		memset(is_cut, 0, sizeof(is_cut));
		return;
	}

	node = node_of(n_words > 1 ? words[1] : NULL);
	if (strcmp(words[0], "start") == 0)
		start(node, words, n_words);
	else if (strcmp(words[0], "lead") == 0)
		lead(node, n_words > 2 ? words[2] : "");
	else if (strcmp(words[0], "cut") == 0)
		cut(words[1]);
	else if (!node->exists)
		fail("this member has not started");
	else if (strcmp(words[0], "crash") == 0 || strcmp(words[0], "stop") == 0)
	{
		if (strcmp(words[0], "stop") == 0)
			memcpy(&node->durable, &node->written, sizeof(node->durable));
		node->up = false;
	}
	else if (strcmp(words[0], "restart") == 0)
		boot(node, id_of(node), NULL, 0);
	else if (strcmp(words[0], "wipe") == 0)
	{
		node->durable.last = strtoull(n_words > 2 ? words[2] : "1", NULL, 10) - 1;
		if (node->durable.applied > node->durable.last)
			node->durable.applied = node->durable.last;
	}
	else if (strcmp(words[0], "hold") == 0)
		node->held = true;
	else if (strcmp(words[0], "flush") == 0)
	{
		node->held = false;
		flush(node);
		apply(node);
	}
	else if (strcmp(words[0], "show") == 0)
		show(node);
	else if (strcmp(words[0], "log") == 0)
		say("%llu %s", U(id_of(node)),
			range_text(&node->written, node->written.base + 1, node->written.last));
	else if (strcmp(words[0], "install") == 0)
		install(node, node_of(n_words > 2 ? words[2] : NULL));
	else if (!run_event(node, words, n_words))
		fail("no such command");
}

/* Compare what a command printed with what it should have. */
static bool
check(const char *command, const char *expected)
{
	if (strcmp(expected, output) == 0)
		return true;

	printf("%s:%d: %sexpected:\n%sgot:\n%s", file_name, line_number, command,
		   expected, output);
	return false;
}

/* The indented lines that begin here.  Returns their length. */
static size_t
indented(const char *line, char *text)
{
	size_t		length = 0;

	while (line[length] == ' ')
	{
		const char *end = strchr(line + length, '\n');

		length = end == NULL ? strlen(line) : (size_t) (end + 1 - line);
	}
	memcpy(text, line, length);
	text[length] = '\0';
	return length;
}

/* Play one trace.  Returns how many commands printed something else. */
static int
play(const char *name, bool rewrite)
{
	static char script[1 << 20];
	static char result[1 << 20];
	size_t		result_length = 0;
	char	   *line;
	char	   *next;
	int			n_wrong = 0;
	FILE	   *file = fopen(name, "r");
	size_t		length;

	file_name = name;
	line_number = 0;
	if (file == NULL)
		fail("cannot be read");
	length = fread(script, 1, sizeof(script) - 1, file);
	script[length] = '\0';
	fclose(file);

	memset(nodes, 0, sizeof(nodes));
	memset(is_cut, 0, sizeof(is_cut));
	forget_messages(0);
	now_ms = 1000;

	for (line = script; *line != '\0'; line = next)
	{
		char		command[1024];
		char		words[1024];
		char		expected[MAX_OUTPUT];
		size_t		expected_length;

		line_number++;
		next = strchr(line, '\n');
		next = next == NULL ? line + strlen(line) : next + 1;
		if ((size_t) (next - line) >= sizeof(command))
			fail("line too long");
		memcpy(command, line, (size_t) (next - line));
		command[next - line] = '\0';
		memcpy(result + result_length, command, (size_t) (next - line));
		result_length += (size_t) (next - line);
		if (command[0] != '>')
			continue;

		forget_output();
		strcpy(words, command + 1);
		run(words);

		expected_length = indented(next, expected);
		next += expected_length;
		memcpy(result + result_length, output, output_length);
		result_length += output_length;
		if (!rewrite && !check(command, expected))
			n_wrong++;
		for (length = 0; length < expected_length; length++)
			line_number += expected[length] == '\n';
	}

	if (rewrite)
	{
		file = fopen(name, "w");
		if (file == NULL || fwrite(result, 1, result_length, file) != result_length)
			fail("cannot be written");
		fclose(file);
	}
	return n_wrong;
}

int
main(int argc, char **argv)
{
	bool		rewrite = argc > 1 && strcmp(argv[1], "-w") == 0;
	int			n_failed = 0;
	int			i;

	for (i = rewrite ? 2 : 1; i < argc; i++)
	{
		int			n_wrong = play(argv[i], rewrite);

		printf("%s %s\n", n_wrong == 0 ? "ok  " : "FAIL", argv[i]);
		n_failed += n_wrong > 0;
	}
	return n_failed > 0;
}
