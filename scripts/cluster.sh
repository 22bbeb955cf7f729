# cluster.sh
#	  Nodes 1..n of a cluster on this machine; see lib.sh.
#
# Sourced by scripts/demo and scripts/dev.  CLUSTER is the folder, BINDIR has
# the server's programs.
#
# Every node connects to the others as a role of its own, store_node_<n>, with
# a password.  So a node can be cut off without a firewall: the others refuse
# its role and it refuses theirs, while people still reach all of them.
#
# Copyright (c) 2026, store contributors

# Create the folder for $1 nodes.
cluster_create()
{
	local n

	mkdir -p "$CLUSTER"
	chmod 700 "$CLUSTER"
	free_ports "$1" | tr ' ' '\n' >"$CLUSTER/ports"
	od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$CLUSTER/password"
	: >"$CLUSTER/cuts"
	for n in $(node_list); do
		(umask 077 && say "127.0.0.1:*:*:store_node_$n:$(cat "$CLUSTER/password")" \
			>"$CLUSTER/passfile$n")
	done
}

node_list()
{
	seq 1 "$(wc -l <"$CLUSTER/ports")"
}

node_port()
{
	sed -n "${1}p" "$CLUSTER/ports"
}

node_exists()
{
	[[ "${1:-}" =~ ^[1-9][0-9]*$ ]] && [ -d "$CLUSTER/node$1" ]
}

# The conninfo under which other nodes reach node $1.
node_address()
{
	say "host=127.0.0.1 port=$(node_port "$1") dbname=postgres"
}

# What to type to reach node $1.
node_psql_command()
{
	say "$BINDIR/psql -h $CLUSTER -p $(node_port "$1") -U postgres postgres"
}

# psql on node $1 with the arguments that follow; connects by socket.
node_psql()
{
	local n=$1

	shift
	"$BINDIR/psql" -X -h "$CLUSTER" -p "$(node_port "$n")" -U postgres -d postgres "$@"
}

# The bare result of the SQL $2 on node $1.
node_sql()
{
	node_psql "$1" -q -A -t -v ON_ERROR_STOP=1 -c "$2"
}

node_pid()
{
	head -n 1 "$CLUSTER/node$1/postmaster.pid" 2>/dev/null
}

node_is_up()
{
	local pid

	pid=$(node_pid "$1") && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# Write pg_hba.conf of node $1 from the list of nodes cut off.
node_write_hba()
{
	local n=$1 other

	{
		say "# Written by scripts/dev; a node that is cut off has its role rejected."
		for other in $(node_list); do
			if [ "$other" != "$n" ] && grep -qx -e "$other" -e "$n" "$CLUSTER/cuts"; then
				say "host all store_node_$other 127.0.0.1/32 reject"
			fi
		done
		say "local all all trust"
		say "host all all 127.0.0.1/32 scram-sha-256"
	} >"$CLUSTER/node$n/pg_hba.conf"
}

# Create the data folder of node $1.
node_init()
{
	local n=$1 folder=$CLUSTER/node$1

	"$BINDIR/initdb" -D "$folder" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
		-N >"$CLUSTER/node$n.log"
	node_write_hba "$n"
	cat >>"$folder/postgresql.conf" <<CONF

# What makes it a node of a store
shared_preload_libraries = 'store'
cluster_name = 'node$n'
store.peer_options = 'user=store_node_$n passfile=$CLUSTER/passfile$n'

listen_addresses = '127.0.0.1'
port = $(node_port "$n")
unix_socket_directories = '$CLUSTER'
max_connections = 50
shared_buffers = 64MB
log_line_prefix = '%m [%p] %b '
CONF
}

# Give node $1 another port if it has never run and somebody took the one that
# was found for it.  (A server writes postmaster.opts once it has its port.)
node_move_if_taken()
{
	local port

	if [ ! -e "$CLUSTER/node$1/postmaster.opts" ] &&
		grep -q 'Address already in use' "$CLUSTER/node$1.log"; then
		port=$(free_ports 1)
		sed -i "${1}s/.*/$port/" "$CLUSTER/ports"
		say "port = $port" >>"$CLUSTER/node$1/postgresql.conf"
		: >"$CLUSTER/node$1.log"
	fi
}

node_try_start()
{
	"$BINDIR/pg_ctl" -D "$CLUSTER/node$1" -l "$CLUSTER/node$1.log" -w -t 60 -s start 2>/dev/null &&
		return
	node_move_if_taken "$1"
	return 1
}

# Start node $1; after a kill, its old processes may take a moment to leave.
node_start()
{
	if ! wait_until 60 node_try_start "$1"; then
		tail -n 20 "$CLUSTER/node$1.log" >&2
		die "node $1 does not start"
	fi
}

# The roles that the nodes connect as; roles are each server's own.
node_create_roles()
{
	local n=$1 other

	for other in $(node_list); do
		say "CREATE ROLE store_node_$other SUPERUSER LOGIN PASSWORD '$(cat "$CLUSTER/password")';"
	done | node_psql "$n" -q -v ON_ERROR_STOP=1
}

# Make a running server a node: the first one founds the cluster, the others
# join it.
node_enter()
{
	node_create_roles "$1"
	node_sql "$1" "CREATE EXTENSION store"
	if [ "$1" -ne 1 ]; then
		node_sql "$1" "SET store.request_timeout = '60s';
			SELECT store.join('$(node_address 1)')" >/dev/null
	fi
}

# As if somebody had pulled the plug of the postmaster.
node_kill()
{
	kill -KILL "$(node_pid "$1")"
}

# Stop node $1 and wait for it.
node_stop()
{
	"$BINDIR/pg_ctl" -D "$CLUSTER/node$1" -m fast -w -t 60 -s stop
}

# Send a signal to all processes of node $1.
node_signal()
{
	local pid

	pid=$(node_pid "$2")
	# the postmaster first when stopping, so that it does not see its
	# children change state
	kill "-$1" "$pid"
	ps -o pid= --ppid "$pid" | xargs -r kill "-$1"
}

# Put the list of cuts into force on all running nodes.
cluster_apply_cuts()
{
	local n

	for n in $(node_list); do
		node_write_hba "$n"
		if node_is_up "$n"; then
			node_sql "$n" "SELECT pg_reload_conf()" >/dev/null
		fi
	done
	for n in $(node_list); do
		if node_is_up "$n"; then
			node_sql "$n" "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE usename = ANY (string_to_array('$(cut_roles "$n")', ','))" >/dev/null
		fi
	done
}

# The roles that node $1 refuses, with commas.
cut_roles()
{
	sed -n 's/^host all \([^ ]*\) .* reject$/\1/p' "$CLUSTER/node$1/pg_hba.conf" | paste -sd,
}

# The number of the node that leads, as the nodes that run see it.
cluster_leader()
{
	local n

	for n in $(node_list); do
		if [ "$(node_sql "$n" "SELECT state FROM store.status" 2>/dev/null)" = leader ]; then
			say "$n"
			return
		fi
	done
	return 1
}

cluster_stop()
{
	local n

	for n in $(node_list); do
		if node_exists "$n" && node_is_up "$n"; then
			node_signal CONT "$n" 2>/dev/null || true
			node_stop "$n" || true
		fi
	done
}
