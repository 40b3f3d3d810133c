#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A driver in a Linux program: QEMU's disk and source of noise behind an IOMMU, driven over VFIO from user space, with buffers mapped
# strictly, lazily or once; by MSI-X. What is unmapped the disk cannot write.
set -euo pipefail
# shellcheck source=linux/linux.sh
. "$(cd "$(dirname "$0")" && pwd)/linux/linux.sh"
linux_setup vfio
"$CC" -std=c11 -O2 -Wall -Wextra -Werror "$peers/image.c" -o "$work/image"

# vfio_setup KERNEL MODULE...: its initial file system, with the program; and modules that VFIO's are not enough without
vfio_setup() {
    local name=$1
    shift
    linux_kernel "$name"
    linux_program "$name" "$work/vfio-$name" -D_GNU_SOURCE -DGUEST_PCI -DGUEST_DMA -DGUEST_MSIX=1 -I "$VIRTQ_SOURCE/include" -I "$VIRTQ_BUILD/include" \
        "$peers"/vfio/*.c "$peers"/guest/{block,console,entropy,main,memory,mmio,pci,queue,refusal,transport}.c "$VIRTQ_HOST_STATIC" "$VIRTQ_STATIC"
    linux_initrd "$name" "$work/vfio-$name.gz" "$work/vfio-$name" irqbypass "$@" vfio vfio_iommu_type1 vfio-pci-core vfio-pci
}

# vfio_run LABEL KERNEL PROPERTIES EXPECT KERNEL-ARGUMENTS PROGRAM-ARGUMENTS QEMU-ARGUMENT...
vfio_run() {
    local label=$1 name=$2 properties=$3 expect=$4 append=$5 arguments=$6 disk=$work/$1.img log=$work/$1.log line
    shift 6
    "$work/image" make "$disk" "$sectors"
    linux_run "$label" "$name" "$work/vfio-$name.gz" "$append loglevel=1 -- $arguments" "$@" \
        -device pcie-root-port,id=port1,chassis=1,slot=1 -device pcie-root-port,id=port2,chassis=2,slot=2 \
        -drive "if=none,id=d0,format=raw,file=$disk" -object rng-builtin,id=r0 \
        -device "virtio-blk-pci,bus=port1,drive=d0,serial=virtq,iommu_platform=on$properties" \
        -device "virtio-rng-pci,bus=port2,rng=r0,iommu_platform=on$properties"
    "$work/image" check "$disk" "$sectors" || fail "$label: the disk does not hold what the guest wrote"
    # One at least for each of the 37 requests; one that comes late, of what was polled before, is counted too.
    for line in "^guest: passed" "^blk: by interrupt $expect" "^rng: by interrupt $expect .*interrupts=(3[7-9]|[4-9][0-9])"; do
        grep -qE "$line" "$log" || { cat "$log" >&2; fail "$label: the guest did not say: $line"; }
    done
    rm -f "$disk"
    linux_pass "$label" "$(sed -nE 's/^iommu: (vfio; .*[0-9]).*/\1/p' "$log" | tail -n 1)"
}

# vfio_vtd POLICY PACKED ARGUMENT...: behind VT-d, with Debian's kernel
vfio_vtd() {
    local policy=$1 packed=$2
    shift 2
    vfio_run "vfio-vtd-$policy-packed-$packed${*:+-far}" amd64-6.1 ",ats=on,packed=$packed" "packed=$(bit "$packed") .*platform=1" "intel_iommu=on" \
        "$policy $*" -device "intel-iommu,intremap=on,device-iotlb=on,aw-bits=48"
}

vfio_setup amd64-6.1 vfio_virqfd
vfio_vtd strict off
if [ "${VIRTQ_PEERS:-quick}" = all ]; then
    vfio_vtd strict on
    for packed in off on; do
        vfio_vtd lazy $packed
        vfio_vtd persistent $packed
        vfio_vtd strict $packed first=0x880000000000 # beyond the lower half of what is usable
    done
    vfio_setup amd64-6.12 virtio-iommu
    for packed in off on; do
        vfio_run "vfio-virtio-iommu-strict-packed-$packed" amd64-6.12 ",packed=$packed" "packed=$(bit $packed) .*platform=1" "" "strict unsafe" \
            -device virtio-iommu-pci
    done
fi
guest_total
