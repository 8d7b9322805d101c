#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Shows Bulkhead at work: installs the packages that are missing, builds, makes a QEMU, a guest kernel and two disks (all
# kept in the cache), and runs examples/hello: two Linux guests, each of their devices a process of its own. The exit
# status is 0 only if all of it held.
set -eu
cd "$(dirname "$0")"

if [ $# -ne 0 ]; then
    cat <<'TEXT'
Usage: ./demo.sh

Runs examples/hello/platform.yaml twice: two Linux guests, whose disks, entropy and consoles are
served by processes that reach nothing but their windows of the guests' memory. The first ./demo.sh
also installs packages and compiles a kernel for the guests: about ten minutes. What is slow to
make is kept in $BULKHEAD_CACHE, or ~/.cache/bulkhead.
TEXT
    [ "$1" = --help ] && exit 0
    exit 2
fi

cache=${BULKHEAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bulkhead}
if ! mkdir -p "$cache" || [ ! -w "$cache" ]; then
    echo "demo: the cache folder $cache cannot be written: set BULKHEAD_CACHE to one that can" >&2
    exit 1
fi
tools/setup.sh
echo "demo: building in build/gcc"
[ -f build/gcc/build.ninja ] || CC=gcc meson setup build/gcc >build-setup.log || { cat build-setup.log; exit 1; }
rm -f build-setup.log
ninja -C build/gcc --quiet
exec python3 tools/demo.py build/gcc/cli/bulkhead
