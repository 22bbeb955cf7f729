/*-------------------------------------------------------------------------
 *
 * sim_twin.c
 *	  A member that is recorded, and replayed at once.
 *
 * The core is a pure function of its state and its events, and a recording
 * keeps both (raft/record.h).  In one of four seeds, one member has a twin: a
 * copy of its state at each start, stepped with nothing but the bytes of each
 * event that a recording would keep.  All the rest of the twin's event is
 * rubbish.  Where the twin does something else, the core looked at what its
 * event does not say, or at something that is not its own.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#include "record.h"

#define RUBBISH		0xa5

static struct raft twin;
static struct raft_update twin_update;

/* The choice draws nothing at random, so a seed is the same without twins. */
static bool
has_twin(const struct node *node)
{
	return sim.seed % 4 == 0 &&
		node->slot == sim.seed / 4 % sim.options.n_founders;
}

/* A recording begins: with what it must be read by, and the state. */
void
twin_start(const struct node *node)
{
	struct raft_record_header header;

	if (!has_twin(node))
		return;
	raft_record_header_fill(&header);
	if (!raft_record_header_fits(&header))
		fail(SIM_CONTRACT, "node %u: a recording does not fit its own core", node->slot + 1);
	twin = node->raft;
}

/* The member was stepped with this event; and so is the twin. */
void
twin_step(const struct node *node, const struct raft_event *event,
		  const struct raft_update *update)
{
	struct raft_event copy;
	size_t		size;

	if (!has_twin(node))
		return;
	size = raft_record_event_size(event);
	if (size == 0 || size > sizeof(copy))
		fail(SIM_CONTRACT, "node %u: an event that cannot be recorded", node->slot + 1);
	memset(&copy, RUBBISH, sizeof(copy));
	memcpy(&copy, event, size);
	raft_step(&twin, &copy, &twin_update);
	if (raft_update_digest(&twin_update) != raft_update_digest(update))
		fail(SIM_CONTRACT, "node %u: its recording replays to another update", node->slot + 1);
}
