# raft_replay: step the core through a recording made by a running member
# (store.record_directory).

RAFT_REPLAY_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

.PHONY: raft-replay
raft-replay: build/raft/raft_replay

build/raft/raft_replay: $(RAFT_REPLAY_DIR)/replay.c \
		$(wildcard $(RAFT_REPLAY_DIR)/../../src/raft/*.[ch])
	@mkdir -p build/raft
	gcc -std=c11 -O2 -g -Wall -Wextra -Werror -I$(RAFT_REPLAY_DIR)/../../src/raft \
		-o $@ $(filter %.c,$^)
