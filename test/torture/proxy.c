/*-------------------------------------------------------------------------
 *
 * proxy.c
 *	  The network between the nodes, as bad as somebody wants it.
 *
 *	torture_proxy CONTROL SEED
 *
 * One process, one poll loop.  A node advertises a port of this program instead
 * of its own, so whatever the others say to it goes through here.  Who it comes
 * from is in the first packet of every connection: the application_name of a
 * node's connections ends in the node's name.  So there is a rule for each
 * ordered pair of nodes.  It governs the bytes that flow that way, whoever
 * opened the connection: answers to a connection of A to B are subject to the
 * rule of B to A.
 *
 * TCP hides lost packets, so what is "lost" here arrives late, as after being
 * sent again; what does get lost is a connection, with what was on its way.
 * What a sender had sent before its connection broke may also still arrive,
 * after what it sent by the next one: that is how messages overtake each other.
 *
 * CONTROL is a socket that takes lines and answers each with one that begins
 * with "ok" or "error":
 *
 *	add NAME LISTEN TARGET	connections to port LISTEN go to NAME at port TARGET
 *	rule FROM TO KEY=N ...	"*" is every node; what is not named is 0:
 *		cut			nothing gets through, no FIN and no RST either
 *		delay		ms
 *		jitter		ms, at most, in addition
 *		rate		bytes a second
 *		stall		of a thousand pieces, so many take up to a second longer
 *		reset		so many break the connection
 *		sever		so many break the sender's side, and arrive later
 *	reset FROM TO			break all connections between the two
 *	heal					no rules
 *	stats					what happened so far
 *
 *-------------------------------------------------------------------------
 */
#include "../lib/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CONNECTIONS		512
#define MAX_CONTROLS		8
#define HELLO_BYTES			2048
#define PIECE_BYTES			16384
/* A side that does not read stops the other one from sending more than this. */
#define QUEUE_BYTES			(1024 * 1024)
#define STALL_MS			1000

#define SSL_REQUEST			80877103
#define GSSENC_REQUEST		80877104

typedef struct Rule
{
	int			cut;
	int			delay;
	int			jitter;
	int			rate;
	int			stall;
	int			reset;
	int			sever;
} Rule;

typedef struct Piece
{
	struct Piece *next;
	int64_t		due_ms;
	int			length;
	int			sent;
	char		bytes[];
} Piece;

/* What flows from one side of a connection to the other. */
typedef struct Flow
{
	Piece	   *first;
	Piece	   *last;
	int			queued;			/* bytes */
	int64_t		last_due_ms;	/* a stream keeps its order */
	int64_t		free_ms;		/* when the rate allows more */
	bool		ended;			/* its source sends nothing more */
} Flow;

/* Side 0 opened the connection, side 1 is the node it goes to. */
typedef struct Connection
{
	bool		used;
	int			fd[2];			/* -1: closed, or not opened yet */
	int			node[2];		/* node[0] is -1 until the first packet is in */
	Flow		flow[2];		/* flow[s]: what side s sent */
	int			n_hello;
	unsigned char hello[HELLO_BYTES];
} Connection;

typedef struct Member
{
	char		name[64];
	int			listener;
	int			target_port;
} Member;

typedef struct Control
{
	int			fd;				/* -1: none */
	int			length;
	char		line[512];
} Control;

Check		check;

static Member members[MAX_NODES];
static int	n_members;
static Rule rules[MAX_NODES][MAX_NODES];	/* from, to */
static Connection connections[MAX_CONNECTIONS];
static Control controls[MAX_CONTROLS];
static Random chance;
static struct
{
	long		connections;
	long		strangers;		/* connections that no rule is about */
	long		bytes;
	long		stalled;
	long		resets;
	long		severed;
}			stats;

/* ------------------------------------------------------------------------
 * Connections
 * ------------------------------------------------------------------------
 */

static bool
drawn(int of_a_thousand)
{
	return of_a_thousand > 0 && random_int(&chance, 1, 1000) <= of_a_thousand;
}

static void
flow_clear(Flow *flow)
{
	while (flow->first != NULL)
	{
		Piece	   *piece = flow->first;

		flow->first = piece->next;
		free(piece);
	}
	*flow = (Flow) {.ended = flow->ended};
}

static void
close_side(Connection *connection, int side, bool abruptly)
{
	struct linger linger = {.l_onoff = 1,.l_linger = 0};

	if (connection->fd[side] < 0)
		return;
	if (abruptly)
		(void) setsockopt(connection->fd[side], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(connection->fd[side]);
	connection->fd[side] = -1;
	connection->flow[side].ended = true;
	/* nobody is there to take what the other one says */
	flow_clear(&connection->flow[1 - side]);
}

static void
close_connection(Connection *connection, bool abruptly)
{
	close_side(connection, 0, abruptly);
	close_side(connection, 1, abruptly);
	flow_clear(&connection->flow[0]);
	flow_clear(&connection->flow[1]);
	connection->used = false;
}

static const Rule *
rule_of(const Connection *connection, int side)
{
	static const Rule none;

	if (connection->node[0] < 0)
		return &none;
	return &rules[connection->node[side]][connection->node[1 - side]];
}

static void
accept_connection(int member)
{
	int			fd = accept4(members[member].listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int			one = 1;

	if (fd < 0)
		return;
	for (int i = 0; i < MAX_CONNECTIONS; i++)
	{
		Connection *connection = &connections[i];

		if (connection->used)
			continue;
		memset(connection, 0, sizeof(*connection));
		connection->used = true;
		connection->fd[0] = fd;
		connection->fd[1] = -1;
		connection->node[0] = -1;
		connection->node[1] = member;
		(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		stats.connections++;
		return;
	}
	close(fd);
}

static void
open_target(Connection *connection)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t) members[connection->node[1]].target_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int			one = 1;

	if (fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0 &&
		errno != EINPROGRESS)
	{
		close(fd);
		fd = -1;
	}
	connection->fd[1] = fd;
	if (fd < 0)
		close_connection(connection, true);
	else
		(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* ------------------------------------------------------------------------
 * The first packet
 * ------------------------------------------------------------------------
 */

static uint32_t
number_at(const unsigned char *bytes)
{
	return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 |
		(uint32_t) bytes[2] << 8 | bytes[3];
}

/*
 * Whose connection is it?  The last word of its application_name says so; -1 if
 * that is no node, which is not for us to disturb.
 */
static int
sender_of(const unsigned char *packet, int length)
{
	const char *at = (const char *) packet + 8;
	const char *end = (const char *) packet + length;

	while (at < end && *at != '\0')
	{
		const char *value = at + strlen(at) + 1;

		if (value >= end)
			break;
		if (strcmp(at, "application_name") == 0)
		{
			const char *name = strrchr(value, ' ');

			for (int i = 0; i < n_members; i++)
				if (strcmp(name != NULL ? name + 1 : value, members[i].name) == 0)
					return i;
			return -1;
		}
		at = value + strlen(value) + 1;
	}
	return -1;
}

static void
queue_piece(Connection *connection, int side, const void *bytes, int length)
{
	const Rule *rule = rule_of(connection, side);
	Flow	   *flow = &connection->flow[side];
	Piece	   *piece = allocate(sizeof(Piece) + (size_t) length);
	int64_t		now = now_ms();

	piece->due_ms = now + rule->delay;
	if (rule->jitter > 0)
		piece->due_ms += random_int(&chance, 0, rule->jitter);
	if (drawn(rule->stall))
	{
		piece->due_ms += random_int(&chance, 100, STALL_MS);
		stats.stalled++;
	}
	if (rule->rate > 0)
	{
		if (flow->free_ms < now)
			flow->free_ms = now;
		flow->free_ms += (int64_t) length * 1000 / rule->rate;
		if (piece->due_ms < flow->free_ms)
			piece->due_ms = flow->free_ms;
	}
	if (piece->due_ms < flow->last_due_ms)
		piece->due_ms = flow->last_due_ms;
	flow->last_due_ms = piece->due_ms;
	piece->length = length;
	memcpy(piece->bytes, bytes, (size_t) length);
	if (flow->first == NULL)
		flow->first = piece;
	else
		flow->last->next = piece;
	flow->last = piece;
	flow->queued += length;
	stats.bytes += length;
}

/*
 * The start of a connection.  Requests for encryption are declined here, so
 * that the next packet says who it is.
 */
static void
read_hello(Connection *connection)
{
	ssize_t		n = recv(connection->fd[0], connection->hello + connection->n_hello,
						 (size_t) (HELLO_BYTES - connection->n_hello), 0);
	uint32_t	length;
	int			sender;

	if (n <= 0)
	{
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			close_connection(connection, false);
		return;
	}
	connection->n_hello += (int) n;
	if (connection->n_hello < 8)
		return;
	length = number_at(connection->hello);
	if (length < 8 || length > HELLO_BYTES)
	{
		close_connection(connection, false);
		return;
	}
	if (length == 8 && (number_at(connection->hello + 4) == SSL_REQUEST ||
						number_at(connection->hello + 4) == GSSENC_REQUEST))
	{
		connection->n_hello = 0;
		(void) send(connection->fd[0], "N", 1, MSG_NOSIGNAL);
		return;
	}
	if (connection->n_hello < (int) length)
		return;
	sender = sender_of(connection->hello, (int) length);
	/* a stranger is treated as the node itself: no rule is about that */
	stats.strangers += sender < 0;
	connection->node[0] = sender >= 0 ? sender : connection->node[1];
	queue_piece(connection, 0, connection->hello, connection->n_hello);
}

/* ------------------------------------------------------------------------
 * Moving bytes
 * ------------------------------------------------------------------------
 */

static void
read_side(Connection *connection, int side)
{
	char		bytes[PIECE_BYTES];
	const Rule *rule = rule_of(connection, side);
	ssize_t		n = recv(connection->fd[side], bytes, sizeof(bytes), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
	{
		connection->flow[side].ended = true;
		return;
	}
	if (drawn(rule->reset))
	{
		stats.resets++;
		close_connection(connection, true);
		return;
	}
	queue_piece(connection, side, bytes, (int) n);
	if (drawn(rule->sever))
	{
		Flow	   *flow = &connection->flow[side];

		/* its last words come late, and the other side then hears of the end */
		stats.severed++;
		flow->last->due_ms += random_int(&chance, 100, STALL_MS);
		flow->last_due_ms = flow->last->due_ms;
		close_side(connection, side, true);
	}
}

/* Can the first piece of what side "side" sent be delivered now? */
static bool
is_due(const Connection *connection, int side, int64_t now)
{
	const Flow *flow = &connection->flow[side];

	return flow->first != NULL && flow->first->due_ms <= now && !rule_of(connection, side)->cut;
}

static void
write_side(Connection *connection, int side)
{
	Flow	   *flow = &connection->flow[1 - side];
	int64_t		now = now_ms();

	while (connection->fd[side] >= 0 && is_due(connection, 1 - side, now))
	{
		Piece	   *piece = flow->first;
		ssize_t		n = send(connection->fd[side], piece->bytes + piece->sent,
							 (size_t) (piece->length - piece->sent), MSG_NOSIGNAL);

		if (n < 0)
		{
			if (errno != EAGAIN && errno != EINTR)
				close_side(connection, side, false);
			return;
		}
		piece->sent += (int) n;
		if (piece->sent < piece->length)
			return;
		flow->first = piece->next;
		flow->queued -= piece->length;
		free(piece);
	}
}

/*
 * When one side has ended and its last words are delivered, the other one is
 * told, unless the network is cut that way.
 */
static void
settle(Connection *connection)
{
	for (int side = 0; side < 2; side++)
	{
		Flow	   *flow = &connection->flow[side];

		if (flow->ended && flow->first == NULL && !rule_of(connection, side)->cut)
		{
			close_connection(connection, false);
			return;
		}
	}
}

/* ------------------------------------------------------------------------
 * Control
 * ------------------------------------------------------------------------
 */

static int
listen_on(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t) port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int			one = 1;

	if (fd < 0)
		return -1;
	(void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 || listen(fd, 64) != 0)
	{
		close(fd);
		return -1;
	}
	return fd;
}

static bool
add_member(const char *name, int listen_port, int target_port)
{
	int			fd;

	if (n_members == MAX_NODES || (fd = listen_on(listen_port)) < 0)
		return false;
	snprintf(members[n_members].name, sizeof(members[0].name), "%s", name);
	members[n_members].listener = fd;
	members[n_members++].target_port = target_port;
	return true;
}

static bool
matches(const char *pattern, int member)
{
	return strcmp(pattern, "*") == 0 || strcmp(pattern, members[member].name) == 0;
}

static bool
parse_rule(char *text, Rule *rule)
{
	const struct
	{
		const char *key;
		int		   *value;
	}			keys[] = {
		{"cut", &rule->cut}, {"delay", &rule->delay}, {"jitter", &rule->jitter},
		{"rate", &rule->rate}, {"stall", &rule->stall}, {"reset", &rule->reset},
		{"sever", &rule->sever},
	};

	for (char *save, *word = strtok_r(text, " ", &save); word != NULL;
		 word = strtok_r(NULL, " ", &save))
	{
		char	   *value = strchr(word, '=');
		bool		known = false;

		if (value == NULL)
			return false;
		*value++ = '\0';
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		{
			if (strcmp(word, keys[i].key) != 0)
				continue;
			*keys[i].value = (int) strtol(value, NULL, 10);
			known = true;
		}
		if (!known)
			return false;
	}
	return true;
}

static bool
set_rules(const char *from, const char *to, char *text)
{
	Rule		rule = {0};

	if (!parse_rule(text, &rule))
		return false;
	for (int f = 0; f < n_members; f++)
		for (int t = 0; t < n_members; t++)
			if (f != t && matches(from, f) && matches(to, t))
				rules[f][t] = rule;
	return true;
}

static void
break_connections(const char *from, const char *to)
{
	for (int i = 0; i < MAX_CONNECTIONS; i++)
	{
		Connection *connection = &connections[i];

		if (!connection->used || connection->node[0] < 0 ||
			!matches(from, connection->node[0]) || !matches(to, connection->node[1]))
			continue;
		stats.resets++;
		close_connection(connection, true);
	}
}

static void
obey(char *line, char *reply, size_t size)
{
	char		first[64] = "";
	char		second[64] = "";
	int			n = 0;
	int			listen_port;
	int			target_port;
	bool		fine = false;

	if (sscanf(line, "add %63s %d %d", first, &listen_port, &target_port) == 3)
		fine = add_member(first, listen_port, target_port);
	else if (sscanf(line, "rule %63s %63s%n", first, second, &n) == 2)
		fine = set_rules(first, second, line + n);
	else if (sscanf(line, "reset %63s %63s", first, second) == 2)
	{
		break_connections(first, second);
		fine = true;
	}
	else if (strcmp(line, "heal") == 0)
	{
		memset(rules, 0, sizeof(rules));
		fine = true;
	}
	else if (strcmp(line, "stats") == 0)
	{
		snprintf(reply, size, "ok connections %ld, strangers %ld, bytes %ld, stalled %ld, reset %ld,"
				 " severed %ld\n", stats.connections, stats.strangers, stats.bytes, stats.stalled,
				 stats.resets, stats.severed);
		return;
	}
	snprintf(reply, size, "%s\n", fine ? "ok" : "error");
}

static void
read_control(Control *control)
{
	char		reply[256];
	char	   *end;
	ssize_t		n = recv(control->fd, control->line + control->length,
						 sizeof(control->line) - 1 - (size_t) control->length, 0);

	if (n <= 0)
	{
		close(control->fd);
		control->fd = -1;
		return;
	}
	control->length += (int) n;
	control->line[control->length] = '\0';
	while ((end = strchr(control->line, '\n')) != NULL)
	{
		*end++ = '\0';
		obey(control->line, reply, sizeof(reply));
		(void) send(control->fd, reply, strlen(reply), MSG_NOSIGNAL);
		control->length -= (int) (end - control->line);
		memmove(control->line, end, (size_t) control->length + 1);
	}
}

static void
accept_control(int listener)
{
	int			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	for (int i = 0; i < MAX_CONTROLS && fd >= 0; i++)
	{
		if (controls[i].fd >= 0)
			continue;
		controls[i] = (Control) {.fd = fd};
		return;
	}
	if (fd >= 0)
		close(fd);
}

static int
listen_for_control(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	(void) unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(fd, MAX_CONTROLS) != 0)
	{
		perror(path);
		exit(2);
	}
	return fd;
}

/* ------------------------------------------------------------------------
 * The loop
 * ------------------------------------------------------------------------
 */

/* What the n-th descriptor of a turn belongs to. */
typedef struct Waiting
{
	enum
	{
		FOR_CONTROL, FOR_COMMAND, FOR_MEMBER, FOR_SIDE
	}			what;
	int			number;
	int			side;
} Waiting;

#define MAX_WAITING		(1 + MAX_CONTROLS + MAX_NODES + 2 * MAX_CONNECTIONS)

static struct pollfd polled[MAX_WAITING];
static Waiting waiting[MAX_WAITING];
static int	n_waiting;

static void
wait_for(int fd, short events, Waiting what)
{
	polled[n_waiting] = (struct pollfd) {.fd = fd,.events = events};
	waiting[n_waiting++] = what;
}

/*
 * Ask for what a connection can take and give; the next time that something is
 * due goes into *due.
 */
static void
wait_for_connection(int number, int64_t now, int64_t *due)
{
	Connection *connection = &connections[number];

	if (connection->fd[1] < 0 && connection->node[0] >= 0 && !connection->flow[1].ended &&
		is_due(connection, 0, now))
		open_target(connection);
	for (int side = 0; side < 2; side++)
	{
		Flow	   *out = &connection->flow[1 - side];
		short		events = 0;

		if (!connection->flow[side].ended && connection->flow[side].queued < QUEUE_BYTES)
			events |= POLLIN;
		if (is_due(connection, 1 - side, now))
			events |= POLLOUT;
		else if (out->first != NULL && out->first->due_ms > now && out->first->due_ms < *due)
			*due = out->first->due_ms;
		/* who has ended would wake us for ever */
		if (connection->fd[side] >= 0 && events != 0)
			wait_for(connection->fd[side], events,
					 (Waiting) {FOR_SIDE, number, side});
	}
}

static void
serve(const Waiting *what, short events, int control_listener)
{
	Connection *connection = &connections[what->number];

	switch (what->what)
	{
		case FOR_CONTROL:
			accept_control(control_listener);
			return;
		case FOR_COMMAND:
			read_control(&controls[what->number]);
			return;
		case FOR_MEMBER:
			accept_connection(what->number);
			return;
		case FOR_SIDE:
			if (!connection->used || connection->fd[what->side] < 0)
				return;
			if (events & POLLOUT)
				write_side(connection, what->side);
			if (!connection->used || connection->fd[what->side] < 0 ||
				(events & (POLLIN | POLLHUP | POLLERR)) == 0)
				return;
			if (connection->node[0] < 0)
				read_hello(connection);
			else
				read_side(connection, what->side);
			return;
	}
}

static void
one_turn(int control_listener)
{
	int64_t		now = now_ms();
	int64_t		due = now + 1000;
	int			n;

	n_waiting = 0;
	wait_for(control_listener, POLLIN, (Waiting) {FOR_CONTROL, 0, 0});
	for (int i = 0; i < MAX_CONTROLS; i++)
		if (controls[i].fd >= 0)
			wait_for(controls[i].fd, POLLIN, (Waiting) {FOR_COMMAND, i, 0});
	for (int i = 0; i < n_members; i++)
		wait_for(members[i].listener, POLLIN, (Waiting) {FOR_MEMBER, i, 0});
	for (int i = 0; i < MAX_CONNECTIONS; i++)
	{
		if (connections[i].used)
			settle(&connections[i]);
		if (connections[i].used)
			wait_for_connection(i, now, &due);
	}
	n = poll(polled, (nfds_t) n_waiting, (int) (due - now));
	for (int i = 0; i < n_waiting && n > 0; i++)
		if (polled[i].revents != 0)
			serve(&waiting[i], polled[i].revents, control_listener);
}

int
main(int argc, char **argv)
{
	int			control_listener;

	if (argc != 3)
	{
		fprintf(stderr, "usage: torture_proxy CONTROL SEED\n");
		return 2;
	}
	random_seed(&chance, strtoull(argv[2], NULL, 10), 1);
	for (int i = 0; i < MAX_CONTROLS; i++)
		controls[i].fd = -1;
	control_listener = listen_for_control(argv[1]);
	for (;;)
		one_turn(control_listener);
}
