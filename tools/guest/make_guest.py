#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a Linux test guest: kernel, initrd and an ext4 root, from Debian's own packages.

    make_guest.py ARCH        ARCH is arm64 or amd64; prints the folder that holds
                              `kernel`, `initrd` and `root.img`

What it is: a guest as small as a real one can be.  The kernel is Debian's stock one for clouds
(ext4 built in, virtio as modules), the root has a static busybox, fio and a few tools of
util-linux.  Everything is kept in the cache (cache.py) and made again when this file, those it
uses or the guest's init script change.
What it is not: a Debian installation.  Nothing here needs root or changes the host's packages.
"""
import argparse
import pathlib
import re
import shutil
import tempfile

import cache
import image
import packages

HERE = pathlib.Path(__file__).resolve().parent
INIT = HERE.parent.parent / "tests" / "guest" / "guest_init.sh"

DISK_SIZE = 384 * image.MIB
# What lies behind the file system belongs to the tests of raw discard and write zeroes.
FILE_SYSTEM_SIZE = 320 * image.MIB

MODULES = ["virtio_mmio", "virtio_pci", "virtio_blk", "ext4"]
PROGRAMS = [
    ("fio", "/usr/bin/fio"),
    ("util-linux", "/sbin/blkdiscard"),
    ("util-linux", "/usr/bin/fallocate"),
]


def module_order(tree, wanted):
    """The module files to load, each after those it depends on."""
    files = {p.stem.replace("-", "_"): p for p in tree.rglob("*.ko")}
    listed = next(tree.rglob("modules.builtin")).read_text()
    builtin = {pathlib.Path(line).stem.replace("-", "_") for line in listed.splitlines()}
    order = []

    def add(name):
        name = name.replace("-", "_")
        if name in builtin or files.get(name) in order:
            return
        if name not in files:
            raise SystemExit(f"guest: the kernel package has no module {name}")
        depends = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
        for other in depends.group(1).decode().split(",") if depends else []:
            if other:
                add(other)
        order.append(files[name])

    for name in wanted:
        add(name)
    return order


def make_parts(architecture, target):
    """Kernel, initrd and the tree of the root."""
    archive = packages.Archive(architecture, packages.host_suite())
    archive.update()
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        work = pathlib.Path(name)
        meta = f"linux-image-cloud-{architecture}"
        kernel = next(d for d in archive.depends([meta])[meta] if d.startswith("linux-image-"))
        archive.unpack([kernel], work / "base")
        tree = work / "base" / kernel
        shutil.copy(next((tree / "boot").glob("vmlinuz-*")), target / "kernel")
        root = target / "root"
        with cache.step(f"{architecture}: tree of the root"):
            image.fill_tree(archive, PROGRAMS, root, work)
        (target / "initrd").write_bytes(
            image.initrd(root / "bin" / "busybox", module_order(tree, MODULES)))


def make_image(parts, target):
    """The disk: the tree as ext4, and empty space behind it."""
    for name in ("kernel", "initrd"):
        (target / name).symlink_to(f"../{parts.name}/{name}")
    disk = target / "root.img"
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        root = pathlib.Path(name) / "root"
        shutil.copytree(parts / "root", root, symlinks=True)
        shutil.copy(INIT, root / "sbin" / "init")
        (root / "sbin" / "init").chmod(0o755)
        with cache.step("ext4 image"):
            image.ext4(root, disk, "root", FILE_SYSTEM_SIZE, DISK_SIZE)
    disk.chmod(0o444)


def make(architecture):
    """The folder with `kernel`, `initrd` and `root.img` for that architecture."""
    sources = [HERE / name for name in ("cache.py", "image.py", "packages.py", "make_guest.py")]
    key = cache.key(packages.host_suite(), architecture, *sources)
    parts = cache.folder(f"guest-parts-{architecture}-{key}",
                         lambda target: make_parts(architecture, target))
    return cache.folder(f"guest-{architecture}-{cache.key(key, INIT)}",
                        lambda target: make_image(parts, target))


def main():
    parser = argparse.ArgumentParser(description="Makes a Linux test guest.")
    parser.add_argument("architecture", choices=sorted(packages.TRIPLETS))
    print(make(parser.parse_args().architecture))


if __name__ == "__main__":
    main()
