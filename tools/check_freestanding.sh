#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Compiles the freestanding folders for the architectures of a car's computers, links them without any library, and
# fails on an undefined symbol but memcpy, memmove, memset and memcmp. What a folder may call follows from what it is
# linked with: core and driver alone, devices and ports/mmio with core. Prints TAP; after each case its part of the
# table (text size, undefined symbols) as a comment.
#
# It runs nothing: whether the code works on those machines is the guests' business (tests/guest).
#
# Usage: tools/check_freestanding.sh BUILD-DIRECTORY
set -u
cd "$(dirname "$0")/.." || exit 2
out=${1:?usage: tools/check_freestanding.sh BUILD-DIRECTORY}

# Debian's cross compilers make position-independent code by default, which refers to the linker's offset table.
flags='-std=c11 -ffreestanding -nostdlib -fno-pie -O2 -Wall -Wextra -Wconversion -Wsign-conversion -Werror -Iinclude -I.'
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

# Runs a step; its case comes first, then its words as comments. NAME, then the step.
step() {
    local title=$1 mark=ok words
    shift
    count=$((count + 1))
    if ! words=$("$@" 2>&1); then
        mark='not ok'
        failed=1
    fi
    printf '%s %d - %s\n' "$mark" "$count" "$title"
    [ -z "$words" ] || sed 's/^/# /' <<<"$words"
}

# Compiles all sources of a folder. FOLDER, then the compiler.
compile() {
    local folder=$1 source object code=0
    shift
    for source in "$folder"/*.c; do
        [ -e "$source" ] || continue
        object=$dir/${source//\//_}.o
        # shellcheck disable=SC2086 # $flags is a list
        "$@" $flags -c "$source" -o "$object" || code=1
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
    "$@" -nostdlib -r "${objects[@]}" -o "$dir/set.o" || return 1
    undefined=$("${tools}nm" -u "$dir/set.o" | awk '{ print $NF }' | sort)
    text=$("${tools}size" "$dir/set.o" | awk 'NR == 2 { print $1 }')
    printf '%-10s %-32s %8s bytes of text   undefined: %s\n' "$name" "$folders" "$text" \
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
        step "$name compiles $folder" compile "$folder" "${compiler[@]}"
    done
    for set in "${sets[@]}"; do
        step "$name links $set without a library" link "$set" "${compiler[@]}"
    done
done
exit "$failed"
