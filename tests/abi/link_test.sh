#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every function that the headers declare can be linked, from either library.
set -euo pipefail
# shellcheck source=../support/functions.sh
. "$(dirname "$0")/../support/functions.sh"

{
    # The inline tier has nothing to link; nor has the header for liburing, which wants to be the first.
    public_headers | grep -v '^virtq/inline/\|/blk_uring\.h$' | sed 's/.*/#include <&>/'
    echo 'typedef void (*any_function)(void);'
    echo 'extern any_function volatile functions[];'
    echo 'any_function volatile functions[] = {'
    { declared_names && declared_names host; } | sed 's/.*/    (any_function)&,/'
    echo '};'
    echo 'int main(void) {'
    echo '    for (unsigned i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)'
    echo '        if (!functions[i]) return 1;'
    echo '    return 0;'
    echo '}'
} >"$scratch/link.c"

include=(-I "$VIRTQ_SOURCE/include" -I "$VIRTQ_BUILD/include")
"$CC" -std=c11 -Wall -Wextra -Werror "${include[@]}" "$scratch/link.c" -o "$scratch/static" \
    "$VIRTQ_HOST_STATIC" "$VIRTQ_STATIC"
"$scratch/static"
"$CC" -std=c11 -Wall -Wextra -Werror "${include[@]}" "$scratch/link.c" -o "$scratch/shared" \
    "$VIRTQ_HOST_SHARED" "$VIRTQ_SHARED" \
    -Wl,-rpath,"$(dirname "$VIRTQ_HOST_SHARED")" -Wl,-rpath,"$(dirname "$VIRTQ_SHARED")"
"$scratch/shared"
echo "$({ declared_names && declared_names host; } | wc -l) functions link from both libraries"
