#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Four lists of names have to be one: what the headers declare with VIRTQ_API, what lib/libvirtq.map gives a version,
# what libvirtq.so exports, and what exported.txt promises; and the same for libvirtq-host. With --update, the newest node of
# the maps and the lists of promises are written anew from the headers; read the difference before you commit it (docs/abi.md).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"

same() {
    if ! diff -u --label "$1" --label "$2" "$3" "$4"; then
        fail "$1 and $2 differ"
    fi
}

# update MAP PROMISED: from $scratch/declared
update() {
    local map=$1 promised=$2 newest
    newest=$(awk '/^LIBVIRTQ_/ { node = $1 } END { print node }' "$map")
    awk -v node="$newest" '$2 != node { print $1 }' "$scratch/mapped" | LC_ALL=C comm -13 - "$scratch/declared" >"$scratch/new"
    awk -v node="$newest" -v names="$scratch/new" '
        $1 == node { inside = 1 }
        inside && /^}/ { inside = 0 }
        inside && /^ +virtq_/ { next }
        { print }
        inside && /^global:/ { while ((getline name <names) > 0) print "    " name ";" }' "$map" >"$scratch/map"
    cp "$scratch/map" "$map"
    mapped_names "$map" >"$promised"
}

# judge LIBRARY MAP PROMISED SHARED
judge() {
    local library=$1 map=$2 promised=$3 shared=$4 soname
    cut -d' ' -f1 "$scratch/mapped" >"$scratch/mapped.names"
    same "names declared with VIRTQ_API" "names in $library.map" "$scratch/declared" "$scratch/mapped.names"
    same "${promised##*/}" "names and nodes in $library.map" "$promised" "$scratch/mapped"

    # The nodes' own names are absolute symbols (A); everything else that is defined counts.
    nm --dynamic --defined-only --with-symbol-versions "$shared" |
        awk '$2 != "A" { sub(/@@?/, " ", $3); print $3 }' | LC_ALL=C sort >"$scratch/exported"
    same "${promised##*/}" "symbols of $library.so" "$promised" "$scratch/exported"

    soname=$(objdump -p "$shared" | awk '$1 == "SONAME" { print $2 }')
    [ "$soname" = "$library.so.0.1" ] || fail "the soname is $soname"
    echo "$library: $(wc -l <"$scratch/exported") symbols, all four lists agree"
}

# library NAME MAP PROMISED SHARED [host]
library() {
    declared_names "${5-}" >"$scratch/declared"
    mapped_names "$2" >"$scratch/mapped"
    [ -s "$scratch/declared" ] || fail "no VIRTQ_API found in the headers of $1"
    if [ "$mode" = --update ]; then
        update "$2" "$3"
    else
        judge "$@"
    fi
}

mode=${1-}
library libvirtq "$VIRTQ_SOURCE/lib/libvirtq.map" "$here/exported.txt" "$VIRTQ_SHARED"
library libvirtq-host "$VIRTQ_SOURCE/lib/host/libvirtq-host.map" "$here/exported_host.txt" "$VIRTQ_HOST_SHARED" host
[ "$mode" != --update ] || exit 0

# Nothing but libc may be needed, and of that only four functions (the rest is the compiler's start-up code).
needed=$(objdump -p "$VIRTQ_SHARED" | awk '$1 == "NEEDED" && $2 !~ /^libc\.so/ { print $2 }')
[ -z "$needed" ] || fail "libvirtq.so needs $needed"
nm --dynamic --undefined-only "$VIRTQ_SHARED" | awk '$1 != "w" { sub(/@.*/, "", $2); print $2 }' >"$scratch/undefined"
if grep -vxE 'memcpy|memmove|memset|memcmp' "$scratch/undefined"; then
    fail "libvirtq.so uses functions it must not use"
fi
needed=$(objdump -p "$VIRTQ_HOST_SHARED" | awk '$1 == "NEEDED" && $2 !~ /^(libc|libvirtq)\.so/ { print $2 }')
[ -z "$needed" ] || fail "libvirtq-host.so needs $needed"
