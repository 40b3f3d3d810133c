#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# examples/vhost-user-blk is killed with SIGKILL, again and again, while a Linux guest reads, writes and compares; each time a new one takes its place and
# goes on with the records of what was in flight. The guest must see no error and no wrong byte, and the image must be as it should.
set -euo pipefail
# shellcheck source=linux/linux.sh
. "$(cd "$(dirname "$0")" && pwd)/linux/linux.sh"
linux_setup crash
disk_setup amd64-6.1
kernel=amd64-6.1
quiet=(-bios qboot.rom) # a firmware that leaves disks alone

# keep_killing LABEL IMAGE KILLS: from when the guest works on its disk; leaves in $work/LABEL.kills how often
keep_killing() {
    local label=$1 image=$2 most=$3 kills=0 pid=$backend log=$work/$1.backend
    while ! grep -q '^guest: before' "$work/$label.log" 2>/dev/null; do
        [ -e "$work/$label.over" ] && return 0
        sleep 0.1
    done
    while [ "$kills" -lt "$most" ] && [ ! -e "$work/$label.over" ]; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        rm -f "$served"
        "$VIRTQ_BUILD/examples/vhost-user-blk" "${serving[@]}" "$served" "$image" >>"$log.said" 2>>"$log" &
        pid=$!
        echo "$pid" >"$work/$label.pid"
        kills=$((kills + 1))
        echo "$kills" >"$work/$label.kills"
        # Until QEMU has come back with the records, and then for as long as chance will have it.
        for ((try = 0; try < 400; try++)); do
            ! grep -qs vhost-user-inflight "/proc/$pid/maps" || break
            [ ! -e "$work/$label.over" ] || break
            sleep 0.05
        done
        sleep "0.$((RANDOM % 5))"
    done
}

# crash_run LABEL EXPECT PROPERTIES KILLS
crash_run() {
    local label=$1 expect=$2 properties=$3 kills=$4 disk=$work/$1.img before after killer
    before=$("$work/disk_image" make "$disk" $disk_sectors)
    serve_disk "$disk" "$work/$label.backend"
    echo "$backend" >"$work/$label.pid"
    keep_killing "$label" "$disk" "$kills" &
    killer=$!
    backend= # which is to end: nobody watches it
    trap 'touch "$work/$label.over"; kill -KILL "$(cat "$work/$label.pid")" 2>/dev/null || true; rm -rf "$scratch"' EXIT
    linux_run "$label" $kernel "$work/disk-$kernel.gz" " -- threads=$disk_threads ops=$disk_ops rounds=1" "${quiet[@]}" \
        -chardev "socket,id=c0,path=$served,reconnect=1" -device "vhost-user-blk-pci,chardev=c0,num-queues=$disk_queues$properties"
    touch "$work/$label.over"
    wait "$killer" || true
    kill -KILL "$(cat "$work/$label.pid")" 2>/dev/null || true
    # As long as it is there it listens, and the next one may not take its place.
    for ((try = 0; try < 100; try++)); do kill -0 "$(cat "$work/$label.pid")" 2>/dev/null || break; sleep 0.05; done
    trap 'rm -rf "$scratch"' EXIT
    after=$("$work/disk_image" check "$disk" $disk_sectors "$disk_threads" "$disk_ops" 1) ||
        fail "$label: the disk does not hold what the guest wrote: $after"
    disk_said "$label" "^guest: features .*$expect queues=$disk_queues"
    disk_said "$label" "^guest: before $before"
    disk_said "$label" "^guest: after $after"
    disk_said "$label" "^guest: passed"
    [ ! -s "$work/$label.backend" ] || fail "$label: the back-end said: $(cat "$work/$label.backend")"
    [ "$(cat "$work/$label.kills")" -ge $((kills / 2)) ] || fail "$label: only $(cat "$work/$label.kills") kills"
    rm -f "$disk"
    linux_pass "$label" "$(cat "$work/$label.kills") kills"
}

split="packed=0 event=1 indirect=1 platform=0"
packed="packed=1 event=1 indirect=1 platform=0"
if [ "${VIRTQ_PEERS:-quick}" != all ]; then
    disk_ops=${VIRTQ_CRASH_OPS:-1500}
    crash_run crash-split "$split" "" 3
    crash_run crash-packed "$packed" ",packed=on" 3
    guest_total
    exit 0
fi
seconds=1500
disk_ops=${VIRTQ_CRASH_OPS:-30000}
crash_run crash-split "$split" "" 100
disk_queues=2
crash_run crash-packed-2-queues "$packed" ",packed=on" 100
guest_total
