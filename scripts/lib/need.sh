# shellcheck shell=bash
# Sourced: need PROGRAM HOW_TO_GET_IT stops with a message where a program is missing.

need() {
    command -v "$1" >/dev/null 2>&1 && return
    printf '%s: %s is missing: %s\n' "$(basename "$0")" "$1" "$2" >&2
    exit 1
}
