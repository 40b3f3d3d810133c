#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest without an operating system tells with each notification how far it has come (VIRTIO_F_NOTIFICATION_DATA). A QEMU that can read that does not offer
# it for its own devices: the source of noise is our back-end, whose features QEMU hands on. What was told is read from QEMU's trace.
set -euo pipefail
# shellcheck source=guests.sh
. "$(cd "$(dirname "$0")" && pwd)/guests.sh"
need aarch64-linux-gnu-gcc timeout
[ -x "$VIRTQ_BUILD/examples/vhost-user-rng" ] || skip "the examples are not built"

qemu=none
for candidate in "${VIRTQ_QEMU_NEW:-none}" qemu-system-aarch64; do
    version=$("$candidate" --version 2>/dev/null | sed -nE '1s/.*version ([0-9]+)\..*/\1/p') || true
    if [ "${version:-0}" -ge 10 ]; then
        qemu=$candidate
        break
    fi
done
[ "$qemu" != none ] || skip "no QEMU here that hands on NOTIFICATION_DATA"
"$qemu" --version | head -1

# judge_words LABEL FORMAT: the words name queue 0 and a position that goes forward, of a ring of 16 or 12 descriptors. A word of 0 goes another way, and is not
# in the trace; and where the back-end is awake there is none.
judge_words() {
    sed -nE 's/.* offset 0x50 value 0x([0-9a-f]+)$/\1/p' "$work/$1.trace" | awk -v packed="$2" '
        function number(hex, i, n) { for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1; return n }
        {
            word = number($1); queue = word % 65536; high = (word - queue) / 65536
            if (queue != 0) { print "queue " queue; bad = 1; exit }
            if (packed) { # the wrap counter starts as 1
                offset = high % 32768; wrap = (high - offset) / 32768
                if (offset >= 12) { print "offset " offset; bad = 1; exit }
                at = (wrap ? 0 : 12) + offset; step = (at - last + 24) % 24; last = at
            } else {
                step = high - last; last = high
            }
            if (step <= 0 || step > 12) { print "from " last - step " to " last; bad = 1; exit }
            went += step; words++
        }
        # 74 requests, of at most two descriptors each.
        END {
            if (!bad && (words < 20 || went > 2 * 74)) { print words " words, " went " descriptors"; bad = 1 }
            exit bad
        }' || fail "$1: what the notifications tell"
}

guest_build notification_data aarch64 aarch64-linux-gnu-gcc 0x40100000 -mgeneral-regs-only -mstrict-align -mno-outline-atomics
noise=$scratch/noise.sock
for packed in off on; do
    for event in on off; do
        for indirect in on off; do
            label=notification-data-packed-$packed-event-$event-indirect-$indirect
            options=()
            [ $packed = on ] || options+=(--no-packed)
            [ $event = on ] || options+=(--no-event-idx)
            [ $indirect = on ] || options+=(--no-indirect)
            serve "$noise" "$work/$label.backend" "$VIRTQ_BUILD/examples/vhost-user-rng" "${options[@]}" "$noise"
            guest_run "$label" ",packed=$packed,event_idx=$event,indirect_desc=$indirect" 0 \
                "packed=$(bit $packed) event=$(bit $event) indirect=$(bit $indirect) order=0" \
                "$qemu" -accel tcg -M virt,gic-version=2,memory-backend=m0 -cpu cortex-a57 -m 64 -semihosting \
                -object memory-backend-memfd,id=m0,size=64M,share=on -trace virtio_mmio_write_offset -D "$work/$label.trace"
            serve_end "$label"
            [ "$(grep -c '^rng: .* data=1 ' "$work/$label.log")" -eq 2 ] || fail "$label: NOTIFICATION_DATA was not negotiated"
            judge_words "$label" "$(bit $packed)"
        done
    done
done
guest_total
