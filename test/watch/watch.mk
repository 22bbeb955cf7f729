# The checker of watches; see watch.h.
#
#   make watch-check [MINUTES=5] [SEED=n] [RATE=60]
#
# It needs servers, which test/tap/041_watch_check.pl starts from what is
# installed; "make tap" runs that for half a minute.

WATCH_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
WATCH_CC ?= $(CC)
WATCH_CFLAGS = -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror -pthread
WATCH_LIB = $(WATCH_DIR)/../lib
WATCH_C = $(wildcard $(WATCH_DIR)/*.c $(WATCH_LIB)/*.c)

# The pg_config of a private root names folders that only the system has.
WATCH_LIBPQ = $(dir $(firstword $(wildcard $(libpq_includedir)/libpq-fe.h \
	/usr/include/postgresql/libpq-fe.h)))

MINUTES ?= 5
RATE ?=

build/watch_check: $(WATCH_C) $(WATCH_DIR)/watch.h $(WATCH_LIB)/check.h
	@mkdir -p build
	$(WATCH_CC) $(WATCH_CFLAGS) -I$(WATCH_LIBPQ) -o $@ $(WATCH_C) \
		-L$(shell $(PG_CONFIG) --libdir) -lpq

# As its head says how to build it, and with warnings.
build/watch_example: $(WATCH_DIR)/../../examples/watch.c
	@mkdir -p build
	$(WATCH_CC) -Wall -Wextra -Werror -I$(WATCH_LIBPQ) -o $@ $< \
		-L$(shell $(PG_CONFIG) --libdir) -lpq

tap: build/watch_check build/watch_example

.PHONY: watch-check
watch-check: build/watch_check
	WATCH_SECONDS=$$(($(MINUTES) * 60)) WATCH_SEED='$(SEED)' WATCH_RATE='$(RATE)' \
	$(MAKE) tap PROVE_TESTS=test/tap/041_watch_check.pl PROVE_FLAGS=--verbose
