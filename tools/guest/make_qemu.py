#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a private copy of a newer Debian's QEMU (qemu-system-aarch64 and qemu-system-x86_64).

    make_qemu.py              prints the folder; the programs are in its bin/

What it is: the two programs, the libraries they ask for and QEMU's data, unpacked side by side in
the cache and started through their own dynamic loader.  No root, no chroot, and nothing of the
newer release is installed on the host.
What it is not: a QEMU for the host.  Only what the guest tests use is there.
"""
import pathlib
import shutil
import tempfile

import cache
import packages

HERE = pathlib.Path(__file__).resolve().parent
SUITE = "forky"
PROGRAMS = [
    ("qemu-system-arm", "/usr/bin/qemu-system-aarch64"),
    ("qemu-system-x86", "/usr/bin/qemu-system-x86_64"),
]
DATA = ["qemu-system-data", "seabios"]
LOADERS = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}

STARTER = """#!/bin/sh
# Starts this folder's QEMU with this folder's libraries and data.
R=$(dirname "$(readlink -f "$0")")/..
exec "$R/lib/{loader}" --library-path "$R/lib/{triplet}" \\
    "$R{program}" -L "$R/usr/share/qemu" -L "$R/usr/share/seabios" "$@"
"""


def fill(target):
    architecture = packages.host_architecture()
    archive = packages.Archive(architecture, SUITE)
    archive.update()
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        work = pathlib.Path(name)
        with cache.step(f"QEMU of {SUITE}"):
            archive.tree([package for package, _ in PROGRAMS], PROGRAMS, target, work / "tree")
            archive.unpack(DATA, work / "data")
            for package in DATA:
                shutil.copytree(work / "data" / package / "usr" / "share",
                                target / "usr" / "share", symlinks=True, dirs_exist_ok=True)
    (target / "bin").mkdir()
    for _, program in PROGRAMS:
        starter = target / "bin" / pathlib.Path(program).name
        starter.write_text(STARTER.format(loader=LOADERS[architecture], program=program,
                                          triplet=packages.TRIPLETS[architecture]))
        starter.chmod(0o755)


def make():
    """The folder that holds the newer QEMU."""
    sources = [HERE / name for name in ("cache.py", "packages.py", "make_qemu.py")]
    return cache.folder(f"qemu-{SUITE}-{cache.key(*sources)}", fill)


if __name__ == "__main__":
    print(make())
