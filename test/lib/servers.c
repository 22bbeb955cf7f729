/*-------------------------------------------------------------------------
 *
 * servers.c
 *	  The processes of the nodes: find, signal, start.
 *
 *-------------------------------------------------------------------------
 */
#include "check.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

#define START_LIMIT_MS	120000

int			leader_changes;

static _Atomic int last_leader = -1;

pid_t
server_pid(int node)
{
	char		path[1024];
	FILE	   *file;
	long		pid = 0;

	snprintf(path, sizeof(path), "%s/postmaster.pid", check.nodes[node].folder);
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld", &pid) != 1)
		pid = 0;
	fclose(file);
	return (pid_t) pid;
}

static pid_t
parent_of(pid_t pid)
{
	char		path[64];
	char		line[512];
	char	   *after_name;
	long		parent = 0;
	FILE	   *file;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long) pid);
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) != NULL && (after_name = strrchr(line, ')')) != NULL)
		(void) sscanf(after_name + 1, " %*c %ld", &parent);
	fclose(file);
	return (pid_t) parent;
}

pid_t
server_running_pid(int node)
{
	pid_t		pid = server_pid(node);

	return pid > 1 && ask(node, "SELECT 1") == 1 ? pid : 0;
}

/*
 * The postmaster comes first, so that it does not see its children stop.
 */
int
server_processes(pid_t postmaster, pid_t *found)
{
	DIR		   *folder = opendir("/proc");
	struct dirent *entry;
	int			count = 0;

	found[count++] = postmaster;
	while (folder != NULL && (entry = readdir(folder)) != NULL && count < MAX_PROCESSES)
	{
		if (!isdigit((unsigned char) entry->d_name[0]))
			continue;
		pid_t		pid = (pid_t) strtol(entry->d_name, NULL, 10);

		if (parent_of(pid) == postmaster)
			found[count++] = pid;
	}
	if (folder != NULL)
		closedir(folder);
	return count;
}

/*
 * Run pg_ctl and wait for it.  What it says is in the server's log.
 */
bool
server_control(int node, const char *command, const char *mode)
{
	char		program[1024];
	char		log[1024];
	char	   *const start[] = {program, "-D", check.nodes[node].folder, "-l", log,
	"-m", (char *) mode, "-w", "-t", "30", "-s", (char *) command, NULL};
	posix_spawn_file_actions_t actions;
	pid_t		pid;
	int			status = -1;

	snprintf(program, sizeof(program), "%s%spg_ctl", check.bindir ? check.bindir : "",
			 check.bindir ? "/" : "");
	snprintf(log, sizeof(log), "%s/check.log", check.nodes[node].folder);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, program, &actions, NULL, start, environ) == 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	posix_spawn_file_actions_destroy(&actions);
	return status == 0;
}

/*
 * What is left of a killed server may hold its shared memory for a moment.  One
 * that recovers from a crash by itself does not answer until it has, and cannot
 * be started.
 */
void
server_start(int node)
{
	int64_t		limit = now_ms() + START_LIMIT_MS;

	while (!server_control(node, "start", "fast") && ask(node, "SELECT 1") != 1)
	{
		if (now_ms() > limit)
		{
			violation("node %d does not start", node + 1);
			return;
		}
		(void) wait_in_phase(PHASE_OVER, 200);
	}
}

int
find_leader(void)
{
	for (int node = 0; node < check.n_nodes; node++)
	{
		if (ask(node, "SELECT 1 FROM store.status WHERE state = 'leader'") == 0)
			continue;
		if (last_leader >= 0 && last_leader != node)
			leader_changes++;
		last_leader = node;
		return node;
	}
	return -1;
}

pid_t
worker_pid(int node, const char *type)
{
	char		sql[200];

	snprintf(sql, sizeof(sql),
			 "SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'store %s worker'", type);
	return (pid_t) ask(node, sql);
}
