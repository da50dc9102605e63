# shellcheck shell=bash disable=SC2034 # dev/process.sh reads the settings by their names
# Sourced: PostgreSQL. See dev/process.sh for what these functions are for.

POSTGRES_PROGRAM=postgres
POSTGRES_START_SECONDS=30
# The fast shutdown: clients are disconnected rather than waited for.
POSTGRES_STOP_SIGNAL=INT

POSTGRES_OLDEST=15

# The folders of installed versions that are new enough, newest first.
postgres_versions() {
    local folder version
    for folder in /usr/lib/postgresql/*/bin; do
        version=$(basename "$(dirname "$folder")")
        [[ -x $folder/initdb && -x $folder/postgres && $version =~ ^[0-9]+$ ]] || continue
        (( version < POSTGRES_OLDEST )) || echo "$version"
    done | sort --reverse --numeric-sort
}

postgres_packages() {
    [[ -n $(postgres_versions) ]] || echo postgresql
}

postgres_ports() {
    echo "${ONRUSH_POSTGRES_PORT:-21432}"
}

# The folder of the binaries: of the version that made the data, or else the newest.
postgres_binaries() {
    local versions version
    mapfile -t versions < <(postgres_versions)
    (( ${#versions[@]} )) || die "no PostgreSQL $POSTGRES_OLDEST or newer below /usr/lib/postgresql"
    { read -r version <"$(postgres_data)/PG_VERSION"; } 2>/dev/null || version=${versions[0]}
    [[ -d /usr/lib/postgresql/$version/bin ]] ||
        die "the data in $(postgres_data) is of PostgreSQL $version, which is not installed"
    echo "/usr/lib/postgresql/$version/bin"
}

# PostgreSQL refuses to run as root. (setpriv, unlike runuser, leaves no process in between.)
POSTGRES_AS=()
if (( EUID == 0 )); then
    POSTGRES_AS=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi

# The data folder: .local/postgres/data, or what that links to.
postgres_data() {
    readlink --canonicalize "$(home_of postgres)/data"
}

postgres_mark() {
    postgres_data
}

# Where the user postgres cannot reach .local, such as below /root, the data is outside, in a
# folder named after this checkout, and .local/postgres/data links to it.
postgres_place_data() {
    local home outside
    home=$(home_of postgres)
    outside=/var/tmp/onrush-$(cksum <<<"$home" | cut -d' ' -f1)/postgres
    # A link to elsewhere came with a copied tree.
    if [[ -L $home/data && $(readlink "$home/data") != "$outside/data" ]]; then
        rm "$home/data"
    fi
    if [[ -e $home/data || -L $home/data ]] || "${POSTGRES_AS[@]}" test -x "$home"; then
        return
    fi
    # What is there already is of an earlier .local, which is gone.
    [[ ! -e $outside || -O $outside ]] || die "$outside belongs to another user"
    rm -rf "$outside"
    mkdir -p "$outside"
    ln -s "$outside/data" "$home/data"
}

# Made under another name first: a folder of the final name is complete.
postgres_create_data() {
    local binaries=$1 data=$2 log=$3
    say "postgres: creating $data with $("$binaries/initdb" --version)"
    rm -rf "$data.new"
    mkdir -m 700 "$data.new"
    (( EUID != 0 )) || chown postgres: "$data.new"
    # Only this machine can connect, so everyone on it may.
    "${POSTGRES_AS[@]}" "$binaries/initdb" -D "$data.new" --auth=trust -U onrush -E UTF8 --locale=C.UTF-8 \
        </dev/null >>"$log" 2>&1 || give_up postgres "could not be initialised"
    "${POSTGRES_AS[@]}" "$binaries/postgres" --single -D "$data.new" postgres \
        <<<"CREATE DATABASE onrush" >>"$log" 2>&1 || give_up postgres "could not be given its database"
    # What initdb found out about this machine is kept; ours comes after it.
    echo "include 'onrush.conf'" >>"$data.new/postgresql.conf"
    mv "$data.new" "$data"
}

# A crash leaves a postmaster.pid, which PostgreSQL itself copes with, unless its pid is by now
# another process's, or the tree was copied from one where the server runs.
postgres_drop_stale_pid() {
    local file=$1/postmaster.pid pid
    { read -r pid <"$file"; } 2>/dev/null || return 0
    if [[ -e /proc/$pid ]] && ! grep -zqxF -e "$1" "/proc/$pid/cmdline"; then
        rm -f "$file"
    fi
}

postgres_launch() {
    local home data binaries
    home=$(home_of postgres)
    postgres_place_data
    data=$(postgres_data)
    binaries=$(postgres_binaries)
    [[ -d $data ]] || postgres_create_data "$binaries" "$data" "$home/postgres.log"
    postgres_drop_stale_pid "$data"
    render "$DEV/postgres/onrush.conf" "$data/onrush.conf" "PORT=$(postgres_ports)"
    (( EUID != 0 )) || chown postgres: "$data/onrush.conf"
    daemon postgres "$home/postgres.log" "${POSTGRES_AS[@]}" "$binaries/postgres" -D "$data"
}

postgres_answers() {
    "$(postgres_binaries)/pg_isready" -q -h 127.0.0.1 -p "$(port_of postgres)" -U onrush -d onrush
}

postgres_url() {
    echo "postgres://onrush@127.0.0.1:$(port_of postgres)/onrush"
}
