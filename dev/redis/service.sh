# shellcheck shell=bash disable=SC2034 # dev/process.sh reads the settings by their names
# Sourced: Redis. See dev/process.sh for what these functions are for.

REDIS_PROGRAM=redis-server
REDIS_START_SECONDS=30
REDIS_STOP_SIGNAL=TERM

redis_packages() {
    if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null; then
        echo redis-server
    fi
}

redis_ports() {
    echo "${ONRUSH_REDIS_PORT:-21379}"
}

redis_mark() {
    echo "$(home_of redis)/redis.conf"
}

redis_launch() {
    local home
    home=$(home_of redis)
    mkdir -p "$home/data"
    render "$DEV/redis/redis.conf" "$home/redis.conf" "PORT=$(redis_ports)" "DATA=$home/data"
    daemon redis "$home/redis.log" redis-server "$home/redis.conf"
}

redis_answers() {
    # A server that still reads its data answers with an error instead.
    [[ $(redis-cli -h 127.0.0.1 -p "$(port_of redis)" ping 2>/dev/null) == PONG ]]
}

redis_url() {
    echo "redis://127.0.0.1:$(port_of redis)"
}
