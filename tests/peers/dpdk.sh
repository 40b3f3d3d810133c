# SPDX-License-Identifier: BSD-3-Clause
# What the tests with DPDK share: testpmd without huge pages, its commands through a pipe. A test that uses it sets $work, and says what it waits for.
# shellcheck shell=bash

testpmd= # its process
testpmd_log=

# testpmd_start NAME OPTION... -- OPTION...: until it asks for commands; those of EAL come first
testpmd_start() {
    local name=$1 eal=()
    shift
    while [ "$1" != -- ]; do
        eal+=("$1")
        shift
    done
    shift
    testpmd_log=$work/$name.testpmd
    : >"$testpmd_log"
    rm -f "$work/commands"
    mkfifo "$work/commands"
    exec 9<>"$work/commands"
    # Two threads that poll: where there is one processor less than that they share one.
    timeout --kill-after=5 "${VIRTQ_PEERS_SECONDS:-90}" dpdk-testpmd --lcores '0@(0-1),1@(0-1)' --file-prefix "virtq$$" --no-huge -m 128 --no-pci --no-telemetry \
        "${eal[@]}" -- --total-num-mbufs=4096 --nb-cores=1 -i --no-flush-rx --no-mlockall --no-numa "$@" <"$work/commands" >"$testpmd_log" 2>&1 &
    testpmd=$!
    testpmd_wait 'testpmd>'
}

testpmd_say() {
    printf '%s\n' "$@" >&9
}

# testpmd_wait PATTERN [TIMES [COMMAND]]: until its text has so many lines with that; meanwhile the command is given again and again
testpmd_wait() {
    local pattern=$1 times=${2:-1} command=${3:-}
    while [ "$(grep -cE "$pattern" "$testpmd_log")" -lt "$times" ]; do
        kill -0 "$testpmd" 2>/dev/null || { tail -20 "$testpmd_log" >&2 && fail "testpmd ended: no $pattern"; }
        [ -z "$command" ] || testpmd_say "$command"
        sleep 0.1
    done
}

# Ends it in order: its code.
testpmd_stop() {
    local code=0
    testpmd_say stop quit
    wait "$testpmd" || code=$?
    exec 9>&-
    testpmd=
    return $code
}
