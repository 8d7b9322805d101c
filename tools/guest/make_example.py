#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes what the examples boot: a kernel, an initrd, and a disk for each Linux guest.

    make_example.py [--fresh] [--bulkhead PROGRAM] [EXAMPLE]...
                              fills examples/EXAMPLE/images (of every example, if none is named) with
                              `Image`, `initrd` (links into the cache) and a GUEST.ext4 for each
                              guest (copies: guests write to them; those that are there stay,
                              unless --fresh is given); for gateway also the program of its
                              monitor, which is compiled with the header that PROGRAM (bulkhead of
                              build/gcc, or of the search path) makes

What it is: a Debian-made root with a static busybox, fio and our init (example_init.sh), as small
as a guest can be that one can look around in.
What it is not: a Debian installation.  Nothing here needs root or changes the host's packages.
"""
import argparse
import pathlib
import shutil
import subprocess
import tempfile

import cache
import image
import make_kernel
import packages

HERE = pathlib.Path(__file__).resolve().parent
INIT = HERE / "example_init.sh"
EXAMPLES = HERE.parent.parent / "examples"
DISKS = {"hello": ("cluster", "ivi"), "cockpit": ("cluster", "ivi", "gateway"), "gateway": ("gateway", "telematics")}
GUESTS = sorted({guest for guests in DISKS.values() for guest in guests})
DISK_SIZE = 256 * image.MIB
PROGRAMS = [("fio", "/usr/bin/fio")]

PROFILE = """PS1='\\h:\\w\\$ '
cd
"""
# busybox's acpid runs this file when the power key is pressed.
POWER_KEY = ("etc/acpi/PWRF/00000080", "#!/bin/sh\nexec poweroff\n")


def fill_parts(target):
    """What all guests have in common: the programs, and the initrd."""
    archive = packages.Archive("arm64", packages.host_suite())
    archive.update()
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        with cache.step("example: programs of the root"):
            image.fill_tree(archive, PROGRAMS, target / "root", pathlib.Path(name))
    (target / "initrd").write_bytes(image.initrd(target / "root" / "bin" / "busybox"))


def finish_tree(root, guest):
    """Makes the common tree into that guest's."""
    for folder in ("dev", "etc/acpi/PWRF", "root", "run", "var/log"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "var" / "run").symlink_to("../run")
    shutil.copy(INIT, root / "sbin" / "init")
    (root / "sbin" / "init").chmod(0o755)
    (root / POWER_KEY[0]).write_text(POWER_KEY[1])
    (root / POWER_KEY[0]).chmod(0o755)
    (root / "etc" / "hostname").write_text(f"{guest}\n")
    (root / "etc" / "passwd").write_text("root::0:0:root:/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    (root / "etc" / "profile").write_text(PROFILE)


def fill_disks(parts, target):
    (target / "initrd").symlink_to(f"../{parts.name}/initrd")
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        for guest in GUESTS:
            root = pathlib.Path(name) / guest
            shutil.copytree(parts / "root", root, symlinks=True)
            finish_tree(root, guest)
            with cache.step(f"example: disk of {guest}"):
                image.ext4(root, target / f"{guest}.ext4", guest, DISK_SIZE)
            (target / f"{guest}.ext4").chmod(0o444)


def folder():
    """The cached folder with `initrd` and the disks as they are before the first boot."""
    sources = [HERE / name for name in ("cache.py", "image.py", "packages.py", "make_example.py")]
    key = cache.key(packages.host_suite(), *sources)
    parts = cache.folder(f"example-parts-{key}", fill_parts)
    return cache.folder(f"example-{cache.key(key, INIT)}",
                        lambda target: fill_disks(parts, target))


def link(source, target):
    """target is a link to source, whatever was there before."""
    target.unlink(missing_ok=True)
    target.symlink_to(source)


def make(example="hello", fresh=False, bulkhead=None):
    """Fills the folder `images` of an example."""
    images = EXAMPLES / example / "images"
    kernel, disks = make_kernel.folder(), folder()
    images.mkdir(parents=True, exist_ok=True)
    link(kernel / "Image", images / "Image")
    link(disks / "initrd", images / "initrd")
    for guest in DISKS[example]:
        disk = images / f"{guest}.ext4"
        if fresh or not disk.exists():
            image.copy_disk(disks / disk.name, disk)
    if (images.parent / "Makefile").exists():
        built = HERE.parent.parent / "build" / "gcc" / "cli" / "bulkhead"
        program = bulkhead or (built if built.exists() else "bulkhead")
        subprocess.run(["make", "--quiet", "-C", images.parent, f"BULKHEAD={program}"], check=True)
    return images


def main():
    parser = argparse.ArgumentParser(description="Makes what the examples boot.")
    parser.add_argument("--fresh", action="store_true",
                        help="disks as before the first boot: what guests wrote is lost")
    parser.add_argument("--bulkhead", metavar="PROGRAM", help="the program that makes headers")
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE", choices=[[], *DISKS],
                        help="hello, cockpit, gateway; all of them, if none is named")
    options = parser.parse_args()
    for example in options.examples or DISKS:
        print(make(example, options.fresh, options.bulkhead))


if __name__ == "__main__":
    main()
