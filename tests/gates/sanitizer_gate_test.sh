#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The sanitizer gate lets a clean suite pass and stops a leak, an invalid read, undefined behaviour, a race and a failing
# assertion.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"

read -ra criterion <<<"$(pkg-config --cflags --libs criterion)"

# seeded NAME SOURCE COMPILER SANITIZERS [FLAG...]: the gate's exit code for that suite
seeded() {
    local name=$1 source=$2 compiler=$3 sanitizers=$4 status=0
    shift 4
    "$compiler" -g -O1 -pthread -fsanitize="$sanitizers" -fno-sanitize-recover=all "$@" "$here/$source" -o "$scratch/$name" \
        "${criterion[@]}"
    bash "$here/../sanitizer_gate.sh" "$scratch/$name" >"$scratch/$name.log" 2>&1 || status=$?
    echo "$status"
}

# passes NAME SOURCE COMPILER SANITIZERS
passes() {
    [ "$(seeded "$@")" -eq 0 ] || { cat "$scratch/$1.log"; fail "$1 does not pass"; }
}

# stops NAME SOURCE COMPILER SANITIZERS FLAG TEXT
stops() {
    [ "$(seeded "${@:1:5}")" -ne 0 ] || fail "$1 passes"
    grep -q "$6" "$scratch/$1.log" || { cat "$scratch/$1.log"; fail "the report of $1 is lost"; }
}

memory=(seeded.c "$CC" "address,undefined")
passes clean "${memory[@]}"
stops leak "${memory[@]}" -DSEED_LEAK 'detected memory leaks'
stops read "${memory[@]}" -DSEED_READ 'heap-buffer-overflow'
stops shift "${memory[@]}" -DSEED_SHIFT 'shift exponent'
stops assertion "${memory[@]}" -DSEED_ASSERTION 'Failing: 1'
if command -v clang >/dev/null; then
    passes locked race.c clang thread
    stops race race.c clang thread -DSEED_RACE 'data race'
fi
echo "a clean suite passes; a leak, an invalid read, undefined behaviour, a race and a failing assertion do not"
