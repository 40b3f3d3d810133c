#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What a page costs on either end of zPCI in a range of 1024: in the guest, mapped and unmapped; in the host, refreshed
# after each; and what a translation costs. Counted by callgrind inside three functions; the limits hold for gcc on x86-64.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

program=$scratch/zpci
"$CC" -std=gnu11 -O2 -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" "$here/zpci.c" "$VIRTQ_STATIC" -o "$program"

# collected FUNCTION ROUNDS PAGES: instructions of what is counted
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$1" "$program" "$2" "$3" 2>&1 |
        awk '/Collected/ {print $4}'
}

# judge WHAT FUNCTION PAGES UNITS MOST: start-up cancels out.
judge() {
    local each
    each=$(awk -v a="$(collected "$2" 10 "$3")" -v b="$(collected "$2" 30 "$3")" -v units="$4" \
        'BEGIN {printf "%.1f", (b - a) / (20 * units)}')
    echo "$1: $each instructions, at most $5"
    awk -v each="$each" -v most="$5" 'BEGIN {exit !(each > 0 && each <= most)}' || fail "$1: $each instructions, more than $5"
}

judge "a page mapped and unmapped by the guest" guest_work 1024 1024 30
judge "a page refreshed twice by the host" host_work 1024 1024 150
judge "one page mapped and unmapped by the guest" guest_work 1 1 1500
judge "one page refreshed twice by the host" host_work 1 1 2200
judge "a translation, and one of what is not there" device_work 1 1 600
