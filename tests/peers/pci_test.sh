#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest without an operating system on arm drives QEMU's disk and source of noise over virtio-pci, and resets the disk's queue on the way.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc qemu-system-aarch64 timeout

# shellcheck disable=SC2034
bus=pci
guest_modules_pci
guest_build pci aarch64 aarch64-linux-gnu-gcc 0x40100000 -DGUEST_PCI -mgeneral-regs-only -mstrict-align -mno-outline-atomics
guest_matrix pci ",disable-legacy=on" 0 qemu-system-aarch64 -accel tcg -M virt,gic-version=2,highmem=off -cpu cortex-a57 -m 64 -semihosting
