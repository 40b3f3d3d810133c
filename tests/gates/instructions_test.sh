#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Instructions per buffer do not creep up: one thread, direct space, batches of 32, EVENT_IDX, counted by callgrind, which
# gives the same count however busy the machine is. The limits hold for gcc on x86-64 with -O2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

include=(-I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include")
program=$scratch/instructions
"$CC" -std=gnu11 -O2 "${include[@]}" "$here/instructions.c" "$VIRTQ_STATIC" -o "$program"

# collected FUNCTION FORMAT TIER SEGMENTS ROUNDS: instructions inside functions of that name
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$1" \
        "$program" "$2" "$3" "$4" "$5" 2>&1 | awk '/Collected/ {print $4}'
}

# check END FORMAT TIER SEGMENTS LIMIT: start-up cancels out between two lengths of run
check() {
    local short long each
    short=$(collected "count_$1_*" "$2" "$3" "$4" 20)
    long=$(collected "count_$1_*" "$2" "$3" "$4" 60)
    each=$(awk -v a="$short" -v b="$long" 'BEGIN {printf "%.1f", (b - a) / (40 * 32)}')
    printf '%-7s %-7s %-8s %s segments: %6s instructions per buffer, at most %s\n' "$1" "$2" "$3" "$4" "$each" "$5"
    awk -v each="$each" -v limit="$5" 'BEGIN {exit !(each > 0 && each <= limit)}' ||
        fail "$1 $2 $3 takes $each instructions per buffer of $4 segments, more than $5"
}

check driver split inline 1 60
check driver packed inline 1 82
check device split inline 1 54
check device packed inline 1 68
check driver split library 1 62
check driver packed library 1 85
check device split library 1 56
check device packed library 1 70
check driver split inline 4 183
check driver packed inline 4 190
check device split inline 4 173
check device packed inline 4 180
