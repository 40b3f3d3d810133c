#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# An address of a common size is taken and given back with at most 50 instructions in steady state, counted by callgrind
# inside the two functions. The limit holds for gcc on x86-64.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

program=$scratch/iova_instructions
"$CC" -std=gnu11 -O2 -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" "$here/iova_instructions.c" "$VIRTQ_STATIC" -o "$program"

# collected ROUNDS: instructions of what is counted
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='virtq_iova_cache_alloc' --toggle-collect='virtq_iova_cache_free' "$program" "$1" 2>&1 |
        awk '/Collected/ {print $4}'
}

# Start-up, in which addresses come from the allocator, cancels out.
each=$(awk -v a="$(collected 20)" -v b="$(collected 60)" 'BEGIN {printf "%.1f", (b - a) / (40 * 32)}')
echo "allocate and free: $each instructions, at most 50"
awk -v each="$each" 'BEGIN {exit !(each > 0 && each <= 50)}' || fail "allocate and free take $each instructions, more than 50"
