# Torture; see torture.h.
#
#   make torture [MINUTES=5] [SEED=n] [RATE=150] [FAULTS=name,...]
#   make torture-mutants [TORTURE_SECONDS=120] [TORTURE_SEED=n]
#   make torture-selftest
#
# It needs servers, which test/tap/090_torture.pl starts from what is installed.

TORTURE_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
TORTURE_CFLAGS = -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror -pthread
TORTURE_LIB = $(TORTURE_DIR)/../lib
TORTURE_H = $(wildcard $(TORTURE_DIR)/*.h) $(TORTURE_LIB)/check.h
TORTURE_C = $(filter-out %/proxy.c %/shim.c,$(wildcard $(TORTURE_DIR)/*.c))
TORTURE_LIB_C = $(wildcard $(TORTURE_LIB)/*.c)
TORTURE_LINK = -L$(shell $(PG_CONFIG) --libdir) -lpq

build/torture: $(TORTURE_C) $(TORTURE_LIB_C) $(TORTURE_H)
	@mkdir -p build
	$(CC) $(TORTURE_CFLAGS) -I$(WATCH_LIBPQ) -o $@ $(TORTURE_C) $(TORTURE_LIB_C) $(TORTURE_LINK)

build/torture_proxy: $(TORTURE_DIR)/proxy.c $(TORTURE_LIB_C) $(TORTURE_H)
	@mkdir -p build
	$(CC) $(TORTURE_CFLAGS) -I$(WATCH_LIBPQ) -o $@ $< $(TORTURE_LIB_C) $(TORTURE_LINK)

build/torture_shim.so: $(TORTURE_DIR)/shim.c $(TORTURE_DIR)/shim.h
	@mkdir -p build
	$(CC) $(TORTURE_CFLAGS) -shared -fPIC -o $@ $< -ldl

tap: build/torture build/torture_proxy build/torture_shim.so

.PHONY: torture torture-selftest torture-mutants
torture: build/torture
	TORTURE_SECONDS=$$(($(MINUTES) * 60)) TORTURE_SEED='$(SEED)' \
	TORTURE_RATE='$(RATE)' TORTURE_FAULTS='$(FAULTS)' \
	$(MAKE) tap PROVE_TESTS=test/tap/090_torture.pl PROVE_FLAGS=--verbose

# Each history that was doctored must be rejected, for the reason it names.
torture-selftest: build/torture
	$(TORTURE_DIR)/selftest.pl build/torture $(TORTURE_DIR)/sound.history

# Each build that was broken must be caught.  Not part of scripts/check.
torture-mutants:
	BASELINE=no scripts/mutants $$(awk '$$1 == "mutant" { name = $$2 } \
		$$2 == "test/tap/090_torture.pl" { print name }' test/mutants/mutants.txt)
