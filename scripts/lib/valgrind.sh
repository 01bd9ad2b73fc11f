# shellcheck shell=bash
# Sourced: ensure_valgrind sees to it that `valgrind`, which counts instructions, is there: else it is installed
# from the system's packages (as root).

ensure_valgrind() {
    command -v valgrind >/dev/null && return
    echo 'installing valgrind' >&2
    if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind; } >&2 || true
    fi
    need valgrind "install it (apt-get install valgrind)"
}
