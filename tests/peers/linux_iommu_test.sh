#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Debian's Linux in QEMU drives examples/vhost-user-blk from behind an IOMMU: each address is one of an IOVA, and QEMU is asked for what it
# stands for. Intel's, arm's SMMUv3, virtio-iommu; strict (invalidated when a buffer is unmapped) and lazy (later, many at once).
set -euo pipefail
# shellcheck source=linux/linux.sh
. "$(cd "$(dirname "$0")" && pwd)/linux/linux.sh"
linux_setup linux_iommu
quiet=(-bios qboot.rom)
disk_ops=200

# iommu_run IOMMU FORMAT [SUFFIX]: that combination, with $disk_queues queues
iommu_run() {
    local properties=,iommu_platform=on expect="packed=0 event=1 indirect=1 platform=1" label="linux-$1-$2-$disk_queues${3-}" disk_iommu=DMA arm_machine=
    local kernel=amd64-6.1 append="intel_iommu=on iommu=nopt" devices=(-device intel-iommu,intremap=off,device-iotlb=on "${quiet[@]}")
    if [ "$2" = packed ]; then
        properties+=,packed=on
        expect=${expect/packed=0/packed=1}
    fi
    case $1 in
    *-lazy) disk_iommu=DMA-FQ append+=" iommu.strict=0" ;;
    *-pt) disk_iommu=identity append="intel_iommu=on iommu=pt" ;;
    *) append+=" iommu.strict=1" ;;
    esac
    case $1 in
    # A device has ATS only behind a root port; without it QEMU's loses the lazy invalidations, unless it is told of mappings too.
    intel-caching) devices=(-device intel-iommu,intremap=off,caching-mode=on "${quiet[@]}") properties+=,disable-legacy=on ;;
    intel-*) devices+=(-device pcie-root-port,id=rp0,chassis=1,slot=1) properties+=,bus=rp0,ats=on ;;
    smmuv3-*) kernel=arm64-6.1 arm_machine=,iommu=smmuv3 devices=() properties+=,disable-legacy=on ;;
    # Two processors spin for one lock, which takes long where there are fewer at hand: less of it.
    virtio-arm) local disk_ops=60 kernel=arm64-6.12 devices=(-device virtio-iommu-pci) properties+=,disable-legacy=on ;;
    virtio-*) kernel=amd64-6.12 devices=(-device virtio-iommu-pci "${quiet[@]}") properties+=,disable-legacy=on ;;
    esac
    disk_run "$label" $kernel "$expect" "$properties" "$append" "${devices[@]}"
}

if [ "${VIRTQ_PEERS:-quick}" != all ]; then
    disk_setup amd64-6.1
    iommu_run intel-lazy packed
    guest_total
    exit 0
fi

disk_setup amd64-6.1 amd64-6.12 arm64-6.1 arm64-6.12
for which in intel-strict intel-lazy intel-pt intel-caching smmuv3-strict smmuv3-lazy virtio-strict virtio-lazy virtio-arm; do
    for format in split packed; do
        for disk_queues in 1 2; do
            iommu_run "$which" $format
        done
    done
    # What the next driver maps has addresses that the last one's had.
    case $which in
    *-arm) ;;
    *) disk_rounds=4 disk_ops=60 iommu_run "$which" packed -rebind ;;
    esac
done
# The firmware's driver was there first, without an IOMMU.
quiet=()
disk_queues=1
iommu_run intel-strict split -after-firmware
iommu_run intel-lazy packed -after-firmware
guest_total
