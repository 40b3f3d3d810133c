# SPDX-License-Identifier: BSD-3-Clause
# What the test scripts share. ctest sets these; by hand, what build/release holds is judged.
# shellcheck shell=bash disable=SC2034

VIRTQ_SOURCE=${VIRTQ_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
VIRTQ_BUILD=${VIRTQ_BUILD:-$VIRTQ_SOURCE/build/release}
VIRTQ_SHARED=${VIRTQ_SHARED:-$VIRTQ_BUILD/lib/libvirtq.so}
VIRTQ_STATIC=${VIRTQ_STATIC:-$VIRTQ_BUILD/lib/libvirtq.a}
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

# Every public header, relative to the include directory: those of the source tree and the generated one.
public_headers() {
    (cd "$VIRTQ_SOURCE/include" && find virtq -name '*.h' && echo virtq/version.h) | LC_ALL=C sort
}

# The names that the headers declare with VIRTQ_API, sorted.
declared_names() {
    (cd "$VIRTQ_SOURCE/include" && find virtq -name '*.h*' ! -name api.h -print0 | xargs -0 cat) |
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

# "name node" for every name in the version script, sorted.
mapped_names() {
    sed 's,/\*.*\*/,,' "$VIRTQ_SOURCE/lib/libvirtq.map" |
        awk '
            /^LIBVIRTQ_[0-9.]+[ \t]*{/ { node = $1; next }
            /^[ \t]*(global|local):/ { listing = /global/; next }
            listing && /;/ && !/}/ { gsub(/[ \t;]/, ""); print $0, node }' | LC_ALL=C sort
}
