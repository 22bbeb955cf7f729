# The proof of src/raft: simulator, mutants, oracle, coverage.
#
#   make raft-sim [FIRST=1] [SEEDS=1000] [JOBS=2]
#   make raft-mutants [LIMIT=2000] [MUTANTS="name ..."]
#
# Stands alone too: make -f test/raft/sim.mk raft-sim

RAFT_SIM_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
RAFT_SRC := $(RAFT_SIM_DIR)/../../src/raft
RAFT_BUILD := build/raft

RAFT_CC ?= gcc
RAFT_SIM_WARNINGS = -Wall -Wextra -Werror
RAFT_SIM_CFLAGS = -std=c11 -O2 -g -I$(RAFT_SRC)

RAFT_CORE_C = $(wildcard $(RAFT_SRC)/*.c)
RAFT_CORE_H = $(wildcard $(RAFT_SRC)/*.h)
RAFT_SIM_C = $(wildcard $(RAFT_SIM_DIR)/sim*.c)
RAFT_SIM_O = $(patsubst $(RAFT_SIM_DIR)/%.c,$(RAFT_BUILD)/%.o,$(RAFT_SIM_C))
RAFT_CORE_O = $(patsubst $(RAFT_SRC)/%.c,$(RAFT_BUILD)/core_%.o,$(RAFT_CORE_C))

FIRST ?= 1
SEEDS ?= 1000
JOBS ?= 2
LIMIT ?= 2000
MUTANTS ?=

.PHONY: raft-sim
raft-sim: $(RAFT_BUILD)/raft_sim
	$(RAFT_BUILD)/raft_sim -k -j $(JOBS) $(FIRST) $(SEEDS)

# Break one rule of the core at a time: the simulator must notice each.
.PHONY: raft-mutants
raft-mutants: $(RAFT_BUILD)/raft_sim
	CC="$(RAFT_CC)" $(RAFT_SIM_DIR)/mutants.pl $(RAFT_SRC) $(RAFT_BUILD) $(LIMIT) $(MUTANTS)

$(RAFT_BUILD)/raft_sim: $(RAFT_SIM_O) $(RAFT_CORE_O)
	$(RAFT_CC) -o $@ $^

$(RAFT_BUILD)/core_%.o: $(RAFT_SRC)/%.c $(RAFT_CORE_H)
	@mkdir -p $(RAFT_BUILD)
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) $(RAFT_SIM_WARNINGS) -Wconversion -c -o $@ $<

$(RAFT_BUILD)/%.o: $(RAFT_SIM_DIR)/%.c $(RAFT_SIM_DIR)/sim.h $(RAFT_CORE_H)
	@mkdir -p $(RAFT_BUILD)
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) $(RAFT_SIM_WARNINGS) -c -o $@ $<
