/*-------------------------------------------------------------------------
 *
 * check.c
 *	  Time, phases, memory, threads, violations; see check.h.
 *
 *-------------------------------------------------------------------------
 */
#include "check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t phase_changed;

void
check_init(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&phase_changed, &attributes);
}

bool
check_add_node(char *argument)
{
	char	   *conninfo = strchr(argument, '=');

	if (conninfo == NULL || check.n_nodes == MAX_NODES)
		return false;
	*conninfo++ = '\0';
	check.nodes[check.n_nodes++] = (Node) {argument, conninfo};
	return true;
}

int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
now_ms(void)
{
	return now_us() / 1000;
}

bool
wait_in_phase(Phase phase, int ms)
{
	int64_t		deadline = now_ms() + ms;
	struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};
	bool		goes_on;

	pthread_mutex_lock(&lock);
	while (check.phase <= (int) phase &&
		   pthread_cond_timedwait(&phase_changed, &lock, &until) != ETIMEDOUT)
		;
	goes_on = check.phase <= (int) phase;
	pthread_mutex_unlock(&lock);
	return goes_on;
}

void
enter_phase(Phase phase)
{
	pthread_mutex_lock(&lock);
	check.phase = (int) phase;
	pthread_cond_broadcast(&phase_changed);
	pthread_mutex_unlock(&lock);
}

void
violation(const char *format,...)
{
	va_list		args;

	pthread_mutex_lock(&lock);
	check.violations++;
	printf("VIOLATION ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	pthread_mutex_unlock(&lock);
}

void *
allocate(size_t size)
{
	void	   *memory = calloc(1, size);

	if (memory == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(2);
	}
	return memory;
}

void *
grow(void *array, int count, int *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room == 0 ? 16 : 2 * *room;
	array = realloc(array, size * (size_t) *room);
	if (array == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(2);
	}
	return array;
}

pthread_t
start_thread(void *(*run) (void *), void *what)
{
	pthread_t	thread;

	if (pthread_create(&thread, NULL, run, what) != 0)
	{
		fprintf(stderr, "could not create a thread\n");
		exit(2);
	}
	return thread;
}
