#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# valgrind_gate.sh PROGRAM [ARGUMENT...]: runs a suite under Valgrind and fails on any report of any of its processes.
#
# Valgrind's own exit code is of no use here: Criterion forks a worker for each test, which has said "passed" before Valgrind
# finds the leak, and its exit code is dropped. So every process writes a log of its own, and every word in one is a failure.
set -euo pipefail
[ $# -gt 0 ] || {
    echo "usage: $0 PROGRAM [ARGUMENT...]" >&2
    exit 2
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

status=0
VIRTQ_TEST_HURRIED=1 valgrind --quiet --trace-children=yes --leak-check=full --show-leak-kinds=definite,indirect,possible \
    --errors-for-leak-kinds=definite,indirect,possible --fair-sched=yes \
    --suppressions="$(dirname "$0")/valgrind.supp" --log-file="$logs/%p" "$@" || status=$?

if [ -z "$(find "$logs" -type f)" ]; then
    echo "valgrind_gate: nothing ran under Valgrind" >&2
    exit 1
fi
if find "$logs" -type f -size +0 -exec cat {} + | grep . >&2; then
    echo "valgrind_gate: Valgrind reports the above" >&2
    exit 1
fi
exit "$status"
