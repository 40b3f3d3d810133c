#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A Linux guest that reads, writes and compares its disk moves from one QEMU to another, and its disk from one process of examples/vhost-user-blk to another.
# What the disk has written into the guest's memory meanwhile, QEMU knows from the back-end's log alone. The guest must see no error and no wrong byte, not
# even in buffers that the disk filled long ago, and the image must be as it should.
set -euo pipefail
# shellcheck source=linux/linux.sh
. "$(cd "$(dirname "$0")" && pwd)/linux/linux.sh"
# Without hardware acceleration QEMU before 9.0 loses what a processor writes while memory is being sent.
for candidate in "${VIRTQ_QEMU_NEW:-none}" qemu-system-aarch64; do
    version=$("$candidate" --version 2>/dev/null | sed -nE '1s/.*version ([0-9]+)\..*/\1/p') || true
    [ "${version:-0}" -lt 9 ] || break
done
[ "${version:-0}" -ge 9 ] || skip "no QEMU here that moves an emulated guest safely"
arm_qemu=$candidate
linux_setup migrate
kernel=arm64-6.1 processors=1
disk_setup $kernel
disk_ops=${VIRTQ_MIGRATE_OPS:-10000}
[ "${VIRTQ_PEERS:-quick}" = all ] || disk_ops=${VIRTQ_MIGRATE_OPS:-6000}
pids=() # QEMUs from 0, back-ends from 10
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# until_so WHAT COMMAND...: waits for that, as long as none of the processes ends
until_so() {
    local what=$1 until=$((SECONDS + seconds)) pid
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || fail "$label: never: $what"
        for pid in "${pids[@]}"; do
            kill -0 "$pid" 2>/dev/null || fail "$label: one has ended: $(cat "$work/$label".*.{qemu,backend} "$work/$label".*.log)"
        done
        sleep 0.1
    done
}

# start INDEX QEMU-ARGUMENT...: one more QEMU, on the back-end whose turn it is; its monitor reads from ${monitors[INDEX]}
start() {
    local index=$1 file=$scratch/$label.$1 monitor
    shift
    mkfifo "$file" && exec {monitor}<>"$file"
    monitors[index]=$monitor
    timeout --kill-after=5 "$seconds" "${machine[@]}" -monitor stdio -serial file:"$work/$label.$index.log" \
        -chardev "socket,id=c0,path=$scratch/disk$((index % 2))" -device "vhost-user-blk-pci,chardev=c0,num-queues=$disk_queues$properties" "$@" \
        <"$file" >"$work/$label.$index.monitor" 2>"$work/$label.$index.qemu" &
    pids[index]=$!
}

tell() { # INDEX COMMAND: to the monitor
    echo "$2" >&"${monitors[$1]}"
}

# asked INDEX PATTERN: whether the monitor's latest answer about the migration has such a line
asked() {
    tell "$1" "info migrate"
    sleep 0.1
    ! tail -n 60 "$work/$label.$1.monitor" | grep -qE '^Migration status: (failed|cancelled)' || fail "$label: the migration failed: $(cat "$work/$label.$1.qemu")"
    tail -n 60 "$work/$label.$1.monitor" | grep -qE "$2"
}

# move FROM TO: the guest and its disk. Slowly until all memory has been sent once; what the disk writes meanwhile has to be sent again.
move() {
    local from=$1 to=$2 code=0
    start "$to" -incoming "unix:$scratch/$label.move$to"
    until_so "a QEMU to move to" [ -S "$scratch/$label.move$to" ]
    tell "$from" $'migrate_set_parameter max-bandwidth 20M\nmigrate_set_parameter downtime-limit 1000'
    tell "$from" "migrate -d unix:$scratch/$label.move$to"
    until_so "a second pass over memory" asked "$from" '^dirty sync count: ([2-9]|[1-9][0-9])'
    tell "$from" "migrate_set_parameter max-bandwidth 1G"
    until_so "the end of the migration" asked "$from" '^Migration status: completed'
    ! grep -q '^guest: round' "$work/$label.$from.log" || fail "$label: the load was over before the migration"
    tell "$from" quit
    wait "${pids[from]}" || code=$?
    unset "pids[from]"
    [ "$code" -eq 0 ] || fail "$label: QEMU $from ended with $code"
}

# migrate_run LABEL EXPECT PROPERTIES MOVES
migrate_run() {
    local label=$1 expect=$2 properties=$3 moves=$4 disk=$work/$1.img before after index started code=0 monitors=() machine=()
    chosen "$label" || return 0
    before=$("$work/disk_image" make "$disk" $disk_sectors)
    for index in 0 1; do
        "$VIRTQ_BUILD/examples/vhost-user-blk" --log "$scratch/disk$index" "$disk" >"$work/$label.$index.said" 2>"$work/$label.$index.backend" &
        pids[10 + index]=$!
        until_so "back-end $index" [ -S "$scratch/disk$index" ]
    done
    linux_machine "$kernel" "$work/disk-$kernel.gz" " -- threads=$disk_threads ops=$disk_ops rounds=1 keep=16"
    started=$(date +%s%N)
    start 0
    until_so "the load begins" grep -qs '^guest: before' "$work/$label.0.log"
    for ((index = 0; index < moves; index++)); do
        move "$index" $((index + 1))
    done
    wait "${pids[moves]}" || code=$?
    took=$((($(date +%s%N) - started) / 1000000))
    cat "$work/$label".?.log >"$work/$label.log"
    if [ "$code" -ne 0 ] || ! grep -q '^guest: passed' "$work/$label.$moves.log"; then
        fail "$label: the last QEMU ended with $code: $(cat "$work/$label.$moves.qemu" "$work/$label.log")"
    fi
    for index in 0 1; do
        kill "${pids[10 + index]}"
        wait "${pids[10 + index]}" || fail "$label: back-end $index ended with $?"
        rm -f "$scratch/disk$index"
        [ ! -s "$work/$label.$index.backend" ] || fail "$label: back-end $index said: $(cat "$work/$label.$index.backend")"
        [ "$(grep -cE '^ring [0-9]+: [1-9][0-9]* buffers, 0 bad, ' "$work/$label.$index.said")" -ge "$disk_queues" ] ||
            fail "$label: back-end $index served fewer rings: $(cat "$work/$label.$index.said")"
    done
    pids=()
    after=$("$work/disk_image" check "$disk" $disk_sectors "$disk_threads" "$disk_ops" 1) || fail "$label: the disk does not hold what the guest wrote: $after"
    disk_said "$label" "^guest: features .*$expect queues=$disk_queues"
    disk_said "$label" "^guest: before $before" && disk_said "$label" "^guest: after $after"
    rm -f "$disk" && linux_pass "$label" "moved $moves times; $(sed -nE 's/^guest: (round .*)\r?/\1/p' "$work/$label.log")"
}

for moves in 1 2; do # there; and back
    migrate_run migrate-split-$moves "packed=0 event=1 indirect=1 platform=0" ",queue-size=1024" $moves
    [ "${VIRTQ_PEERS:-quick}" = all ] || break
    migrate_run migrate-packed-$moves "packed=1 event=1 indirect=1 platform=0" ",packed=on,queue-size=1024" $moves
done
if [ "${VIRTQ_PEERS:-quick}" = all ]; then
    disk_queues=2 processors=2 disk_ops=${VIRTQ_MIGRATE_OPS:-6000}
    migrate_run migrate-split-2-queues "packed=0 event=1 indirect=1 platform=0" ",queue-size=256" 1
    migrate_run migrate-packed-2-queues "packed=1 event=1 indirect=1 platform=0" ",packed=on,queue-size=256" 1
fi
guest_total
