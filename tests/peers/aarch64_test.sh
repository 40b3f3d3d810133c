#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest without an operating system on arm drives QEMU's disk and source of noise, polling and by interrupt (GICv2).
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc qemu-system-aarch64 timeout

guest_arm aarch64 ""
guest_total
