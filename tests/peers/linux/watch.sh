# SPDX-License-Identifier: BSD-3-Clause
# Waits for a guest, and says what became of it. QEMU 7.2 without hardware acceleration has two faults that are nobody's here: once in some hundred
# boots a guest says not a word, and once in some hundred it does not power off. The first is started once more; the second is ended, if it
# had passed. Both visibly; all else is judged as ever.
# shellcheck shell=bash disable=SC2034

silence=$((${VIRTQ_PEERS_SECONDS:-240} / 2)) # seconds, after which a guest that has not said a word will not
linger=$((${VIRTQ_PEERS_SECONDS:-240} / 8))  # which it has for powering off
retried=0   # guests that were started once more
lingered=no  # whether the last one was ended by us, after its verdict

# watch_once LOG TRACE VERDICT COMMAND...: runs QEMU. $outcome is "ended", and the exit code is QEMU's; or we have ended it: "alone" (its back-end died),
# "silent", "lingers".
watch_once() {
    local log=$1 trace=$2 verdict=$3 pid tick which code passed='' began=$SECONDS
    shift 3
    outcome=ended
    rm -f "$log" "$trace"
    "$@" </dev/null >"${log%.log}.qemu" 2>&1 &
    pid=$!
    while [ $outcome = ended ]; do
        sleep 1 &
        tick=$!
        code=0 which=
        wait -n -p which "$pid" "$tick" || code=$?
        [ "$which" != "$pid" ] || return "$code"
        if [ -n "$backend" ] && ! kill -0 "$backend" 2>/dev/null; then
            outcome=alone
        elif [ ! -s "$log" ]; then
            ((SECONDS - began < silence)) || outcome=silent
        elif [ -z "$passed" ]; then
            ! grep -q "$verdict" "$log" || passed=$SECONDS
        # Of a machine that was turned off QEMU waits for the back-end: if that takes long, it is the back-end's fault.
        elif ((SECONDS - passed >= linger)) && ! grep -qs '^vm_state_notify running 0 ' "$trace"; then
            outcome=lingers
        fi
    done
    kill "$pid" 2>/dev/null || true
    wait "$pid" || true
}

# watch LABEL LOG TRACE VERDICT AGAIN COMMAND...: runs QEMU; LOG ends in .log, and what QEMU says is left beside it, in .qemu. It says into TRACE
# when its machine goes and stops (-trace vm_state_notify); VERDICT is the line with which a guest has passed. AGAIN=no: what comes before the guest's
# first word is not QEMU's alone, so that silence is a failure.
# Returns QEMU's exit code, or 0 if it had to be ended.
watch() {
    local label=$1 log=$2 trace=$3 verdict=$4 again=$5 code
    shift 5
    lingered=no
    while :; do
        code=0
        watch_once "$log" "$trace" "$verdict" "$@" || code=$?
        case $outcome in
        ended) return "$code" ;;
        lingers) lingered=yes && return 0 ;;
        alone) fail "$label: the back-end has ended: $(cat "${log%.log}".{backend,switch} 2>/dev/null || true)" ;;
        esac
        grep -qs '^vm_state_notify running 1 ' "$trace" || fail "$label: QEMU has not started the guest in $silence s"
        [ "$again" = yes ] || fail "$label: the guest said nothing in $silence s"
        echo "RETRY $label: the guest said nothing in $silence s"
        retried=$((retried + 1))
        again=no
    done
}
