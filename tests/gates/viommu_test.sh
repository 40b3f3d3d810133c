#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A MAP in a list of 64, and an UNMAP with its flush, cost the driver role of virtio-iommu at most 450 instructions each (split) or 500 (packed), counted by
# callgrind: request, queue, reply, but not what the device does. The limits hold for gcc on x86-64.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

program=$scratch/viommu
"$CC" -std=gnu11 -O2 -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" "$here/viommu.c" "$VIRTQ_STATIC" -o "$program"

# collected FORMAT ROUNDS FUNCTION...: instructions inside the functions, without those of the device
collected() {
    local format=$1 rounds=$2 options=() name
    shift 2
    for name in "$@"; do
        options+=("--toggle-collect=$name")
    done
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "${options[@]}" "$program" "$rounds" "$format" 2>&1 | awk '/Collected/ {print $4}'
}

# each WHAT FORMAT LIMIT FUNCTION...
each() {
    local what=$1 format=$2 limit=$3 cost
    shift 3
    cost=$(awk -v a="$(collected "$format" 20 "$@")" -v b="$(collected "$format" 60 "$@")" 'BEGIN {printf "%.1f", (b - a) / (40 * 64)}')
    echo "$what, $format: $cost instructions, at most $limit"
    awk -v cost="$cost" -v limit="$limit" 'BEGIN {exit !(cost > 0 && cost <= limit)}' || fail "$what takes $cost instructions, more than $limit"
}

for row in split:450 packed:500; do
    each "MAP" "${row%:*}" "${row#*:}" backend_map device_maps
    each "UNMAP and flush" "${row%:*}" "${row#*:}" backend_unmap backend_flush device_unmaps
done
