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
    # The line `cc NAME.c $(pkg-config ... PACKAGE)` in it, with -luring behind it if that is there.
    options=$(sed -n "s/^ \* *cc $source \$(pkg-config \(.*\))\( -luring\)\{0,1\}\$/\1/p" "$source")
    more=()
    if grep -q "cc $source .* -luring\$" "$source" && echo '#include <liburing.h>' | "$CC" -E - >/dev/null 2>&1; then
        more=(-luring)
    fi
    [ -n "$options" ] || fail "$source does not say how to build it"
    read -ra options <<<"$options"
    read -ra flags <<<"$(pkg-config "${options[@]}")"
    "$CC" "$source" "${flags[@]}" "${more[@]}" -o "$scratch/example" || fail "$source does not build"
    "$scratch/example" >"$scratch/log" || fail "$source: $(cat "$scratch/log")"
    [ -s "$scratch/log" ] || fail "$source says nothing"
    count=$((count + 1))
done
# shorter NAME LINES: with all that it includes from here. The library carries the weight.
shorter() {
    local files lines
    read -ra flags <<<"$(pkg-config --cflags libvirtq-host)"
    read -ra files <<<"$("$CC" -MM -MT '' "${flags[@]}" "$1.c" | tr -d '\\:\n' | tr -s ' ' '\n' | grep -v / | tr '\n' ' ')"
    lines=$(cat "${files[@]}" | wc -l)
    [ "$lines" -gt 0 ] && [ "$lines" -lt "$2" ] || fail "${files[*]}: $lines lines, which is not less than $2"
    echo "${files[*]}: $lines lines"
}

shorter vhost-user-drive 200
shorter vhost-user-blk 300
[ "$count" -ge 4 ] || fail "only $count examples"
echo "$count examples"
