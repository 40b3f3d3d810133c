#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# sanitizer_gate.sh PROGRAM [ARGUMENT...]: runs a sanitized suite and fails on any report of any of its processes.
#
# Criterion drops the exit code of the worker in which LeakSanitizer finds a leak. So every process writes its reports to a file,
# and any file is a failure.
set -euo pipefail
[ $# -gt 0 ] || {
    echo "usage: $0 PROGRAM [ARGUMENT...]" >&2
    exit 2
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

export ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:${ASAN_OPTIONS-}:log_path=$logs/asan"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS-}:log_path=$logs/ubsan"
export LSAN_OPTIONS="${LSAN_OPTIONS-}:log_path=$logs/lsan"
export TSAN_OPTIONS="halt_on_error=0:second_deadlock_stack=1:${TSAN_OPTIONS-}:log_path=$logs/tsan"

status=0
"$@" || status=$?

if find "$logs" -type f -exec cat {} + | grep . >&2; then
    echo "sanitizer_gate: the above was reported" >&2
    exit 1
fi
exit "$status"
