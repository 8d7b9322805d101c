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
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import cache
import packages

HERE = pathlib.Path(__file__).resolve().parent
INIT = HERE.parent.parent / "tests" / "guest" / "guest_init.sh"

# Where e2fsprogs lives; a plain user's search path may lack it.
os.environ["PATH"] += ":/usr/sbin:/sbin"

MIB = 1 << 20
DISK_SIZE = 384 * MIB
# What lies behind the file system belongs to the tests of raw discard and write zeroes.
FILE_SYSTEM_SIZE = 320 * MIB

MODULES = ["virtio_mmio", "virtio_pci", "virtio_blk", "ext4"]
PROGRAMS = [
    ("fio", "/usr/bin/fio"),
    ("util-linux", "/sbin/blkdiscard"),
    ("util-linux", "/usr/bin/fallocate"),
]

INITRD_INIT = """#!/bin/busybox sh
# First program of the guest: loads the drivers, then makes /dev/vda the root.
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
while read module; do
    busybox insmod "/modules/$module" || echo "BULKHEAD not-ok insmod $module"
done < /modules/order
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 300 ]; do
    busybox usleep 100000
    tries=$((tries + 1))
done
options=rw
busybox grep -q 'bulkhead.mode=read-only' /proc/cmdline && options=ro
busybox mount -t ext4 -o $options /dev/vda /root || {
    echo "BULKHEAD not-ok mount /dev/vda"
    busybox poweroff -f
}
busybox mount --move /dev /root/dev
busybox umount /sys /proc
exec busybox switch_root /root /sbin/init
"""


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


class Initrd:
    """An uncompressed cpio archive ("newc"): unpacking gzip on an emulated CPU costs more."""

    def __init__(self):
        self.data = bytearray()
        self.count = 0

    def add(self, name, mode, content=b"", device=(0, 0)):
        self.count += 1
        encoded = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.data += b"\0" * (-len(self.data) % 4) + content
        self.data += b"\0" * (-len(self.data) % 4)

    def finish(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.data)


def make_initrd(busybox, modules):
    archive = Initrd()
    for name in ("bin", "dev", "proc", "sys", "root", "modules"):
        archive.add(name, 0o040755)
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.add("bin/busybox", 0o100755, busybox.read_bytes())
    archive.add("bin/sh", 0o120777, b"busybox")
    archive.add("init", 0o100755, INITRD_INIT.encode())
    for module in modules:
        archive.add(f"modules/{module.name}", 0o100644, module.read_bytes())
    order = "".join(f"{module.name}\n" for module in modules)
    archive.add("modules/order", 0o100644, order.encode())
    return archive.finish()


def make_parts(architecture, target):
    """Kernel, initrd and the tree of the root."""
    archive = packages.Archive(architecture, packages.host_suite())
    archive.update()
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        work = pathlib.Path(name)
        meta = f"linux-image-cloud-{architecture}"
        kernel = next(d for d in archive.depends([meta])[meta] if d.startswith("linux-image-"))
        archive.unpack([kernel, "busybox-static"], work / "base")
        busybox = work / "base" / "busybox-static" / "bin" / "busybox"
        tree = work / "base" / kernel
        image = next((tree / "boot").glob("vmlinuz-*"))
        shutil.copy(image, target / "kernel")
        (target / "initrd").write_bytes(make_initrd(busybox, module_order(tree, MODULES)))
        with cache.step(f"{architecture}: tree of the root"):
            root = target / "root"
            for folder in ("bin", "dev", "proc", "sys", "tmp", "sbin", "etc"):
                (root / folder).mkdir(parents=True)
            archive.tree(sorted({package for package, _ in PROGRAMS}), PROGRAMS, root,
                         work / "tree")
            shutil.copy(busybox, root / "bin" / "busybox")
            (root / "bin" / "sh").symlink_to("busybox")


def make_image(parts, target):
    """The disk: the tree as ext4, and empty space behind it."""
    for name in ("kernel", "initrd"):
        (target / name).symlink_to(f"../{parts.name}/{name}")
    image = target / "root.img"
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        root = pathlib.Path(name) / "root"
        shutil.copytree(parts / "root", root, symlinks=True)
        shutil.copy(INIT, root / "sbin" / "init")
        (root / "sbin" / "init").chmod(0o755)
        with open(image, "wb") as handle:
            handle.truncate(DISK_SIZE)
        with cache.step("ext4 image"):
            subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E",
                            "root_owner=0:0,lazy_itable_init=0,nodiscard", "-d", str(root),
                            str(image), f"{FILE_SYSTEM_SIZE // 1024}k"], check=True)
    image.chmod(0o444)


def make(architecture):
    """The folder with `kernel`, `initrd` and `root.img` for that architecture."""
    sources = [HERE / name for name in ("cache.py", "packages.py", "make_guest.py")]
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
