#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs Linux guests on a vhost-user-blk disk in every combination, and prints TAP 13.

    matrix.py --daemon PATH [-j2] [--newer]

What it is: arm64 and x86, virtio-mmio and PCI, split and packed rings, 1 and 4 queues, each a run
of run_guest.py on the host's QEMU; a read-only and a write-through disk; with --newer also a few
on a newer Debian's QEMU, which is fetched into the cache.  Standard output is TAP; a failing line
is followed by what was wrong and by the path of the run's log.
What it is not: a test of restarts.  See reconnect.py.
"""
import argparse
import concurrent.futures
import itertools
import pathlib
import sys
import time

import run_guest
import vm

import make_guest
import make_qemu

# What a newer QEMU runs: each front end, ring and number of queues at least once on each side.
NEWER = [("arm64", "mmio", "packed", 4), ("arm64", "pci", "split", 1),
         ("x86", "mmio", "split", 4), ("x86", "pci", "packed", 1)]


# Disks of another kind; what they offer does not depend on the front end.
MODES = [("arm64", "mmio", "packed", 4, "read-only"), ("x86", "pci", "split", 1, "write-through")]


def combinations(arguments):
    """All runs, as (label, options)."""
    every = itertools.product(("arm64", "x86"), ("mmio", "pci"), ("split", "packed"), (1, 4),
                              ("checks",))
    runs = [("", combination, "") for combination in [*every, *MODES]]
    if arguments.newer:
        folder = make_qemu.make()
        for combination in NEWER:
            program = folder / "bin" / vm.QEMU_NAMES[combination[0]]
            version = ".".join(str(part) for part in vm.qemu_version(program))
            runs.append((f" (QEMU {version})", (*combination, "checks"), str(program)))
    for label, (arch, transport, ring, queues, mode), program in runs:
        yield label, vm.Options(arch, transport, ring, queues, arguments.daemon, program, mode,
                                arguments.timeout)


def one(label, options):
    start = time.monotonic()
    problems, notes, log = run_guest.run(options)
    return label, options, problems, notes, log, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description="Linux guests on a disk, every combination, TAP.")
    parser.add_argument("--daemon", required=True, help="bulkhead-blk, or qemu-storage-daemon")
    parser.add_argument("-j", dest="jobs", type=int, choices=(1, 2), default=2,
                        help="guests at the same time")
    parser.add_argument("--newer", action="store_true", help="run some on a newer QEMU as well")
    parser.add_argument("--timeout", type=int, default=240, help="seconds for one guest")
    arguments = parser.parse_args()
    for architecture in sorted(vm.DEBIAN_NAMES.values()):
        make_guest.make(architecture)
    runs = list(combinations(arguments))
    print(f"TAP version 13\n1..{len(runs)}", flush=True)
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for number, done in enumerate(pool.map(lambda run: one(*run), runs), 1):
            label, options, problems, notes, log, seconds = done
            failures += bool(problems)
            print(f"{'not ok' if problems else 'ok'} {number} - {options.name()}{label}")
            print(f"# {seconds:.1f} s, features {notes.get('features', 'unknown')}")
            for problem in problems:
                print(f"# PROBLEM {problem}")
            if problems:
                print(f"# log: {log}")
            else:
                pathlib.Path(log).unlink()
            sys.stdout.flush()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
