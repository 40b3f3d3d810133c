#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# One page per space, with what a reader looks for; what it quotes and links to is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
cd "$VIRTQ_SOURCE"

# snippets PAGE: each "FILE NAME" that it quotes.
snippets() {
    sed -n 's/^\\snippet //p' "$1"
}

# has_snippet FILE NAME: whether the example has that part, begun and ended.
has_snippet() {
    [ "$(grep -cF "/* [$2] */" "examples/$1")" -eq 2 ]
}

! has_snippet spaces.c no_such_part || fail "a part that is not there is found"

pages=0
quoted=0
for page in docs/spaces/*.md; do
    grep -q '^\*\*What it is\.\*\*' "$page" || fail "$page does not say what it is"
    for part in "When to use it" "What it costs" "Trust boundary" "Example"; do
        grep -qx "## $part" "$page" || fail "$page has no part '$part'"
    done
    grep -qx '```text' "$page" || fail "$page has no diagram"
    [ -n "$(snippets "$page")" ] || fail "$page quotes no example"
    while read -r file name; do
        has_snippet "$file" "$name" || fail "$page quotes $name of examples/$file, which is not there"
        quoted=$((quoted + 1))
    done < <(snippets "$page")
    pages=$((pages + 1))
done
[ "$pages" -ge 5 ] || fail "only $pages pages"

links=0
for page in docs/spaces/*.md docs/choosing.md; do
    while read -r link; do
        [ -e "$(dirname "$page")/$link" ] || fail "$page links to $link, which is not there"
        links=$((links + 1))
    done < <(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -vE '^(https?|mailto):')
done
[ "$links" -gt 0 ] || fail "no page links to another"
echo "$pages pages, $quoted quotations, $links links"
