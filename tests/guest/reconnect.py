#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Kills the back end under a running guest, again and again, and looks for what was lost.

    reconnect.py --daemon PATH [--kills 5] [--seed N]

What it is: a guest whose root lies on the disk writes records and says on its console which ones
fsync has acknowledged, beside a load that keeps the queue full.  The back end is killed (SIGKILL)
at random moments, but when it is busy, and started again on the same socket; QEMU connects again
by itself.  In the end every acknowledged record must be in the image, the file system must be
clean, and the guest must have seen no error.  Once for each kind of ring, with and without a write
cache: without, reads overtake most writes, so that what is in flight does not lie side by side in
the ring.  Standard output is TAP 13.
What it is not: a test of the gate's restart, which the guest's front end never notices.
"""
import argparse
import itertools
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import time

import run_guest
import vm

RECORD = 4096


class Acknowledged(run_guest.Console):
    """The guest's reports, and the records that it says are durable."""

    def __init__(self):
        super().__init__()
        self.records = {}
        self.in_flight = []
        self.count = 0

    def take(self, line):
        super().take(line)
        found = re.search(r"BULKHEAD ack (\w) (\d+)$", line)
        if found:
            self.records.setdefault(found[1], []).append(int(found[2]))
            self.count += 1


def watch(guest, console, until, what):
    """Takes lines until `until()` holds."""
    deadline = time.monotonic() + 60
    while not until():
        line = guest.line(0.05)
        if line is None:
            raise vm.Failure(f"the guest ended while {what}")
        console.take(line)
        if console.failed:
            while guest.line(0.5):
                pass  # the details go to the log
            raise vm.Failure(f"the guest complained while {what}")
        if time.monotonic() > deadline:
            raise vm.Failure(f"nothing happens any more while {what}")


class Inflight:
    """The first queue's part of the in-flight region, which the front end keeps for the back end.

    Its form is the vhost-user protocol's ("Inflight I/O tracking"): a header, then an entry for
    each descriptor that begins with whether it is in flight and has a counter at byte 8.
    """

    def __init__(self, qemu, ring):
        self.size = {"split": 16, "packed": 32}[ring]
        folder = pathlib.Path(f"/proc/{qemu.pid}/fd")
        paths = [path for path in folder.iterdir() if "inflight" in os.readlink(path)]
        if not paths:
            raise vm.Failure("QEMU holds no in-flight region")
        self.path = paths[0]

    def look(self):
        """(requests in flight, how far the first and the last were popped from each other)."""
        data = self.path.read_bytes()
        entries = struct.unpack_from("<H", data, 10)[0]
        counters = [counter for flag, counter in
                    struct.iter_unpack(f"<B7xQ{self.size - 16}x",
                                       data[self.size:self.size * (1 + entries)]) if flag]
        return len(counters), max(counters) - min(counters) + 1 if counters else 0

    def wait(self, process, seconds):
        """Stops the process when what is in flight does not lie side by side, or at the end."""
        deadline = time.monotonic() + seconds
        while True:
            count, span = self.look()
            late = time.monotonic() >= deadline
            if span > count or late:
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                if process.poll() is not None:
                    raise vm.Failure(f"the back end ended by itself with {process.returncode}")
                count, span = self.look()
                if span > count or late:
                    return count, span
                process.send_signal(signal.SIGCONT)


def kill_again_and_again(guest, console, kills, dice):
    watch(guest, console, lambda: console.count >= 8, "starting")
    for number in range(1, kills + 1):
        start = time.monotonic()
        pause = dice.uniform(0, 1)
        watch(guest, console, lambda: time.monotonic() >= start + pause, "running")
        # An emulated guest is slow and leaves its disk idle most of the time.
        inflight = Inflight(guest.qemu, guest.options.ring)
        count, span = inflight.wait(guest.daemon, 2)
        # What the guest has said so far must not count as progress after the kill.  (And QEMU
        # before 9.0 never connects again if the back end dies while it connects.)
        while line := guest.line(0.2):
            console.take(line)
        guest.kill_daemon()
        console.in_flight.append(f"{count}/{span}")
        guest.note(f"kill {number}: {count} requests in flight, popped in {span} steps")
        time.sleep(dice.uniform(0, 0.2))
        guest.start_daemon()
        goal = console.count + 8
        watch(guest, console, lambda: console.count >= goal, f"resuming after kill {number}")


def lost_records(image, console):
    """Acknowledged records that the image does not hold."""
    lost = []
    for writer, numbers in sorted(console.records.items()):
        data = subprocess.run(["debugfs", "-R", f"cat /acks/{writer}", str(image)],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        for number in numbers:
            line = f"{writer}-{number}\n".encode()
            wanted = (line * (RECORD // len(line) + 1))[:RECORD]
            if data[number * RECORD:(number + 1) * RECORD] != wanted:
                lost.append(f"{writer}-{number}")
    return lost


def run(options, kills, seed):
    """Runs one guest; gives (problems, a summary, path of the log)."""
    console = Acknowledged()
    problems = []
    with vm.log_file(options) as log, vm.Vm(options, log) as guest:
        try:
            guest.start_daemon()
            guest.start_qemu()
            kill_again_and_again(guest, console, kills, random.Random(seed))
            guest.say("stop")
            for line in guest.console():
                console.take(line)
            code = guest.stop_daemon()
            if code != 0:
                problems.append(f"the back end ended with {code} on SIGTERM")
            lost = lost_records(guest.image, console)
            if lost:
                problems.append(f"{len(lost)} acknowledged records are lost: {' '.join(lost[:8])}")
            problems += run_guest.file_system_problems(guest.image)
        except vm.Failure as failure:
            problems.append(str(failure))
        problems = console.problems(run_guest.CHECKS[options.mode]) + problems
        for problem in problems:
            guest.note(f"PROBLEM {problem}")
    summary = (f"{console.count} records acknowledged, seed {seed}, requests in flight / steps "
               f"in which they were popped: {' '.join(console.in_flight)}")
    return problems, summary, log.name


def main():
    parser = argparse.ArgumentParser(description="Kills a guest's back end; TAP.")
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--arch", choices=("arm64", "x86"), default="arm64")
    parser.add_argument("--transport", choices=("mmio", "pci"), default="mmio")
    parser.add_argument("--queues", type=int, default=1)
    parser.add_argument("--qemu", default="", help="another qemu-system-... than the host's")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    kinds = list(itertools.product(("split", "packed"), ("restarts", "restarts-through")))
    print(f"TAP version 13\n1..{len(kinds)}", flush=True)
    failures = 0
    for number, (ring, mode) in enumerate(kinds, 1):
        options = vm.Options(arguments.arch, arguments.transport, ring, arguments.queues,
                             arguments.daemon, arguments.qemu, mode)
        problems, summary, log = run(options, arguments.kills, arguments.seed)
        failures += bool(problems)
        name = f"{options.name()}: {arguments.kills} kills [BH-BLK-36]"
        print(f"{'not ok' if problems else 'ok'} {number} - {name}\n# {summary}")
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
