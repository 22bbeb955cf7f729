# lib.sh
#	  What scripts/check, scripts/demo and scripts/dev have in common.
#
# Sourced, not run.  Three things live here:
#
# The workshop: a copy of the sources in a folder of its own, where an
# unprivileged user builds.  The checkout is only read, so it may belong to
# somebody else, and the servers, which refuse root, can run from it.
#
# The private root: the extension is installed under $WORKSHOP/root, beside
# copies of the server's programs and links to the rest of its files.
# PostgreSQL finds its libraries relative to the program that runs, so these
# servers see the extension and the system's own servers do not.
#
# The cluster: nodes 1..n, each a folder $CLUSTER/node<n>, on loopback ports,
# with password authentication between them, and for people a socket in a
# folder that only the owner can enter.
#
# Copyright (c) 2026, store contributors

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# ----------------------------------------------------------------------------
# Packages
# ----------------------------------------------------------------------------

# Run as root, by sudo if need be.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root or sudo to run: $*"
	fi
}

# The newest installed server of version 15 or later with what it takes to
# build against it; prints its pg_config.
find_pg_config()
{
	local candidate version

	for candidate in ${PG_CONFIG:-} \
		$(ls -d /usr/lib/postgresql/*/bin/pg_config 2>/dev/null | sort -t/ -k5,5nr); do
		candidate=$(command -v "$candidate") || continue
		version=$("$candidate" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
		if [ "$version" -ge 15 ] &&
			[ -x "$("$candidate" --bindir)/postgres" ] &&
			[ -e "$("$candidate" --pgxs)" ] &&
			[ -e "$("$candidate" --includedir-server)/postgres.h" ]; then
			say "$candidate"
			return
		fi
	done
	return 1
}

# The distribution's packages that are missing, one a line.
missing_packages()
{
	local version

	command -v gcc >/dev/null && command -v make >/dev/null || say build-essential
	perl -MIPC::Run -e 1 2>/dev/null || say libipc-run-perl
	command -v prove >/dev/null || say perl
	/usr/bin/python3 -c 'import psycopg2' 2>/dev/null || say python3-psycopg2
	/usr/bin/python3 -c 'import yaml' 2>/dev/null || say python3-yaml
	command -v clang >/dev/null || say clang
	command -v clang-tidy >/dev/null || say clang-tidy
	# the fuzzer's and the sanitizers' runtime: where it is a package of its own,
	# clang only recommends it
	ls "$(clang -print-resource-dir 2>/dev/null)"/lib/*/libclang_rt.fuzzer*.a \
		>/dev/null 2>&1 || ! apt-cache show libclang-rt-dev >/dev/null 2>&1 ||
		say libclang-rt-dev
	[ -e /usr/include/postgresql/libpq-fe.h ] || say libpq-dev
	[ -z "${NEEDS_GNUPLOT:-}" ] || command -v gnuplot >/dev/null || say gnuplot-nox
	if ! find_pg_config >/dev/null; then
		version=$(apt-cache depends postgresql 2>/dev/null |
			sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
		say "postgresql-${version:-15}"
		say "postgresql-server-dev-${version:-15}"
	fi
}

# Install what is missing, from the distribution and nowhere else.  A new
# server package would create and start a cluster named "main"; a drop-in
# keeps it from doing so for just as long as the installation takes.
ensure_packages()
{
	local dropin=/etc/postgresql-common/createcluster.d/store-no-main-cluster.conf
	local version
	local -a packages apt

	[ -n "$(missing_packages)" ] || return 0
	command -v apt-get >/dev/null ||
		die "missing, and this is no Debian or Ubuntu: $(missing_packages | tr '\n' ' ')"
	apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y)

	say "Fetching the package lists"
	as_root "${apt[@]}" update >/dev/null
	mapfile -t packages < <(missing_packages)
	say "Installing ${packages[*]}"
	for version in "${packages[@]}"; do
		case $version in
			postgresql-[0-9]*) [ "${version#postgresql-}" -ge 15 ] ||
				die "this distribution has ${version/-/ }; store needs 15 or later" ;;
		esac
	done
	if [[ " ${packages[*]} " =~ \ postgresql-[0-9] ]]; then
		as_root "${apt[@]}" install --no-install-recommends postgresql-common >/dev/null
		as_root mkdir -p "$(dirname "$dropin")"
		say "create_main_cluster = false" | as_root tee "$dropin" >/dev/null
		# shellcheck disable=SC2064
		trap "as_root rm -f '$dropin'" EXIT
	fi
	as_root "${apt[@]}" install --no-install-recommends "${packages[@]}" >/dev/null
	if [ -e "$dropin" ]; then
		as_root rm -f "$dropin"
		as_root rmdir --ignore-fail-on-non-empty "$(dirname "$dropin")"
		trap - EXIT
	fi
	packages=()
	mapfile -t packages < <(missing_packages)
	[ ${#packages[@]} -eq 0 ] || die "still missing after installation: ${packages[*]}"
}

# Unpack packages of the distribution into $1, without installing them: some would
# start servers.  With each go the libraries it names that are not installed.
borrow_packages()
{
	local folder=$1 name
	local -a wanted

	shift
	mkdir -p "$folder"
	mapfile -t wanted < <(
		for name; do
			say "$name"
			apt-cache depends --important "$name" |
				sed -n 's/^ *Depends: \(lib\(event\|c-\?ares\)[^ ]*\)$/\1/p'
		done | sort -u
	)
	(cd "$folder" && apt-get -q download "${wanted[@]}" >/dev/null 2>&1) || return 1
	for name in "$folder"/*.deb; do
		dpkg -x "$name" "$folder"
		rm "$name"
	done
}

# ----------------------------------------------------------------------------
# The workshop
# ----------------------------------------------------------------------------

# Who runs the servers when root calls: the package's own user.
UNPRIVILEGED=postgres

# Run a command in place of this one, as the unprivileged user if we are root,
# with a clean environment.
exec_unprivileged()
{
	local -a environment
	local name

	environment=(
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		"HOME=$WORKSHOP" "LANG=C.UTF-8" "TERM=${TERM:-dumb}" "TMPDIR=${TMPDIR:-/tmp}"
		"WORKSHOP=$WORKSHOP" "PG_CONFIG=$PG_CONFIG"
	)
	for name in STORE_MANIFESTS STORE_DEV_DIR KEEP SEEDS PROVE_TESTS PROVE_FLAGS BASELINE \
		PG_TEST_TIMEOUT_DEFAULT PAGER PSQLRC BENCH_COMMIT ROUNDS SLICE CLIENTS DEPTH \
		ETCD ETCD_LOAD TORTURE_SECONDS TORTURE_SEED TORTURE_RATE TORTURE_FAULTS STORE_UPGRADE_FROM \
		OBJECTS PARTS WATCH_SECONDS WATCH_SEED WATCH_RATE; do
		if [ -n "${!name:-}" ]; then
			environment+=("$name=${!name}")
		fi
	done
	cd "$WORKSHOP"
	if [ "$(id -u)" -eq 0 ]; then
		exec setpriv --reuid="$UNPRIVILEGED" --regid="$UNPRIVILEGED" --init-groups \
			env -i "${environment[@]}" "$@"
	fi
	exec env -i "${environment[@]}" "$@"
}

# Leave the checkout for a workshop in $1 (default: a new temporary folder),
# and run the same script there, with the arguments that follow.  Returns only
# in the workshop, with WORKSHOP and PG_CONFIG set.
enter_workshop()
{
	local folder=$1
	local script manifests

	shift
	if [ -n "${WORKSHOP:-}" ]; then
		return 0
	fi
	ensure_packages
	PG_CONFIG=$(find_pg_config)
	script=${SCRIPT:-scripts/$(basename "$0")}
	if [ -z "$folder" ]; then
		folder=$(mktemp -d "${TMPDIR:-/tmp}/store-XXXXXX")
		# until the script that runs there takes over
		# shellcheck disable=SC2064
		trap "rm -rf '$folder'" EXIT
	fi
	WORKSHOP=$folder

	# A larger set of manifests may lie beside the checkout.
	manifests=${STORE_MANIFESTS:-../shared/data/manifests.jsonl}
	if [ -r "$manifests" ]; then
		cp "$manifests" "$WORKSHOP/manifests.jsonl"
		chmod 644 "$WORKSHOP/manifests.jsonl"
		STORE_MANIFESTS=$WORKSHOP/manifests.jsonl
	fi

	mkdir -p "$WORKSHOP/src"
	tar -c --exclude=./.git --exclude=./build --exclude=./tmp_check --exclude=./results \
		--exclude='*.o' --exclude='*.bc' --exclude='*.d' --exclude='*.so' . |
		tar -x -C "$WORKSHOP/src" --no-same-owner
	if [ "$(id -u)" -eq 0 ]; then
		chown -R "$UNPRIVILEGED:" "$WORKSHOP"
	fi
	exec_unprivileged "$WORKSHOP/src/$script" "$@"
}

# Show in $2 whatever $1 has and $2 has not, as links.
link_missing()
{
	local from=$1 to=$2 file name

	for file in "$from"/*; do
		name=${file##*/}
		if [ -d "$to/$name" ] && [ ! -L "$to/$name" ]; then
			link_missing "$file" "$to/$name"
		elif [ ! -e "$to/$name" ]; then
			ln -s "$file" "$to/$name"
		fi
	done
}

# Build in the folder $1 with the compiler $2, all output to stdout.
build()
{
	make -s -C "$1" -j "$(nproc)" PG_CONFIG="$PG_CONFIG" CC="$2"
}

# Install from $WORKSHOP/src into the private root, with more arguments for make
# if there are any; sets BINDIR.
install_privately()
{
	local root=$WORKSHOP/root bindir pkglibdir sharedir

	bindir=$("$PG_CONFIG" --bindir)
	pkglibdir=$("$PG_CONFIG" --pkglibdir)
	sharedir=$("$PG_CONFIG" --sharedir)

	make -s -C "$WORKSHOP/src" install PG_CONFIG="$PG_CONFIG" DESTDIR="$root" "$@" >/dev/null
	BINDIR=$root$bindir
	if [ ! -e "$BINDIR/postgres" ]; then
		mkdir -p "$BINDIR"
		cp -L "$bindir"/* "$BINDIR"
		link_missing "$pkglibdir" "$root$pkglibdir"
		link_missing "$sharedir" "$root$sharedir"
	fi
}

find_bindir()
{
	BINDIR=$WORKSHOP/root$("$PG_CONFIG" --bindir)
}

# Print $1 loopback ports that are free, above those the system hands out and
# those that PostgreSQL's test modules take.  Each may be taken before a server
# binds it; see node_start().
free_ports()
{
	perl -MIO::Socket::INET -e '
		my ($want, %found) = @ARGV;
		while ($want > keys %found)
		{
			my $port = 61000 + int(rand(4500));
			next if $found{$port};
			my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1",
				LocalPort => $port) or next;
			$found{$port} = $socket;
		}
		print join(" ", keys %found), "\n";' "$1"
}

# Run a command until it succeeds, at most $1 seconds.
wait_until()
{
	local deadline=$((SECONDS + $1))

	shift
	until "$@"; do
		if [ $SECONDS -ge $deadline ]; then
			return 1
		fi
		sleep 0.1
	done
}
