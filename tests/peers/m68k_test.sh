#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A big-endian guest without an operating system drives QEMU's disk and source of noise.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need m68k-linux-gnu-gcc qemu-system-m68k timeout

guest_build m68k m68k m68k-linux-gnu-gcc 0x00010000 -mcpu=68040
guest_matrix m68k "" 0 qemu-system-m68k -accel tcg -M virt -m 64
guest_total
