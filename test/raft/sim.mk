# The proof of src/raft: simulator, mutants, oracle, coverage.
#
#   make raft-sim [FIRST=1] [SEEDS=1000] [JOBS=2]
#   make raft-soak [SOAK_SECONDS=3600] [JOBS=2]
#   make raft-sim-tiny                      with tiny limits
#   make raft-sim-sanitized                 under the sanitizers
#   make raft-oracle
#   make raft-coverage
#   make raft-mutants [LIMIT=2000] [MUTANTS="name ..."]
#
# Stands alone too: make -f test/raft/sim.mk raft-sim

RAFT_SIM_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
RAFT_SRC := $(RAFT_SIM_DIR)/../../src/raft
RAFT_BUILD := build/raft

RAFT_CC ?= gcc
RAFT_SIM_WARNINGS = -Wall -Wextra -Werror
RAFT_SIM_CFLAGS = -std=c11 -O2 -g

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

# The same under the sanitizers.
RAFT_SAN = -fsanitize=address,undefined -fno-sanitize-recover=all

.PHONY: raft-sim-sanitized
raft-sim-sanitized: $(RAFT_BUILD)/raft_sim_sanitized
	$(RAFT_BUILD)/raft_sim_sanitized -k -j $(JOBS) $(FIRST) $(SEEDS)

$(RAFT_BUILD)/raft_sim_sanitized: $(RAFT_SIM_C) $(RAFT_CORE_C) $(RAFT_CORE_H) $(RAFT_SIM_DIR)/sim.h
	@mkdir -p $(RAFT_BUILD)
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) -O1 $(RAFT_SAN) -I$(RAFT_SRC) -w -o $@ $(filter %.c,$^)

# The same with limits so tiny that every run meets them.
RAFT_TINY = $(RAFT_BUILD)/tiny
RAFT_TINY_LIMITS = MAX_BATCH=3 MAX_INFLIGHT=2 MAX_UNCOMMITTED=24 MAX_READS=4 \
	MAX_TERM_RUNS=24 MAX_MESSAGE_RUNS=2 MAX_MESSAGES=40

.PHONY: raft-sim-tiny
raft-sim-tiny: $(RAFT_TINY)/raft_sim
	$(RAFT_TINY)/raft_sim -k -j $(JOBS) $(FIRST) $(SEEDS)

$(RAFT_TINY)/raft_sim: $(RAFT_CORE_C) $(RAFT_CORE_H) $(RAFT_SIM_C) $(RAFT_SIM_DIR)/sim.h
	@mkdir -p $(RAFT_TINY)
	cp $^ $(RAFT_TINY)
	for limit in $(RAFT_TINY_LIMITS); do \
		sed -i "s/^\(#define RAFT_$${limit%=*}\)[[:space:]].*/\1 $${limit#*=}/" \
			$(RAFT_TINY)/raft.h; \
	done
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) -I$(RAFT_TINY) -w -o $@ $(RAFT_TINY)/*.c

# Quorums and the shape of the log, done a second time and compared.
.PHONY: raft-oracle
raft-oracle: $(RAFT_BUILD)/raft_oracle $(RAFT_TINY)/raft_oracle
	$(RAFT_BUILD)/raft_oracle 1 500
	$(RAFT_TINY)/raft_oracle 1 3000

$(RAFT_BUILD)/raft_oracle: $(RAFT_SIM_DIR)/oracle.c $(RAFT_CORE_O)
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) -I$(RAFT_SRC) $(RAFT_SIM_WARNINGS) -o $@ $^

$(RAFT_TINY)/raft_oracle: $(RAFT_SIM_DIR)/oracle.c $(RAFT_TINY)/raft_sim
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) -I$(RAFT_TINY) -w -o $@ $< \
		$(addprefix $(RAFT_TINY)/,$(notdir $(RAFT_CORE_C)))

# Lines and branches of the core that the simulator (seeds 1 and up) and the golden
# traces reach.
RAFT_COV = $(RAFT_BUILD)/coverage
RAFT_COV_SEEDS ?= 1000
RAFT_TRACE_C = $(wildcard $(RAFT_SIM_DIR)/trace*.c)

.PHONY: raft-coverage
raft-coverage:
	rm -rf $(RAFT_COV)
	mkdir -p $(RAFT_COV)
	for c in $(RAFT_CORE_C); do \
		$(RAFT_CC) -std=c11 -O0 -g --coverage -c -o $(RAFT_COV)/core_$$(basename $$c .c).o \
			$$(realpath $$c) || exit 1; \
	done
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) -I$(RAFT_SRC) --coverage -o $(RAFT_COV)/raft_sim \
		$(RAFT_SIM_O) $(RAFT_COV)/core_*.o
	$(RAFT_COV)/raft_sim 1 $(RAFT_COV_SEEDS)
ifneq ($(RAFT_TRACE_C),)
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) -I$(RAFT_SRC) --coverage -o $(RAFT_COV)/raft_trace \
		$(RAFT_TRACE_C) $(RAFT_COV)/core_*.o
	$(RAFT_COV)/raft_trace $(wildcard $(RAFT_SIM_DIR)/traces/*.txt)
endif
	$(RAFT_SIM_DIR)/coverage.pl $(RAFT_SRC) $(RAFT_COV)

raft-coverage: $(RAFT_SIM_O)

# Break one rule of the core at a time: the simulator must notice each.
.PHONY: raft-mutants
raft-mutants: $(RAFT_BUILD)/raft_sim
	CC="$(RAFT_CC)" $(RAFT_SIM_DIR)/mutants.pl $(RAFT_SRC) $(RAFT_BUILD) $(LIMIT) $(MUTANTS)

# An hour of new seeds; the figures of the last one are in doc/testing.md.
SOAK_SECONDS ?= 3600
SOAK_FIRST ?= 1000000

.PHONY: raft-soak
raft-soak: $(RAFT_BUILD)/raft_sim
	$(RAFT_BUILD)/raft_sim -k -j $(JOBS) -t $(SOAK_SECONDS) $(SOAK_FIRST) 1000000000

$(RAFT_BUILD)/raft_sim: $(RAFT_SIM_O) $(RAFT_CORE_O)
	$(RAFT_CC) -o $@ $^

$(RAFT_BUILD)/core_%.o: $(RAFT_SRC)/%.c $(RAFT_CORE_H)
	@mkdir -p $(RAFT_BUILD)
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) $(RAFT_SIM_WARNINGS) -Wconversion -c -o $@ $<

$(RAFT_SIM_O): $(RAFT_BUILD)/%.o: $(RAFT_SIM_DIR)/%.c $(RAFT_SIM_DIR)/sim.h $(RAFT_CORE_H)
	@mkdir -p $(RAFT_BUILD)
	$(RAFT_CC) $(RAFT_SIM_CFLAGS) -I$(RAFT_SRC) $(RAFT_SIM_WARNINGS) -c -o $@ $<
