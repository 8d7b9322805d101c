#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Reads the code without running it: house rules, clang-format, clang-tidy, cppcheck, MISRA. Prints TAP, a case for each
# tool; what a tool found comes before its case as comments.
#
# It changes nothing: to format a file, run clang-format -i on it.
#
# Usage: tools/lint.sh BUILD-DIRECTORY [house|format|tidy|cppcheck|misra]...
# The directory is one that meson configured with clang (its compile_commands.json tells clang-tidy the options).
set -u
cd "$(dirname "$0")/.." || exit 2
build=${1:?usage: tools/lint.sh BUILD-DIRECTORY [house|format|tidy|cppcheck|misra]...}
shift
checks=("$@")
[ $# -gt 0 ] || checks=(house format tidy cppcheck misra)

# Every file of the project, whether git knows it already or not; never what git ignores.
mapfile -t files < <(git ls-files --cached --others --exclude-standard | sort -u | while read -r file; do
    [ -f "$file" ] && echo "$file"
done)
sources=()
for file in "${files[@]}"; do
    [[ $file == *.[ch] ]] && sources+=("$file")
done

# Rules that no tool knows: length of files, licence line, an opening comment, nothing put off until later.
check_house() {
    local file lines bad=0
    for file in "${files[@]}"; do
        case $file in
        *.c | *.h | *.py | *.sh | */meson.build | meson.build) ;;
        *) continue ;;
        esac
        lines=$(wc -l <"$file")
        if [ "$lines" -gt 600 ]; then
            echo "$file: $lines lines, 600 at most"
            bad=1
        fi
        if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause'; then
            echo "$file: the licence line is missing"
            bad=1
        fi
        if grep -nHE '\b(TODO|FIXME|XXX|HACK)\b' "$file" | grep -v '^tools/lint.sh:'; then
            bad=1
        fi
    done
    for file in "${sources[@]}"; do
        if ! sed -n '2p' "$file" | grep -q '^/\*'; then
            echo "$file: no opening comment below the licence line: what it is, and what it is not"
            bad=1
        fi
    done
    # A test that the build does not know would never run: no meson.build names it, or, where meson.build lists the
    # folder, the directory was configured before the file was there.
    for file in tests/*/test_*.c; do
        if [ -e "$file" ] && ! grep -q "$(basename "$file")" "$(dirname "$file")/meson.build" &&
            ! grep -q "/$file\"" "$build/compile_commands.json"; then
            echo "$file: $build does not build it: name it in $(dirname "$file")/meson.build, or configure again"
            bad=1
        fi
    done
    return "$bad"
}

check_format() {
    printf '%s\0' "${sources[@]}" | xargs -0 clang-format --dry-run -Werror
}

# A source that meson does not build here is no business of clang-tidy, which would guess its options.
check_tidy() {
    local file known=()
    if [ ! -f "$build/compile_commands.json" ]; then
        echo "$build/compile_commands.json is missing: configure with meson first"
        return 1
    fi
    mapfile -t known < <(python3 tools/compiled_sources.py "$build")
    [ ${#known[@]} -gt 0 ] || { echo 'nothing to check'; return 1; }
    # One file for each process: clang-tidy 14 sees uninitialised va_lists where it reads several.
    printf '%s\0' "${known[@]}" | xargs -0 -n 1 -P 2 clang-tidy -p "$build" --quiet 2>&1 |
        grep -vE '^[0-9]+ warnings? (generated|treated as)|^Suppressed [0-9]+|^Use -header-filter'
    [ "${PIPESTATUS[1]}" -eq 0 ]
}

check_cppcheck() {
    cppcheck --quiet --std=c11 --platform=unix64 --enable=warning,style,performance,portability \
        --inline-suppr --suppressions-list=tools/cppcheck.suppress --error-exitcode=1 -j 2 \
        -D__linux__=1 -D__x86_64__=1 -Iinclude -I. \
        --template='{file}:{line}: {id}: {message}' "${sources[@]}"
}

check_misra() {
    python3 tools/misra/check.py
}

echo "1..${#checks[@]}"
count=0
failed=0
for check in "${checks[@]}"; do
    count=$((count + 1))
    start=$SECONDS
    mark=ok
    if ! output=$("check_$check" 2>&1); then
        mark='not ok'
        failed=1
    fi
    printf '%s %d - lint %s\n' "$mark" "$count" "$check"
    echo "took $((SECONDS - start)) s${output:+$'\n'$output}" | sed 's/^/# /'
done
exit "$failed"
