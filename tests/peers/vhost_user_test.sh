#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU as a front-end, our back-end as the disk: the guest without an operating system on arm drives it, split and packed; and a PC's
# firmware boots from it. Rings, memory and notifications come from a program that nobody here wrote.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc qemu-system-aarch64 timeout
[ -x "$VIRTQ_BUILD/examples/vhost-user-blk" ] || skip "the examples are not built"

guest_build vhost_user aarch64 aarch64-linux-gnu-gcc 0x40100000 -mgeneral-regs-only -mstrict-align -mno-outline-atomics
served=$scratch/disk.sock
guest_matrix vhost-user "" 0 qemu-system-aarch64 -accel tcg -M virt,gic-version=2,memory-backend=m0 -cpu cortex-a57 -m 64 -semihosting \
    -object memory-backend-memfd,id=m0,size=64M,share=on

# firmware PROPERTIES: the boot sector says that it has moved the sectors, and they are there.
firmware() {
    local disk=$work/boot.img log=$work/boot.log code=0
    "$work/image" make "$disk" $sectors
    dd if="$work/boot.bin" of="$disk" conv=notrunc status=none
    rm -f "$log"
    serve_disk "$disk" "$work/boot.backend"
    timeout --kill-after=5 "$seconds" qemu-system-x86_64 -accel tcg -M q35,memory-backend=m0 -m 64M -nodefaults -no-user-config -display none \
        -no-reboot -object memory-backend-memfd,id=m0,size=64M,share=on -chardev socket,id=c0,path="$served" \
        -device "vhost-user-blk-pci,chardev=c0,bootindex=0$1" -debugcon file:"$log" -device isa-debug-exit,iobase=0xf4,iosize=1 \
        </dev/null >"$work/boot.qemu" 2>&1 || code=$?
    serve_end boot
    if [ "$code" -ne 33 ] || [ "$(cat "$log")" != moved ]; then
        fail "firmware$1: QEMU ended with $code: $(cat "$work/boot.qemu" "$log")"
    fi
    cmp <(dd if="$disk" bs=512 skip=1 count=16 status=none | LC_ALL=C od -An -v -tu1 -w1 | awk '{ print 255 - $1 }') \
        <(dd if="$disk" bs=512 skip=32 count=16 status=none | LC_ALL=C od -An -v -tu1 -w1 | awk '{ print $1 + 0 }') ||
        fail "firmware$1: the sectors are not what was written"
    rm -f "$disk"
    ran=$((ran + 1))
    echo "PASS firmware$1"
}

if command -v qemu-system-x86_64 >/dev/null && [ "$(uname -m)" = x86_64 ]; then
    "$CC" -m32 -c "$peers/boot.S" -o "$work/boot.o"
    ld -m elf_i386 -Ttext 0x7c00 --oformat binary -e start "$work/boot.o" -o "$work/boot.bin"
    for properties in "" ,packed=on ,num-queues=4 ,queue-size=16; do
        firmware "$properties"
    done
fi
guest_total
