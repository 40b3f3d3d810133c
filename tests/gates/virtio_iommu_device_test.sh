#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The virtio-iommu device at 65536 mappings in a domain, counted by callgrind. A MAP request is counted from the entry of
# virtq_virtio_iommu_device_handle() to its answer written, parsing included, in two ways: mappings that come again after they
# went, and the last 4096 of a domain that is being filled. A translation is virtq_virtio_iommu_endpoint_translate(), to a
# guest-physical address; a window is that, the memory's table and the seam. Addresses are random. The limits hold for gcc on x86-64.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
need_callgrind

program=$scratch/virtio_iommu_device
"$CC" -std=gnu11 -O2 -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" "$here/virtio_iommu_device.c" "$VIRTQ_STATIC" -o "$program"

# collected FUNCTION ARGUMENT...: instructions inside the function
collected() {
    local function=$1
    shift
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$function" "$program" "$@" 2>&1 | awk '/Collected/ {print $4}'
}

# judge WHAT LIMIT BEFORE AFTER COUNT
judge() {
    local each
    each=$(awk -v a="$3" -v b="$4" -v n="$5" 'BEGIN {printf "%.1f", (b - a) / n}')
    echo "$1: $each instructions, at most $2"
    awk -v each="$each" -v limit="$2" 'BEGIN {exit !(each > 0 && each <= limit)}' || fail "$1 takes $each instructions, more than $2"
}

for order in random up down; do
    judge "MAP when full, $order" 400 "$(collected map_again $order 65536 64 0 0)" "$(collected map_again $order 65536 128 0 0)" 4096
    judge "MAP while filling, $order" 800 "$(collected virtq_virtio_iommu_device_handle $order 61440 0 0 0)" \
        "$(collected virtq_virtio_iommu_device_handle $order 65536 0 0 0)" 4096
    judge "translate, $order" 150 0 "$(collected virtq_virtio_iommu_endpoint_translate $order 65536 64 4096 0)" 4096
done
judge "window, random" 300 0 "$(collected virtq_space_translate random 65536 64 0 4096)" 4096
