# SPDX-License-Identifier: BSD-3-Clause
# What the scripts of this directory share.
# shellcheck shell=bash

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# as_root COMMAND...: runs it with the rights to install packages.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "not root and no sudo here; install these by hand: ${missing[*]}"
    fi
}

# need_packages PACKAGE...: installs those Debian packages that are missing. Does nothing, and needs no rights and no network,
# when none is.
need_packages() {
    local package
    missing=()
    command -v dpkg-query >/dev/null || die "this is not Debian; make sure there is: $*"
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    say "installing: ${missing[*]}"
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}")
    # The lists may be there already, or be missing or too old: only then are they fetched.
    as_root "${install[@]}" >/dev/null 2>&1 && return 0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null || die "apt-get update failed"
    as_root "${install[@]}" >/dev/null || die "apt-get could not install: ${missing[*]}"
}
