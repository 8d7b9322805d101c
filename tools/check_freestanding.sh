#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Compiles the freestanding folders for the architectures of a car's computers, links them without any library, and
# fails on an undefined symbol but memcpy, memmove, memset and memcmp. What a folder may call follows from what it is
# linked with: core and driver alone, devices and ports/mmio with core. Prints TAP; the table comes as comments.
#
# It runs nothing: whether the code works on those machines is the guests' business (tests/guest).
#
# Usage: tools/check_freestanding.sh BUILD-DIRECTORY
set -u
cd "$(dirname "$0")/.." || exit 2
out=${1:?usage: tools/check_freestanding.sh BUILD-DIRECTORY}

flags='-std=c11 -ffreestanding -nostdlib -O2 -Wall -Wextra -Wconversion -Wsign-conversion -Werror -Iinclude -I.'
allowed='^(memcpy|memmove|memset|memcmp)$'

# name: compiler and its options
targets=(
    'aarch64: aarch64-linux-gnu-gcc'
    'riscv64: riscv64-linux-gnu-gcc'
    'armv7-a: arm-linux-gnueabihf-gcc -march=armv7-a+fp'
    'cortex-r5: arm-none-eabi-gcc -mcpu=cortex-r5'
)

# What is linked together; every set must stand alone.
sets=(
    'core'
    'driver'
    'core devices'
    'core ports/mmio'
    'core devices ports/mmio driver'
)

count=0
failed=0

result() { # RESULT NAME
    count=$((count + 1))
    [ "$1" = ok ] || failed=1
    printf '%s %d - %s\n' "$1" "$count" "$2"
}

# Compiles all sources of a folder; the compiler's words become comments. FOLDER, then the compiler.
compile() {
    local folder=$1 source object code=0
    shift
    for source in "$folder"/*.c; do
        [ -e "$source" ] || continue
        object=$dir/${source//\//_}.o
        # shellcheck disable=SC2086 # $flags is a list
        "$@" $flags -c "$source" -o "$object" 2>&1 | sed 's/^/# /'
        [ "${PIPESTATUS[0]}" -eq 0 ] || code=1
    done
    return "$code"
}

# Links one set and looks at what is left undefined. Folders as one word list, then the compiler.
link() {
    local folders=$1 folder object undefined text objects=()
    shift
    for folder in $folders; do
        for object in "$dir/${folder//\//_}"_*.o; do
            [ -e "$object" ] && objects+=("$object")
        done
    done
    "$@" -nostdlib -r "${objects[@]}" -o "$dir/set.o" 2>&1 | sed 's/^/# /'
    [ "${PIPESTATUS[0]}" -eq 0 ] || return 1
    undefined=$("${tools}nm" -u "$dir/set.o" | awk '{ print $NF }' | sort)
    text=$("${tools}size" "$dir/set.o" | awk 'NR == 2 { print $1 }')
    printf '# %-10s %-32s %8s bytes of text   undefined: %s\n' "$name" "$folders" "$text" \
        "$(echo $undefined)"
    ! grep -qvE "$allowed" <<<"${undefined:-memcpy}"
}

folders=()
for folder in core driver devices ports/mmio; do
    if compgen -G "$folder/*.c" >/dev/null; then
        folders+=("$folder")
    fi
done
if [ ${#folders[@]} -eq 0 ]; then
    echo 'Bail out! no freestanding sources'
    exit 1
fi

echo "1..$((${#targets[@]} * (${#folders[@]} + ${#sets[@]})))"
for target in "${targets[@]}"; do
    name=${target%%:*}
    read -ra compiler <<<"${target#*: }"
    tools=${compiler[0]%gcc}
    dir=$out/$name
    rm -rf "$dir"
    mkdir -p "$dir"
    for folder in "${folders[@]}"; do
        if compile "$folder" "${compiler[@]}"; then
            result ok "$name compiles $folder"
        else
            result 'not ok' "$name compiles $folder"
        fi
    done
    for set in "${sets[@]}"; do
        if link "$set" "${compiler[@]}"; then
            result ok "$name links $set without a library"
        else
            result 'not ok' "$name links $set without a library"
        fi
    done
done
exit "$failed"
