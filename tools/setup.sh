#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Installs the Debian packages that ./check.sh needs, and only those that are missing. Says what it does. Needs root or
# sudo when something is missing; needs neither, nor the network, when nothing is.
#
# It touches nothing but packages: no users, no services, no files in the tree.
set -eu

packages=(
    # building
    git ca-certificates python3 python3-jsonschema python3-yaml meson ninja-build pkg-config binutils gcc clang llvm libclang-rt-14-dev libc6-dev
    linux-libc-dev liburing-dev libseccomp-dev libyaml-dev libfdt-dev libjansson-dev libssl-dev libp11-kit-dev libcmocka-dev scdoc
    # checking
    clang-format clang-tidy cppcheck valgrind shellcheck systemd
    # freestanding builds
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-riscv64-linux-gnu gcc-arm-linux-gnueabihf gcc-arm-none-eabi
    # guests and third-party back ends and front ends
    qemu-system-arm qemu-system-x86 qemu-utils qemu-system-common e2fsprogs mtools device-tree-compiler
    u-boot-qemu qemu-efi-aarch64
    # a token in software, and keys on it
    openssl softhsm2 opensc
    # the guest kernel
    make bc flex bison xz-utils
)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done

if [ ${#missing[@]} -eq 0 ]; then
    echo "setup: all ${#packages[@]} packages are installed"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: these packages are missing, and there is neither root nor sudo: ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null
