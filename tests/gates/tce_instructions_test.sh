#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Instructions of TCE windows, both ends together, counted by callgrind: a page that is mapped and unmapped, a page of a list
# of 512, and a lookup. The limits hold for gcc on x86-64.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

program=$scratch/tce_instructions
"$CC" -std=gnu11 -O2 -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" "$here/tce_instructions.c" "$VIRTQ_STATIC" -o "$program"

# collected WHAT ROUNDS: instructions of what is counted
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='counted_*' "$program" "$1" "$2" 2>&1 |
        awk '/Collected/ {print $4}'
}

# at_most WHAT PAGES LIMIT: a page of it takes no more
at_most() {
    local each
    each=$(awk -v a="$(collected "$1" 20)" -v b="$(collected "$1" 60)" -v pages="$2" 'BEGIN {printf "%.1f", (b - a) / (40 * pages)}')
    echo "$1: $each instructions, at most $3"
    awk -v each="$each" -v limit="$3" 'BEGIN {exit !(each > 0 && each <= limit)}' || fail "$1 takes $each instructions, more than $3"
}

at_most page 1 900
at_most list 512 160
at_most lookup 1 250
