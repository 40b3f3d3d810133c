# SPDX-License-Identifier: BSD-3-Clause
# What the test scripts share. ctest sets these; by hand, what build/release holds is judged.
# shellcheck shell=bash disable=SC2034

VIRTQ_SOURCE=${VIRTQ_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
VIRTQ_BUILD=${VIRTQ_BUILD:-$VIRTQ_SOURCE/build/release}
VIRTQ_SHARED=${VIRTQ_SHARED:-$VIRTQ_BUILD/lib/libvirtq.so}
VIRTQ_STATIC=${VIRTQ_STATIC:-$VIRTQ_BUILD/lib/libvirtq.a}
VIRTQ_HOST_SHARED=${VIRTQ_HOST_SHARED:-$VIRTQ_BUILD/lib/host/libvirtq-host.so}
VIRTQ_HOST_STATIC=${VIRTQ_HOST_STATIC:-$VIRTQ_BUILD/lib/host/libvirtq-host.a}
CC=${CC:-cc}
CXX=${CXX:-c++}
CMAKE=${CMAKE:-cmake}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    printf 'FAIL: %s\n' "$*" >&2
    exit 1
}

# Ends the script as "skipped".
skip() {
    printf 'SKIP: %s\n' "$*"
    exit 77
}

# Skips a script whose limits, in instructions, hold for gcc on x86-64.
need_callgrind() {
    command -v valgrind >/dev/null || skip "no valgrind here"
    [ "$(uname -m)" = x86_64 ] || skip "the limits are for x86-64"
    "$CC" --version | grep -qi 'gcc\|Free Software' || skip "the limits are for gcc"
}

# Every public header, relative to the include directory: those of the source tree and the generated one.
public_headers() {
    (cd "$VIRTQ_SOURCE/include" && find virtq -name '*.h' && echo virtq/version.h) | LC_ALL=C sort
}

# declared_names [host]: the names that the headers declare with VIRTQ_API, sorted; those of libvirtq, or of libvirtq-host.
declared_names() {
    local where=(virtq -path virtq/host -prune -o)
    [ "${1-}" != host ] || where=(virtq/host)
    (cd "$VIRTQ_SOURCE/include" && find "${where[@]}" -name '*.h*' ! -name api.h -print0 | xargs -0 cat) |
        awk '
            /^[ \t]*#/ { directive = 1 }
            directive { directive = /\\$/; next }
            { text = text " " $0 }
            END {
                gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, " ", text)
                gsub(/[{}]/, ";", text)
                count = split(text, statement, ";")
                for (i = 1; i <= count; i++) {
                    if (statement[i] !~ /(^|[ \t])VIRTQ_API[ \t]/) continue
                    sub(/^.*(^|[ \t])VIRTQ_API[ \t]/, "", statement[i])
                    sub(/[([].*$/, "", statement[i])
                    if (match(statement[i], /[A-Za-z_][A-Za-z_0-9]*[ \t]*$/)) {
                        name = substr(statement[i], RSTART, RLENGTH)
                        gsub(/[ \t]/, "", name)
                        print name
                    }
                }
            }' | LC_ALL=C sort -u
}

# mapped_names MAP: "name node" for every name in a version script, sorted.
mapped_names() {
    sed 's,/\*.*\*/,,' "$1" |
        awk '
            /^LIBVIRTQ_[A-Z0-9._]+[ \t]*{/ { node = $1; next }
            /^[ \t]*(global|local):/ { listing = /global/; next }
            listing && /;/ && !/}/ { gsub(/[ \t;]/, ""); print $0, node }' | LC_ALL=C sort
}
