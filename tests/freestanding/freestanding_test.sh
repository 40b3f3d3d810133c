#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The core and the inline tier compile without a C library, for each kind of processor, and need nothing of one but memcpy,
# memmove, memset and memcmp.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"

# Only the compiler's own headers, and the string.h that lib/freestanding stands in with.
flags=(-std=c11 -ffreestanding -nostdlib -nostdinc -O2 -fno-pic -fno-stack-protector -Wall -Wextra -Werror
    -isystem "$VIRTQ_SOURCE/lib/freestanding" -I "$VIRTQ_SOURCE/include" -I "$VIRTQ_BUILD/include" -I "$VIRTQ_SOURCE/lib")
# Those that instantiate the templates take the longest: first, so that no processor is idle at the end.
mapfile -t sources < <(cd "$VIRTQ_SOURCE/lib" && find "$PWD/split" "$PWD/packed" -name '*.c' &&
    find "$PWD" \( -path "$PWD/host" -o -path "$PWD/split" -o -path "$PWD/packed" \) -prune -o -name '*.c' -print)
[ ${#sources[@]} -gt 0 ] || fail "no sources found"

# The inline tier: its hot functions, and every header of it, so that no template goes without being compiled.
{
    public_headers | grep '^virtq/inline/' | sed 's/.*/#include <&>/'
    echo 'typedef int a_translation_unit_is_not_empty;'
} >"$scratch/headers.c"
sources=("$here/instances.c" "$scratch/headers.c" "${sources[@]}")

# core NAME COMPILER NM [FLAG...]
core() {
    local name=$1 compiler=$2 nm=$3 objects undefined
    shift 3
    if ! command -v "$compiler" >/dev/null; then
        echo "$name: no $compiler here"
        missing=yes
        return
    fi
    mkdir -p "$scratch/$name"
    set -- "$@" -isystem "$("$compiler" -print-file-name=include)"
    # bash -c SCRIPT NAME DIRECTORY COMPILER FLAG... SOURCE, as many at once as there are processors.
    # shellcheck disable=SC2016
    printf '%s\0' "${sources[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c '
        source=${*: -1}
        "${@:2:$#-2}" -c "$source" -o "$1/$(tr / - <<<"$source").o"' \
        compile "$scratch/$name" "$compiler" "${flags[@]}" "$@" || fail "$name: not every source compiles"
    objects=("$scratch/$name"/*.o)
    # On 32 bits a 64-bit division is the compiler's own runtime.
    local runtime=no_such_symbol
    [ "$name" != i686 ] || runtime=__udivdi3
    # Linked into one object, what is still undefined is what a user has to bring.
    "$compiler" "${@:1:$#-2}" -nostdlib -r "${objects[@]}" -o "$scratch/$name/core.o"
    undefined=$("$nm" --undefined-only "$scratch/$name/core.o" | awk '{ print $NF }' | grep -vxE "memcpy|memmove|memset|memcmp|$runtime" || true)
    [ -z "$undefined" ] || fail "$name needs $(echo "$undefined" | tr '\n' ' ')"
    [ "$("$nm" --defined-only "$scratch/$name/core.o" | grep -c ' T virtq_')" -gt 20 ] || fail "$name: the object holds nothing"
    echo "$name: ${#objects[@]} objects, no undefined symbol"
}

missing=no
core x86-64 gcc nm
core x86-64-clang clang nm
core i686 gcc nm -m32
# As a kernel is built: nothing may use a vector register, nor find out at run time that it could.
core x86-64-general gcc nm -mno-sse -mno-mmx -mno-80387 -mno-red-zone
objdump -d "$scratch/x86-64-general/core.o" >"$scratch/code"
! grep -m 5 -E '%([xyz]mm|mm|k)[0-7]|%st\>' "$scratch/code" || fail "x86-64-general: a register that is not a general one"
core aarch64 aarch64-linux-gnu-gcc aarch64-linux-gnu-nm -mno-outline-atomics
core riscv64 riscv64-linux-gnu-gcc riscv64-linux-gnu-nm
core s390x s390x-linux-gnu-gcc s390x-linux-gnu-nm
[ $missing = no ] || skip "not every compiler is here"
