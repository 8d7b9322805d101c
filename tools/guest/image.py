# SPDX-License-Identifier: BSD-2-Clause
"""What guests start from: a tree of programs, an initrd, an ext4 disk.

What it is: the parts that every guest of ours is put together from.  The same input gives the same
bytes, whoever makes it and when: owners, rights, times and identifiers are all fixed.
What it is not: a guest.  Those are in make_guest.py (tests) and make_example.py (the example).
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import uuid

import cache

# Where e2fsprogs lives; a plain user's search path may lack it.
os.environ["PATH"] += ":/usr/sbin:/sbin"

MIB = 1 << 20
# Every time in an image: 2026-01-01.
TIME = 1767225600

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


def initrd(busybox, modules=(), init=INITRD_INIT):
    """The archive's bytes: a static busybox, kernel modules in the order of loading, and /init."""
    archive = Initrd()
    for name in ("bin", "dev", "proc", "sys", "root", "modules"):
        archive.add(name, 0o040755)
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.add("bin/busybox", 0o100755, busybox.read_bytes())
    archive.add("bin/sh", 0o120777, b"busybox")
    archive.add("init", 0o100755, init.encode())
    for module in modules:
        archive.add(f"modules/{module.name}", 0o100644, module.read_bytes())
    order = "".join(f"{module.name}\n" for module in modules)
    archive.add("modules/order", 0o100644, order.encode())
    return archive.finish()


def fill_tree(archive, programs, tree, work):
    """A root's programs: busybox, and `programs` as (package, path) with their libraries."""
    for folder in ("bin", "dev", "proc", "sys", "tmp", "sbin", "etc", "mnt"):
        (tree / folder).mkdir(parents=True)
    archive.tree(sorted({package for package, _ in programs}), programs, tree, work / "tree")
    archive.unpack(["busybox-static"], work / "busybox")
    shutil.copy(work / "busybox" / "busybox-static" / "bin" / "busybox", tree / "bin" / "busybox")
    (tree / "bin" / "sh").symlink_to("busybox")


def ext4(tree, image, name, size, disk_size=0):
    """The tree as a disk with an ext4 of `size` bytes; `name` makes its identifiers its own.

    The disk is disk_size bytes long if that is more.  The tree's own times and rights change.
    """
    identity, seed = (uuid.uuid5(uuid.NAMESPACE_URL, f"bulkhead:{what}:{name}")
                      for what in ("file-system", "directory-hash"))
    fixed = dict(os.environ, E2FSPROGS_FAKE_TIME=str(TIME))
    paths = [tree, *tree.rglob("*")]
    for path in paths:
        if not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (TIME, TIME), follow_symlinks=False)
    with open(image, "wb") as handle:
        handle.truncate(max(size, disk_size))
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-U", str(identity), "-E",
                    f"hash_seed={seed},root_owner=0:0,lazy_itable_init=0,nodiscard", "-d",
                    str(tree), str(image), f"{size // 1024}k"], check=True, env=fixed)
    # mke2fs takes over the owner and the time of the last change too, and no file system lets
    # anyone choose the latter.
    with tempfile.NamedTemporaryFile("w", dir=cache.root(), prefix=".work.") as script:
        for path in paths:
            inside = "/" if path == tree else f"/{path.relative_to(tree)}"
            for field, value in (("ctime", f"@{TIME}"), ("uid", 0), ("gid", 0)):
                script.write(f'set_inode_field "{inside}" {field} {value}\n')
        script.flush()
        done = subprocess.run(["debugfs", "-w", "-f", script.name, str(image)], env=fixed,
                              text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # It says its version on stderr, and ends with 0 whatever happened.
    problems = done.stderr.splitlines()[1:]
    if done.returncode != 0 or problems:
        raise SystemExit(f"guest: debugfs {image}: " + "\n".join(problems))


def copy_disk(source, target):
    """A disk of one's own, that one may write: sparse, and shared where the host can."""
    target = pathlib.Path(target)
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", "--no-preserve=mode", str(source),
                    str(target)], check=True)
    target.chmod(0o600)
