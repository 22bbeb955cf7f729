# raft_contract: what the core must refuse, with sanitizers.

RAFT_CONTRACT_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

.PHONY: raft-contract
raft-contract: build/raft/raft_contract
	build/raft/raft_contract

build/raft/raft_contract: $(RAFT_CONTRACT_DIR)/contract.c \
		$(wildcard $(RAFT_CONTRACT_DIR)/../../src/raft/*.[ch])
	@mkdir -p build/raft
	gcc -std=c11 -O1 -g -fsanitize=address,undefined -Wall -Wextra -Werror \
		-I$(RAFT_CONTRACT_DIR)/../../src/raft -o $@ $(filter %.c,$^)
