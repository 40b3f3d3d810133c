#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# DPDK's virtio-user ports drive examples/vhost-user-net: packets from a file go in at one port of the switch, and what comes out at the other
# is written to a file, both ways at once. Every packet has to be there, in order, byte by byte.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
# shellcheck source=dpdk.sh
. "$peers/dpdk.sh"
need dpdk-testpmd timeout
[ -x "$VIRTQ_BUILD/examples/vhost-user-net" ] || skip "the examples are not built"

work=$VIRTQ_BUILD/peers/virtio_user
rm -rf "$work"
mkdir -p "$work"
"$CC" -std=c11 -O2 -Wall -Wextra -Werror "$peers/packets.c" -o "$work/packets"
switch=
trap '[ -z "$testpmd$switch" ] || kill $testpmd $switch 2>/dev/null || true; rm -rf "$scratch"' EXIT

# carry LABEL COUNT SIZE PROPERTIES EXPECT...: COUNT packets of SIZE bytes both ways; what is expected is what testpmd says of the paths it takes, at both ports
carry() {
    local label=$1 count=$2 size=$3 properties=$4 expect started try a b
    shift 4
    started=$(date +%s%N)
    a=$work/$label.a b=$work/$label.b
    "$work/packets" make "$a.in" "$count" "$size" 0
    "$work/packets" make "$b.in" "$count" "$size" 1
    "$VIRTQ_BUILD/examples/vhost-user-net" "$scratch/a" "$scratch/b" >"$work/$label.switch" 2>&1 &
    switch=$!
    for ((try = 0; try < 200; try++)); do
        [ ! -S "$scratch/b" ] || break
        sleep 0.05
    done
    testpmd_start "$label" --log-level="pmd.net.virtio.*:debug" --force-max-simd-bitwidth=512 --vdev "net_pcap0,rx_pcap=$a.in,tx_pcap=$a.out" --vdev "net_virtio_user0,path=$scratch/a,queue_size=256,mrg_rxbuf=0,$properties" \
        --vdev "net_virtio_user1,path=$scratch/b,queue_size=256,mrg_rxbuf=0,$properties" --vdev "net_pcap1,rx_pcap=$b.in,tx_pcap=$b.out" -- --forward-mode=io
    # Its own ports drop what finds no place, unless they are told to try again.
    testpmd_say 'set fwd io retry' 'set burst tx delay 10 retry 1000000' start
    testpmd_wait "TX-packets: $count " 4 'show port stats all'
    testpmd_stop || fail "$label: testpmd failed: $(tail -5 "$testpmd_log")"
    kill "$switch"
    wait "$switch" || fail "$label: the switch failed: $(cat "$work/$label.switch")"
    switch=
    [ "$(grep -c ": $count packets sent on, 0 not" "$work/$label.switch")" -eq 2 ] || fail "$label: $(cat "$work/$label.switch")"
    for expect; do
        [ "$(grep -c "$expect" "$testpmd_log")" -eq 2 ] || fail "$label: not what was to be used: $expect"
    done
    if [ "$("$work/packets" compare "$a.in" "$b.out")" != "$count" ] || [ "$("$work/packets" compare "$b.in" "$a.out")" != "$count" ]; then
        fail "$label: packets were lost or changed"
    fi
    rm -f "$a".* "$b".*
    ran=$((ran + 1))
    printf 'PASS %-40s %5s ms; 2 x %s packets\n' "virtio-user-$label" $((($(date +%s%N) - started) / 1000000)) "$count"
}

# one LABEL PROPERTIES FEATURES RX TX: what is negotiated, and the paths for receiving and sending
one() {
    local expect=("set features: $3\$" "using $4 Rx path" "using $5 Tx path")
    carry "$1" 4000 0 "$2" "${expect[@]}"
    [ "${VIRTQ_PEERS:-quick}" = all ] || return 0
    carry "$1-64" 40000 64 "$2" "${expect[@]}"
    carry "$1-1518" 20000 1518 "$2" "${expect[@]}"
}

one split packed_vq=0,in_order=0 0x110000000 standard standard
one packed packed_vq=1,in_order=0 0x510000000 "packed ring standard" "packed ring standard"
if [ "${VIRTQ_PEERS:-quick}" = all ]; then
    one split-in-order packed_vq=0,in_order=1 0x910000000 inorder inorder
    one packed-in-order packed_vq=1,in_order=1 0xd10000000 "packed ring standard" "packed ring standard"
    one split-vectorised packed_vq=0,in_order=0,vectorized=1 0x110000000 vectorized standard
    if grep -q avx512bw /proc/cpuinfo; then
        one packed-vectorised packed_vq=1,in_order=1,vectorized=1 0xd10000000 "packed ring vectorized" "packed ring vectorized"
    else
        echo "SKIP virtio-user-packed-vectorised: no AVX-512 here"
    fi
fi
guest_total
