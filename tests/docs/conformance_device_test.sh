#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The device's section of docs/conformance.md: each sentence has a test, and each test that it names is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
cd "$VIRTQ_SOURCE"
sed -n '/^## The IOMMU device itself$/,$ p' docs/conformance.md >"$scratch/page"
page=$scratch/page

# has SUITE/NAME
has() {
    grep -qE "^Test\(iommu_virtio_iommu_device_${1%%/*}, ${1#*/}\)" "tests/iommu/virtio_iommu_device_${1%%/*}_test.c" 2>/dev/null
}

! has mapping/no_such_test || fail "a test that is not there is found"

named=0
while read -r name; do
    has "$name" || fail "docs/conformance.md names $name, which is no test"
    named=$((named + 1))
done < <(grep -oE '`[a-z]+/[a-z0-9_]+`' "$page" | tr -d '`' | sort -u)

sentences=0
while IFS='|' read -r _ _ sentence _ tests _; do
    grep -qE '`[a-z]+/[a-z0-9_]+`' <<<"$tests" || fail "no test for: $sentence"
    sentences=$((sentences + 1))
done < <(grep -E '^\| (MUST|SHOULD|MAY) \|' "$page")

musts=$(grep -c '^| MUST |' "$page")
shoulds=$(grep -c '^| SHOULD |' "$page")
# As many rows as the section of the specification has sentences.
[ "$musts" -eq 17 ] || fail "$musts sentences with MUST"
[ "$shoulds" -eq 34 ] || fail "$shoulds sentences with SHOULD"
echo "$sentences sentences ($musts MUST, $shoulds SHOULD), $named tests"
