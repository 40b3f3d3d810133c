#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Each example builds as its first comment says, against an installed libvirtq, and runs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"

"$CMAKE" --install "$VIRTQ_BUILD" --prefix "$scratch/installed" >/dev/null
libdir=$(dirname "$(dirname "$(find "$scratch/installed" -name libvirtq.pc)")")
export PKG_CONFIG_LIBDIR=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR

count=0
cd "$VIRTQ_SOURCE/examples"
for source in *.c; do
    # The line `cc NAME.c $(pkg-config ... PACKAGE)` in it.
    options=$(sed -n "s/^ \* *cc $source \$(pkg-config \(.*\))\$/\1/p" "$source")
    [ -n "$options" ] || fail "$source does not say how to build it"
    read -ra options <<<"$options"
    read -ra flags <<<"$(pkg-config "${options[@]}")"
    "$CC" "$source" "${flags[@]}" -o "$scratch/example" || fail "$source does not build"
    "$scratch/example" >"$scratch/log" || fail "$source: $(cat "$scratch/log")"
    [ -s "$scratch/log" ] || fail "$source says nothing"
    count=$((count + 1))
done
[ "$count" -ge 4 ] || fail "only $count examples"
echo "$count examples"
