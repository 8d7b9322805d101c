#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Builds and tests everything, on a fresh Debian 12 machine too: installs what is missing, runs the stages below in two
# lanes, and ends with `N passed, N failed`, alone on the last line. The exit status is 0 only if nothing failed.
#
# A stage that counts cases contributes them; any other stage counts as one case. Its output is in build/check/STAGE.log, the
# TAP of each test program in build/check/tap/.
set -u
cd "$(dirname "$0")" || exit 2

# name | lane | quick or full | what it does. Lanes run at the same time, the stages of a lane in order; `last` stages wait for
# both lanes. A build directory belongs to one lane.
stages='
build-gcc    | a    | quick | build with gcc, warnings are errors
includes     | a    | quick | who may include whom
unit         | a    | quick | unit tests and tests of the tools
vhost-user   | a    | quick | daemons, QEMU storage daemon, supervisor and command line, without a virtual machine
guests       | a    | full  | Linux guests on stock QEMU that live on bulkhead-blk
gate         | a    | full  | Linux guests behind the gate: back ends and gates end, third-party back ends, power loss
build-clang  | b    | quick | build with clang, warnings are errors
asan         | b    | quick | unit tests under ASan and UBSan
freestanding | b    | quick | freestanding folders for aarch64, riscv64, 32-bit Arm, without a library
lint         | b    | quick | house rules, clang-format, clang-tidy, cppcheck, MISRA
fuzz         | b    | full  | every fuzzer for a short time, from its seeds
hostile      | b    | full  | attackers on every side of the gate: behind it, before it, in the guest; also under ASan and UBSan
run          | b    | full  | platforms through bulkhead run: Linux guests, firmware, everything that is refused
mutation     | b    | full  | a sample of broken bounds checks in core/, each of which a test must notice
instructions | last | full  | instructions for a null-backed 4 KiB read (callgrind)
trace        | last | quick | every requirement of spec/ has tests, and they passed
'

out=build/check
tap=$out/tap

usage() {
    cat <<'TEXT'
Usage: ./check.sh [--quick] [--no-setup] [--fuzz SECONDS] [--torture N] [STAGE...]
       ./check.sh --list | --help

Without a STAGE all of them run. --quick leaves out what takes minutes: guests, fuzzers, mutations,
callgrind. --no-setup installs no packages. --fuzz SECONDS is for how long each fuzzer runs (20; that of
the definition at least 60). --torture N is how often back ends and gates are ended in each run (20).
TEXT
}

# The field of a stage. NAME FIELD
field() {
    awk -F ' *[|] *' -v name="$1" -v field="$2" '$1 == name { print $field }' <<<"$stages"
}

stage_names() {
    awk -F ' *[|] *' 'NF { print $1 }' <<<"$stages"
}

# ------------------------------------------------------------------------------------------------------------ building

# Configures a build directory once and builds it. NAME, then meson's options.
build() {
    local dir=build/$1
    shift
    if [ ! -f "$dir/build.ninja" ]; then
        rm -rf "$dir"
        meson setup "$dir" "$@" || return 1
    fi
    ninja -C "$dir" -j 2
}

build_gcc() { CC=gcc build gcc; }
build_clang() { CC=clang build clang; }
# Sanitizers make gcc's flow analysis warn about code that is right; the plain builds have warnings as errors.
build_fuzz() { CC=clang build fuzz -Dfuzz=true -Doptimization=1; }
build_asan() {
    CC=gcc build asan -Ddebug=true -Doptimization=1 -Dwerror=false -Db_sanitize=address,undefined
}

# Runs one program that prints TAP. NAME, SECONDS, COMMAND...
tap_program() {
    local name=$1 seconds=$2
    shift 2
    tools/run_tests.py --program "$name" --timeout "$seconds" --tap "$tap" -- "$@"
}

# Runs commands one after the other; fails if any of them fails.
each() {
    local command code=0
    for command in "$@"; do
        eval "$command" || code=1
    done
    return "$code"
}

# -------------------------------------------------------------------------------------------------------------- stages

stage_build-gcc() { build_gcc; }
stage_build-clang() { build_clang; }
stage_includes() { tools/check_includes.py; }
stage_unit() { build_gcc && tools/run_tests.py build/gcc --tap "$tap" --suite unit --suite tools; }
stage_vhost-user() { build_gcc && tools/run_tests.py build/gcc --tap "$tap" --suite vhost-user --suite daemon; }
stage_guests() {
    local daemon=$PWD/build/gcc/daemons/bulkhead-blk
    build_gcc || return 1
    each \
        'tap_program guest-matrix 3600 python3 tests/guest/matrix.py --newer --daemon "$daemon"' \
        'tap_program guest-reconnect 1200 python3 tests/guest/reconnect.py --daemon "$daemon"'
}
# A run takes about half a second for each time that something is ended, and there are 32 runs.
stage_gate() {
    build_gcc || return 1
    export BULKHEAD_BUILD=build/gcc
    local seconds=$((1800 + 15 * torture)) ends="python3 tests/gate/torture.py --count $torture"
    each \
        'tap_program gate-stamps 300 python3 tests/gate/test_stamps.py' \
        'tap_program gate-record 300 python3 tests/gate/test_power_loss.py' \
        'tap_program gate-killed "$seconds" $ends' \
        'tap_program gate-stopped "$seconds" $ends --signal stop' \
        'tap_program gate-adopted "$seconds" $ends --victim gate --back-end bulkhead' \
        'tap_program gate-third-party 1200 python3 tests/gate/third_party.py' \
        'tap_program gate-power-loss 1200 python3 tests/gate/power_loss.py'
}
# The engine alone, then every file of tests/run; the programs that clang made, which this lane owns.
stage_run() {
    local newer file name commands=()
    build_clang && newer=$(tools/guest/make_qemu.py) || return 1
    export BULKHEAD_BUILD=build/clang BULKHEAD_QEMU=$newer/bin
    commands=('tools/run_tests.py build/clang --tap "$tap" --suite machine')
    for file in tests/run/test_*.py; do
        name=${file##*/test_}
        commands+=("tap_program run-${name%.py} 1200 python3 $file")
    done
    each "${commands[@]}"
}
# The sanitizers' own work is not on the sandbox's list of what is allowed.
stage_hostile() {
    build_clang && build_asan || return 1
    each \
        'tools/run_tests.py build/clang --tap "$tap" --suite hostile' \
        'BULKHEAD_GATE_SANDBOX=off tools/run_tests.py build/asan --tap "$tap-asan" --suite hostile --timeout-multiplier 3'
}
stage_freestanding() { tap_program freestanding 300 tools/check_freestanding.sh build/freestanding; }
stage_lint() { build_clang && tap_program lint 1800 tools/lint.sh build/clang; }
stage_fuzz() { build_fuzz && tap_program fuzz $((600 + 8 * fuzz_seconds)) tools/fuzz_smoke.sh build/fuzz "$fuzz_seconds"; }
stage_trace() { tools/trace.py --results "$tap" --html build/spec.html; }

stage_asan() {
    export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    build_asan && tools/run_tests.py build/asan --tap "$tap-asan" --suite unit --timeout-multiplier 4
}

stage_instructions() { build_gcc && bench/instructions.sh; }
stage_mutation() { tools/mutate.py --sample 60 --seed 1; }

# --------------------------------------------------------------------------------------------------------- running them

say() {
    printf '[%4d s] %s\n' "$SECONDS" "$*"
}

# Runs one stage and leaves `passed failed` in its result file.
run_stage() {
    local name=$1 start=$SECONDS log=$out/$1.log code counts passed=0 failed=0
    say "start  $name: $(field "$name" 4)"
    ("stage_$name") >"$log" 2>&1 </dev/null
    code=$?
    counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log" |
        awk '{ passed += $1; failed += $2 } END { if (NR) print passed, failed }')
    if [ -n "$counts" ]; then
        read -r passed failed <<<"$counts"
    elif [ "$code" -eq 0 ]; then
        passed=1
    fi
    [ "$code" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    echo "$passed $failed" >"$out/$name.result"
    if [ "$failed" -eq 0 ]; then
        say "passed $name: $passed passed ($((SECONDS - start)) s)"
    else
        say "FAILED $name: $passed passed, $failed failed ($((SECONDS - start)) s); the end of $log:"
        tail -n 40 "$log" | sed 's/^/    /'
    fi
}

# Runs the chosen stages of a lane, in order.
run_lane() {
    local name
    for name in "${chosen[@]}"; do
        [ "$(field "$name" 2)" != "$1" ] || run_stage "$name"
    done
}

stop() {
    local pid
    trap - INT TERM
    for pid in "${lanes[@]}"; do
        kill -- "-$pid" 2>/dev/null
    done
    exit 130
}

quick=
setup=yes
fuzz_seconds=20
torture=20
chosen=()
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --list)
        awk -F ' *[|] *' 'NF { printf "%-12s %-6s %s\n", $1, $3, $4 }' <<<"$stages"
        exit 0
        ;;
    --quick) quick=yes ;;
    --no-setup) setup= ;;
    --fuzz)
        if ! [[ ${2:-} =~ ^[1-9][0-9]{0,5}$ ]]; then
            echo 'check.sh: --fuzz takes seconds, such as --fuzz 3600' >&2
            exit 2
        fi
        fuzz_seconds=$2
        shift
        ;;
    --torture)
        if ! [[ ${2:-} =~ ^[1-9][0-9]{0,5}$ ]]; then
            echo 'check.sh: --torture takes a count, such as --torture 500' >&2
            exit 2
        fi
        torture=$2
        shift
        ;;
    *)
        if [ -z "$(field "$1" 1)" ]; then
            echo "check.sh: no stage '$1'; see --list" >&2
            exit 2
        fi
        chosen+=("$1")
        ;;
    esac
    shift
done

all=
if [ ${#chosen[@]} -eq 0 ]; then
    all=yes
    for name in $(stage_names); do
        [ -n "$quick" ] && [ "$(field "$name" 3)" = full ] || chosen+=("$name")
    done
fi

mkdir -p "$out"
rm -f "$out"/*.result
# Results of an earlier run must not count for a test that is gone.
[ -z "$all" ] || rm -rf "$tap" "$tap-asan"
mkdir -p "$tap" "$tap-asan"

if [ -n "$setup" ] && ! tools/setup.sh </dev/null; then
    echo 'check.sh: the packages could not be installed' >&2
    echo '0 passed, 1 failed'
    exit 1
fi

lanes=()
trap stop INT TERM
set -m # each lane is a process group, so that an interrupt ends all of it
run_lane a &
lanes+=($!)
run_lane b &
lanes+=($!)
set +m
wait "${lanes[@]}"
lanes=()
run_lane last

passed=0
failed=0
for name in "${chosen[@]}"; do
    if read -r p f <"$out/$name.result"; then
        passed=$((passed + p))
        failed=$((failed + f))
    else
        failed=$((failed + 1)) # the stage never ended
    fi
done 2>/dev/null
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
