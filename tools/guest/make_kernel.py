#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes the kernel of the arm64 guests from Debian's kernel sources.

    make_kernel.py            prints the folder that holds `Image`, and the `config` it was made with

What it is: tinyconfig and our own options (linux-guest.config) compiled for arm64, once, in some
minutes, and then kept in the cache until the options or these tools change.  The same sources and
the same compiler give the same bytes.  The sources are removed again.
What it is not: a kernel for a product.  It has every driver that a guest of Bulkhead may need.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import cache
import packages

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = HERE / "linux-guest.config"
SUITE = "forky"
PACKAGE = "linux-source-7.2"
# How many objects that makes; only the progress line needs it.
OBJECTS = 1450

# Nothing of the machine, the user or the hour gets into the image.
FIXED = {
    "ARCH": "arm64",
    "CROSS_COMPILE": "aarch64-linux-gnu-",
    "KBUILD_BUILD_TIMESTAMP": "2026-01-01 00:00:00 UTC",
    "KBUILD_BUILD_USER": "bulkhead",
    "KBUILD_BUILD_HOST": "bulkhead",
    "KBUILD_BUILD_VERSION": "1",
}
COMPILED = ("  CC ", "  AS ")


def make(tree, *targets):
    """One make in the source tree; gives the running process."""
    # The build leaves the machine to others, and does not heed what the caller's make was told.
    ours = {name: value for name, value in os.environ.items()
            if name not in ("MAKEFLAGS", "MAKELEVEL", "KCONFIG_CONFIG", "KBUILD_OUTPUT", "O")}
    settings = [f"{name}={value}" for name, value in FIXED.items()]
    return subprocess.Popen(["nice", "make", f"-j{os.cpu_count()}", *settings, *targets], cwd=tree,
                            env=dict(ours, LC_ALL="C", TZ="UTC"), text=True, errors="replace",
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def finish(process, lines):
    """Waits for make; a failure shows the end of what it said."""
    if process.wait() != 0:
        raise SystemExit("guest: the kernel does not build:\n" + "".join(lines[-40:]))


def options(text):
    """{option: value} of a kernel configuration; what is not set is not in it."""
    pairs = (line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_"))
    return {name: value for name, value in pairs if value != "n"}


def refused(wanted, found):
    """What of our options the kernel's own rules did not accept, as lines."""
    asked = [line.split("=", 1) for line in wanted.splitlines() if line.startswith("CONFIG_")]
    return [f"{name}={value} was asked for, it is {found.get(name, 'n')}"
            for name, value in asked if found.get(name, "n") != value]


def configure(tree):
    process = make(tree, "-s", "tinyconfig")
    finish(process, list(process.stdout))
    with open(tree / ".config", "a") as handle:
        handle.write(CONFIG.read_text())
    process = make(tree, "-s", "olddefconfig")
    finish(process, list(process.stdout))
    wrong = refused(CONFIG.read_text(), options((tree / ".config").read_text()))
    if wrong:
        raise SystemExit(f"guest: {CONFIG.name} asks for what {PACKAGE} does not give (an option "
                         "that it depends on is missing):\n" + "\n".join(wrong))


class Progress:
    """A line that says how far the build is: rewritten on a terminal, else now and then a new one."""

    def __init__(self):
        self.terminal = sys.stderr.isatty()
        self.every = 1 if self.terminal else 20
        self.start = time.monotonic()
        self.shown = self.start
        self.objects = 0

    def take(self, line):
        self.objects += line.startswith(COMPILED)
        if time.monotonic() - self.shown >= self.every:
            self.shown = time.monotonic()
            self.show()

    def show(self):
        seconds = int(self.shown - self.start)
        text = (f"guest: kernel: {self.objects} of about {OBJECTS} files compiled, "
                f"{seconds // 60}:{seconds % 60:02} min")
        print(f"\r{text}" if self.terminal else text, end="" if self.terminal else "\n",
              file=sys.stderr, flush=True)

    def end(self):
        if self.terminal:
            print(file=sys.stderr)


def compile_image(tree):
    process = make(tree, "Image")
    progress = Progress()
    lines = []
    for line in process.stdout:
        lines.append(line)
        progress.take(line)
    progress.end()
    finish(process, lines)


def fill(target):
    archive = packages.Archive(packages.host_architecture(), SUITE)
    archive.update()
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix=".work.") as name:
        work = pathlib.Path(name)
        with cache.step("kernel: unpack the sources"):
            archive.unpack([PACKAGE], work / "package")
            packed = work / "package" / PACKAGE / "usr" / "src" / f"{PACKAGE}.tar.xz"
            subprocess.run(["tar", "-C", str(work), "-xf", str(packed)], check=True)
        tree = work / PACKAGE
        with cache.step("kernel: configure"):
            configure(tree)
        with cache.step("kernel: compile"):
            compile_image(tree)
        shutil.copy(tree / "arch" / "arm64" / "boot" / "Image", target / "Image")
        shutil.copy(tree / ".config", target / "config")


def folder():
    """The folder with the guests' kernel."""
    sources = [HERE / name for name in ("cache.py", "packages.py", "make_kernel.py")]
    return cache.folder(f"kernel-arm64-{cache.key(SUITE, PACKAGE, CONFIG, *sources)}", fill)


if __name__ == "__main__":
    print(folder())
