#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a buffer of 64 bytes costs in a pool, all copies included, counted by callgrind: mapped and unmapped
# through slots of a queue's own (zeroed again), or prepared and completed in a slot of its own; and staged in a region, in slots of a
# queue's own (filled with what the caller had). The limits hold for gcc on x86-64 with -O2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

include=(-I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include")
program=$scratch/swiotlb
"$CC" -std=gnu11 -O2 "${include[@]}" "$here/swiotlb.c" "$VIRTQ_STATIC" -o "$program"

# collected KIND PART ROUNDS: instructions inside the functions of that kind
collected() {
    local counted=mapped
    [ "$1" != persistent ] || counted=persistent
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="count_${counted}_*" \
        "$program" "$1" "$2" "$3" 2>&1 | awk '/Collected/ {print $4}'
}

# measure KIND PART: start-up cancels out between two lengths of run
measure() {
    local short long
    short=$(collected "$1" "$2" 100)
    long=$(collected "$1" "$2" 300)
    awk -v a="$short" -v b="$long" 'BEGIN {printf "%.1f", (b - a) / 200}'
}

# limit WHAT COUNT LIMIT
limit() {
    printf '%-40s %6s instructions per buffer, at most %s\n' "$1" "$2" "$3"
    awk -v each="$2" -v limit="$3" 'BEGIN {exit !(each <= limit)}' || fail "$1 takes $2 instructions, more than $3"
}

# judge KIND SHAPE WHAT LIMIT
judge() {
    local each
    each=$(measure "$1" "$2")
    awk -v each="$each" 'BEGIN {exit !(each > 0)}' || fail "nothing was counted"
    limit "$3, $2" "$each" "$4"
}

for part in readable writable; do
    dynamic=$(measure dynamic "$part")
    awk -v each="$dynamic" 'BEGIN {exit !(each > 0)}' || fail "nothing was counted"
    limit "dynamic slot, 64 $part bytes" "$dynamic" 150
    persistent=$(measure persistent "$part")
    awk -v each="$persistent" 'BEGIN {exit !(each > 0)}' || fail "nothing was counted"
    limit "persistent slot, 64 $part bytes" "$persistent" 145
    limit "dynamic less persistent" "$(awk -v a="$dynamic" -v b="$persistent" 'BEGIN {printf "%.1f", a - b}')" 50
done

# Of more segments: what each costs more is a copy and its book-keeping, not the long way.
while read -r shape most; do
    judge dynamic "$shape" "dynamic slot" "$most"
done <<EOT
header-payload 290
payload-status 325
header-payload-status 375
header-reply-status 385
EOT

# Of several pools: which one it is, and whether it still is one, is looked up besides.
while read -r shape most; do
    judge group "$shape" "slot of a group" "$most"
done <<EOT
readable 200
writable 220
header-reply-status 445
EOT

# A region's slot takes the general way to stage, but asks nobody.
while read -r shape most; do
    judge staged "$shape" "staged in a slot kept" "$most"
done <<EOT
readable 360
writable 415
header-reply-status 620
EOT
