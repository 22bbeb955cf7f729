# Fuzzing and static analysis, included by the top-level Makefile.
#
#   make fuzz [FUZZ_SECONDS=60] [FUZZ_SEED=n] [JOBS=2]
#   make raft-tidy
#   make raft-sanitize [FIRST=1] [SANITIZE_SEEDS=100] [JOBS=2]
#
# Needs clang with its runtime (Debian: clang; it brings libclang-rt-14-dev or
# what its version is) and clang-tidy.

FUZZ_CLANG ?= clang
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 0
JOBS ?= 2
FUZZ_BUILD = build/fuzz

FUZZ_TARGETS = message command membership jsonb record raft

# The pure layer, the core, and what stands in for the server.
FUZZ_STORE = command detail membership message fields json_patch jsonb_bytes object \
	object_path
FUZZ_CORE = $(notdir $(basename $(wildcard src/raft/*.c)))
FUZZ_OBJS = $(FUZZ_STORE:%=$(FUZZ_BUILD)/%.o) $(FUZZ_CORE:%=$(FUZZ_BUILD)/core_%.o) \
	$(FUZZ_BUILD)/walk.o $(FUZZ_BUILD)/jsonb_server.o $(FUZZ_BUILD)/fuzz.o

FUZZ_SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_CFLAGS = -std=gnu11 -g -O1 -Wall -Wno-ignored-attributes -Werror -fno-omit-frame-pointer \
	-ffunction-sections -fdata-sections $(FUZZ_SANITIZE) \
	-I src -I src/raft -I test/unit -I $(shell $(PG_CONFIG) --includedir-server)
# Decoders call little of the server; the rest is dropped, or in jsonb_server.c.
FUZZ_LDFLAGS = -Wl,--gc-sections \
	-L $(shell $(PG_CONFIG) --pkglibdir) -L $(shell $(PG_CONFIG) --libdir) \
	-lpgcommon -lpgport -lm
FUZZ_HEADERS = $(wildcard src/*.h src/raft/*.h test/fuzz/*.h test/unit/*.h)

.PHONY: fuzz fuzz-build fuzz-clean
fuzz: fuzz-build
	test/fuzz/run.sh $(FUZZ_BUILD) $(FUZZ_SECONDS) $(JOBS) $(FUZZ_SEED) $(FUZZ_TARGETS)

fuzz-build: $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/fuzz_%) $(FUZZ_BUILD)/seeds/done

$(FUZZ_BUILD)/%.o: src/%.c $(FUZZ_HEADERS)
	@mkdir -p $(@D)
	$(FUZZ_CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(FUZZ_BUILD)/core_%.o: src/raft/%.c $(FUZZ_HEADERS)
	@mkdir -p $(@D)
	$(FUZZ_CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(FUZZ_BUILD)/%.o: test/fuzz/%.c $(FUZZ_HEADERS)
	@mkdir -p $(@D)
	$(FUZZ_CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(FUZZ_BUILD)/fuzz_record.o: test/raft/replay.c

$(FUZZ_BUILD)/fuzz_%: $(FUZZ_BUILD)/fuzz_%.o $(FUZZ_OBJS)
	$(FUZZ_CLANG) $(FUZZ_SANITIZE) -fsanitize=fuzzer -o $@ $^ \
		-Wl,--wrap=pg_encoding_verifymbstr $(FUZZ_LDFLAGS)

$(FUZZ_BUILD)/seeds/done: test/fuzz/seeds.c $(FUZZ_HEADERS)
	@mkdir -p $(@D)
	$(FUZZ_CLANG) $(FUZZ_CFLAGS) -o $(FUZZ_BUILD)/make_seeds $< $(FUZZ_STORE:%=src/%.c) \
		src/raft/record.c $(FUZZ_LDFLAGS)
	ASAN_OPTIONS=detect_leaks=0 $(FUZZ_BUILD)/make_seeds $(@D)
	touch $@

fuzz-clean:
	rm -rf $(FUZZ_BUILD)

clean: fuzz-clean

# Static analysis of the core; .clang-tidy says which checks, and why not all.
.PHONY: raft-tidy
raft-tidy:
	@printf '%s\n' src/raft/*.c | xargs -P $(JOBS) -n 1 sh -c \
		'clang-tidy --quiet "$$0" -- -std=c11 -Wall -Wextra -Wconversion -Isrc/raft 2>/dev/null && \
		echo "ok - tidy $$0" || { echo "not ok - tidy $$0"; exit 1; }'

# The simulator, with sanitizers.
SANITIZE_SEEDS ?= 100
.PHONY: raft-sanitize
raft-sanitize: build/sanitize/raft_sim
	build/sanitize/raft_sim -k -j $(JOBS) $(FIRST) $(SANITIZE_SEEDS)

build/sanitize/raft_sim: $(wildcard test/raft/sim*.[ch] src/raft/*.[ch])
	@mkdir -p $(@D)
	$(FUZZ_CLANG) -std=c11 -O1 -g -Wall -Wextra -fno-omit-frame-pointer $(FUZZ_SANITIZE) \
		-I src/raft -o $@ $(filter %.c,$^)
