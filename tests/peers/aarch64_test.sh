#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest without an operating system on arm drives QEMU's disk and source of noise, polling and by interrupt (GICv2).
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc qemu-system-aarch64 timeout

# With the MMU off an unaligned access traps.
guest_build aarch64 aarch64 aarch64-linux-gnu-gcc 0x40100000 -mgeneral-regs-only -mstrict-align -mno-outline-atomics
guest_matrix aarch64 "" 0 qemu-system-aarch64 -accel tcg -M virt,gic-version=2 -cpu cortex-a57 -m 64 -semihosting
