#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Adding a space touches no file of the library: the tests' fifth space is known to its own two files and to the tests
# that put it into a table, and it needs nothing of the library but the seam.
set -euo pipefail
# shellcheck source=../support/functions.sh
. "$(dirname "$0")/../support/functions.sh"

! grep -rni 'fake' "$VIRTQ_SOURCE/include" "$VIRTQ_SOURCE/lib" || fail "the library names the fifth space"

while IFS= read -r file; do
    case $file in
    tests/support/fake_space.[ch] | tests/spec/traffic_test.c | tests/spec/fifth_space_test.c) ;;
    tests/spec/fifth_space_alone_test.sh) ;;
    *) fail "$file names the fifth space" ;;
    esac
done < <(cd "$VIRTQ_SOURCE" && grep -rlE 'fake_space|world_fake' tests)

# What it includes: the seam, and the tests' worlds.
while IFS= read -r header; do
    case $header in
    '"virtq/space.h"' | '"world.h"' | '"fake_space.h"' | '<std'*'.h>' | '<string.h>') ;;
    *) fail "the fifth space needs $header" ;;
    esac
done < <(cd "$VIRTQ_SOURCE/tests/support" && sed -n 's/^#include //p' fake_space.h fake_space.c)

# The object says the same: nothing of the library is called but through the seam.
"$CC" -std=c11 -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" -I"$VIRTQ_SOURCE/tests/support" \
    -c "$VIRTQ_SOURCE/tests/support/fake_space.c" -o "$scratch/fake_space.o"
! nm --undefined-only "$scratch/fake_space.o" | grep -w 'virtq_[a-z_]*' || fail "the fifth space calls the library"
