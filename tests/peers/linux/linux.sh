# SPDX-License-Identifier: BSD-3-Clause
# What the tests with Linux guests share: a kernel of Debian's, an initial file system with one program in it, QEMU, and what the host
# judges. A program of one's own: linux_program, linux_initrd, linux_run. The disk of examples/vhost-user-blk: disk_setup, disk_run.
# Kernels come from scripts/kernels; VIRTQ_KERNELS says where they are. Logs stay in the build tree, under peers/.
# shellcheck shell=bash disable=SC2034
# shellcheck source=../guests.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/guests.sh"
# shellcheck source=watch.sh
. "$peers/linux/watch.sh"

kernels=${VIRTQ_KERNELS:-$VIRTQ_BUILD/kernels}
linux=$peers/linux
seconds=${VIRTQ_PEERS_SECONDS:-240}
memory=256M # of a guest
processors=2

# chosen LABEL: whether VIRTQ_PEERS_ONLY, a regular expression, asks for that combination.
chosen() {
    [[ $1 =~ ${VIRTQ_PEERS_ONLY:-} ]]
}

# linux_setup NAME: $work for the logs of a test of that name.
linux_setup() {
    need timeout cpio gzip xz
    work=$VIRTQ_BUILD/peers/$1
    rm -rf "$work"
    mkdir -p "$work"
}

# linux_kernel NAME: fetches that kernel unless it is there (scripts/kernels says which there are); or the test is skipped.
linux_kernel() {
    [ -e "$kernels/$1/vmlinuz" ] && [ "$1" != restricted ] && return 0
    mkdir -p "$kernels"
    # Two tests may need the same one.
    flock "$kernels" "$VIRTQ_SOURCE/scripts/kernels" "$kernels" "$1" >"$work/kernel-$1.log" 2>&1 ||
        skip "no kernel $1: $(tail -n 1 "$work/kernel-$1.log")"
}

# linux_compiler NAME: the compiler for programs of that kernel's guests.
linux_compiler() {
    case $1 in
    amd64-*) [ "$(uname -m)" = x86_64 ] && echo "$CC" || echo x86_64-linux-gnu-gcc ;;
    *) [ "$(uname -m)" = aarch64 ] && echo "$CC" || echo aarch64-linux-gnu-gcc ;;
    esac
}

# linux_program NAME OUTPUT ARGUMENT...: a static program for that kernel's guests, from sources, flags and libraries
linux_program() {
    local name=$1 output=$2 compiler
    shift 2
    compiler=$(linux_compiler "$name")
    need "$compiler"
    "$compiler" -std=gnu11 -O2 -Wall -Wextra -Wshadow -Werror -static -pthread "$@" -o "$output" || fail "the guest's program does not compile"
}

# linux_initrd NAME OUTPUT PROGRAM MODULE...: an initial file system whose init loads these modules of that kernel, in this order, but for those
# that are built in, and runs the program.
linux_initrd() {
    local name=$1 output=$2 program=$3 root=$work/root module file count=10
    shift 3
    rm -rf "$root"
    mkdir -p "$root/modules"
    [ -e "$work/init-$name" ] || linux_program "$name" "$work/init-$name" "$linux/init.c"
    cp "$work/init-$name" "$root/init"
    cp "$program" "$root/guest"
    for module in "$@"; do
        file=$(find "$kernels/$name" -name "${module//[-_]/[-_]}.ko*" | head -n 1)
        if [ -n "$file" ]; then
            count=$((count + 1))
            case $file in
            *.xz) xz -dc "$file" >"$root/modules/$count-$module.ko" ;;
            *) cp "$file" "$root/modules/$count-$module.ko" ;;
            esac
        elif [ "$name" != restricted ] && ! grep -q "/${module//[-_]/[-_]}\.ko" "$kernels/$name"/lib/modules/*/modules.builtin; then
            fail "the kernel $name has no $module"
        fi
    done
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) | gzip -1 >"$output"
    rm -rf "$root"
}

# linux_machine NAME INITRD KERNEL-ARGUMENTS: how QEMU is to boot that kernel, in ${machine[@]}
linux_machine() {
    local name=$1 initrd=$2 append=$3
    machine=(-smp "$processors" -m "$memory" -object "memory-backend-memfd,id=m0,size=$memory,share=on")
    case $name in
    amd64-*)
        machine=(qemu-system-x86_64 -accel tcg -M q35,kernel-irqchip=split,memory-backend=m0 -cpu max "${machine[@]}")
        # Of a machine that is busy the kernel says that its timer does not work.
        append="console=ttyS0 quiet panic=-1 no_timer_check $append"
        ;;
    *)
        machine=("${arm_qemu:-qemu-system-aarch64}" -accel tcg -M "virt,memory-backend=m0${arm_machine-}" -cpu cortex-a57 "${machine[@]}")
        append="console=ttyAMA0 quiet panic=-1 $append"
        ;;
    esac
    need "${machine[0]}"
    machine+=(-nodefaults -no-user-config -display none -no-reboot -kernel "$kernels/$name/vmlinuz" -initrd "$initrd" -append "$append")
}

# linux_again NAME QEMU-ARGUMENT...: whether nothing but QEMU and the kernel is at work before init's first word. Its drivers are modules, which init
# loads; but firmware reads a disk of ours, and the kernel "restricted" has its drivers built in.
linux_again() {
    case "$1 $*" in
    restricted*) echo no ;;
    amd64-*path=*) [[ $* == *qboot.rom* ]] && echo yes || echo no ;;
    *) echo yes ;;
    esac
}

# linux_run LABEL NAME INITRD KERNEL-ARGUMENTS QEMU-ARGUMENT...: boots that kernel; it must power off by itself, and its program end with 0 (unless
# guest_fails=yes). What follows " -- " in the fourth are the program's arguments. Leaves $work/LABEL.log and the milliseconds in $took.
# One that says nothing, or does not power off, is dealt with in watch.sh. Returns 139 when QEMU has crashed.
linux_run() {
    local label=$1 name=$2 initrd=$3 append=$4 log=$work/$1.log trace=$work/$1.trace code=0 started machine
    shift 4
    linux_machine "$name" "$initrd" "$append"
    printf '%q ' "${machine[@]}" -serial stdio "$@" >"$work/$label.command" # to be run by hand
    started=$(date +%s%N)
    watch "$label" "$log" "$trace" "^init: /guest ended with 0" "$(linux_again "$name" "$@")" timeout --kill-after=5 "$seconds" "${machine[@]}" \
        -trace vm_state_notify -D "$trace" -serial file:"$log" "$@" || code=$?
    took=$((($(date +%s%N) - started) / 1000000))
    # QEMU 7.2 itself, with two processors: a write to a device while the other one moves devices about (memory_region_dispatch_write).
    if [ "$code" -eq 139 ]; then
        echo "$label: QEMU has crashed" >&2
        return 139
    fi
    # QEMU ends with 0 too when the guest has panicked.
    if [ "$code" -ne 0 ] || ! grep -q "^init: $([ "${guest_fails:-no}" = yes ] || echo "/guest ended with 0")" "$log"; then
        cat "$work/$label.qemu" >&2
        tail -n 30 "$log" >&2 || true
        fail "$label: QEMU ended with $code"
    fi
}

# linux_pass LABEL [TEXT]: one more combination.
linux_pass() {
    [ "$lingered" = no ] || echo "NOTE $1: passed, did not power off"
    ran=$((ran + 1))
    printf 'PASS %-52s %5s ms; %s\n' "$1" "$took" "${2-}"
}

disk_sectors=8192
disk_threads=4
disk_ops=400   # of each thread, in a round
disk_rounds=1  # between them the driver is unbound and bound
disk_queues=1    # of the device
disk_ballast=0   # MiB; see disk.c
disk_iommu=none  # how Linux is to say that addresses are translated

# disk_setup NAME...: the kernels, and for each an initial file system with the load of disk.c: $work/disk-NAME.gz
disk_setup() {
    local name modules
    [ -x "$VIRTQ_BUILD/examples/vhost-user-blk" ] || skip "the examples are not built"
    "$CC" -std=c11 -O2 -Wall -Wextra -Werror "$linux/disk_image.c" -o "$work/disk_image"
    served=$scratch/disk.sock
    for name in "$@"; do
        linux_kernel "$name"
        linux_program "$name" "$work/disk-$name" "$linux/disk.c"
        modules=(virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_mmio virtio_blk)
        [[ $name != *-6.12 ]] || modules=(virtio_iommu "${modules[@]}") # 6.1 has none
        linux_initrd "$name" "$work/disk-$name.gz" "$work/disk-$name" "${modules[@]}"
    done
}

# disk_run LABEL NAME EXPECT PROPERTIES KERNEL-ARGUMENTS QEMU-ARGUMENT...: the guest drives our disk, which has these properties and must
# be as EXPECT says to the guest; then the host judges the image.
disk_run() {
    local label=$1 name=$2 expect=$3 properties=$4 append=$5 disk=$work/$1.img log=$work/$1.log before after tries code
    shift 5
    chosen "$label" || return 0
    for tries in 1 2 3; do
        before=$("$work/disk_image" make "$disk" $disk_sectors)
        serve_disk "$disk" "$work/$label.backend"
        code=0
        linux_run "$label" "$name" "$work/disk-$name.gz" "$append -- threads=$disk_threads ops=$disk_ops rounds=$disk_rounds ballast=$disk_ballast" "$@" \
            -chardev "socket,id=c0,path=$served" -device "${disk_device:-vhost-user-blk-pci},chardev=c0,num-queues=$disk_queues$properties" || code=$?
        serve_end "$label"
        [ "$code" -ne 0 ] || break
    done
    [ "$code" -eq 0 ] || fail "$label: QEMU has crashed $tries times"
    after=$("$work/disk_image" check "$disk" $disk_sectors "$disk_threads" "$disk_ops" "$disk_rounds") ||
        fail "$label: the disk does not hold what the guest wrote: $after"
    disk_said "$label" "^guest: features .*$expect queues=$disk_queues iommu=$disk_iommu"$'\r?$'
    disk_said "$label" "^guest: before $before"
    disk_said "$label" "^guest: after $after"
    disk_said "$label" "^guest: passed"
    rm -f "$disk"
    linux_pass "$label" "$([ "$tries" -eq 1 ] || echo "QEMU crashed $((tries - 1)) times; ")$(sed -nE 's/^guest: (features .*)\r?/\1/p' "$log" | tail -n 1)"
}

# disk_buffers LABEL: prints the first and the last address of all buffers that our disk saw, of the last driver that it had; none of them was bad.
# The disk was to run with --log.
disk_buffers() {
    local lowest=0 highest=0 first last
    while read -r first last; do
        ((lowest != 0 && lowest <= first)) || lowest=$((first))
        ((highest >= last)) || highest=$((last))
    done < <(sed -nE '/^features /h; /^ring /H; ${x; p}' "$work/$1.backend.said" |
        sed -nE 's/^ring [0-9]+: [1-9][0-9]* buffers, 0 bad, from (0x[0-9a-f]+) to (0x[0-9a-f]+)$/\1 \2/p')
    ! sed -nE '/^features /h; /^ring /H; ${x; p}' "$work/$1.backend.said" | grep -q " [1-9][0-9]* bad" || lowest=0
    echo "$lowest $highest"
}

# disk_said LABEL PATTERN: or the test fails.
disk_said() {
    chosen "$1" || return 0
    grep -qE "$2" "$work/$1.log" || { cat "$work/$1.log" >&2; fail "$1: the guest did not say: $2"; }
}
