# test/unit/unit.mk
#
# Unit tests of what needs no server: the codecs, the versions of the rules, what
# a watcher is told, server-side apply, and digests.
# Included by the top-level Makefile.  "make unit-test SEED=n" replays a run.

UNIT_CC ?= $(CC)
UNIT_SANITIZE ?= -fsanitize=address,undefined -fno-sanitize-recover=undefined
UNIT_STORE = src/command.c src/detail.c src/fields.c src/object.c src/object_path.c
UNIT_SOURCES_codec = $(UNIT_STORE) src/membership.c src/message.c src/jsonb_bytes.c
UNIT_SOURCES_rules = $(UNIT_STORE) src/apply_patch.c src/field_set.c src/json_patch.c \
	src/list_items.c src/managed_fields.c src/merge_keys.c src/patch.c src/rules.c \
	src/schema.c src/strategic.c src/typed_value.c \
	test/unit/rules_server.c test/fuzz/jsonb_server.c
UNIT_SOURCES_watch_filter = src/detail.c src/fields.c src/selector.c src/watch_filter.c \
	test/unit/rules_server.c test/fuzz/jsonb_server.c
UNIT_SOURCES_apply = $(UNIT_STORE) src/apply_patch.c src/field_set.c src/json_patch.c \
	src/list_items.c src/managed_fields.c src/merge_keys.c src/schema.c src/typed_value.c \
	test/unit/rules_server.c test/fuzz/jsonb_server.c
UNIT_TESTS = test/unit/codec_test test/unit/rules_test test/unit/watch_filter_test \
	test/unit/apply_test test/unit/digest_test

# What the sources use of the server beyond libpgcommon is either stubbed or in
# functions that the test does not call, which --gc-sections drops.
test/unit/codec_test: test/unit/codec_test.c $(UNIT_SOURCES_codec)
test/unit/rules_test: test/unit/rules_test.c $(UNIT_SOURCES_rules)
test/unit/apply_test: test/unit/apply_test.c $(UNIT_SOURCES_apply)
test/unit/digest_test: test/unit/digest_test.c src/digest.c
test/unit/watch_filter_test: test/unit/watch_filter_test.c $(UNIT_SOURCES_watch_filter)
# Twenty thousand cases; the address sanitizer makes that some minutes.
# "make unit-test APPLY_SANITIZE=-fsanitize=address" has it nevertheless.
APPLY_SANITIZE ?= -fsanitize=undefined -fno-sanitize-recover=undefined
test/unit/apply_test: UNIT_SANITIZE = $(APPLY_SANITIZE)

$(UNIT_TESTS): $(wildcard src/*.h test/unit/*.h test/fuzz/*.h)
	$(UNIT_CC) -std=gnu11 -g -O1 -Wall -Wno-ignored-attributes $(UNIT_SANITIZE) \
		-ffunction-sections -fdata-sections -Wl,--gc-sections \
		-I src -I test/unit -I test/fuzz -I $(shell $(PG_CONFIG) --includedir-server) \
		$(filter %.c,$^) -o $@ \
		-L $(shell $(PG_CONFIG) --pkglibdir) -L $(shell $(PG_CONFIG) --libdir) \
		-lpgcommon -lpgport -lm

.PHONY: unit-test unit-clean
unit-test: $(UNIT_TESTS)
	ASAN_OPTIONS=detect_leaks=0 test/unit/codec_test $(SEED)
	ASAN_OPTIONS=detect_leaks=0 test/unit/rules_test
	ASAN_OPTIONS=detect_leaks=0 test/unit/watch_filter_test
	ASAN_OPTIONS=detect_leaks=0 test/unit/apply_test $(SEED)
	ASAN_OPTIONS=detect_leaks=0 test/unit/digest_test $(SEED)

unit-clean:
	rm -f $(UNIT_TESTS)

clean: unit-clean
