#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A Linux guest on arm with a restricted DMA pool drives examples/vhost-user-blk, which is given only that pool of the guest's memory: all
# works. A guest without the pool is refused by name, and goes on. The kernel is our own build: no Debian 12 kernel has restricted pools.
set -euo pipefail
# shellcheck source=linux/linux.sh
. "$(cd "$(dirname "$0")" && pwd)/linux/linux.sh"
linux_setup linux_restricted
disk_device=vhost-user-blk # on virtio-mmio
mmio=(-global virtio-mmio.force-legacy=false)

# Clear of the kernel below, and of the initial file system, which QEMU puts 128 MiB into memory.
pool_first=0x4c000000 pool_size=0x400000
serving=(--only=$pool_first:$pool_size --log)

# refused LABEL KERNEL PROPERTIES QEMU-ARGUMENT...: the disk says why, nothing is read or written, and the guest ends by itself.
refused() {
    local label=$1 kernel=$2 properties=$3 disk=$work/$1.img
    shift 3
    chosen "$label" || return 0
    "$work/disk_image" make "$disk" $disk_sectors >"$work/$label.before"
    serve_disk "$disk" "$work/$label.backend"
    guest_fails=yes linux_run "$label" "$kernel" "$work/disk-$kernel.gz" "patience=${patience:-20} -- threads=1 ops=1" -chardev "socket,id=c0,path=$served" \
        -device "$disk_device,chardev=c0$properties" "${mmio[@]}" "$@"
    kill "$backend"
    wait "$backend" || fail "$label: the back-end ended with $?"
    backend=
    grep -q "SET_VRING_KICK refused: ring outside of the memory given" "$work/$label.backend" || { cat "$work/$label.backend" >&2; fail "$label: not refused by name"; }
    ! grep -q "^guest: \(passed\|round\)" "$work/$label.log" || fail "$label: the guest has a disk"
    grep -q "^init: out of patience" "$work/$label.log" || fail "$label: the guest did not wait for its disk"
    ! grep -q "^ring" "$work/$label.backend.said" || fail "$label: buffers were served"
    "$work/disk_image" check "$disk" $disk_sectors 1 0 0 | cmp - "$work/$label.before" || fail "$label: the disk has changed"
    rm -f "$disk"
    linux_pass "$label" "$(head -n 1 "$work/$label.backend")"
}

# It takes a kernel's build, and some patience.
if [ "${VIRTQ_PEERS:-quick}" != all ]; then
    guest_total
    exit 0
fi
disk_setup restricted arm64-6.1

# The machine's own device tree, with a pool that the virtio devices are told to use.
qemu-system-aarch64 -M virt,dumpdtb="$work/machine.dtb" -cpu cortex-a57 -smp "$processors" -m "$memory" -nodefaults -display none >"$work/dtb.log" 2>&1
"$kernels/restricted/dtc" -q -I dtb -O dts "$work/machine.dtb" | awk -v first="${pool_first#0x}" -v size="$pool_size" '
    /^\tvirtio_mmio@/ && !done++ {
        print "\treserved-memory {\n\t\t#address-cells = <2>;\n\t\t#size-cells = <2>;\n\t\tranges;"
        print "\t\tpool: restricted@" first " {\n\t\t\tcompatible = \"restricted-dma-pool\";\n\t\t\treg = <0 0x" first " 0 " size ">;\n\t\t};\n\t};"
    }
    { print }
    /^\tvirtio_mmio@/ { print "\t\tmemory-region = <&pool>;" }
    ' >"$work/restricted.dts"
"$kernels/restricted/dtc" -q -I dts -O dtb "$work/restricted.dts" -o "$work/restricted.dtb"

for format in split packed; do
    for disk_queues in 1 2; do
        label=linux-restricted-$format-$disk_queues
        flag=$([ $format = split ] && echo 0 || echo 1)
        disk_run "$label" restricted "packed=$flag event=1 indirect=1 platform=1" ",iommu_platform=on$([ $flag = 0 ] || echo ,packed=on)" "" \
            -dtb "$work/restricted.dtb" "${mmio[@]}"
        chosen "$label" || continue
        read -r first last < <(disk_buffers "$label")
        ((first >= pool_first && last < pool_first + pool_size)) || fail "$label: buffers from $first to $last"
    done
done
refused linux-restricted-no-pool arm64-6.1 ,iommu_platform=on
# Debian's kernel takes no notice of the pool that the machine has; and without the feature a driver bypasses all that is between it and memory.
refused linux-restricted-pool-ignored arm64-6.1 ,iommu_platform=on -dtb "$work/restricted.dtb"
refused linux-restricted-bypass arm64-6.1 "" -dtb "$work/restricted.dtb"
guest_total
