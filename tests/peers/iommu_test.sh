#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest without an operating system drives QEMU's virtio-iommu, and through it a disk: what is unmapped the disk cannot write.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc qemu-system-aarch64 timeout

# shellcheck disable=SC2034
bus=pci noise=no iommu=yes
guest_modules_pci
guest_arm iommu ",disable-legacy=on,iommu_platform=on" -DGUEST_PCI
guest_total
