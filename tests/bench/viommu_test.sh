#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtq-bench viommu: every mapping is verified, and a batch is two notifications, however many buffers it has: one for
# its MAPs, one for its UNMAPs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
bench=$VIRTQ_BUILD/bench/virtq-bench
[ -x "$bench" ] || skip "virtq-bench was not built"

"$bench" viommu --quick --rounds=1 --request-ns=0,50 --json "$scratch/real.json" >"$scratch/table" 2>"$scratch/log" || fail "$(cat "$scratch/log")"
grep -q '^28 of 28 cases verified' "$scratch/table" || fail "not every case was verified"

# notifications BUFFERS METHOD: for each buffer, as the table has it
notifications() {
    awk -v buffers="$1" -v method="$2" '/Measured/ {exit}
        {for (i = 2; i <= NF; i++) if ($i == method && $(i - 1) == buffers) print $(i + 3)}' "$scratch/table" | sort -u
}

for buffers in 1 16 64 256; do
    [ "$(notifications "$buffers" single)" = 2.000 ] || fail "$buffers buffers, one request each: $(notifications "$buffers" single) notifications"
done
for row in 16:0.125 64:0.031 256:0.008; do
    [ "$(notifications "${row%:*}" batch)" = "${row#*:}" ] || fail "a batch of ${row%:*}: $(notifications "${row%:*}" batch) notifications for each"
done

# Only what is asked for; and clear errors.
"$bench" viommu --quick --rounds=1 --format=packed --buffers=16 --method=batch --request-ns=7 --json "$scratch/one.json" >/dev/null 2>&1
[ "$(grep -c '"command": "viommu"' "$scratch/one.json")" -eq 1 ] || fail "the filters leave more than one case"
for wrong in --request-ns=x --request-ns=1,,2 --request-ns=9999999999 --buffers=3 --method=none; do
    code=0
    "$bench" viommu "$wrong" >"$scratch/log" 2>&1 || code=$?
    [ "$code" -eq 2 ] || fail "$wrong: exit code $code, not 2"
    grep -q -e "${wrong%%=*}" "$scratch/log" || fail "$wrong: the message does not name the option"
done
echo "28 cases, $(notifications 256 batch) notifications for each of 256 buffers"
