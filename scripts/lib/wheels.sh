# shellcheck shell=bash
# Sourced: ensure_wheels DIRECTORY PACKAGE==VERSION... makes a virtual environment in target/tools/DIRECTORY that holds these, and makes
# it again when a version or the Python under it changes. Fails where they can't be had.

ensure_wheels() {
    local venv=target/tools/$1 stamp
    shift
    stamp="$* $(python3 -c 'import sys; print(sys.version, sys.base_prefix)')" || return 1
    if [[ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]]; then
        rm -rf "$venv"
        python3 -m venv "$venv" >&2 || return 1
        "$venv/bin/python3" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "$@" >&2 || return 1
        echo "$stamp" >"$venv/stamp"
    fi
}
