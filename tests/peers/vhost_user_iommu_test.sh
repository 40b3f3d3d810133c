#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Our disk behind QEMU's virtio-iommu: the back-end knows no address but those that QEMU tells it when it asks. A guest without an operating
# system maps ring, tables and every buffer, unmaps them again, and looks whether what is unmapped is left alone.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc qemu-system-aarch64 timeout
[ -x "$VIRTQ_BUILD/examples/vhost-user-blk" ] || skip "the examples are not built"

# shellcheck disable=SC2034
bus=pci noise=no iommu=yes served=$scratch/disk.sock
guest_modules_pci
guest_build vhost_user_iommu aarch64 aarch64-linux-gnu-gcc 0x40100000 -mgeneral-regs-only -mstrict-align -mno-outline-atomics -DGUEST_PCI -DGUEST_SERVED
properties=,disable-legacy=on,iommu_platform=on
machine=(qemu-system-aarch64 -accel tcg -M "virt,gic-version=2,highmem=off,memory-backend=m0" -cpu cortex-a57 -m 64 -semihosting
    -object "memory-backend-memfd,id=m0,size=64M,share=on")
if [ "${VIRTQ_PEERS:-quick}" = all ]; then
    guest_matrix vhost-user-iommu $properties 0 "${machine[@]}"
else
    for packed in off on; do
        guest_run vhost-user-iommu-packed-$packed "$properties,packed=$packed" 0 "packed=$(bit $packed) event=1 indirect=1 order=$(bit $order)$more" \
            "${machine[@]}"
    done
fi
guest_total
