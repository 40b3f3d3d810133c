#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The Valgrind gate lets a clean suite pass and stops a leak, an invalid read and a failing assertion.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
command -v valgrind >/dev/null || skip "no valgrind here"

read -ra criterion <<<"$(pkg-config --cflags --libs criterion)"

# seeded NAME [FLAG...]: the gate's exit code for that suite
seeded() {
    local name=$1 status=0
    shift
    "$CC" -g -O0 -pthread "$@" "$here/seeded.c" -o "$scratch/$name" "${criterion[@]}"
    bash "$here/../valgrind_gate.sh" "$scratch/$name" >"$scratch/$name.log" 2>&1 || status=$?
    echo "$status"
}

[ "$(seeded clean)" -eq 0 ] || { cat "$scratch/clean.log"; fail "a clean suite does not pass"; }
[ "$(seeded leak -DSEED_LEAK)" -ne 0 ] || fail "a leak passes"
grep -q 'definitely lost' "$scratch/leak.log" || fail "the leak's report is lost"
[ "$(seeded read -DSEED_READ)" -ne 0 ] || fail "an invalid read passes"
grep -q 'Invalid read' "$scratch/read.log" || fail "the invalid read's report is lost"
[ "$(seeded assertion -DSEED_ASSERTION)" -ne 0 ] || fail "a failing assertion passes"
echo "a clean suite passes; a leak, an invalid read and a failing assertion do not"
