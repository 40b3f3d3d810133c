#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest without an operating system on a 32-bit x86 without PCI drives QEMU's disk and source of noise.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need gcc qemu-system-x86_64 timeout

# Without SSE, which nobody has switched on; 64-bit atomic accesses go through the x87. The compiler's runtime for 32 bits is in a Debian
# package that excludes the cross compilers, and is not needed. The debug exit makes 2n + 1 of what it is given.
# shellcheck disable=SC2034
runtime=()
guest_build x86 x86 gcc 0x00100000 -m32 -march=i686 -mno-sse
guest_matrix x86 "" 1 qemu-system-x86_64 -accel tcg -M microvm -m 64 -device isa-debug-exit,iobase=0xf4,iosize=0x04
guest_total
