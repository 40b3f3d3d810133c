#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A back-end's process is killed, again and again, and the next one goes on. Processes do not go well with a test runner that watches its own, so
# that this is a program by itself.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"

program=$scratch/inflight
"$CC" -std=gnu11 -O2 -g -D_GNU_SOURCE -DVIRTQ_TINY_RUNNER -I"$VIRTQ_SOURCE/include" -I"$VIRTQ_BUILD/include" -I"$here/../support" -I"$here/.." \
    "$here/inflight.c" "$here/../support/runner.c" "$VIRTQ_HOST_STATIC" "$VIRTQ_STATIC" -o "$program"
timeout --kill-after=5 250 "$program" || fail "a buffer was lost, or came twice"
