#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Debian's Linux in QEMU with two network cards, both behind examples/vhost-user-net: packets of every length go out at one and come in at the other,
# where the guest compares every byte; the switch counts them.
set -euo pipefail
# shellcheck source=linux/linux.sh
. "$(cd "$(dirname "$0")" && pwd)/linux/linux.sh"
linux_setup linux_net
[ -x "$VIRTQ_BUILD/examples/vhost-user-net" ] || skip "the examples are not built"
kernel=amd64-6.1
linux_kernel $kernel
linux_program $kernel "$work/net" "$linux/net.c"
linux_initrd $kernel "$work/net.gz" "$work/net" virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net
switch=
trap '[ -z "$switch" ] || kill "$switch" 2>/dev/null || true; rm -rf "$scratch"' EXIT
packets=4000

# net_run LABEL PROPERTIES
net_run() {
    local label=$1 try counts
    "$VIRTQ_BUILD/examples/vhost-user-net" "$scratch/a" "$scratch/b" >"$work/$label.switch" 2>&1 &
    switch=$!
    backend=$switch
    for ((try = 0; try < 200; try++)); do
        [ ! -S "$scratch/b" ] || break
        sleep 0.05
    done
    # Without vectors=0 QEMU 7.2 ends by a signal: it believes that there is a hypervisor to deliver interrupts.
    linux_run "$label" $kernel "$work/net.gz" "net.ifnames=0 -- packets=$packets" -bios qboot.rom \
        -chardev "socket,id=c0,path=$scratch/a" -netdev vhost-user,id=n0,chardev=c0 -device "virtio-net-pci,netdev=n0,vectors=0,romfile=,mac=52:54:00:00:00:01$2" \
        -chardev "socket,id=c1,path=$scratch/b" -netdev vhost-user,id=n1,chardev=c1 -device "virtio-net-pci,netdev=n1,vectors=0,romfile=,mac=52:54:00:00:00:02$2"
    kill "$switch"
    wait "$switch" || fail "$label: the switch failed: $(cat "$work/$label.switch")"
    switch= backend=
    grep -q "^guest: $packets packets each way" "$work/$label.log" || fail "$label: the guest did not say that it has all packets"
    # The kernel has something of its own to say too.
    counts=$(sed -nE 's/^port [01]: ([0-9]+) packets sent on.*/\1/p' "$work/$label.switch" | awk -v least="$packets" '$1 >= least && $1 < least + 200' | wc -l)
    [ "$counts" -eq 2 ] || fail "$label: $(cat "$work/$label.switch")"
    ! grep -q refused "$work/$label.switch" || fail "$label: $(cat "$work/$label.switch")"
    linux_pass "$label" "2 x $packets packets"
}

net_run linux-net-packed ",packed=on"
if [ "${VIRTQ_PEERS:-quick}" = all ]; then
    net_run linux-net-split ""
    net_run linux-net-plain-rings ",event_idx=off,indirect_desc=off"
fi
guest_total
