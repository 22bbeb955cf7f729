# lib.sh
#	  Servers for measurements: nodes of a store, and what it is compared with.
#
# Sourced after scripts/lib.sh and scripts/cluster.sh.  All servers run with
# the same settings, which are those of a new cluster but for memory and the
# number of connections; fsync, full_page_writes and synchronous_commit are on
# everywhere.
#
# Copyright (c) 2026, store contributors

# Run this script in a workshop of its own, because the servers refuse root, and
# bring its results back; returns only in there.
bench_enter()
{
	local folder status=0

	[ -z "${WORKSHOP:-}" ] || return 0
	folder=$(mktemp -d "${TMPDIR:-/tmp}/store-XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$folder'" EXIT
	BENCH_COMMIT=$(git rev-parse --short HEAD 2>/dev/null || say unknown)
	if [ -n "$(git status --porcelain -- src sql Makefile 2>/dev/null)" ]; then
		BENCH_COMMIT=$BENCH_COMMIT-changed
	fi
	export BENCH_COMMIT
	(SCRIPT=bench/$(basename "$0") enter_workshop "$folder" "$@") || status=$?
	mkdir -p bench/results
	cp "$folder"/results/* bench/results/ 2>/dev/null || true
	exit $status
}

# Settings for each server, store or not.
bench_settings()
{
	cat <<-CONF
		max_connections = ${BENCH_CONNECTIONS:-400}
		shared_buffers = 256MB
		max_wal_size = 8GB
		checkpoint_timeout = 30min
		unix_socket_directories = '$WORKSHOP'
	CONF
}

# Create and start a store of $2 nodes in the folder $1.
store_start()
{
	local n

	CLUSTER=$1
	cluster_create "$2"
	for n in $(node_list); do
		node_init "$n"
		bench_settings >>"$CLUSTER/node$n/postgresql.conf"
		# a busy machine shall not end the measurement
		printf '%s\n' "unix_socket_directories = '$CLUSTER'" "store.request_timeout = '60s'" \
			>>"$CLUSTER/node$n/postgresql.conf"
		node_start "$n"
		node_enter "$n"
	done
	wait_until 60 store_has_voters "$2" || die "the store does not get $2 voters"
}

store_has_voters()
{
	[ "$(node_sql 1 "SELECT count(*) FROM store.members WHERE role = 'voter'")" = "$1" ]
}

# Write the rest of a server's configuration: folder, port.
plain_configure()
{
	bench_settings >>"$1/postgresql.conf"
	cat >>"$1/postgresql.conf" <<-CONF
		listen_addresses = '127.0.0.1'
		port = $2
		unix_socket_directories = '$PLAIN'
	CONF
}

plain_ctl()
{
	"$BINDIR/pg_ctl" -D "$1" -l "$1.log" -w -s "${@:2}"
}

# psql on the server with port $1, with the arguments that follow.
plain_psql()
{
	"$BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$PLAIN" -p "$1" -U postgres \
		-d postgres "${@:2}"
}

# A primary in the folder $1, with $2 standbys; if there are any, a commit
# waits until one of them has flushed it.
plain_start()
{
	local n source names=""

	PLAIN=$1
	mkdir -p "$PLAIN"
	read -ra PLAIN_PORTS <<<"$(free_ports $(($2 + 1)))"
	"$BINDIR/initdb" -D "$PLAIN/primary" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N \
		>"$PLAIN/initdb.log"
	plain_configure "$PLAIN/primary" "${PLAIN_PORTS[0]}"
	plain_ctl "$PLAIN/primary" start
	for n in $(seq 1 "$2"); do
		"$BINDIR/pg_basebackup" -D "$PLAIN/standby$n" -R -c fast -h "$PLAIN" \
			-p "${PLAIN_PORTS[0]}" -U postgres
		source="host=127.0.0.1 port=${PLAIN_PORTS[0]} user=postgres"
		cat >>"$PLAIN/standby$n/postgresql.conf" <<-CONF
			port = ${PLAIN_PORTS[$n]}
			primary_conninfo = '$source application_name=standby$n'
		CONF
		sed -i '/^primary_conninfo/d' "$PLAIN/standby$n/postgresql.auto.conf"
		plain_ctl "$PLAIN/standby$n" start
		names="$names${names:+, }standby$n"
	done
	if [ -n "$names" ]; then
		plain_psql "${PLAIN_PORTS[0]}" -c \
			"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ($names)'" \
			-c "SELECT pg_reload_conf()" >/dev/null
		wait_until 60 plain_is_synchronous "$2" || die "the standbys are not synchronous"
	fi
}

plain_is_synchronous()
{
	[ "$(plain_psql "${PLAIN_PORTS[0]}" -c \
		"SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'")" = "$1" ]
}

plain_stop()
{
	local folder

	for folder in "$1"/standby* "$1"/primary; do
		if [ -e "$folder/postmaster.pid" ]; then
			plain_ctl "$folder" -m fast stop || true
		fi
	done
}

# 20,000 objects to put and get, and 10,000 to list, in the store in $CLUSTER and
# on the plain server with port $1.
bench_fill()
{
	say "Filling both with 30,000 objects"
	node_sql 1 "SELECT count(store.put(format('{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",
		\"metadata\":{\"name\":\"key%s\",\"namespace\":\"bench\"},
		\"data\":{\"value\":\"%s\"}}', k, repeat('x', 400))::jsonb))
		FROM generate_series(1, 20000) k" >/dev/null &
	node_sql 1 "SELECT count(store.put(format('{\"apiVersion\":\"bench/v1\",\"kind\":\"Item\",
		\"metadata\":{\"name\":\"item%s\",\"namespace\":\"list%s\"},
		\"spec\":{\"value\":\"%s\"}}', k, k % 100, repeat('x', 400))::jsonb))
		FROM generate_series(1, 10000) k" >/dev/null
	wait
	plain_psql "$1" <<-'SQL'
		CREATE TABLE kv (namespace text COLLATE "C", name text COLLATE "C",
			object jsonb NOT NULL, PRIMARY KEY (namespace, name));
		INSERT INTO kv SELECT 'bench', 'key' || k,
			(store_object.head || repeat('x', 400) || '"}}')::jsonb
			FROM generate_series(1, 20000) k, LATERAL (SELECT format('{"apiVersion":"v1",
			"kind":"ConfigMap","metadata":{"name":"key%s","namespace":"bench",
			"uid":"00000000-0000-0000-0000-000000000000","generation":1,
			"resourceVersion":"%s","creationTimestamp":"2026-01-01T00:00:00Z"},
			"data":{"value":"', k, k) AS head) AS store_object;
		INSERT INTO kv SELECT 'list' || k % 100, 'item' || k,
			(store_object.head || repeat('x', 400) || '"}}')::jsonb
			FROM generate_series(1, 10000) k, LATERAL (SELECT format('{"apiVersion":"bench/v1",
			"kind":"Item","metadata":{"name":"item%s","namespace":"list%s",
			"uid":"00000000-0000-0000-0000-000000000000","generation":1,
			"resourceVersion":"%s","creationTimestamp":"2026-01-01T00:00:00Z"},
			"spec":{"value":"', k, k % 100, k) AS head) AS store_object;
		VACUUM ANALYZE kv;
	SQL
}

# The machine, in a line.
bench_machine()
{
	printf '%s, %s cores, %s, kernel %s, %s\n' \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
		"$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release)" "$(uname -r)" \
		"$("$BINDIR/postgres" --version)"
}

# Run pgbench for $SLICE seconds: pgbench_run SOCKETS PORT SCRIPT CLIENTS;
# prints transactions a second, and the median and 99th percentile of latency
# in milliseconds.
pgbench_run()
{
	local log=$WORKSHOP/pgbench output

	rm -f "$log".*
	output=$(cd "$WORKSHOP" && "$BINDIR/pgbench" -n -M prepared -h "$1" -p "$2" -U postgres \
		-f "$3" -c "$4" -j "$(($4 < 2 ? 1 : 2))" -T "$SLICE" -l --log-prefix="$log" \
		${PGBENCH_OPTIONS:-} postgres 2>&1) || die "pgbench failed: $output"
	if grep -q 'aborted' <<<"$output"; then
		die "pgbench: $output"
	fi
	sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$output" | tr '\n' ' '
	cat "$log".* | awk '{ print $3 }' | sort -n | awk '
		{ latency[NR] = $1 }
		END { printf "%.3f %.3f\n", latency[int((NR + 1) / 2)] / 1000,
			latency[int(NR * 0.99) + (NR * 0.99 > int(NR * 0.99))] / 1000 }'
	rm -f "$log".*
}

# ----------------------------------------------------------------------------
# etcd, by its own load generator, if both are there
# ----------------------------------------------------------------------------

ETCD_ENDPOINTS=
ETCD_PIDS=

# Three members in the folder $1, with etcd's own settings.
etcd_start()
{
	local folder=$1 cluster="" n
	local -a ports

	[ -n "${ETCD:-}" ] && [ -n "${ETCD_LOAD:-}" ] || return 0
	mkdir -p "$folder"
	read -ra ports <<<"$(free_ports 6)"
	for n in 0 1 2; do
		cluster="$cluster${cluster:+,}etcd$n=http://127.0.0.1:${ports[$n]}"
		ETCD_ENDPOINTS="$ETCD_ENDPOINTS${ETCD_ENDPOINTS:+,}http://127.0.0.1:${ports[$((n + 3))]}"
	done
	for n in 0 1 2; do
		"$ETCD" --name "etcd$n" --data-dir "$folder/etcd$n" --log-level error \
			--listen-peer-urls "http://127.0.0.1:${ports[$n]}" \
			--initial-advertise-peer-urls "http://127.0.0.1:${ports[$n]}" \
			--listen-client-urls "http://127.0.0.1:${ports[$((n + 3))]}" \
			--advertise-client-urls "http://127.0.0.1:${ports[$((n + 3))]}" \
			--initial-cluster "$cluster" >"$folder/etcd$n.log" 2>&1 &
		ETCD_PIDS="$ETCD_PIDS $!"
	done
	wait_until 60 etcd_works || die "etcd does not start; see $folder"
}

# The load generator makes keys of numbers in binary; this one is an "@".
etcd_works()
{
	"$ETCD_LOAD" --endpoints "${ETCD_ENDPOINTS%%,*}" put --sequential-keys --key-size 1 \
		--key-space-size 64 --total 64 --val-size 512 >/dev/null 2>&1
}

etcd_stop()
{
	[ -n "$ETCD_PIDS" ] || return 0
	# shellcheck disable=SC2086
	kill $ETCD_PIDS 2>/dev/null || true
	# shellcheck disable=SC2086
	wait $ETCD_PIDS 2>/dev/null || true
	ETCD_PIDS=
	ETCD_ENDPOINTS=
}

# Its load generator runs by number and not by time, so a short run says how
# many fit into $SLICE seconds: etcd_load TOTAL CLIENTS put|range [l|s]
etcd_load()
{
	local -a load=("$ETCD_LOAD" --endpoints "$ETCD_ENDPOINTS" --target-leader
		--conns "$2" --clients "$2")

	if [ "$3" = put ]; then
		load+=(put --key-size 16 --val-size 512 --key-space-size 20000 --total "$1")
	else
		load+=(range @ --consistency "$4" --total "$1")
	fi
	"${load[@]}" 2>/dev/null
}

# Prints what pgbench_run does: etcd_run CLIENTS put|range [l|s]
etcd_run()
{
	local total

	total=$(etcd_load 2000 "$@" | awk -v slice="$SLICE" \
		'/Requests\/sec:/ { printf "%d", $2 * slice + 1 }')
	etcd_load "$total" "$@" | awk '
		/Requests\/sec:/ { tps = $2 }
		/50% in/ { p50 = $3 * 1000 }
		/99% in/ { p99 = $3 * 1000 }
		END { printf "%.1f %.3f %.3f\n", tps, p50, p99 }'
}
