# shellcheck shell=bash
# Sourced: starting, watching and stopping the daemon of a service.
#
# A service defines, in dev/<service>/service.sh:
#   <service>_packages   prints the packages that are missing, one a line
#   <service>_ports      prints the ports it is to listen on, clients' first
#   <service>_mark       prints an argument that only our own process of it has
#   <service>_launch     prepares what it needs and calls `daemon` with its command
#   <service>_answers    succeeds if it really serves requests
#   <service>_url        prints the address for clients
# and <SERVICE>_PROGRAM, the name its process has, <SERVICE>_START_SECONDS, the most it may
# take to answer, <SERVICE>_STOP_SIGNAL.

home_of() {
    echo "$LOCAL/$1"
}

setting_of() {
    local name=${1^^}_$2
    echo "${!name}"
}

pid_of() {
    local pid
    { read -r pid <"$(home_of "$1")/pid"; } 2>/dev/null && [[ $pid =~ ^[1-9][0-9]*$ ]] && echo "$pid"
}

# A pid alone proves nothing: after a reboot, or in a copied tree, it may be anyone's. The
# arguments are looked at rather than the working directory, which only root with full
# capabilities may see of another user's process.
is_running() {
    local pid name
    pid=$(pid_of "$1") || return
    { read -r name <"/proc/$pid/comm"; } 2>/dev/null || return
    [[ $name == "$(setting_of "$1" PROGRAM)" ]] &&
        grep --null-data --quiet --line-regexp --fixed-strings -e "$("$1_mark")" "/proc/$pid/cmdline" 2>/dev/null
}

# The port for clients: of the running process if there is one, whatever is set now.
port_of() {
    local port
    if is_running "$1" && { read -r port <"$(home_of "$1")/port"; } 2>/dev/null; then
        echo "$port"
    else
        wanted_port_of "$1"
    fi
}

wanted_port_of() {
    local ports
    read -ra ports <<<"$("$1_ports")"
    echo "${ports[0]}"
}

is_listening() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Fills in a configuration: render FROM TO NAME=VALUE... puts VALUE wherever FROM has @NAME@.
render() {
    local text assignment
    text=$(<"$1")
    for assignment in "${@:3}"; do
        text=${text//@"${assignment%%=*}"@/"${assignment#*=}"}
    done
    printf '%s\n' "$text" >"$2"
}

# Runs a command that may take long, its output going to a file, with a line now and then.
with_progress() {
    local message=$1 output=$2 pid begun=$SECONDS told=$SECONDS
    shift 2
    "$@" </dev/null >"$output" 2>&1 9>&- &
    pid=$!
    # Interrupted, it must not go on beside the next run.
    trap 'kill "$pid" 2>/dev/null; exit 143' TERM
    say "$message"
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if (( SECONDS - told >= 5 )); then
            told=$SECONDS
            say "$message ($(( SECONDS - begun )) s so far)"
        fi
    done
    trap - TERM
    wait "$pid"
}

# Starts a service's process so that it outlives this script and keeps nothing of it open, be it
# a terminal, a pipe or the lock. It has the pid of the subshell, as setsid and whatever precedes
# the program in the command only exec.
daemon() {
    local service=$1 log=$2 descriptor
    shift 2
    (
        for descriptor in "/proc/$BASHPID/fd"/*; do
            descriptor=${descriptor##*/}
            (( descriptor <= 2 )) || exec {descriptor}>&-
        done
        exec setsid "$@" </dev/null >>"$log" 2>&1
    ) &
    echo $! >"$(home_of "$service")/pid"
}

start() {
    local service=$1 home port log
    home=$(home_of "$service")
    if is_running "$service"; then
        port=$(port_of "$service")
        [[ $port == "$(wanted_port_of "$service")" ]] ||
            die "$service runs on port $port already; dev/services down first to move it to $(wanted_port_of "$service")"
    else
        for port in $("${service}_ports"); do
            ! is_listening "$port" ||
                die "$service cannot start: port $port is taken by something that dev/services did not start here; ONRUSH_${service^^}_PORT sets another"
        done
        mkdir -p "$home"
        for log in "$home"/*.log; do
            [[ ! -e $log ]] || mv "$log" "$log.previous"
        done
        wanted_port_of "$service" >"$home/port"
        "${service}_launch"
    fi
    await "$service"
}

await() {
    local service=$1 limit begun=$SECONDS told=$SECONDS
    limit=$(setting_of "$service" START_SECONDS)
    until "${service}_answers"; do
        is_alive "$service" || give_up "$service" "stopped while starting"
        (( SECONDS - begun < limit )) || give_up "$service" "does not answer after $limit s"
        if (( SECONDS - told >= 5 )); then
            told=$SECONDS
            say "$service: waiting for an answer on port $(port_of "$service") ($(( SECONDS - begun )) s, at most $limit)"
        fi
        sleep 0.1
    done
    is_running "$service" ||
        give_up "$service" "stopped while starting, and something else answers on its port"
}

# Just after its start the process is not yet the program that is_running looks for.
is_alive() {
    kill -0 "$(pid_of "$1")" 2>/dev/null || is_running "$1"
}

give_up() {
    local log
    for log in "$(home_of "$1")"/*.log; do
        [[ -s $log ]] || continue
        say "--- the end of $log"
        tail -n 30 "$log" >&2
    done
    die "$1 $2"
}

# Asks the process to end, and ends it after a while.
stop() {
    local service=$1 pid home begun=$SECONDS told=$SECONDS
    home=$(home_of "$service")
    if is_running "$service"; then
        pid=$(pid_of "$service")
        kill -s "$(setting_of "$service" STOP_SIGNAL)" "$pid"
        while is_running "$service"; do
            if (( SECONDS - begun >= 30 )); then
                say "$service: still there after 30 s; killing it"
                kill -s KILL "$pid" || true
                begun=$SECONDS
            elif (( SECONDS - told >= 5 )); then
                told=$SECONDS
                say "$service: waiting for pid $pid to end"
            fi
            sleep 0.1
        done
        say "$service stopped"
    else
        say "$service is not running"
    fi
    rm -f "$home/pid" "$home/port"
}
