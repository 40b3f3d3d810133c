#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest without an operating system has its buffers used in order (VIRTIO_F_IN_ORDER), which QEMU offers from 9.2 on: VIRTQ_QEMU_NEW names one beside
# the machine's own.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc timeout

qemu=none
for candidate in "${VIRTQ_QEMU_NEW:-none}" qemu-system-aarch64; do
    if "$candidate" -M virt -device virtio-blk-pci,help 2>/dev/null | grep -q in_order; then
        qemu=$candidate
        break
    fi
done
[ "$qemu" != none ] || skip "no QEMU here that offers IN_ORDER"
"$qemu" --version | head -1

# shellcheck disable=SC2034
bus=pci order=on
guest_modules_pci
guest_arm in_order ",disable-legacy=on,in_order=on" -DGUEST_PCI
guest_total
