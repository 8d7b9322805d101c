#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Counts the instructions that the gate's relay spends on a 4 KiB read: from the guest's notification to the back end's,
# and from the back end's call to the guest's used entry. Callgrind counts, so the machine's load does not matter. The copying
# itself (memcpy) is counted apart. `copied` is bounce, `shared` is shadow.
#
#   bench/relay.sh [BUILD]     BUILD: a meson build folder, optimised; default build/gcc
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/gcc}
program=$build/bench/relay-read
count=4096

if [ ! -x "$program" ]; then
    echo "$0: no $program: build first (meson setup $build && ninja -C $build)" >&2
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
printf '%-8s %-8s %6s %16s %16s\n' ring data batch 'instructions' 'and the copying'
for ring in split packed; do
    for data in copied shared; do
        for depth in 1 32; do
            valgrind --tool=callgrind --callgrind-out-file="$work/out" --toggle-collect=count_in \
                --toggle-collect=count_out \
                "$program" $count $depth $ring $data >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
            callgrind_annotate --auto=no --threshold=100 "$work/out" >"$work/table"
            line=$(awk -v n=$count '
                { gsub(",", "", $1) }
                /PROGRAM TOTALS/ { total = $1 }
                /memcpy|memmove/ { copy += $1 }
                END { printf "%.1f %.1f", (total - copy) / n, copy / n }' "$work/table")
            read -r relay copy <<<"$line"
            printf '%-8s %-8s %6d %16s %16s\n' $ring $data $depth "$relay" "$copy"
            if awk -v n="$relay" 'BEGIN { exit n > 0 }'; then
                echo "$0: nothing was counted" >&2
                status=1
            fi
        done
    done
done
exit $status
