# The library of the release before: this one, but for the version of commands
# that it understands.  test/tap/090_rolling.pl runs it beside this one.

OLDER_OBJS = $(patsubst src/%.c,build/older/%.o,$(sort $(wildcard src/*.c)))
OLDER_FLAGS = $(SERVER_INCLUDES) -DCOMMAND_VERSION=1 -U_FORTIFY_SOURCE -O0

# "make tap" knows the programs of a private root, which have no headers beside
# them.  They come from where PGXS does.
SERVER_CONFIG = $(firstword $(wildcard $(dir $(PGXS))../../../../bin/pg_config \
	$(dir $(PGXS))../../../../../bin/pg_config) $(PG_CONFIG))
SERVER_INCLUDES = $(addprefix -I,$(shell $(SERVER_CONFIG) --includedir-server) \
	$(shell $(SERVER_CONFIG) --includedir))

build/older/%.o: src/%.c
	@$(MKDIR_P) $(@D)
	$(CC) $(CFLAGS) $(CFLAGS_SL) $(CPPFLAGS) $(OLDER_FLAGS) -c -o $@ $<

build/older/store$(DLSUFFIX): $(OLDER_OBJS) $(RAFT_OBJS)
	$(CC) $(CFLAGS) -shared -o $@ $^ $(LDFLAGS) $(SHLIB_LINK)

-include $(wildcard $(OLDER_OBJS:.o=.d))
EXTRA_CLEAN += build/older
