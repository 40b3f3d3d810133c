#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A big-endian guest without an operating system on POWER, in place of the machine's firmware: QEMU's disk and source of noise over virtio-pci, behind
# a window of TCEs that libvirtq's calls fill. What is unmapped the disk cannot write.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need powerpc64-linux-gnu-gcc powerpc64-linux-gnu-objcopy qemu-system-ppc64 timeout

# shellcheck disable=SC2034
bus=pci runtime=()
guest_modules_dma guest/{spapr,tce_dma}.c iommu/tce{,_backend,_memory,_run}.c
guest_build ppc64 ppc64 powerpc64-linux-gnu-gcc 0 -mcpu=power8 -mabi=elfv2 -mno-altivec -mno-vsx -msoft-float -DGUEST_PCI -DGUEST_DMA
powerpc64-linux-gnu-objcopy -O binary "$work/guest.elf" "$work/guest.bin"
# shellcheck disable=SC2034
boot=(-bios "$work/guest.bin")
guest_matrix ppc64 ",disable-legacy=on,iommu_platform=on" 0 qemu-system-ppc64 -accel tcg -m 256 \
    -M pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off
guest_total
