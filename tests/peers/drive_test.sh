#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# examples/vhost-user-drive, our driver end in a program, drives disks over vhost-user: the one of qemu-storage-daemon, which nobody here wrote,
# and ours. Over every space that the back-end allows; the image is compared on the host.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need timeout cmp
drive=$VIRTQ_BUILD/examples/vhost-user-drive
[ -x "$drive" ] || skip "the examples are not built"
work=$VIRTQ_BUILD/peers/drive
rm -rf "$work"
mkdir -p "$work"
served=$scratch/disk.sock
bytes=$((2 << 20))
[ "${VIRTQ_PEERS:-quick}" != all ] || bytes=$((64 << 20))
backend=
trap '[ -z "$backend" ] || kill "$backend" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# Until somebody listens at the socket: bound is not enough.
listening() {
    local try
    for ((try = 0; try < 600; try++)); do
        ! grep -q " 00010000 .* $served\$" /proc/net/unix || return 0
        kill -0 "$backend" 2>/dev/null || break
        sleep 0.05
    done
    fail "no back-end: $(cat "$work/$1.backend")"
}

# run OPTION...: the program, against the back-end that listens
run() {
    timeout --kill-after=5 "$seconds" "$drive" "$@"
}

# flip FILE OFFSET: another byte there
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059
    printf "\\$(printf %o $((byte ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# carry LABEL OPTION...: bytes onto the disk and back; and a byte that is not there is missed.
carry() {
    local label=$1 started
    shift
    started=$(date +%s%N)
    head -c "$bytes" /dev/urandom >"$work/image"
    run "$@" "$served" write "$work/image" >"$work/$label.log" 2>&1 || fail "$label: $(cat "$work/$label.log")"
    cmp "$work/image" "$work/disk" || fail "$label: the disk does not hold what was written"
    run "$@" "$served" read "$work/copy" >>"$work/$label.log" 2>&1 || fail "$label: $(cat "$work/$label.log")"
    cmp "$work/image" "$work/copy" || fail "$label: not what is on the disk was read"
    run "$@" "$served" verify "$work/image" >>"$work/$label.log" 2>&1 || fail "$label: $(cat "$work/$label.log")"
    flip "$work/image" $((bytes / 2 + 7))
    ! run "$@" "$served" verify "$work/image" >>"$work/$label.log" 2>&1 || fail "$label: one byte differs, and nobody noticed"
    grep -q 'disk and image differ' "$work/$label.log" || fail "$label: $(cat "$work/$label.log")"
    ran=$((ran + 1))
    printf 'PASS %-40s %5s ms\n' "$label" $((($(date +%s%N) - started) / 1000000))
}

# refused LABEL WORDS OPTION...: with these words, and the disk is untouched.
refused() {
    local label=$1 words=$2
    shift 2
    cp "$work/disk" "$work/before"
    ! run "$@" "$served" write "$work/image" >"$work/$label.log" 2>&1 || fail "$label: was not refused"
    grep -q "$words" "$work/$label.log" || fail "$label: $(cat "$work/$label.log")"
    cmp "$work/disk" "$work/before" || fail "$label: refused, and written"
    ran=$((ran + 1))
    printf 'PASS %-40s refused\n' "$label"
}

# ended LABEL: it ends in order when it is asked to
ended() {
    local code=0
    kill "$backend"
    wait "$backend" || code=$?
    backend=
    [ "$code" -eq 0 ] || fail "$1: the back-end ended with $code: $(cat "$work/$1.backend")"
}

rm -f "$served"
truncate -s "$bytes" "$work/disk"
if command -v qemu-storage-daemon >/dev/null; then
    qemu-storage-daemon --blockdev "driver=file,node-name=f0,filename=$work/disk" --blockdev driver=raw,node-name=r0,file=f0 \
        --export "type=vhost-user-blk,id=e0,node-name=r0,addr.type=unix,addr.path=$served,writable=on" >"$work/daemon.backend" 2>&1 &
    backend=$!
    listening daemon
    for space in direct swiotlb bar iommu; do
        carry "daemon-split-$space" --space $space
    done
    refused daemon-packed "no packed ring is offered" --packed
    refused daemon-iotlb "no IOTLB is offered" --space iommu --iotlb
    ended daemon
else
    echo "SKIP: no qemu-storage-daemon here"
fi

rm -f "$served"
"$VIRTQ_BUILD/examples/vhost-user-blk" "$served" "$work/disk" >"$work/ours.backend" 2>&1 &
backend=$!
listening ours
for format in split packed; do
    for space in direct swiotlb bar iommu "iommu --iotlb"; do
        # shellcheck disable=SC2086
        carry "ours-$format-${space// --/-}" $([ $format = split ] || echo --packed) --space $space
    done
done
ended ours
[ ! -s "$work/ours.backend" ] || fail "our back-end has refused something: $(cat "$work/ours.backend")"
guest_total
