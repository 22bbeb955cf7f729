/*-------------------------------------------------------------------------
 *
 * nemesis.c
 *	  Which fault comes when.
 *
 * There are three, so that faults of different kinds meet: one for processes
 * and members, one for the network, one for workers that end, disks, clocks and
 * users.  In each, every kind of fault comes once before any comes again.
 *
 * What a turn draws depends on the seed and its number only, so that the same
 * seed makes the same choices; when each comes is up to the machine.
 *
 *-------------------------------------------------------------------------
 */
#include "torture.h"

#include <inttypes.h>
#include <string.h>

Fault		faults[] = {
	{"kill", fault_kill, 0, 0},
	{"kill of the leader", fault_kill_leader, 0, 0},
	{"kill of all", fault_kill_all, 0, 0},
	{"stop", fault_stop, 0, 0},
	{"stop of all", fault_stop_all, 0, 0},
	{"stop of a raft worker", fault_stop_raft, 0, 0},
	{"stop of an apply worker", fault_stop_apply, 0, 0},
	{"kill of a raft worker", fault_crash_raft, 0, 0},
	{"kill of an apply worker", fault_crash_apply, 0, 0},
	{"restart", fault_restart, 0, 0},
	{"transfer", fault_transfer, 0, 0},
	{"removal and join", fault_replace, 0, 0},
	{"isolation", fault_isolate, 1, 0},
	{"isolation of the leader", fault_isolate_leader, 1, 0},
	{"late leader", fault_late_leader, 1, 0},
	{"deaf node", fault_deaf, 1, 0},
	{"mute node", fault_mute, 1, 0},
	{"bridge", fault_bridge, 1, 0},
	{"delay", fault_delay, 1, 0},
	{"loss", fault_loss, 1, 0},
	{"reordering", fault_reorder, 1, 0},
	{"throttle", fault_throttle, 1, 0},
	{"reset", fault_reset, 1, 0},
	{"end of a raft worker", fault_end_raft, 2, 0},
	{"end of an apply worker", fault_end_apply, 2, 0},
	{"slow disk", fault_slow_disk, 2, 0},
	{"failing disk", fault_broken_disk, 2, 0},
	{"full disk", fault_full_disk, 2, 0},
	{"clock step", fault_clock, 2, 0},
	{"lock", fault_lock, 2, 0},
	{"long transaction", fault_long_transaction, 2, 0},
	{"no connections left", fault_no_connections, 2, 0},
	{"end of links", fault_end_links, 2, 0},
	{"compaction", fault_compact, 2, 0},
};
const int	n_faults = sizeof(faults) / sizeof(faults[0]);

bool
fault_is_wanted(const Fault *fault)
{
	size_t		length = strlen(fault->name);

	if ((fault->nemesis == 1 && torture.control_path == NULL) ||
		(!torture.has_shim && (strstr(fault->name, "disk") || strstr(fault->name, "clock"))))
		return false;
	for (const char *at = torture.only; at != NULL; at = strchr(at, ','))
	{
		at += *at == ',';
		if (strncmp(at, fault->name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return torture.only == NULL;
}

/* In an order that is drawn anew for each round. */
static void
shuffle(Fault **list, int count, Random *random)
{
	for (int i = count - 1; i > 0; i--)
	{
		int			other = random_int(random, 0, i);
		Fault	   *fault = list[i];

		list[i] = list[other];
		list[other] = fault;
	}
}

void *
nemesis_main(void *number)
{
	int			nemesis = (int) (intptr_t) number;
	Fault	   *list[sizeof(faults) / sizeof(faults[0])];
	int			count = 0;
	uint64_t	sequence = (10 + (uint64_t) nemesis) << 32;

	for (int i = 0; i < n_faults; i++)
		if (faults[i].nemesis == nemesis && fault_is_wanted(&faults[i]))
			list[count++] = &faults[i];
	for (int turn = 0; count > 0; turn++)
	{
		Random		random;
		int			node;
		int64_t		begin;
		Fault	   *fault;
		bool		made;

		random_seed(&random, check.seed, ++sequence);
		node = random_int(&random, 0, check.n_nodes - 1);
		if (turn % count == 0)
			shuffle(list, count, &random);
		fault = list[turn % count];
		if (!wait_in_phase(PHASE_TROUBLE, random_int(&random, 100, 2000)))
			break;
		begin = now_us();
		made = fault->make(node, &random);
		/* this one may be in trouble already */
		for (int n = 1; !made && n < check.n_nodes && check.phase == PHASE_TROUBLE; n++)
			made = fault->make((node + n) % check.n_nodes, &random);
		fault->count += made;
		note("N %d %d %d %s %" PRId64 " %" PRId64 " %s", nemesis, turn, node, fault->name, begin,
			 now_us(), made ? "made" : "not");
	}
	return NULL;
}
