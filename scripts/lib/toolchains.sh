# shellcheck shell=bash
# To be sourced. `ensure_toolchains` gets other people's programs that tests are done with, from the system's packages (as
# root) where they are missing: CMake, Go and Node for `init`, valgrind to count instructions, Git LFS, bubblewrap, OpenSSL for a certificate. Says what to
# install where it can't.

ensure_toolchains() {
    local missing=() program
    local -A package=([cmake]=cmake [go]=golang-go [node]=nodejs [npm]=npm [make]=make [valgrind]=valgrind [git-lfs]=git-lfs [bwrap]=bubblewrap [openssl]=openssl)
    for program in "${!package[@]}"; do
        command -v "$program" >/dev/null 2>&1 || missing+=("${package[$program]}")
    done
    ((${#missing[@]})) || return 0
    echo "installing ${missing[*]}" >&2
    if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 && return 0
    fi
    echo "these are missing, and tests need them: ${missing[*]}" >&2
    return 1
}
