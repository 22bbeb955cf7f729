/*-------------------------------------------------------------------------
 *
 * faults_net.c
 *	  Faults of the network between the nodes, by way of the proxy.
 *
 *-------------------------------------------------------------------------
 */
#include "torture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int	control = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
network_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (torture.control_path == NULL)
		return;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", torture.control_path);
	control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control < 0 || connect(control, (struct sockaddr *) &address, sizeof(address)) != 0)
	{
		perror(torture.control_path);
		exit(2);
	}
}

/* Say a line to the proxy; its answer goes into "reply". */
static bool
order_line(const char *line, char *reply, size_t size)
{
	ssize_t		n;

	pthread_mutex_lock(&lock);
	n = send(control, line, strlen(line), MSG_NOSIGNAL);
	if (n > 0)
		n = recv(control, reply, size - 1, 0);
	pthread_mutex_unlock(&lock);
	reply[n > 0 ? n : 0] = '\0';
	return strncmp(reply, "ok", 2) == 0;
}

__attribute__((format(printf, 1, 2)))
static bool
order(const char *format,...)
{
	char		line[200];
	char		reply[300];
	va_list		args;

	va_start(args, format);
	vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	strcat(line, "\n");
	if (order_line(line, reply, sizeof(reply)))
		return true;
	violation("the proxy refuses: %s", line);
	return false;
}

void
network_heal(void)
{
	if (control >= 0)
		(void) order("heal");
}

void
network_stats(char *text, size_t size)
{
	text[0] = '\0';
	if (control < 0)
		return;
	if (order_line("stats\n", text, size))
		text[strcspn(text, "\n")] = '\0';
}

/* What was ordered stays for a while, and then nothing does. */
static bool
endure(int ms)
{
	(void) wait_in_phase(PHASE_TROUBLE, ms);
	network_heal();
	return true;
}

/* The proxy knows them by these names. */
#define NAME "node%d"

bool
fault_isolate(int node, Random *random)
{
	return order("rule " NAME " * cut=1", node + 1) && order("rule * " NAME " cut=1", node + 1) &&
		endure(random_int(random, 500, 6000));
}

bool
fault_isolate_leader(int node, Random *random)
{
	node = find_leader();
	return node >= 0 && fault_isolate(node, random);
}

/* It hears nothing, and is heard. */
bool
fault_deaf(int node, Random *random)
{
	return order("rule * " NAME " cut=1", node + 1) && endure(random_int(random, 500, 6000));
}

bool
fault_mute(int node, Random *random)
{
	return order("rule " NAME " * cut=1", node + 1) && endure(random_int(random, 500, 6000));
}

/* Two nodes do not reach each other, and everybody else reaches both. */
bool
fault_bridge(int node, Random *random)
{
	int			other = (node + 1) % check.n_nodes;

	return order("rule " NAME " " NAME " cut=1", node + 1, other + 1) &&
		order("rule " NAME " " NAME " cut=1", other + 1, node + 1) &&
		endure(random_int(random, 500, 6000));
}

bool
fault_delay(int node, Random *random)
{
	int			delay = random_int(random, 1, 300);

	(void) node;
	return order("rule * * delay=%d jitter=%d", delay, random_int(random, 0, delay)) &&
		endure(random_int(random, 1000, 6000));
}

bool
fault_loss(int node, Random *random)
{
	(void) node;
	return order("rule * * stall=%d reset=%d", random_int(random, 50, 500),
				 random_int(random, 0, 10)) &&
		endure(random_int(random, 1000, 6000));
}

/* What was sent last on a connection comes after what was sent on the next. */
bool
fault_reorder(int node, Random *random)
{
	(void) node;
	return order("rule * * jitter=50 sever=%d", random_int(random, 20, 100)) &&
		endure(random_int(random, 1000, 5000));
}

bool
fault_throttle(int node, Random *random)
{
	int			rate = random_int(random, 5000, 200000);

	return order("rule " NAME " * rate=%d", node + 1, rate) &&
		order("rule * " NAME " rate=%d", node + 1, rate) &&
		endure(random_int(random, 1000, 6000));
}

bool
fault_reset(int node, Random *random)
{
	(void) random;
	return order("reset " NAME " *", node + 1) && order("reset * " NAME, node + 1);
}
