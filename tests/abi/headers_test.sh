#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every public header compiles as the only include, in C11 and in C++17, with whatever compilers there are.
set -euo pipefail
# shellcheck source=../support/functions.sh
. "$(dirname "$0")/../support/functions.sh"

# As in the project of a user who treats these headers as his own code. `= {0}` is how C zeroes a struct, so that one warning
# of C++ is off.
strict=(-Wall -Wextra -Wpedantic -Wshadow -Wundef -Wconversion -Wsign-conversion -Werror)
c=("${strict[@]}" -std=c11 -x c)
stable_cxx=("${strict[@]}" -Wno-missing-field-initializers -std=c++17 -x c++)
# The templates are C with what gcc and clang know of it in C++ too, compound literals for one; api.h lets no other compiler in.
inline_cxx=("${stable_cxx[@]}" -Wno-pedantic)
include=(-I "$VIRTQ_SOURCE/include" -I "$VIRTQ_BUILD/include")
count=0

# The build's own compilers, and gcc and clang if they are others.
distinct() {
    for compiler in "$@"; do
        if command -v "$compiler" >/dev/null; then
            printf '%s %s\n' "$(readlink -f "$(command -v "$compiler")")" "$compiler"
        fi
    done | awk '!seen[$1]++ { print $2 }'
}

# compile COMPILER OPTION...: the header in $scratch/alone
compile() {
    count=$((count + 1))
    "$@" "${include[@]}" -fsyntax-only "$scratch/alone" && return
    echo "FAIL: $header alone, with $*" >&2
    failed=1
}

failed=0
for header in $(public_headers); do
    # Twice; and a translation unit may not be empty.
    printf '#include <%s>\n#include <%s>\ntypedef int alone;\n' "$header" "$header" >"$scratch/alone"
    case $header in
    virtq/inline/*) cxx=("${inline_cxx[@]}") ;;
    *) cxx=("${stable_cxx[@]}") ;;
    esac
    for compiler in $(distinct "$CC" gcc clang); do
        compile "$compiler" "${c[@]}"
    done
    for compiler in $(distinct "$CXX" g++); do
        compile "$compiler" "${cxx[@]}"
    done
    # clang++ is the same file as clang, called by another name.
    if command -v clang++ >/dev/null; then
        compile clang++ "${cxx[@]}"
    fi
done
[ "$count" -gt 0 ] || fail "nothing was compiled"
[ "$failed" -eq 0 ] || exit 1
echo "$count compilations of one header each"
