# shellcheck shell=bash
# To be sourced. `ensure_toolchains` gets the build tools that `init` is tried with: CMake, Go and Node from the
# system's packages (as root) where they are missing. Says what to install where it can't.

ensure_toolchains() {
    local missing=() program
    local -A package=([cmake]=cmake [go]=golang-go [node]=nodejs [npm]=npm [make]=make)
    for program in cmake go node npm make; do
        command -v "$program" >/dev/null 2>&1 || missing+=("${package[$program]}")
    done
    ((${#missing[@]})) || return 0
    echo "installing ${missing[*]}" >&2
    if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 && return 0
    fi
    echo "these are missing, and tests of \`init\` need them: ${missing[*]}" >&2
    return 1
}
