#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A packet of 1500 bytes, copied and summed in one pass, takes no more instructions than it did: counted by callgrind, for the
# variants that it can run. The limits hold for gcc on x86-64 with -O2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

# The library's sources anew: the build may be without optimisation.
include=(-I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" -I"$VIRTQ_SOURCE/lib")
program=$scratch/copy
"$CC" -std=gnu11 -O2 "${include[@]}" "$here/copy.c" "$VIRTQ_SOURCE"/lib/copy/*.c -o "$program"

# collected VARIANT ROUNDS: instructions, or nothing where the variant is missing
collected() {
    "$program" "$1" 1 || return 0
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='count_*' "$program" "$1" "$2" 2>&1 |
        awk '/Collected/ {print $4}'
}

# check NAME VARIANT LIMIT: start-up cancels out between two lengths of run
check() {
    local short long each
    short=$(collected "$2" 20)
    long=$(collected "$2" 60)
    if [ -z "$short" ] || [ -z "$long" ]; then
        echo "$1: not on this processor"
        return
    fi
    each=$(awk -v a="$short" -v b="$long" 'BEGIN {printf "%.1f", (b - a) / 40}')
    printf '%-8s %7s instructions per packet of 1500 bytes, at most %s\n' "$1" "$each" "$3"
    awk -v each="$each" -v limit="$3" 'BEGIN {exit !(each > 0 && each <= limit)}' ||
        fail "$1 takes $each instructions per packet, more than $3"
}

check portable 1 1500
check simd128 2 700
check avx2 3 420
