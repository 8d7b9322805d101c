#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs one Linux guest that lives on a vhost-user-blk disk, and judges it.

    run_guest.py --arch arm64 --transport mmio --ring packed --queues 4 --daemon PATH

What it is: one combination of front end, ring and queues.  The guest's own checks
(guest_init.sh) must all come and be ok; then the image on the host is looked at: the file system
is clean, what was discarded occupies nothing, a file holds what the guest wrote.
What it is not: the list of combinations.  See matrix.py.
"""
import argparse
import filecmp
import hashlib
import os
import subprocess
import sys

import vm

MIB = 1 << 20
RAW = 320 * MIB
# Every name that the guest must report, in any order, in each mode.
ALWAYS = {"root-on-disk", "transport", "ring", "queues", "serial", "kernel-log-clean"}
CHECKS = {
    "checks": ALWAYS | {
        "fio-verify", "fio-fsync", "fio-raw", "fstrim", "fstrim-reached-disk",
        "write-zeroes-offered", "discard", "write-zeroes", "write-zeroes-unmap", "cache-before",
        "cache-through", "fio-through", "cache-through-sends-no-flush", "cache-after",
        "cache-back-sends-flush",
    },
    "read-only": ALWAYS | {"read-only", "fio-read", "write-refused", "remount-refused"},
    "write-through": ALWAYS | {"write-back-refused", "cache-unchanged", "fio-through"},
    "restarts": ALWAYS | {"load-reads", "load-writes", "writers"},
    "restarts-through": ALWAYS | {"load-reads", "load-writes", "writers"},
}
# The checks on the host, made after the guest has ended.
CLEARED = {"discard": RAW + 32 * MIB, "write-zeroes-unmap": RAW + 48 * MIB}


class Console:
    """Collects the guest's reports from the lines of its console."""

    def __init__(self):
        self.ok = {}
        self.failed = {}
        self.notes = {}
        self.ended = False

    def take(self, line):
        _, found, rest = line.partition("BULKHEAD ")
        if not found:
            return
        kind, _, rest = rest.partition(" ")
        name, _, text = rest.partition(" ")
        if kind == "ok":
            self.ok[name] = text
        elif kind == "not-ok":
            self.failed[name] = text
        elif kind == "note":
            self.notes[name] = text
        elif kind == "end":
            self.ended = True

    def problems(self, wanted):
        found = [f"{name}: {text}" for name, text in self.failed.items()]
        missing = sorted(wanted - set(self.ok) - set(self.failed))
        if missing:
            found.append(f"the guest did not report: {', '.join(missing)}")
        if not self.ended:
            found.append("the guest did not come to its end")
        return found


def occupied(image, offset, length):
    """How many bytes of that part of the file hold data rather than a hole."""
    total = 0
    with open(image, "rb") as handle:
        at = offset
        while at < offset + length:
            try:
                at = os.lseek(handle.fileno(), at, os.SEEK_DATA)
            except OSError:
                break  # no data up to the end of the file
            hole = os.lseek(handle.fileno(), at, os.SEEK_HOLE)
            total += max(0, min(hole, offset + length) - at)
            at = hole
    return total


def file_system_problems(image):
    """What e2fsck finds in the image that the guest has left."""
    done = subprocess.run(["e2fsck", "-fn", str(image)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return []
    return [f"e2fsck ended with {done.returncode}: {done.stdout.strip().splitlines()[-1]}"]


def clearing_problems(image, before):
    """What is wrong with how the image was cleared."""
    found = []
    for name, offset in CLEARED.items():
        if occupied(image, offset + MIB // 4, MIB // 2):
            found.append(f"{name}: the image still occupies what was cleared")
        if occupied(image, offset, MIB) != MIB // 2:
            found.append(f"{name}: its neighbours are not in the image")
    # About 60 MiB of files were written and deleted; the journal and the raw tests have stayed.
    after = image.stat().st_blocks * 512
    if after - before > 48 * MIB:
        found.append(f"fstrim: the image has grown by {(after - before) // MIB} MiB")
    return found


def file_problems(image, wanted):
    """What is wrong with the file that the guest has left; `wanted` is its SHA-256."""
    left = subprocess.run(["debugfs", "-R", "cat /left-behind", str(image)],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    if hashlib.sha256(left).hexdigest() == wanted:
        return []
    return ["left-behind: the file in the image is not what the guest wrote"]


def image_problems(guest, console, before):
    """What is wrong with the image after a run."""
    if guest.options.mode == "read-only":
        same = filecmp.cmp(guest.image, guest.guest / "root.img", shallow=False)
        return [] if same else ["read-only: the image has changed"]
    found = file_system_problems(guest.image)
    if guest.options.mode == "checks":
        found += clearing_problems(guest.image, before)
    return found + file_problems(guest.image, console.notes.get("left-behind"))


def run(options):
    """Runs the guest; gives (problems, notes, path of the log)."""
    console = Console()
    problems = []
    with vm.log_file(options) as log, vm.Vm(options, log) as guest:
        try:
            before = guest.image.stat().st_blocks * 512
            guest.start_daemon()
            guest.start_qemu()
            for line in guest.console():
                console.take(line)
            code = guest.stop_daemon()
            if code != 0:
                problems.append(f"the back end ended with {code} on SIGTERM")
            problems += image_problems(guest, console, before)
        except vm.Failure as failure:
            problems.append(str(failure))
        problems = console.problems(CHECKS[options.mode]) + problems
        for problem in problems:
            guest.note(f"PROBLEM {problem}")
    return problems, console.notes, log.name


def parse():
    parser = argparse.ArgumentParser(description="Runs one Linux guest on a vhost-user-blk disk.")
    parser.add_argument("--arch", choices=("arm64", "x86"), required=True)
    parser.add_argument("--transport", choices=("mmio", "pci"), required=True)
    parser.add_argument("--ring", choices=("split", "packed"), required=True)
    parser.add_argument("--queues", type=int, required=True)
    parser.add_argument("--daemon", required=True, help="bulkhead-blk, or qemu-storage-daemon")
    parser.add_argument("--qemu", default="", help="another qemu-system-... than the host's")
    parser.add_argument("--mode", choices=("checks", "read-only", "write-through"),
                        default="checks")
    parser.add_argument("--timeout", type=int, default=240, help="seconds until the guest must end")
    return vm.Options(**vars(parser.parse_args()))


def main():
    options = parse()
    problems, notes, log = run(options)
    for name, text in notes.items():
        print(f"{name}: {text}")
    for problem in problems:
        print(f"PROBLEM {problem}")
    print(f"{'FAIL' if problems else 'PASS'} {options.name()}; log {log}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
