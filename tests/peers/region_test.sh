#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two programs and one region: the driver end runs in a Linux guest, with rings and buffers in the BAR of an ivshmem device, the device end on
# the host, which has the file behind it. Device addresses are offsets; nobody is in between.
set -euo pipefail
# shellcheck source=linux/linux.sh
. "$(cd "$(dirname "$0")" && pwd)/linux/linux.sh"
linux_setup region
linux_kernel amd64-6.1
include=(-I "$VIRTQ_SOURCE/include" -I "$VIRTQ_BUILD/include")
linux_program amd64-6.1 "$work/driver" "${include[@]}" "$peers/region/driver.c" "$VIRTQ_STATIC"
linux_initrd amd64-6.1 "$work/driver.gz" "$work/driver"
"$CC" -std=c11 -O2 -Wall -Wextra -Wshadow -Werror "${include[@]}" "$peers/region/device.c" "$VIRTQ_STATIC" -o "$work/device"

# region_run MEMORY: the guest maps the BAR as wc (write-combining) or uc (uncached)
region_run() {
    local label=region-$1 file=$scratch/region device code=0 bytes
    truncate -s 1M "$file"
    "$work/device" "$file" >"$work/$label.device" 2>&1 &
    device=$!
    # shellcheck disable=SC2064
    trap "kill $device 2>/dev/null || true; rm -rf '$scratch'" EXIT
    linux_run "$label" amd64-6.1 "$work/driver.gz" "-- $1" -object memory-backend-file,id=region,size=1M,share=on,mem-path="$file" \
        -device ivshmem-plain,memdev=region
    wait "$device" || code=$?
    trap 'rm -rf "$scratch"' EXIT
    rm -f "$file"
    [ "$code" -eq 0 ] || fail "$label: the device end ended with $code: $(cat "$work/$label.device")"
    grep -q '^guest: passed' "$work/$label.log" || fail "$label: the guest did not pass"
    bytes=$(sed -nE 's/^region: .* bytes=([0-9]+).*/\1/p' "$work/$label.log" | tail -n 1)
    grep -qx "device: queues=4 requests=8000 bytes=$bytes" "$work/$label.device" || fail "$label: not what the guest moved: $(cat "$work/$label.device")"
    linux_pass "$label" "split and packed, direct and indirect; $(cat "$work/$label.device")"
}

region_run wc
[ "${VIRTQ_PEERS:-quick}" != all ] || region_run uc
guest_total
