#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# DPDK's vhost port as the device, our driver end at the other side of the socket (frames.c): frames are sent, come back, and every byte is
# compared; half-way both rings are stopped and go on where they stood.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
# shellcheck source=dpdk.sh
. "$peers/dpdk.sh"
need dpdk-testpmd timeout
[ -e "$VIRTQ_HOST_STATIC" ] || skip "no libvirtq-host here"
work=$VIRTQ_BUILD/peers/dpdk_vhost
rm -rf "$work"
mkdir -p "$work"
trap '[ -z "$testpmd" ] || kill "$testpmd" 2>/dev/null || true; rm -rf "$scratch"' EXIT
served=$scratch/net.sock
"$CC" -std=c11 -O2 -Wall -Werror -I "$VIRTQ_SOURCE/include" -I "$VIRTQ_BUILD/include" -I "$VIRTQ_SOURCE/examples" "$peers/frames.c" "$VIRTQ_HOST_STATIC" \
    "$VIRTQ_STATIC" -o "$work/frames"

# exchange FORMAT MODE FORWARDING: 1000 frames; how that ends is the result
exchange() {
    local label=$1-$2 code=0 iommu=
    [ "$2" = none ] || iommu=,iommu-support=1
    testpmd_start "$label" --vdev "net_vhost0,iface=$served,queues=1$iommu" -- --auto-start --forward-mode="$3"
    timeout --kill-after=5 "$seconds" "$work/frames" "$served" 1000 "$1" "$2" >"$work/$label.log" 2>&1 || code=$?
    testpmd_stop || fail "$label: testpmd did not end in order: $(tail -5 "$testpmd_log")"
    return $code
}

for mode in none preload retransmit strict; do
    for format in split packed; do
        [ $mode = none ] || [ "${VIRTQ_PEERS:-quick}" = all ] || continue
        started=$(date +%s%N)
        exchange $format $mode io || fail "$format-$mode: $(cat "$work/$format-$mode.log")"
        # DPDK has counted them too.
        packets=$(sed -n 's/.*RX-packets: \([0-9]*\) .*/\1/p' "$work/$format-$mode.testpmd" | tail -1)
        [ "${packets:-0}" -ge 1000 ] || fail "$format-$mode: testpmd saw ${packets:-no} packets"
        ran=$((ran + 1))
        printf 'PASS %-40s %5s ms; %s\n' "dpdk-vhost-$format-$mode" $((($(date +%s%N) - started) / 1000000)) "$(cat "$work/$format-$mode.log")"
    done
done

# A byte that changes on its way is noticed: testpmd swaps the addresses.
if [ "${VIRTQ_PEERS:-quick}" = all ]; then
    ! exchange split none macswap || fail "frames were changed, and nobody noticed"
    grep -q "a frame was changed" "$work/split-none.log" || fail "macswap: $(cat "$work/split-none.log")"
    ran=$((ran + 1))
    echo "PASS dpdk-vhost-changed"
fi
guest_total
