/*-------------------------------------------------------------------------
 *
 * restore.c
 *	  Beginning, or beginning anew, from the durable state.
 *
 * A member that starts knows its term, its vote, the shape of its log, two
 * configurations and how far its state machine had come (Paper, Figure 2).
 * Everything else is relearned.  In particular it does not know what was
 * committed beyond what it had applied, so its commit index begins there, and
 * a configuration after it counts as uncommitted.
 *
 * What was restored is believed only as far as it is consistent: a member that
 * starts from a damaged disk would break promises it no longer knows of.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "core.h"

#include <string.h>

static bool
options_are_sane(const struct raft_options *options)
{
	return options->heartbeat_interval_ms > 0 &&
		options->election_timeout_ms / 2 > options->heartbeat_interval_ms;
}

/* Note what does not hold.  Returns false, for its callers to return. */
static bool
violated(struct raft_violation *violation, const char *rule,
		 uint64_t expected, uint64_t found)
{
	*violation = (struct raft_violation) {rule, expected, found};
	return false;
}

/* The runs must cover base_index + 1 .. last_index, ascending. */
static bool
runs_are_sane(const struct raft_restored *restored,
			  struct raft_violation *violation)
{
	raft_index	next = restored->base_index + 1;
	raft_term	term = restored->base_term;
	uint32_t	i;

	if ((restored->n_runs == 0) != (restored->last_index == restored->base_index))
		return violated(violation, "runs describe the log",
						restored->last_index - restored->base_index,
						restored->n_runs);

	for (i = 0; i < restored->n_runs; i++)
	{
		const struct raft_run *run = &restored->runs[i];

		if (i == 0 ? run->first != next : run->first < next)
			return violated(violation, "runs ascend", next, run->first);
		if (run->term == 0 || (i == 0 ? run->term < term : run->term <= term))
			return violated(violation, "terms ascend", term, run->term);
		next = run->first + 1;
		term = run->term;
	}

	if (restored->n_runs > 0 && next - 1 > restored->last_index)
		return violated(violation, "runs end with the log",
						restored->last_index, next - 1);
	if (restored->n_runs > 0 && term > restored->term &&
		term > restored->base_term)
		return violated(violation, "no entry is of a later term",
						restored->term, term);
	return true;
}

/* No configuration at all is that of a member that is yet to join. */
static bool
config_is_sane(const struct raft_config *config)
{
	return config->n_members == 0 || raft_config_is_sane(config);
}

static bool
restored_is_sane(const struct raft_restored *restored,
				 struct raft_violation *violation)
{
	if (restored->id == 0)
		return violated(violation, "a member has an id", 1, 0);
	if ((restored->base_index == 0) != (restored->base_term == 0))
		return violated(violation, "the base has its own term",
						restored->base_index, restored->base_term);
	if (restored->applied_index < restored->base_index)
		return violated(violation, "base <= applied",
						restored->base_index, restored->applied_index);
	if (restored->applied_index > restored->last_index)
		return violated(violation, "applied <= last",
						restored->last_index, restored->applied_index);
	if (!runs_are_sane(restored, violation))
		return false;
	if (restored->config.index > restored->last_index)
		return violated(violation, "the configuration is in the log",
						restored->last_index, restored->config.index);
	if (restored->previous_config.index > restored->config.index)
		return violated(violation, "configurations ascend",
						restored->config.index, restored->previous_config.index);
	if (!config_is_sane(&restored->config.config) ||
		!config_is_sane(&restored->previous_config.config))
		return violated(violation, "the configuration is legal",
						1, restored->config.config.n_members);
	return true;
}

static void
restore_log(struct raft_log *log, const struct raft_restored *restored)
{
	uint32_t	n_forgotten = restored->n_runs > RAFT_MAX_TERM_RUNS ?
		restored->n_runs - RAFT_MAX_TERM_RUNS : 0;

	log->base_index = restored->base_index;
	log->base_term = restored->base_term;
	log->last_index = restored->last_index;
	log->durable_index = restored->last_index;
	log->n_runs = restored->n_runs - n_forgotten;
	if (log->n_runs > 0)
		memcpy(log->runs, restored->runs + n_forgotten,
			   log->n_runs * sizeof(log->runs[0]));
}

enum raft_status
raft_init(struct raft *node, const struct raft_restored *restored,
		  const struct raft_options *options, uint64_t now_ms, uint64_t random,
		  struct raft_violation *violation)
{
	struct raft_violation ignored;

	if (violation == NULL)
		violation = &ignored;
	*violation = (struct raft_violation) {NULL, 0, 0};

	if (!options_are_sane(options))
	{
		violated(violation, "election timeout > 2 * heartbeat interval",
				 options->heartbeat_interval_ms, options->election_timeout_ms);
		return RAFT_INVALID;
	}
	if (!restored_is_sane(restored, violation))
		return RAFT_INVALID;

	memset(node, 0, sizeof(*node));
	node->id = restored->id;
	node->options = *options;
	node->now_ms = now_ms;
	node->random = random;

	/*
	 * A copy may end in a term that this member never heard of, and the crash
	 * may have come before it could tell (see raft_on_installed).
	 */
	node->term = restored->term;
	node->vote = restored->vote;
	if (node->term < restored->base_term)
	{
		node->term = restored->base_term;
		node->vote = 0;
	}
	node->term_durable = true;
	restore_log(&node->log, restored);
	node->commit_index = restored->applied_index;
	node->applied_index = restored->applied_index;
	node->matched_index = restored->applied_index;
	node->config = restored->config;
	node->previous_config = restored->previous_config;
	raft_find_self(node);
	node->state = node->self == RAFT_NO_SLOT ? RAFT_DETACHED : RAFT_FOLLOWER;

	/* Far from what an earlier life of this process used: see read.c. */
	node->read_context = random;

	/*
	 * Whom it heard last, and when, is forgotten, but not what it promised then:
	 * see lease.c.  In term 0 it has answered nobody.  Alone there is nobody
	 * whose election one could disturb.
	 */
	raft_reset_election_timer(node);
	if (raft_is_sole_voter(node))
		node->election_deadline_ms = now_ms;
	else if (node->term > 0)
		raft_promise(node);

	return RAFT_OK;
}

void
raft_set_options(struct raft *node, const struct raft_options *options)
{
	if (options_are_sane(options))
		node->options = *options;
}
