#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A processor that cannot load or store 64 bits as one (VIRTQ_ATOMIC64 is 0): the ends and the guard compile for it without a call to libatomic, and their
# suites pass, compiled like that for this machine.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"

mapfile -t core < <(find "$VIRTQ_SOURCE/lib" -maxdepth 1 -name '*.c' && find "$VIRTQ_SOURCE/lib/split" "$VIRTQ_SOURCE/lib/packed" -name '*.c' &&
    printf '%s\n' "$VIRTQ_SOURCE"/lib/space/{bar,direct,granules,premapped,region}.c)
includes=(-I "$VIRTQ_SOURCE/include" -I "$VIRTQ_BUILD/include" -I "$VIRTQ_SOURCE/lib")

# objects DIRECTORY COMMAND...: every source, as many at once as there are processors.
objects() {
    local directory=$scratch/$1
    shift
    mkdir "$directory"
    # shellcheck disable=SC2016
    xargs -0 -n 1 -P "$(nproc)" bash -c '
        source=${*: -1}
        "${@:2:$#-2}" -c "$source" -o "$1/$(basename "$(dirname "$source")")-$(basename "$source").o"' compile "$directory" "$@" ||
        fail "not every source compiles"
}

suites=(core:guard core:driver core:device core:driver_batch split:driver split:device split:driver_access packed:driver packed:device packed:driver_access)
flags=(-std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Wconversion -Wcast-align -Werror -Wno-maybe-uninitialized -DVIRTQ_ATOMIC64=0 -DVIRTQ_TEST_TINY=1 "${includes[@]}" -I "$VIRTQ_SOURCE/tests"
    -I "$VIRTQ_SOURCE/tests/support")
printf '%s\0' "${core[@]}" "$VIRTQ_SOURCE"/tests/support/{runner,fake_*}.c | objects run "$CC" "${flags[@]}"
passed=0
for suite in "${suites[@]}"; do
    source=$VIRTQ_SOURCE/tests/${suite/:/\/}_test.c
    source=${source/\/core\//\/}
    [ -f "$source" ] || continue
    "$CC" "${flags[@]}" "$source" "$scratch"/run/*.o -pthread -o "$scratch/suite" || fail "$suite does not build"
    "$scratch/suite" >"$scratch/log" 2>&1 || fail "$suite: $(cat "$scratch/log")"
    tail -1 "$scratch/log"
    passed=$((passed + 1))
done
[ "$passed" -ge 8 ] || fail "only $passed suites"

if command -v m68k-linux-gnu-gcc >/dev/null; then
    printf '%s\0' "${core[@]}" | objects m68k m68k-linux-gnu-gcc -mcpu=68040 -std=c11 -O2 -ffreestanding -nostdinc -isystem "$VIRTQ_SOURCE/lib/freestanding" \
        -isystem "$(m68k-linux-gnu-gcc -print-file-name=include)" "${includes[@]}"
    calls=$(m68k-linux-gnu-nm --undefined-only "$scratch"/m68k/*.o | grep -o '__atomic.*' | LC_ALL=C sort -u || true)
    [ -z "$calls" ] || fail "the m68k needs $calls"
    echo "m68k: no call to libatomic"
fi
