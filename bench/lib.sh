# lib.sh
#	  Servers for measurements: nodes of a store, and what it is compared with.
#
# Sourced after scripts/lib.sh and scripts/cluster.sh.  All servers run with
# the same settings, which are those of a new cluster but for memory and the
# number of connections; fsync, full_page_writes and synchronous_commit are on
# everywhere.
#
# Copyright (c) 2026, store contributors

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
		echo "unix_socket_directories = '$CLUSTER'" >>"$CLUSTER/node$n/postgresql.conf"
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
