# Makefile of store, with PGXS.
#
#   make [PG_CONFIG=/path/to/pg_config]     the extension
#   make install [DESTDIR=/some/root]       into the server's folders
#   make help                               everything else

EXTENSION = store
MODULE_big = store
DATA = $(sort $(wildcard sql/*.sql))

RAFT_OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/raft/*.c)))
SERVER_OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
OBJS = $(SERVER_OBJS) $(RAFT_OBJS)

# store.status compares the library's release with that of the SQL objects.
RELEASE = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(srcdir)/store.control)

# A warning is an error; "make WERROR=" for a compiler newer than this code.
WERROR ?= -Werror

# -Wextra minus what PostgreSQL's own headers and idioms do not pass.  Server
# code before 16 leaves PGDLLEXPORT empty, and hidden visibility needs it.
PG_CPPFLAGS = -I$(srcdir)/src -I$(libpq_includedir) \
	-DPGDLLEXPORT='__attribute__((visibility("default")))' -DSTORE_RELEASE='"$(RELEASE)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers $(WERROR) -fvisibility=hidden -MMD -MP
SHLIB_LINK = $(libpq)

# PostgreSQL's flags and headers are made for the compiler it was built with.
ifneq (,$(findstring clang,$(CC)))
PG_CFLAGS += -Wno-ignored-optimization-argument -Wno-unknown-warning-option \
	-Wno-ignored-attributes -Wno-compound-token-split-by-macro
endif

# The consensus core is plain C11 and sees no header of PostgreSQL.
RAFT_WARNINGS = -Wall -Wextra -Wconversion $(WERROR)
RAFT_CFLAGS = -std=c11 $(RAFT_WARNINGS) -O2 -g -fPIC -fvisibility=hidden \
	-fno-omit-frame-pointer $(COPT)

# sql_tests/sql has the scripts, expected/ what they should print.  They run in
# the database "postgres" of a private server that preloads store.
REGRESS = setup $(filter-out setup,$(sort $(notdir $(basename $(wildcard sql_tests/sql/*.sql)))))
REGRESS_OPTS = --inputdir=sql_tests --use-existing
ifneq (,$(wildcard sql_tests/specs/*.spec))
ISOLATION = $(sort $(notdir $(basename $(wildcard sql_tests/specs/*.spec))))
ISOLATION_OPTS = --inputdir=sql_tests --use-existing
endif

EXTRA_CLEAN = $(OBJS:.o=.d)

PG_CONFIG = pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
libpq_includedir := $(shell $(PG_CONFIG) --includedir)
include $(PGXS)

CONTRIB_TESTDB = postgres
ISOLATION_TESTDB = postgres

src/api_status.o src/api_status.bc build/older/api_status.o: store.control

src/raft/%.o: src/raft/%.c
	$(CC) $(RAFT_CFLAGS) -MMD -MP -c -o $@ $<

src/raft/%.bc: src/raft/%.c
	$(CLANG) $(filter-out -g,$(RAFT_CFLAGS)) -Wno-unused-command-line-argument \
		-flto=thin -emit-llvm -c -o $@ $<

# Bitcode has no dependency files of its own; it follows its object file.
ifeq ($(with_llvm), yes)
$(foreach obj,$(OBJS),$(eval $(obj:.o=.bc): $(obj)))
endif

-include $(wildcard $(OBJS:.o=.d))

# Targets of the tests that need no server: raft-sim, unit-test and others.
-include $(wildcard test/raft/*.mk test/unit/*.mk test/fuzz/*.mk test/watch/*.mk \
	test/upgrade/*.mk test/torture/*.mk)

# TAP tests start servers of their own with what is installed in $(bindir).
# The longest one comes first, so that nobody waits for it alone at the end.
TAP_TESTS_FILES = test/tap/090_torture.pl \
	$(filter-out test/tap/090_torture.pl,$(sort $(wildcard test/tap/*.pl)))
.PHONY: tap
tap: build/raft/raft_replay build/older/store$(DLSUFFIX)
	rm -rf '$(CURDIR)/tmp_check' && $(MKDIR_P) '$(CURDIR)/tmp_check'
	TESTDIR='$(CURDIR)' TESTDATADIR='$(CURDIR)/tmp_check' \
	TESTLOGDIR='$(CURDIR)/tmp_check/log' PATH="$(bindir):$$PATH" \
	PG_REGRESS='$(top_builddir)/src/test/regress/pg_regress' \
	$(PROVE) -I $(top_srcdir)/src/test/perl/ -I $(srcdir)/test/tap/lib \
		$(PROVE_FLAGS) $(if $(PROVE_TESTS),$(PROVE_TESTS),$(TAP_TESTS_FILES))

# Not part of scripts/check: rude clients for long, and too many of them.
.PHONY: soak overload
soak:
	SOAK_SECONDS=$$(($(MINUTES) * 60)) SOAK_SEED='$(SEED)' \
	$(MAKE) tap PROVE_TESTS=test/tap/033_soak.pl PROVE_FLAGS=--verbose

overload:
	bench/overload

# Not part of scripts/check: it takes as long as all of that, twice.
.PHONY: mutants
mutants:
	scripts/mutants $(ONLY)

.PHONY: check-style check-symbols
check-style:
	scripts/check-style

check-symbols: store$(DLSUFFIX)
	scripts/check-symbols store$(DLSUFFIX) $(DATA)

.PHONY: help
help:
	@echo 'make                 build the extension (WERROR= to let warnings pass)'
	@echo 'make install         install it (DESTDIR=... for another root)'
	@echo 'make installcheck    SQL tests in database "postgres" of the server at PGHOST, PGPORT,'
	@echo '                     which must preload store and not have the extension yet'
	@echo 'make tap             tests with several servers (PROVE_TESTS=test/tap/x.pl for one)'
	@echo 'make raft-traces     golden traces of the consensus core'
	@echo 'make raft-sim        simulate it (SEEDS=n)'
	@echo 'make unit-test       tests of codecs and rules that need no server'
	@echo 'make fuzz            feed the decoders and the core with anything (FUZZ_SECONDS=n)'
	@echo 'make raft-tidy       static analysis of the consensus core'
	@echo 'make raft-sanitize   simulate it with sanitizers (SANITIZE_SEEDS=n)'
	@echo 'make mutants         does each test fail without what it shows? (ONLY=name for one)'
	@echo 'make watch-check     a hundred watchers on three nodes in trouble (MINUTES=n)'
	@echo 'make soak            rude clients for MINUTES=n: is anything left of them?'
	@echo 'make overload        ten times the clients that three nodes can serve'
	@echo 'make torture         clients and faults of all kinds on three nodes (MINUTES=n SEED=n)'
	@echo 'make torture-mutants does it notice each build that was broken?'
	@echo 'make torture-selftest  does the judge reject what it should?'
	@echo 'make check-style     layering, banned calls, lengths, orphans'
	@echo 'make check-symbols   what the library exports'
	@echo 'scripts/check        all of the tests, with their set-up'
	@echo 'scripts/demo         a tour on three nodes'
	@echo 'scripts/dev          a cluster to work with'
