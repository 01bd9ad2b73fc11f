# shellcheck shell=bash
# Sourced: ensure_python puts a Python first in PATH that has what the sample project needs. It lives in
# target/tools and is made again when the pinned requirements or the Python under it change.

ensure_python() {
    local root requirements venv stamp version
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    requirements=$root/tests/fixtures/seed/requirements.txt
    venv=$root/target/tools/venv
    need python3 "install Python 3.10 or newer with its venv module (apt-get install python3 python3-venv)"
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        echo "$(basename "$0"): $(python3 --version) is too old: install Python 3.10 or newer" >&2
        return 1
    fi
    version=$(python3 -c 'import sys; print(sys.version, sys.base_prefix)')
    stamp="$version $(cksum <"$requirements")"
    if [[ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]]; then
        echo "Python packages: making $venv" >&2
        rm -rf "$venv"
        if ! python3 -m venv "$venv"; then
            echo "$(basename "$0"): Python has no venv module: apt-get install python3-venv" >&2
            return 1
        fi
        "$venv/bin/python3" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" >&2
        echo "$stamp" >"$venv/stamp"
    fi
    export PATH="$venv/bin:$PATH"
}
