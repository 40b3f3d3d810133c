#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The code in README.md is that of the examples, line by line; what it names is there; and it is short.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
cd "$VIRTQ_SOURCE"

# Lines without indentation, empty lines and the marks of snippets.
plain() {
    sed -E -e 's/^[ \t]+//' -e 's/[ \t]+$//' -e '/^$/d' -e '/^\/\* \[.*\] \*\/$/d' "$@"
}

# quoted FILE...: whether stdin is a run of consecutive lines of one of the files.
quoted() {
    local block file
    block=$(plain)
    for file in "$@"; do
        [[ $'\n'$(plain "$file")$'\n' == *$'\n'"$block"$'\n'* ]] && return
    done
    return 1
}

# The blocks of C, each into a file.
awk -v to="$scratch/block" '
    /^```c$/ { n++; inside = 1; next }
    /^```/ { inside = 0 }
    inside { print > (to n ".c") }' README.md
blocks=0
for block in "$scratch"/block*.c; do
    [ "$(plain "$block" | wc -l)" -ge 5 ] || fail "a block of code in README.md has less than five lines"
    quoted examples/*.c <"$block" || fail "not in any example: $(cat "$block")"
    # The comparison itself: a block that differs by a character is found out.
    ! sed '2s/[a-z]/#/' "$block" | quoted examples/*.c || fail "a changed block passes for a quotation"
    blocks=$((blocks + 1))
done
[ "$blocks" -ge 2 ] || fail "README.md has $blocks blocks of C; each end has one"

# Files and directories, in links and in backquotes.
# shellcheck disable=SC2016 # backquotes, not a command
named() {
    grep -oE '\]\([^)#]+' README.md | sed 's/^](//' | grep -vE '^(https?|mailto):'
    grep -oE '`[a-z_.]+/[A-Za-z0-9_./]*`' README.md | tr -d '`'
}
checked=0
while read -r name; do
    [ -e "$name" ] || fail "README.md names $name, which is not there"
    checked=$((checked + 1))
done < <(named)
[ "$checked" -gt 0 ] || fail "README.md names no file"

[ "$(wc -l <README.md)" -le 120 ] || fail "README.md is longer than 120 lines"
echo "$blocks blocks, $checked names"
