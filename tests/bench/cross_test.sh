#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtq-bench cross: every way carries its data, and the crossing points are where the curves cross.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
bench=$VIRTQ_BUILD/bench/virtq-bench
[ -x "$bench" ] || skip "virtq-bench was not built"

# row SPACE SIZE NS REQUESTS: one row of results
row() {
    printf '%s{"command": "cross", "axes": {"direction": "write", "queues": "1", "request-ns": "0",' "$comma"
    printf ' "space": "%s", "size": "%s"}, "label": "-", "verified": true, "bytes": %s, "ns": {"median": %s}, "requests": %s}\n' \
        "$1" "$2" "$2" "$3" "$4"
    comma=,
}

# crossing MAP...: what the report says of copying at a nanosecond for 16 bytes and mapping at MAP ns, for each size
crossing() {
    local size comma=
    {
        printf '{"program": "virtq-bench", "rows": [\n'
        for size in 64 256 1024 4096 16384 65536; do
            row swiotlb-dynamic "$size" "$((size / 16))" 0
        done
        for size in 64 256 1024 4096 16384 65536; do
            row iommu-strict "$size" "$1" 3
            shift
        done
        printf ']}\n'
    } >"$scratch/results.json"
    "$bench" report "$scratch/results.json" | sed -n 's/^write.* 1  *0  *\(.*\)$/\1/p' | head -n 1
}

# expect TEXT MAP...: the crossing point is as the arithmetic has it
expect() {
    local text=$1 found
    shift
    found=$(crossing "$@")
    [ "$found" = "$text" ] || fail "mapping at $*: '$found', not '$text'"
}

expect "2.0 KiB  below swiotlb-dynamic, above iommu-strict" 128 128 128 128 128 128
expect "16 KiB  below swiotlb-dynamic, above iommu-strict" 1024 1024 1024 1024 1024 1024
# One figure that something disturbed does not move it.
expect "2.0 KiB  below swiotlb-dynamic, above iommu-strict" 3 128 128 128 128 128
expect "2.0 KiB  below swiotlb-dynamic, above iommu-strict" 128 128 128 128 128 5000
# Where one of them is always cheaper there is none.
expect "-  swiotlb-dynamic, at every size (never iommu-strict)" 9999 9999 9999 9999 9999 9999
expect "-  iommu-strict, at every size (never swiotlb-dynamic)" 1 1 1 1 1 1

"$bench" cross --quick --rounds=1 --size=64,1500,256K --request-ns=0,50 --json "$scratch/real.json" >"$scratch/table" 2>"$scratch/log" ||
    fail "$(cat "$scratch/log")"
! grep -q '"verified": false' "$scratch/real.json" || fail "a case carried wrong data"
grep -q '^[0-9]* of [0-9]* cases verified' "$scratch/table" || fail "the table does not say that the data was verified"
for way in $("$bench" cross --help | tr -d ' \n' | sed -n 's/.*withinreach:\([a-z,-]*\)-?.*/\1/p' | tr ',' ' '); do
    grep -q "\"space\": \"$way\"" "$scratch/real.json" || fail "$way was not measured"
done
grep -q '"space": "iommu-strict"' "$scratch/real.json" || fail "the ways are not known"

# Only what is asked for; and clear errors.
"$bench" cross --quick --rounds=1 --space=direct --size=64 --direction=read --queues=1 --json "$scratch/one.json" >/dev/null 2>&1
[ "$(grep -c '"command": "cross"' "$scratch/one.json")" -eq 1 ] || fail "the filters leave more than one case"
for wrong in --request-ns=x --request-ns=1,,2 --request-ns=9999999999 --size=3 --space=none --queues=3; do
    code=0
    "$bench" cross "$wrong" >"$scratch/log" 2>&1 || code=$?
    [ "$code" -eq 2 ] || fail "$wrong: exit code $code, not 2"
    grep -q -e "${wrong%%=*}" "$scratch/log" || fail "$wrong: the message does not name the option"
done
echo "crossing points, $(grep -c '"command": "cross"' "$scratch/real.json") cases"

"$bench" cross --quick --rounds=1 --size=64 --request-ns=0 --queues=1 --format=packed --json "$scratch/packed.json" >/dev/null 2>"$scratch/log" ||
    fail "$(cat "$scratch/log")"
! grep -q '"verified": false' "$scratch/packed.json" || fail "a packed queue carried wrong data"
grep -q '"format": "packed"' "$scratch/packed.json" || fail "the results do not say that the queues were packed"
! "$bench" cross --format=round >/dev/null 2>&1 || fail "an unknown format is accepted"
