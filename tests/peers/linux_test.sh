#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Debian's Linux in QEMU drives examples/vhost-user-blk, with no IOMMU between them: formats, queues, small rings, the driver taken away and
# given back, the firmware's driver before Linux's, bounce buffers, memory in two regions.
set -euo pipefail
# shellcheck source=linux/linux.sh
. "$(cd "$(dirname "$0")" && pwd)/linux/linux.sh"
linux_setup linux
disk_setup amd64-6.1
kernel=amd64-6.1
quiet=(-bios qboot.rom) # a firmware that leaves disks alone, and is faster

split="packed=0 event=1 indirect=1 platform=0"
packed="packed=1 event=1 indirect=1 platform=0"
if [ "${VIRTQ_PEERS:-quick}" != all ]; then
    disk_run linux-split-small-ring $kernel "$split" ",queue-size=16" "" "${quiet[@]}"
    disk_queues=2
    disk_run linux-packed-2-queues $kernel "$packed" ",packed=on" "" "${quiet[@]}"
    guest_total
    exit 0
fi

# disk_served LABEL PATTERN: how what the disk says begins, regardless of what follows
disk_served() {
    chosen "$1" || return 0
    [[ $(cat "$work/$1.backend.said") =~ ^$2 ]] || { cat "$work/$1.backend.said" >&2; fail "$1: the disk was not used like this: $2"; }
}

# disk_bounced LABEL: all buffers lie in 1 MiB, the kernel's pool if it says where that is; and the program's memory does not.
disk_bounced() {
    local first last from to
    chosen "$1" || return 0
    read -r first last < <(disk_buffers "$1")
    (((first > 0 && last - first < 1048576))) || fail "$1: buffers from $first to $last, in no pool of 1 MiB"
    while read -r from to; do
        ((first >= from && last <= to)) || fail "$1: buffers from $first to $last, and the pool is from $from to $to"
    done < <(sed -nE 's/^guest: pool (0x[0-9a-f]+) to (0x[0-9a-f]+).*/\1 \2/p' "$work/$1.log")
    while read -r from to; do
        ((from < first || to > last)) && return 0
    done < <(sed -nE 's/^guest: thread [0-9]+ has memory from (0x[0-9a-f]+) to (0x[0-9a-f]+).*/\1 \2/p' "$work/$1.log")
    fail "$1: the program's own memory is not known to lie outside"
}

disk_setup arm64-6.1
for format in split packed; do
    expect=${!format}
    properties=$([ $format = split ] || echo ",packed=on")
    for disk_queues in 1 2; do
        disk_run linux-$format-$disk_queues $kernel "$expect" "$properties" "" "${quiet[@]}"
        disk_run linux-$format-$disk_queues-plain-rings $kernel "${expect/event=1 indirect=1/event=0 indirect=0}" \
            "$properties,event_idx=off,indirect_desc=off" "" "${quiet[@]}"
        disk_rounds=5 disk_ops=150 disk_run linux-$format-$disk_queues-rebind-small-ring $kernel "$expect" "$properties,queue-size=16" "" "${quiet[@]}"
        # The firmware's driver reads a sector; it knows split rings only, without event index and indirect tables.
        serving=(--log)
        disk_run linux-$format-$disk_queues-after-firmware $kernel "$expect" "$properties" ""
        disk_served linux-$format-$disk_queues-after-firmware $'features 0x100000044\nring 0: [1-9][0-9]* buffers, 0 bad, '
        # All that the device may see lies in a pool of 1 MiB, wherever the program's memory lies.
        disk_run linux-$format-$disk_queues-swiotlb $kernel "${expect/platform=0/platform=1}" "$properties,iommu_platform=on,disable-legacy=on" \
            "swiotlb=512,force" "${quiet[@]}"
        disk_bounced linux-$format-$disk_queues-swiotlb
        disk_run linux-arm-$format-$disk_queues-swiotlb arm64-6.1 "${expect/platform=0/platform=1}" "$properties,iommu_platform=on,disable-legacy=on" \
            "swiotlb=512,force"
        disk_bounced linux-arm-$format-$disk_queues-swiotlb
        disk_said linux-arm-$format-$disk_queues-swiotlb "^guest: pool 0x"
        serving=()
    done
    # Each thread's buffers lie elsewhere: below the gap for PCI, and behind it.
    disk_queues=2 memory=384M disk_ballast=60
    disk_run linux-$format-two-regions $kernel "$expect" "$properties" "" "${quiet[@]}" -machine max-ram-below-4g=192M
    disk_said linux-$format-two-regions "memory from 0x1[0-9a-f]{8} "
    disk_said linux-$format-two-regions "memory from 0x[0-9a-f]{7} "
    memory=256M disk_ballast=0 # as it was
done
memory=3G disk_run linux-split-3g $kernel "$split" "" ""
guest_total
