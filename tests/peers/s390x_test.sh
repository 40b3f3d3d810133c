#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A big-endian guest without an operating system on s390x: QEMU's disk and source of noise over virtio-pci, behind zPCI tables that libvirtq keeps. What
# is unmapped the disk cannot write: its function goes into the error state, and recovers.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need s390x-linux-gnu-gcc qemu-system-s390x timeout

# shellcheck disable=SC2034
bus=pci
guest_modules_dma guest/zpci.c guest/zpci_dma.c iommu/zpci_{backend,guest,index,tables}.c
guest_build s390x s390x s390x-linux-gnu-gcc 0x00100000 -march=z10 -msoft-float -DGUEST_PCI -DGUEST_DMA
guest_matrix s390x ",disable-legacy=on,iommu_platform=on" 0 qemu-system-s390x -accel tcg -M s390-ccw-virtio -cpu max -m 64
guest_total
