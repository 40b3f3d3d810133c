#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest that says nothing is started once more, and not twice; one that has passed need not power off; and neither hides a back-end that died, a
# QEMU that never started its guest, or what happens after the guest's first word. The guests are scripts, and the times short.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
# shellcheck source=../peers/linux/watch.sh
. "$here/../peers/linux/watch.sh"
silence=3 linger=2
backend=

# What the guests are made of; each is ended by us if it does not end by itself.
cat >"$scratch/guest" <<'EOT'
log=$1 trace=$2
shift 2
for step; do
    case $step in
    first) if [ -e "$log.again" ]; then break; fi && touch "$log.again" ;; # what follows happens the first time only
    on | off) echo "vm_state_notify running $([ "$step" = on ] && echo 1 || echo 0) reason" >>"$trace" ;;
    word) echo "init: begins" >>"$log" ;;
    pass) echo "init: /guest ended with 0" >>"$log" ;;
    lost) echo "init: /guest ended with 1" >>"$log" ;;
    hang) exec sleep 60 ;;
    wait) sleep 4 ;;
    crash) exit 9 ;;
    esac
done
[ -s "$log" ] || printf 'init: begins\ninit: /guest ended with 0\n' >>"$log"
EOT

# expect NAME PATTERN AGAIN STEP...: what is said, and what comes of a guest that does this
expect() {
    local name=$1 pattern=$2 again=$3 said
    shift 3
    said=$(
        exec 2>&1
        code=0
        watch "$name" "$scratch/$name.log" "$scratch/$name.trace" "^init: /guest ended with 0" "$again" \
            timeout --kill-after=1 8 bash "$scratch/guest" "$scratch/$name.log" "$scratch/$name.trace" "$@" || code=$?
        echo "code $code, retried $retried, lingered $lingered"
    ) || true
    [[ $said =~ ^$pattern$ ]] || fail "$name: $said"
}

# All at once, for they mostly sleep.
all=()
expect passes "code 0, retried 0, lingered no" yes on word pass off &
all+=($!)
expect crashes "code 9, retried 0, lingered no" yes on crash &
all+=($!)
expect silent-once "RETRY silent-once: .*code 0, retried 1, lingered no" yes on first hang &
all+=($!)
expect silent-twice "RETRY silent-twice: .*FAIL: silent-twice: the guest said nothing in 3 s" yes on hang &
all+=($!)
expect silent-by-us "FAIL: silent-by-us: the guest said nothing in 3 s" no on first hang &
all+=($!)
expect not-started "FAIL: not-started: QEMU has not started the guest in 3 s" yes first hang &
all+=($!)
expect silent-later "code 124, retried 0, lingered no" yes on word hang & # the limit of all guests
all+=($!)
expect slow "code 0, retried 0, lingered no" yes on word wait pass off &
all+=($!)
expect lingers "code 0, retried 0, lingered yes" yes on word pass hang &
all+=($!)
expect lingers-lost "code 124, retried 0, lingered no" yes on word lost hang &
all+=($!)
expect lingers-off "code 124, retried 0, lingered no" yes on word pass off hang & # QEMU waits for a back-end
all+=($!)
(
    sleep 0.2 &
    backend=$!
    echo "why" >"$scratch/alone.backend"
    expect alone "FAIL: alone: the back-end has ended: why" yes on first hang
) &
all+=($!)
for one in "${all[@]}"; do
    wait "$one" || exit 1
done
echo "${#all[@]} passed, 0 failed"
