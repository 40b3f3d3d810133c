# SPDX-License-Identifier: BSD-3-Clause
# What the tests with guests share: build the guest of tests/peers/guest for a processor, run it in QEMU, judge the disk it leaves.
# Logs, images and programs stay in the build tree, under peers/. With VIRTQ_PEERS=all more is run.
# shellcheck shell=bash disable=SC2034
# shellcheck source=../support/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/functions.sh"

peers=$VIRTQ_SOURCE/tests/peers
sectors=1024
ran=0
bus=device    # of the virtio devices: device (virtio-mmio) or pci
noise=yes     # whether there is a source of noise; or the socket of ours
qemu=         # of guest_arm, in place of the usual ones
order=off     # whether buffers are to be used in order
iommu=no      # whether there is a virtio-iommu in front of the disk
more=         # of what a guest is to say of its queues: a regular expression
served=no     # whether the disk is ours: examples/vhost-user-blk, with the guest's memory shared
serving=()    # options of that disk
backend=      # the process that serves it
modules=()    # of the core, beyond what every guest uses
seconds=${VIRTQ_PEERS_SECONDS:-60} # after which a guest is ended
runtime=(-lgcc) # what the compiler calls by itself

# What of the core the guest uses; the linker says when that is not all.
guest_core() {
    find "$VIRTQ_SOURCE/lib" -maxdepth 1 -name '*.c'
    find "$VIRTQ_SOURCE/lib/split" "$VIRTQ_SOURCE/lib/packed" -name '*.c'
    printf '%s\n' "$VIRTQ_SOURCE"/lib/space/{bar,direct,granules,premapped,region}.c
}

# What a guest needs for virtio-pci and a virtio-iommu.
guest_modules_pci() {
    modules=("$peers"/guest/{pci,iommu,refusal,bar}.c "$VIRTQ_SOURCE"/lib/iommu/{iova*,pages,virtio_iommu_driver*,virtio_iommu_mapper,virtio_iommu_properties}.c
        "$VIRTQ_SOURCE"/lib/iommu/{virtio_iommu_settings,virtio_iommu_events}.c "$VIRTQ_SOURCE"/lib/space/{iommu,iommu_place}.c)
}

# What a guest needs whose machine has an IOMMU of its own: guest_modules_dma FILE...: those of guest/, and others of lib/
guest_modules_dma() {
    local file
    modules=("$peers"/guest/{pci,refusal}.c "$VIRTQ_SOURCE"/lib/iommu/{iova*,pages}.c "$VIRTQ_SOURCE"/lib/space/{iommu,iommu_place}.c)
    for file in "$@"; do
        case $file in
        guest/*) modules+=("$peers/$file") ;;
        *) modules+=("$VIRTQ_SOURCE/lib/$file") ;;
        esac
    done
}

# need COMMAND...: or the test is skipped, visibly.
need() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || skip "no $command here"
    done
}

# guest_build NAME MACHINE COMPILER BASE FLAG...: $work/guest.elf, which QEMU is to load by ${boot[@]}, with the start-up code of that machine
guest_build() {
    local name=$1 machine=$2 compiler=$3 base=$4 sources
    shift 4
    work=$VIRTQ_BUILD/peers/$name
    rm -rf "$work"
    mkdir -p "$work/objects"
    mapfile -t sources < <(guest_core && printf '%s\n' "${modules[@]}" "$peers/guest/platform_$machine.c" "$peers"/guest/{block,console,entropy,main,memory,mmio,queue,string,transport}.c)
    # memcpy must not become a call of memcpy; nothing of a C library is there to be found.
    local flags=(-std=gnu11 -O2 -ffreestanding -nostdlib -nostdinc -fno-pic -fno-stack-protector -fno-tree-loop-distribute-patterns
        -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wundef -Werror "$@"
        -isystem "$VIRTQ_SOURCE/lib/freestanding" -isystem "$("$compiler" -print-file-name=include)"
        -I "$VIRTQ_SOURCE/include" -I "$VIRTQ_BUILD/include" -I "$VIRTQ_SOURCE/lib")
    # shellcheck disable=SC2016
    printf '%s\0' "${sources[@]}" "$peers/guest/start_$machine.S" | xargs -0 -n 1 -P 2 bash -c '
        source=${*: -1}
        "${@:2:$#-2}" -c "$source" -o "$1/$(basename "$(dirname "$source")")-$(basename "$source").o"' \
        compile "$work/objects" "$compiler" "${flags[@]}" >"$work/build.log" 2>&1 ||
        { cat "$work/build.log" >&2 && fail "$name: the guest does not compile"; }
    "$compiler" "$@" -nostdlib -static -no-pie -Wl,--build-id=none -Wl,--no-warn-rwx-segments -Wl,-z,noexecstack -Wl,--defsym=GUEST_BASE="$base" \
        -T "$peers/guest/guest.ld" "$work"/objects/*.o "${runtime[@]}" -o "$work/guest.elf" >>"$work/build.log" 2>&1 ||
        { cat "$work/build.log" >&2 && fail "$name: the guest does not link"; }
    boot=(-kernel "$work/guest.elf")
    "$CC" -std=c11 -O2 -Wall -Wextra -Werror "$peers/image.c" -o "$work/image"
}

# serve SOCKET LOG COMMAND...: a back-end; then it can be connected to. What it says goes to LOG, or, but for errors, to $said.
serve() {
    local socket=$1 log=$2 try
    shift 2
    rm -f "$log" "${said:-$log}"
    "$@" >>"${said:-$log}" 2>>"$log" &
    backend=$!
    trap 'kill "$backend" 2>/dev/null || true; rm -rf "$scratch"' EXIT
    for ((try = 0; try < 100; try++)); do
        [ ! -S "$socket" ] || return 0
        sleep 0.05
    done
    fail "no back-end: $(cat "$log")"
}

# serve_disk IMAGE LOG: our disk at the socket $served; what it says beyond errors is in LOG.said
serve_disk() {
    local said=$2.said
    serve "$served" "$2" "$VIRTQ_BUILD/examples/vhost-user-blk" "${serving[@]}" "$served" "$1"
}

# serve_end LABEL: asks it to end, which it does in order, having refused nothing
serve_end() {
    local code=0
    kill "$backend"
    wait "$backend" || code=$?
    backend=
    trap 'rm -rf "$scratch"' EXIT
    if [ "$code" -ne 0 ] || [ -s "$work/$1.backend" ]; then
        fail "$1: the back-end ended with $code: $(cat "$work/$1.backend")"
    fi
}

# guest_run LABEL PROPERTIES EXIT EXPECT COMMAND...: runs QEMU, with a disk and a source of noise that have these properties; it must end
# with that code, say EXPECT about both, and leave the disk as it should be.
guest_run() {
    local label=$1 properties=$2 expected=$3 expect=$4 code=0 started log=$work/$1.log disk=$work/$1.img
    shift 4
    local devices=()
    [ $iommu = no ] || devices=(-device "virtio-iommu-pci${properties/,iommu_platform=on/}")
    if [ $served = no ]; then
        devices+=(-drive "if=none,id=d0,format=raw,file=$disk" -device "virtio-blk-$bus,drive=d0,serial=virtq$properties")
    else
        devices+=(-chardev "socket,id=c0,path=$served" -device "vhost-user-blk$([ $bus = device ] || echo "-$bus"),chardev=c0$properties")
    fi
    case $noise in
    no) ;;
    yes) devices+=(-object "rng-builtin,id=r0" -device "virtio-rng-$bus,rng=r0$properties") ;;
    *) devices+=(-chardev "socket,id=c1,path=$noise" -device "vhost-user-rng,chardev=c1") ;;
    esac
    "$work/image" make "$disk" $sectors || fail "$label: no image"
    [ $served = no ] || serve_disk "$disk" "$work/$label.backend"
    started=$(date +%s%N)
    timeout --kill-after=5 "$seconds" "$@" -nodefaults -no-user-config -display none -no-reboot "${boot[@]}" \
        -global virtio-mmio.force-legacy=false -serial file:"$log" \
        "${devices[@]}" \
        </dev/null >"$work/$label.qemu" 2>&1 || code=$?
    [ $served = no ] || serve_end "$label"
    if [ "$code" -ne "$expected" ] || ! grep -q '^guest: passed' "$log"; then
        cat "$work/$label.qemu" "$log" >&2 || true
        fail "$label: QEMU ended with $code"
    fi
    [ "$(grep -c "^\(blk\|rng\): .*$expect" "$log")" -ge 2 ] || { cat "$log" >&2; fail "$label: not what was to be negotiated: $expect"; }
    "$work/image" check "$disk" $sectors || fail "$label: the disk does not hold what the guest wrote"
    rm -f "$disk"
    ran=$((ran + 1))
    printf 'PASS %-52s %4s ms; %s\n' "$label" $((($(date +%s%N) - started) / 1000000)) "$(grep -E '^(blk|iommu): ' "$log" | tail -1)"
}

# Says how many combinations passed, as scripts/test counts them; a failure ends the script before.
guest_total() {
    echo "$ran passed, 0 failed$([ "${retried:-0}" -eq 0 ] || echo ", $retried retried")"
}

# guest_arm NAME PROPERTIES FLAG...: that matrix on an arm machine; with VIRTQ_PEERS=all on the newer QEMU too.
guest_arm() {
    local name=$1 properties=$2 options
    shift 2
    # With the MMU off an unaligned access traps.
    guest_build "$name" aarch64 aarch64-linux-gnu-gcc 0x40100000 -mgeneral-regs-only -mstrict-align -mno-outline-atomics "$@"
    options=(-accel tcg -M "virt,gic-version=2,highmem=off" -cpu cortex-a57 -m 64 -semihosting)
    guest_matrix "$name" "$properties" 0 "${qemu:-qemu-system-aarch64}" "${options[@]}"
    if [ "${VIRTQ_PEERS:-quick}" = all ] && [ -z "${qemu:-}" ] && [ -x "${VIRTQ_QEMU_NEW:-none}" ]; then
        guest_matrix "$name-newer" "$properties" 0 "$VIRTQ_QEMU_NEW" "${options[@]}"
    fi
}

# guest_matrix NAME PROPERTIES EXIT COMMAND...: every combination of format, event index and indirect tables, with more properties.
guest_matrix() {
    local name=$1 properties=$2 expected=$3 packed event indirect
    shift 3
    for packed in off on; do
        for event in on off; do
            for indirect in on off; do
                guest_run "$name-packed-$packed-event-$event-indirect-$indirect" \
                    "$properties,packed=$packed,event_idx=$event,indirect_desc=$indirect" "$expected" \
                    "packed=$(bit $packed) event=$(bit $event) indirect=$(bit $indirect) order=$(bit $order)$more" "$@"
            done
        done
    done
}

bit() {
    if [ "$1" = on ]; then echo 1; else echo 0; fi
}
