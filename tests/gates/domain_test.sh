#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A page is mapped in a domain with at most 560 instructions, and unmapped by a list of many with at most 440, in steady
# state among hundreds of others: counted by callgrind inside the backend's functions. The limits hold for gcc on x86-64.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

program=$scratch/domain
"$CC" -std=gnu11 -O2 -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" "$here/domain.c" "$VIRTQ_STATIC" -o "$program"

# collected FUNCTION ROUNDS: instructions of what is counted
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$1" "$program" "$2" 2>&1 |
        awk '/Collected/ {print $4}'
}

# at_most FUNCTION LIMIT: instructions a page; start-up cancels out.
at_most() {
    each=$(awk -v a="$(collected "$1" 20)" -v b="$(collected "$1" 60)" 'BEGIN {printf "%.1f", (b - a) / (40 * 128)}')
    echo "$1: $each instructions a page, at most $2"
    awk -v each="$each" -v most="$2" 'BEGIN {exit !(each > 0 && each <= most)}' || fail "$1 takes $each instructions, more than $2"
}

at_most virtq_priv_domain_map 560
at_most virtq_priv_domain_unmap 440
