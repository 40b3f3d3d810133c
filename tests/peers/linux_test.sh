#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Debian's Linux in QEMU drives examples/vhost-user-blk, with no IOMMU between them: formats, queues, small rings, the driver taken away and
# given back, the firmware's driver before Linux's, memory in two regions.
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
    disk_run linux-split $kernel "$split" "" "" "${quiet[@]}"
    disk_queues=2
    disk_run linux-packed-2-queues $kernel "$packed" ",packed=on" "" "${quiet[@]}"
    guest_total
    exit 0
fi

for format in split packed; do
    expect=${!format}
    properties=$([ $format = split ] || echo ",packed=on")
    for disk_queues in 1 2; do
        disk_run linux-$format-$disk_queues $kernel "$expect" "$properties" "" "${quiet[@]}"
        disk_run linux-$format-$disk_queues-plain-rings $kernel "${expect/event=1 indirect=1/event=0 indirect=0}" \
            "$properties,event_idx=off,indirect_desc=off" "" "${quiet[@]}"
        disk_rounds=5 disk_ops=150 disk_run linux-$format-$disk_queues-rebind-small-ring $kernel "$expect" "$properties,queue-size=16" "" "${quiet[@]}"
        # The firmware's driver knows split rings only, without event index and indirect tables.
        disk_run linux-$format-$disk_queues-after-firmware $kernel "$expect" "$properties" ""
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
