#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The driver's section of docs/conformance.md names tests: each of them is there, and each row has one, or says whose the
# sentence is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
cd "$VIRTQ_SOURCE"

sed -n '/^## Driver of the IOMMU device$/,/^## [^D]/p' docs/conformance.md | grep '^| [A-Z]' | grep -v '^| section' >"$scratch/rows"
rows=$(wc -l <"$scratch/rows")
[ "$rows" -ge 39 ] || fail "only $rows sentences"
while read -r row; do
    tests=$(grep -oE '[a-z]+: `[a-z0-9_]+`' <<<"$row" || true)
    if [ -z "$tests" ]; then
        grep -q "the caller's: " <<<"$row" || fail "no test: $row"
        continue
    fi
    while read -r suite name; do
        suite=${suite%:}
        name=${name//\`/}
        grep -qE "(Test|PairTest|BothTest)\(([a-z_]+, )?$name\)" "tests/iommu/virtio_iommu_${suite}_test.c" || fail "there is no test $suite: $name"
    done <<<"$tests"
done <"$scratch/rows"
echo "$rows sentences"
