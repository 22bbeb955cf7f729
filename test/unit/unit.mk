# test/unit/unit.mk
#
# Unit tests of what needs no server: the codecs.  Included by the top-level
# Makefile.  "make unit-test SEED=n" replays a run.

UNIT_CC ?= $(CC)
UNIT_SANITIZE ?= -fsanitize=address,undefined -fno-sanitize-recover=undefined
UNIT_SOURCES = test/unit/codec_test.c \
	src/command.c src/membership.c src/message.c src/fields.c src/object.c \
	src/jsonb_bytes.c src/detail.c

# What the sources use of the server beyond libpgcommon is either stubbed in
# the test or in functions that it does not call, which --gc-sections drops.
test/unit/codec_test: $(UNIT_SOURCES) $(wildcard src/*.h test/unit/*.h)
	$(UNIT_CC) -std=gnu11 -g -O1 -Wall -Wno-ignored-attributes $(UNIT_SANITIZE) \
		-ffunction-sections -fdata-sections -Wl,--gc-sections \
		-I src -I $(shell $(PG_CONFIG) --includedir-server) \
		$(UNIT_SOURCES) -o $@ \
		-L $(shell $(PG_CONFIG) --pkglibdir) -L $(shell $(PG_CONFIG) --libdir) \
		-lpgcommon -lpgport -lm

.PHONY: unit-test unit-clean
unit-test: test/unit/codec_test
	ASAN_OPTIONS=detect_leaks=0 test/unit/codec_test $(SEED)

unit-clean:
	rm -f test/unit/codec_test

clean: unit-clean
