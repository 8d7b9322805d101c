#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Shows Bulkhead at work: installs the packages that are missing, builds, makes a guest (kept in the cache), and boots an
# arm64 Linux whose root disk is served by bulkhead-blk, which is killed on the way. The exit status is 0 only if all of
# it held.
set -eu
cd "$(dirname "$0")"

if [ $# -ne 0 ]; then
    cat <<'TEXT'
Usage: ./demo.sh

Boots a Linux guest that lives on bulkhead-blk, shows what that program may do, kills it while the
guest writes, and boots again. The first run also installs packages and makes the guest: some
minutes. What is slow to make is kept in $BULKHEAD_CACHE, or ~/.cache/bulkhead.
TEXT
    [ "$1" = --help ] && exit 0
    exit 2
fi

tools/setup.sh
echo "demo: building in build/gcc"
[ -f build/gcc/build.ninja ] || CC=gcc meson setup build/gcc >build-setup.log || { cat build-setup.log; exit 1; }
rm -f build-setup.log
ninja -C build/gcc --quiet
exec python3 tests/guest/demo.py --daemon "$PWD/build/gcc/daemons/bulkhead-blk"
