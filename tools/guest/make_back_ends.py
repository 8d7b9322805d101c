#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a private copy of other projects' vhost-user back ends, from a newer Debian.

    make_back_ends.py         prints the folder; the programs are in its bin/

What it is: virtiofsd, vhost-device-vsock and QEMU's storage daemon with the libraries they ask for,
unpacked side by side in the cache and started through their own dynamic loader, as make_qemu.py
does with QEMU.
What it is not: all that there is.  Of QEMU's own examples of back ends Debian packages one,
vhost-user-gpu, which asks for messages that the gate does not let through.
"""
import pathlib
import tempfile

import cache
import make_qemu
import packages

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = [
    ("qemu-utils", "/usr/bin/qemu-storage-daemon"),
    ("vhost-device-vsock", "/usr/bin/vhost-device-vsock"),
    ("virtiofsd", "/usr/libexec/virtiofsd"),
]
STARTER = """#!/bin/sh
# Starts this folder's program with this folder's libraries.
R=$(dirname "$(readlink -f "$0")")/..
exec "$R/lib/{loader}" --library-path "$R/lib/{triplet}" "$R{program}" "$@"
"""


def fill(target):
    architecture = packages.host_architecture()
    archive = packages.Archive(architecture, make_qemu.SUITE)
    archive.update()
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        with cache.step(f"back ends of {make_qemu.SUITE}"):
            archive.tree([package for package, _ in PROGRAMS], PROGRAMS, target,
                         pathlib.Path(name) / "tree")
    (target / "bin").mkdir()
    for _, program in PROGRAMS:
        starter = target / "bin" / pathlib.Path(program).name
        starter.write_text(STARTER.format(loader=make_qemu.LOADERS[architecture], program=program,
                                          triplet=packages.TRIPLETS[architecture]))
        starter.chmod(0o755)


def make():
    """The folder that holds the programs."""
    sources = [HERE / name for name in ("cache.py", "packages.py", "make_qemu.py",
                                        "make_back_ends.py")]
    return cache.folder(f"back-ends-{make_qemu.SUITE}-{cache.key(*sources)}", fill)


if __name__ == "__main__":
    print(make())
