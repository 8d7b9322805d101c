#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes the guest that the gate's tests run: an initrd that is the whole system, a disk with fio.

    make_gate.py              prints the folder that holds `initrd` and `tools.ext4`

What it is: a static busybox, the tests' own init (tests/gate/guest_init.sh) and the programs
of tests/gate, compiled for arm64.  fio has many libraries, so it lies on a
disk of its own, which is read only when it is used.
What it is not: a kernel.  See make_kernel.py.
"""
import pathlib
import shutil
import subprocess
import tempfile

import cache
import image
import packages

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent.parent / "tests" / "gate"
INIT = TESTS / "guest_init.sh"
SOURCES = [TESTS / "stamp.c", TESTS / "vsock_echo.c"]
PROGRAMS = [("fio", "/usr/bin/fio")]
DISK_SIZE = 160 * image.MIB
COMPILE = ["aarch64-linux-gnu-gcc", "-std=gnu11", "-O2", "-static", "-pthread", "-Wall", "-Wextra",
           "-s"]


def fill_parts(target):
    """What takes long: the disk with fio, and busybox."""
    archive = packages.Archive("arm64", packages.host_suite())
    archive.update()
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        work = pathlib.Path(name)
        with cache.step("gate: disk with fio"):
            image.fill_tree(archive, PROGRAMS, work / "root", work)
            shutil.copy(work / "root" / "bin" / "busybox", target / "busybox")
            image.ext4(work / "root", target / "tools.ext4", "tools", DISK_SIZE)
    (target / "tools.ext4").chmod(0o444)


def fill(parts, target):
    (target / "tools.ext4").symlink_to(f"../{parts.name}/tools.ext4")
    archive = image.Initrd()
    for name in ("bin", "dev", "proc", "sys", "tmp", "tools", "mnt"):
        archive.add(name, 0o040755)
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.add("bin/busybox", 0o100755, (parts / "busybox").read_bytes())
    archive.add("bin/sh", 0o120777, b"busybox")
    for source in SOURCES:
        program = target / source.stem
        subprocess.run([*COMPILE, "-o", str(program), str(source)], check=True)
        archive.add(f"bin/{source.stem}", 0o100755, program.read_bytes())
    archive.add("init", 0o100755, INIT.read_bytes())
    (target / "initrd").write_bytes(archive.finish())


def folder():
    """The cached folder with `initrd` and `tools.ext4`."""
    sources = [HERE / name for name in ("cache.py", "image.py", "packages.py", "make_gate.py")]
    key = cache.key(packages.host_suite(), *sources)
    parts = cache.folder(f"gate-parts-{key}", fill_parts)
    return cache.folder(f"gate-{cache.key(key, INIT, *SOURCES)}",
                        lambda target: fill(parts, target))


if __name__ == "__main__":
    print(folder())
