# Golden traces of the consensus core: "make raft-traces" plays them all, "make
# raft-traces-rewrite" makes what happens now what should happen.

RAFT_TRACE = build/raft_trace
RAFT_TRACE_FILES = $(sort $(wildcard test/raft/traces/*.txt))

$(RAFT_TRACE): $(wildcard test/raft/trace*.c test/raft/trace.h)\
		$(wildcard src/raft/*.c src/raft/*.h)
	@mkdir -p $(@D)
	$(CC) -std=c11 -Wall -Wextra -Wconversion -Werror -g -O1 \
		-fsanitize=address,undefined -fno-sanitize-recover=all \
		-Isrc/raft -o $@ $(filter %.c,$^)

.PHONY: raft-traces raft-traces-rewrite
raft-traces: $(RAFT_TRACE)
	$(RAFT_TRACE) $(RAFT_TRACE_FILES)

raft-traces-rewrite: $(RAFT_TRACE)
	for file in $(RAFT_TRACE_FILES); do $(RAFT_TRACE) -w $$file || exit 1; done
