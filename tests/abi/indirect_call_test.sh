#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Reads the machine code of the instances direct, bar and premapped, inline tier and library tier: their hot functions contain no call
# or jump through a register or memory (law L1 of virtq/space.h). Judged are what gcc and clang make of the sources, for x86-64
# and aarch64, and the library that was built, if it was optimised.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"

# Where a space may be asked all the same: a table that lies outside of every window known, one call per miss.
exits='^virtq_walk_table_window(\.|$)'

# found OBJDUMP PATTERN OBJECT...: what indirect_calls.awk prints
found() {
    local objdump=$1 pattern=$2
    shift 2
    "$objdump" -d -r --no-show-raw-insn "$@" | awk -v hot="$pattern" -v exits="$exits" -f "$here/indirect_calls.awk"
}

# clean WHAT COUNT OBJDUMP PATTERN OBJECT...: that many hot functions, and nothing found in them
clean() {
    local what=$1 count=$2 result
    shift 2
    result=$(found "$@")
    [ "$result" = "$count hot functions" ] || fail "$what, where there should be $count hot functions: $result"
    echo "$what: $result, no indirect call"
}

# dirty WHAT OBJDUMP PATTERN OBJECT...: at least one
dirty() {
    local what=$1
    shift
    [ "$(found "$@" | wc -l)" -gt 1 ] || fail "the gate does not see $what"
}

flags=(-std=c11 -O2 -fPIC -I "$VIRTQ_SOURCE/include" -I "$VIRTQ_BUILD/include")

# library NAME OBJDUMP OBJECT...
library() {
    local name=$1 objdump=$2
    shift 2
    # Two formats, two ends of six functions each, three instances.
    clean "library tier, $name" 72 "$objdump" \
        '^virtq_(split|packed)_(driver|device)_(direct|bar|premapped)_(add|poll|pop|push|publish|[a-z]+_notify)$' "$@"
    dirty "the calls of the called instance, library tier, $name" "$objdump" \
        '^virtq_(split|packed)_(driver|device)_called_(add|poll|pop)$' "$@"
}

# instances NAME OBJDUMP COMPILER [FLAG...]
instances() {
    local name=$1 objdump=$2
    shift 2
    if ! command -v "$1" >/dev/null; then
        echo "$name: no $1 here"
        return
    fi
    "$@" "${flags[@]}" -c "$VIRTQ_SOURCE/tests/freestanding/instances.c" -o "$scratch/$name.o"
    clean "inline tier, $name" 72 "$objdump" '^hot_.*_(direct|bar|premapped)_' "$scratch/$name.o"
    local source objects=()
    for source in split/driver split/device packed/driver packed/device; do
        objects+=("$scratch/$name-${source/\//-}.o")
        "$@" "${flags[@]}" -c "$VIRTQ_SOURCE/lib/$source.c" -o "${objects[-1]}"
    done
    library "$name" "$objdump" "${objects[@]}"
    # The instance that asks the space has such calls: the gate sees them in real code too.
    dirty "the calls of the called instance, $name" "$objdump" '^hot_.*_called_' "$scratch/$name.o"

    for seed in CALL JUMP HELPER; do
        "$@" "${flags[@]}" -DSEED_$seed -c "$here/indirect_seed.c" -o "$scratch/$name-seed.o"
        dirty "a seeded indirect call ($seed, $name)" "$objdump" '^hot_seed$' "$scratch/$name-seed.o"
    done
    "$@" "${flags[@]}" -c "$here/indirect_seed.c" -o "$scratch/$name-seed.o"
    clean "seed without an indirect call, $name" 1 "$objdump" '^hot_seed$' "$scratch/$name-seed.o"
    # A pattern that fits nothing must not pass for a clean result.
    if (clean "" 72 "$objdump" '^no_such_function$' "$scratch/$name.o") >/dev/null 2>&1; then
        fail "the gate passes though it judges nothing"
    fi
}

instances gcc objdump gcc &
all=($!)
instances clang objdump clang &
all+=($!)
instances aarch64 aarch64-linux-gnu-objdump aarch64-linux-gnu-gcc &
all+=($!)
for one in "${all[@]}"; do
    wait "$one" || exit 1
done

# Without optimisation nothing is set apart as cold, and this gate could not tell.
if objdump -h "$VIRTQ_STATIC" | grep -c '\.text\.unlikely' >/dev/null; then
    library built objdump "$VIRTQ_STATIC"
fi
