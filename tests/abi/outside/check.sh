#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# check.sh PREFIX SCRATCH: builds and runs this directory's project against what is installed below PREFIX.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
prefix=$1 scratch=$2
mkdir -p "$scratch"

libdir=$(dirname "$(dirname "$(find "$prefix" -name libvirtq.pc)")")
export PKG_CONFIG_LIBDIR=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
# What C++ may warn of is said in tests/abi/headers_test.sh.
warnings_cxx=("${warnings[@]}" -Wno-missing-field-initializers)
# pkg-config leaves out what it takes for the system's own directories; here they never are.
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1

build() {
    local out=$1
    shift
    "$@" -o "$scratch/$out"
    "$scratch/$out" >"$scratch/$out.log" || {
        cat "$scratch/$out.log"
        echo "FAIL: $out" >&2
        exit 1
    }
    printf 'pkg-config: %s runs\n' "$out"
}

read -ra cflags <<<"$(pkg-config --cflags libvirtq)"
read -ra libs <<<"$(pkg-config --libs libvirtq)"
read -ra inline <<<"$(pkg-config --cflags libvirtq-inline)"
[ -z "$(pkg-config --libs-only-l libvirtq-inline)" ] || {
    echo "FAIL: libvirtq-inline.pc names a library" >&2
    exit 1
}

build c "${CC:-cc}" -std=c11 -O2 "${warnings[@]}" "${cflags[@]}" "$here/library.c" "${libs[@]}"
build c++ "${CXX:-c++}" -std=c++17 -O2 "${warnings_cxx[@]}" "${cflags[@]}" -xc++ "$here/library.c" -xnone "${libs[@]}"
build c-static "${CC:-cc}" -std=c11 -O2 "${warnings[@]}" "${cflags[@]}" "$here/library.c" "$libdir/libvirtq.a"
read -ra host_cflags <<<"$(pkg-config --cflags libvirtq-host)"
read -ra host_libs <<<"$(pkg-config --libs libvirtq-host)"
build c-host "${CC:-cc}" -std=c11 -O2 "${warnings[@]}" "${host_cflags[@]}" "$here/host.c" "${host_libs[@]}"
build c-inline "${CC:-cc}" -std=c11 -O2 "${warnings[@]}" "${inline[@]}" "$here/inline.c"
build c++-inline "${CXX:-c++}" -std=c++17 -O2 "${warnings_cxx[@]}" -Wno-pedantic "${inline[@]}" -xc++ "$here/inline.c"

if ! { "${CMAKE:-cmake}" -S "$here" -B "$scratch/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release &&
    "${CMAKE:-cmake}" --build "$scratch/cmake"; } >"$scratch/log" 2>&1; then
    cat "$scratch/log"
    echo "FAIL: the CMake project" >&2
    exit 1
fi
for program in c c++ c-static c-host c-inline c++-inline; do
    "$scratch/cmake/$program" >"$scratch/log" || {
        cat "$scratch/log"
        echo "FAIL: find_package: $program" >&2
        exit 1
    }
    printf 'find_package: %s runs\n' "$program"
done
