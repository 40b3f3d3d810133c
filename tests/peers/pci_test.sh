#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest without an operating system on arm drives QEMU's disk and source of noise over virtio-pci, and resets the disk's queue on the way.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc qemu-system-aarch64 timeout

# shellcheck disable=SC2034
bus=pci more=.*messages=1
guest_modules_pci
guest_arm pci ",disable-legacy=on" -DGUEST_PCI
guest_total
