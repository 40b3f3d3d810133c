#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a mux adds to a buffer of three segments, counted by callgrind inside its map and unmap, with members that only compute: at
# most 700 instructions if one member has them all, 1600 if three do. The limits hold for gcc on x86-64.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

program=$scratch/mux_instructions
"$CC" -std=gnu11 -O2 -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" "$here/mux_instructions.c" "$VIRTQ_STATIC" -o "$program"

# collected ROUNDS WAY: instructions of what is counted
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='virtq_priv_mux_map' --toggle-collect='virtq_priv_mux_unmap' "$program" "$@" 2>&1 |
        awk '/Collected/ {print $4}'
}

# limit WAY MOST WHAT
limit() {
    local each
    each=$(awk -v a="$(collected 100 "$1")" -v b="$(collected 300 "$1")" 'BEGIN {printf "%.0f", (b - a) / 200}')
    echo "$3: $each instructions, at most $2"
    awk -v each="$each" -v most="$2" 'BEGIN {exit !(each > 0 && each <= most)}' || fail "$3: $each instructions, more than $2"
}

limit 0 700 "three segments of one member"
limit 1 1600 "three segments of three members"
