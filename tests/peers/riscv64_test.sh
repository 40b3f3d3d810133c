#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest without an operating system on RISC-V drives QEMU's disk and source of noise, polling and by interrupt (PLIC).
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need riscv64-linux-gnu-gcc qemu-system-riscv64 timeout

guest_build riscv64 riscv64 riscv64-linux-gnu-gcc 0x80000000 -march=rv64imac_zicsr -mabi=lp64 -mcmodel=medany
guest_matrix riscv64 "" 0 qemu-system-riscv64 -accel tcg -M virt -bios none -m 64
guest_total
