#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# virtq-access: its table is that of docs/access.md, each row's options give what the row says, and wrong options get an
# error that names them. With --update, the table is written into the page; read the difference before you commit it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"
command=$VIRTQ_BUILD/bench/virtq-access
[ -x "$command" ] || skip "virtq-access is not built"
page=$VIRTQ_SOURCE/docs/access.md
begin='<!-- table: virtq-access --table -->'
end='<!-- end of table -->'

"$command" --table >"$scratch/printed"
if [ "${1-}" = --update ]; then
    awk -v begin="$begin" -v end="$end" -v table="$scratch/printed" '
        $0 == end { inside = 0 }
        !inside { print }
        $0 == begin { inside = 1; while ((getline line <table) > 0) print line }' "$page" >"$scratch/page"
    cp "$scratch/page" "$page"
    exit 0
fi

# The table.
awk -v begin="$begin" -v end="$end" '$0 == end { inside = 0 } inside { print } $0 == begin { inside = 1 }' "$page" >"$scratch/written"
diff -u --label docs/access.md --label 'virtq-access --table' "$scratch/written" "$scratch/printed" || fail "the tables differ"
rows=$(grep -c '^| 00[0-9] |' "$scratch/written") || true
[ "$rows" -ge 70 ] || fail "only $rows rows"

# Each row: the options that it prints, and what comes of them.
while IFS='|' read -r _ _ position facts device driver negotiated why _; do
    read -ra options < <(tr -d '`' <<<"$facts")
    status=0
    "$command" "${options[@]}" >"$scratch/out" || status=$?
    row=${position%%:*}
    case $device$driver$negotiated in
    *refused*) [ "$status" = 1 ] || fail "$row: exit code $status, and it is refused" ;;
    *) [ "$status" = 0 ] || fail "$row: exit code $status" ;;
    esac
    device=$(sed 's/^ *//; s/;.*//; s/ *$//' <<<"$device")
    grep -qE "^device end: +$device(;.*)?\$" "$scratch/out" || fail "$row: not '$device' but $(cat "$scratch/out")"
    driver=$(sed 's/^ *//; s/ *$//' <<<"$driver")
    [ -z "$driver" ] || grep -qE "^driver end: +$driver\$" "$scratch/out" || fail "$row: not '$driver' but $(cat "$scratch/out")"
    why=$(sed 's/^ *//; s/ *$//' <<<"$why")
    grep -qF "  reason:        $why" "$scratch/out" || fail "$row: not '$why' but $(cat "$scratch/out")"
    # A test of that name: the rows are what the suite is made of.
    name=$(tr -d ' `' <<<"$row")
    grep -qE "^(POSITION\(|    )$name, " "$VIRTQ_SOURCE/bench/access/position_rows.h" || fail "$name is no row of the suite"
done < <(grep '^| 00[0-9] |' "$scratch/written")

# wrong TEXT OPTION...: exit code 2, nothing on stdout, and a message that holds TEXT
wrong() {
    local text=$1 status=0
    shift
    "$command" "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    [ "$status" = 2 ] || fail "$*: exit code $status"
    [ ! -s "$scratch/out" ] || fail "$*: prints $(cat "$scratch/out")"
    grep -qF -- "$text" "$scratch/err" || fail "$*: says $(cat "$scratch/err")"
}
wrong "'--bogus'" --bogus
wrong "'extra'" extra
wrong "--device: 'x' is none of legacy, transitional, modern" --device=x
wrong "--iommu: '3'" --iommu=3
wrong "--pool: 'bar' is none of none, system, device" --pool=bar
wrong "--implements: 'version-1'" --implements=version-1
wrong "--implements: ''" --implements=order-platform,
wrong "--driver-knows: 'foo'" --driver-knows=version-1,foo
wrong "--device-bits: '0' is not a number from 1 to 64" --device-bits=0
wrong "--device-bits: '65'" --device-bits=65
wrong "--memory-bits: '9x'" --memory-bits=9x
wrong "--memory-bits: '99999999999999999999'" --memory-bits=99999999999999999999
wrong "--restricted-bit: '64' is not a number from 1 to 63" --restricted-bit=64
wrong "is another feature's" --restricted-bit=33
wrong "--table takes no facts" --table --hidden
wrong "there is no pool" --pool-only
wrong "there is no IOMMU" --may-bypass

# The restricted bit is a parameter; the same facts with another number are the same decision.
for bit in 27 41 63; do
    "$command" --implements=restricted-dma --pool=device --pool-only --restricted-bit=$bit | grep -q '^negotiated: .*RESTRICTED_DMA$' ||
        fail "--restricted-bit=$bit"
done
"$command" --help | grep -q 'Exit codes: 0 .* 1 .* 2 ' || fail "--help does not give the exit codes"
"$command" --version | grep -q '^virtq-access [0-9]' || fail "--version"
echo "$rows rows, as printed and as options"
