#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Random reads of 4 KiB from a file in memory: examples/vhost-user-blk beside qemu-storage-daemon. First without a guest, by a driver
# that polls or sleeps; then in one Linux guest that has three disks: ours, ours packed, the daemon's. Figures are printed, not judged: of
# many short rounds, in turn, that at which the upper quarter begins, for a machine that is busy with other things only ever takes
# away. A block that comes back wrong is an error. Called by scripts/bench --peers.
set -euo pipefail
: "${VIRTQ_SOURCE:?}" "${VIRTQ_BUILD:?}" "${CC:=gcc}"
# shellcheck source=../../tests/peers/linux/linux.sh
. "$VIRTQ_SOURCE/tests/peers/linux/linux.sh"
linux_setup speed
processors=1 # or which of them takes a disk's interrupts decides
need qemu-storage-daemon qemu-system-x86_64
rounds=${1:-40} milliseconds=${2:-80}
load=$VIRTQ_BUILD/bench/virtq-disk-load
image=$(mktemp /dev/shm/virtq-speed.XXXXXX)
ours=$scratch/ours.sock packed=$scratch/packed.sock theirs=$scratch/theirs.sock
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; rm -rf "$scratch" "$image"' EXIT

"$load" --image "$image" 64
for name in ours packed; do
    "$VIRTQ_BUILD/examples/vhost-user-blk" --read-only --queues=1 --serial=$name "${!name}" "$image" &
    started+=($!)
done
qemu-storage-daemon --blockdev driver=file,node-name=file,filename="$image",read-only=on \
    --blockdev driver=raw,node-name=disk,file=file,read-only=on \
    --export type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path="$theirs",num-queues=1 >"$work/daemon.log" 2>&1 &
started+=($!)
for ((try = 0; try < 200; try++)); do
    if [ -S "$ours" ] && [ -S "$packed" ] && [ -S "$theirs" ]; then break; fi
    sleep 0.05
done

seconds_each=$(awk "BEGIN { print $milliseconds / 1000 }")
echo "without a guest, reads a second: depth, how the driver waits, ours, the daemon's, ratio; ours packed"
for depth in 1 8 32; do
    for how in "" --wait; do
        for ((round = 0; round < rounds; round++)); do
            for way in "ours $ours" "theirs $theirs" "packed $ours --packed"; do
                read -r name socket format <<<"$way"
                # shellcheck disable=SC2086 # options that may be empty
                echo "$name $("$load" --event $how $format --depth=$depth --seconds="$seconds_each" "$socket" | cut -d' ' -f1)"
            done
        done | sort -k1,1 -k2,2n | awk -v depth=$depth -v how="${how:-polls}" '
            { rate[$1, ++count[$1]] = $2 }
            END {
                for (name in count) upper[name] = rate[name, int(count[name] * 3 / 4) + 1]
                printf "  %2d %-6s %9d %9d %6.2f %9d\n", depth, substr(how, how ~ /^--/ ? 3 : 1), upper["ours"], upper["theirs"],
                    upper["ours"] / upper["theirs"], upper["packed"]
            }'
    done
done

linux_kernel amd64-6.1
linux_program amd64-6.1 "$work/reads" "$VIRTQ_SOURCE/bench/peers/guest_reads.c"
linux_initrd amd64-6.1 "$work/reads.gz" "$work/reads" virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk
linux_run speed amd64-6.1 "$work/reads.gz" "-- rounds=$rounds milliseconds=$milliseconds depth=1 depth=8 depth=32" \
    -chardev "socket,id=c0,path=$ours" -device "vhost-user-blk-pci,chardev=c0,num-queues=1" \
    -chardev "socket,id=c1,path=$packed" -device "vhost-user-blk-pci,chardev=c1,num-queues=1,packed=on" \
    -chardev "socket,id=c2,path=$theirs" -device "vhost-user-blk-pci,chardev=c2,num-queues=1"
grep -q '^guest: passed' "$work/speed.log" || { cat "$work/speed.log" >&2 && fail "the guest's reads"; }
echo "in a Linux guest, reads a second: depth, ours, the daemon's, ratio; ours packed, ratio"
tr -d '\r' <"$work/speed.log" | awk '
    /^guest: reads/ { for (i = 3; i <= NF; i++) { split($i, part, "="); of[part[1]] = part[2] }
        name = of["disk"] == "ours" || of["disk"] == "packed" ? of["disk"] : "theirs"; upper[of["depth"], name] = of["rate"]; if (!(of["depth"] in seen)) order[++count] = of["depth"]; seen[of["depth"]] }
    END { for (i = 1; i <= count; i++) { d = order[i]
        printf "  %2d %9d %9d %6.2f %9d %6.2f\n", d, upper[d, "ours"], upper[d, "theirs"], upper[d, "ours"] / upper[d, "theirs"], upper[d, "packed"],
            upper[d, "packed"] / upper[d, "theirs"] } }'
