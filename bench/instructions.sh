#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Counts the instructions that the device's side of bulkhead-blk spends on a null-backed 4 KiB read: from the notification
# to the published used entry (bh_device_kick and bh_device_flush, all they call included). Callgrind counts, so the machine's load
# does not matter and the same build gives the same numbers. The filling of the 4 KiB buffer is counted apart.
#
#   bench/instructions.sh [BUILD]     BUILD: a meson build folder, optimised; default build/gcc
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/gcc}
program=$build/bench/null-read
count=4096

if [ ! -x "$program" ]; then
    echo "$0: no $program: build first (meson setup $build && ninja -C $build)" >&2
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
printf '%-8s %6s %16s %16s\n' ring batch 'instructions' 'and the fill'
for ring in split packed; do
    for depth in 1 32; do
        valgrind --tool=callgrind --callgrind-out-file="$work/out" --toggle-collect=bh_device_kick \
            --toggle-collect=bh_device_flush "$program" $count $depth $ring >"$work/log" 2>&1 ||
            { cat "$work/log" >&2; exit 1; }
        callgrind_annotate --auto=no --threshold=100 "$work/out" >"$work/table"
        line=$(awk -v n=$count '
            { gsub(",", "", $1) }
            /PROGRAM TOTALS/ { total = $1 }
            /memset/ { fill += $1 }
            END { printf "%.1f %.1f", (total - fill) / n, fill / n }' "$work/table")
        read -r device fill <<<"$line"
        printf '%-8s %6d %16s %16s\n' $ring $depth "$device" "$fill"
        if awk -v n="$device" 'BEGIN { exit n > 0 }'; then
            echo "$0: nothing was counted" >&2
            status=1
        fi
    done
done
exit $status
