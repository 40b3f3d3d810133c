#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The README's two commands that give QEMU a disk, as they stand there: firmware boots from the image, and the boot sector moves sectors.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need qemu-system-x86_64 timeout ld
[ "$(uname -m)" = x86_64 ] || skip "the boot sector is for x86"
[ -x "$VIRTQ_BUILD/examples/vhost-user-blk" ] || skip "the examples are not built"
work=$VIRTQ_BUILD/peers/readme_disk
rm -rf "$work"
mkdir -p "$work/build" "$work/bin"

awk '/^## .*two commands/ && /QEMU/ { section = 1 } section && /^```$/ { exit } inside { print } section && /^```sh/ { inside = 1 }' \
    "$VIRTQ_SOURCE/README.md" >"$work/commands"
[ "$(grep -cE '^[^ #]' "$work/commands")" -eq 2 ] || fail "not two commands: $(cat "$work/commands")"

"$CC" -std=c11 -O2 -Wall -Wextra -Werror "$peers/image.c" -o "$work/image"
"$CC" -m32 -c "$peers/boot.S" -o "$work/boot.o"
ld -m elf_i386 -Ttext 0x7c00 --oformat binary -e start "$work/boot.o" -o "$work/boot.bin"
"$work/image" make "$work/disk.img" $sectors
dd if="$work/boot.bin" of="$work/disk.img" conv=notrunc status=none

# The build is where the README has it, the socket is this test's own, and QEMU has no screen here, and says how the guest ended.
ln -s "$VIRTQ_BUILD" "$work/build/install"
sed "s|/tmp/disk.sock|$scratch/disk.sock|g" "$work/commands" >"$work/commands.here"
cat >"$work/bin/qemu-system-x86_64" <<EOT
#!/bin/sh
exec timeout --kill-after=5 $seconds $(command -v qemu-system-x86_64) "\$@" -accel tcg -display none -no-reboot \
    -debugcon file:$work/boot.log -device isa-debug-exit,iobase=0xf4,iosize=1
EOT
chmod +x "$work/bin/qemu-system-x86_64"
begun=$(date +%s%N) code=0
(
    cd "$work"
    export PATH=$work/bin:$PATH
    # shellcheck source=/dev/null
    . "$work/commands.here" || code=$?
    kill %1 && wait %1 || code=$((code + 256))
    exit $((code != 33))
) </dev/null >"$work/log" 2>&1 || fail "the commands end otherwise: $(cat "$work/log")"
[ "$(cat "$work/boot.log")" = moved ] || fail "the guest did not boot from the disk: $(cat "$work/log" "$work/boot.log")"
cmp <(dd if="$work/disk.img" bs=512 skip=1 count=16 status=none | LC_ALL=C od -An -v -tu1 -w1 | awk '{ print 255 - $1 }') \
    <(dd if="$work/disk.img" bs=512 skip=32 count=16 status=none | LC_ALL=C od -An -v -tu1 -w1 | awk '{ print $1 + 0 }') ||
    fail "the sectors are not what was written"
ran=1
printf 'PASS %-52s %4s ms\n' "the README's two commands" $((($(date +%s%N) - begun) / 1000000))
guest_total
