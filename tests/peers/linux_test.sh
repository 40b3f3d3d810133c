#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Debian's Linux in QEMU drives examples/vhost-user-blk: split and packed, one queue and two.
set -euo pipefail
# shellcheck source=linux/linux.sh
. "$(cd "$(dirname "$0")" && pwd)/linux/linux.sh"
linux_setup linux
disk_setup amd64-6.1

disk_run linux-split amd64-6.1 "packed=0 event=1 indirect=1 platform=0" "" ""
disk_queues=2
disk_run linux-packed-2-queues amd64-6.1 "packed=1 event=1 indirect=1 platform=0" ",packed=on" ""
guest_total
