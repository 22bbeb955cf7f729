# docs.sh
#	  What the comments of the documents may call; see 120_docs.pl.
#
# Sourced by the script that is made of a document.  HOME is a folder of its own,
# and the current one.
#
# Copyright (c) 2026, store contributors

export PGDATABASE=postgres PGPASSFILE=$HOME/.pgpass
PATH=$HOME/bin:$PATH
mkdir "$HOME/bin"
printf '#!/bin/sh\nexec "$@"\n' >"$HOME/bin/sudo"
chmod +x "$HOME/bin/sudo"
cd "$HOME"

# End whatever the document left running; if it failed, show what the servers said.
finish()
{
	local status=$? pid

	if [ $status -ne 0 ]; then
		find "$HOME" \( -name '*.log' -o -name log \) -exec tail -n 5 {} + || true
	fi
	find "$HOME" -name postmaster.pid | while read -r pid; do
		pg_ctl -D "$(dirname "$pid")" -m immediate -s stop || true
	done
}
trap finish EXIT

# Let SQL and psql without -h go to this host.
use()
{
	export PGHOST=$1
}

# Servers on these hosts that preload store, and know the password of each other.
servers()
{
	local name

	if [ ! -e "$HOME/template" ]; then
		(umask 077 && echo '*:*:*:*:not-a-secret' >"$PGPASSFILE")
		echo not-a-secret >"$HOME/password"
		initdb -D "$HOME/template" -A scram-sha-256 --pwfile="$HOME/password" \
			-E UTF8 --locale=C.UTF-8 -N >/dev/null
		cat >>"$HOME/template/postgresql.conf" <<-'CONF'
			shared_preload_libraries = 'store'
			unix_socket_directories = ''
			shared_buffers = 32MB
			max_connections = 30
			fsync = off
		CONF
	fi
	for name; do
		cp -R "$HOME/template" "$HOME/$name"
		printf "%s\n" "listen_addresses = '$name'" "store.node_name = '$name'" \
			>>"$HOME/$name/postgresql.conf"
		pg_ctl -D "$HOME/$name" -l "$HOME/$name.log" -w -s start
	done
	use "$1"
}

# Servers that are members of one cluster.
cluster()
{
	local name

	servers "$@"
	for name; do
		psql -X -q -h "$name" -c 'CREATE EXTENSION store'
		[ "$name" = "$1" ] || psql -X -q -h "$name" -c "SELECT store.join('host=$1')" >/dev/null
	done
}

# Run a command until it succeeds.
until_true()
{
	local deadline=$((SECONDS + ${PG_TEST_TIMEOUT_DEFAULT:-180}))

	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		read -r -t 0.1 <> <(:) || true
	done
}

# Until a query on a host says yes.
wait_for()
{
	until_true says_yes "$1" "$2"
}

says_yes()
{
	[ "$(psql -XAtq -h "$1" -c "$2" 2>/dev/null)" = t ]
}
