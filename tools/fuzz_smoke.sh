#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs every libFuzzer program of a build for a short time, from its seeds, and says whether one found something. Prints TAP.
# An input that breaks something is kept in BUILD/found/; replay it with the program itself.
#
# It is a smoke test: a minute shows that the fuzzers work and that nothing shallow is wrong. Real fuzzing runs for hours.
#
# A definition is promised to be read within 1 s and 64 MB. So its fuzzer runs for a minute at least, and an input that takes
# 1 s is a finding, sanitizers included. It counts its own memory: what is resident is mostly the sanitizers' (shadow,
# quarantine), and -rss_limit_mb is only for what they would not count.
#
# Usage: tools/fuzz_smoke.sh BUILD SECONDS    BUILD: configured with CC=clang and -Dfuzz=true
set -u
cd "$(dirname "$0")/.." || exit 2
build=${1:?usage: tools/fuzz_smoke.sh BUILD SECONDS}
seconds=${2:?usage: tools/fuzz_smoke.sh BUILD SECONDS}
rounds_at_least=1000 # fewer means that the program did not get going

programs=()
for program in "$build"/tests/fuzz/fuzz_*; do
    if [ -f "$program" ] && [ -x "$program" ]; then
        programs+=("$program")
    fi
done
if [ ${#programs[@]} -eq 0 ]; then
    echo "Bail out! no fuzzers in $build/tests/fuzz"
    exit 1
fi

mkdir -p "$build/found"
failed=0
count=0
echo "1..${#programs[@]}"
for program in "${programs[@]}"; do
    name=${program##*/fuzz_}
    count=$((count + 1))
    corpus=$build/corpus/$name
    mkdir -p "$corpus"
    time=$seconds limits=(-timeout=10 -rss_limit_mb=2048)
    if [ "$name" = definition ]; then
        time=$((seconds > 60 ? seconds : 60)) limits=(-timeout=1 -rss_limit_mb=512)
    fi
    words=$("$program" -max_total_time="$time" "${limits[@]}" -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$build/found/$name-" "$corpus" "$build/tests/fuzz/seeds/$name" 2>&1)
    code=$?
    rounds=$(sed -n 's/^stat::number_of_executed_units: *//p' <<<"$words")
    mark=ok
    if [ "$code" -ne 0 ] || [ "${rounds:-0}" -lt "$rounds_at_least" ]; then
        mark='not ok'
        failed=1
    fi
    echo "$mark $count - fuzz $name"
    echo "# ${rounds:-no} inputs in $time s, exit status $code"
    [ "$mark" = ok ] || tail -n 60 <<<"$words" | sed 's/^/# /'
done
exit "$failed"
