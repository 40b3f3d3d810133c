#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The package that `cpack -G DEB` makes: its fields, that dpkg accepts it, and that one can build against what it holds.
# It is installed into a root of its own, so that nothing of this machine changes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../support/functions.sh
. "$here/../support/functions.sh"

command -v dpkg-shlibdeps >/dev/null || skip "no dpkg-dev here"

cpack=$(dirname "$CMAKE")/cpack
[ -x "$cpack" ] || cpack=cpack
(cd "$VIRTQ_BUILD" && "$cpack" -G DEB -B "$scratch/cpack" >"$scratch/log" 2>&1) || {
    cat "$scratch/log" >&2
    fail "cpack"
}
set -- "$scratch"/cpack/*.deb
deb=$1
if [ $# -ne 1 ] || [ ! -f "$deb" ]; then
    fail "cpack did not leave one package"
fi

field() {
    dpkg-deb --field "$deb" "$1"
}
[ "$(field Package)" = libvirtq-dev ] || fail "Package: $(field Package)"
[ "$(field Architecture)" = "$(dpkg --print-architecture)" ] || fail "Architecture: $(field Architecture)"
[ -n "$(field Description)" ] || fail "no Description"
[ -n "$(field Maintainer)" ] || fail "no Maintainer"
# Built without optimisation the library may not need any symbol of libc.
case "$(field Depends)" in
'' | libc6*) ;;
*) fail "Depends: $(field Depends)" ;;
esac
dpkg-deb --ctrl-tarfile "$deb" | tar -xOf - ./shlibs | grep -q '^libvirtq 0\.1 libvirtq-dev' || fail "no shlibs entry"
if dpkg-deb --fsys-tarfile "$deb" | tar -tvf - | awk '$2 != "root/root" || $1 ~ /^[^l].....w|^[^l]........w/' | grep .; then
    fail "odd owners or modes"
fi

root=$scratch/root
mkdir -p "$root"
if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers" "$scratch/bin"
    : >"$root/var/lib/dpkg/status"
    # The package's scripts call ldconfig, which would be this machine's: it only leaves a trace.
    printf '#!/bin/sh\n: >"%s/ldconfig.ran"\n' "$scratch" >"$scratch/bin/ldconfig"
    chmod +x "$scratch/bin/ldconfig"
    export PATH=$scratch/bin:$PATH:/usr/sbin:/sbin
    dpkg=(dpkg --root="$root" --force-depends --force-script-chrootless --log="$scratch/dpkg.log")
    "${dpkg[@]}" --install "$deb" >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        fail "dpkg refuses the package"
    }
    [ -f "$scratch/ldconfig.ran" ] || fail "the package does not run ldconfig"
    dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Status}\n' libvirtq-dev | grep -qx 'install ok installed' ||
        fail "dpkg did not install the package"
else
    dpkg-deb -x "$deb" "$root"
fi
"$here/outside/check.sh" "$root/usr" "$scratch/outside"

if [ "$(id -u)" -eq 0 ]; then
    "${dpkg[@]}" --purge libvirtq-dev >"$scratch/log" 2>&1 || fail "dpkg cannot remove the package"
    if [ -d "$root/usr" ] && find "$root/usr" ! -type d | grep .; then
        fail "left behind after removal"
    fi
fi
echo "$(basename "$deb"): made, installed, built against"
