#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What it takes to find the window of a random address, counted by callgrind inside the lookup of each table: among 64
# windows, and among 65536. The limits hold for gcc on x86-64; they are what is measured, and a tenth.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

program=$scratch/lookup
"$CC" -std=gnu11 -O2 -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" "$here/lookup.c" "$VIRTQ_STATIC" -o "$program"

# collected FUNCTION TABLE WINDOWS LOOKUPS: instructions inside the function
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$1" "$program" "$2" "$3" "$4" 2>&1 |
        awk '/Collected/ {print $4}'
}

# judge FUNCTION TABLE WINDOWS LIMIT: what is done once cancels out
judge() {
    local each
    each=$(awk -v a="$(collected "$1" "$2" "$3" 500)" -v b="$(collected "$1" "$2" "$3" 1500)" \
        'BEGIN {printf "%.1f", (b - a) / 1000}')
    echo "$2, $3 windows: $each instructions, at most $4"
    awk -v each="$each" -v most="$4" 'BEGIN {exit !(each > 0 && each <= most)}' ||
        fail "$2, $3 windows: $each instructions, more than $4"
}

judge virtq_iotlb_lookup iotlb 64 153
judge virtq_iotlb_lookup iotlb 65536 290
judge virtq_domain_lookup domain 64 176
judge virtq_domain_lookup domain 65536 314
judge direct_window direct 64 168
judge direct_window direct 65536 359
