#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A project outside of this tree builds against the installed one and runs: in C and in C++, with the shared library,
# the static one and the inline tier, through pkg-config and through find_package. The installed tree is moved before,
# for it has to be relocatable.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"

"$CMAKE" --install "$VIRTQ_BUILD" --prefix "$scratch/first" >/dev/null
mv "$scratch/first" "$scratch/moved"
"$here/outside/check.sh" "$scratch/moved" "$scratch/outside"

# What is installed is what the source tree holds, no more and no less.
(cd "$scratch/moved/include" && find virtq -name '*.h') | LC_ALL=C sort >"$scratch/installed"
public_headers | diff -u - "$scratch/installed" || fail "the installed headers differ from the public ones"
if grep -rlIF -e "$VIRTQ_SOURCE" -e "$VIRTQ_BUILD" -e "$scratch/first" "$scratch/moved"; then
    fail "an installed text file names a path of this machine"
fi
