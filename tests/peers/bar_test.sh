#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Rings and buffers inside a BAR: the guest without an operating system on arm lays them into the memory of an ivshmem device, with the bar
# space, and our back-end serves them, with QEMU between the two. The guest's own memory is not shared with the back-end: it has been given
# the BAR, and nothing else.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc qemu-system-aarch64 timeout
[ -x "$VIRTQ_BUILD/examples/vhost-user-blk" ] || skip "the examples are not built"

# shellcheck disable=SC2034
bus=pci noise=no
guest_modules_pci
guest_build bar aarch64 aarch64-linux-gnu-gcc 0x40100000 -mgeneral-regs-only -mstrict-align -mno-outline-atomics -DGUEST_PCI
# shellcheck disable=SC2034
served=$scratch/disk.sock
memory=$work/memory
guest_matrix bar ",disable-legacy=on" 0 qemu-system-aarch64 -accel tcg -M virt,gic-version=2,highmem=off -cpu cortex-a57 -m 64 -semihosting \
    -object memory-backend-file,id=bar,size=1M,share=on,mem-path="$memory" -device ivshmem-plain,memdev=bar

# What the guest asked for last, the disk's name, lies there.
grep -q virtq "$memory" || fail "the region holds no answer"
rm -f "$memory"
guest_total
