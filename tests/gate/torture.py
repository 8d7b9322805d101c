#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Ends the back end, or the gate itself, under a running guest again and again, and looks for what was lost.

    torture.py [--count 20] [--signal kill|stop] [--victim back-end|gate] [--mode M] [--ring R]
               [--back-end bulkhead|qsd] [--spares N] [--slow] [--seed N]

What it is: a Linux guest keeps 32 requests in flight on its disk (stamp.c) beside fio with verify, and says which
records fsync has acknowledged. The victim gets SIGKILL, or SIGSTOP, at random moments. No request may fail, no read may
return anything but the last write, nothing that was acknowledged may be missing: looked at by the guest while it runs,
after an orderly end, and after a reset in the middle, from the guest and in the image. With --slow some
requests are held back by the disk for 30 ms, so that many later ones overtake them. What is not named is run in
every combination. Standard output is TAP 13, with counts and stalls.
What it is not: a test of power loss (power_loss.py): the host's page cache outlives all processes here.
"""
import argparse
import dataclasses
import itertools
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import time

import rig
import stamps

sys.path.insert(0, str(rig.ROOT / "tests" / "daemon"))
import fuse_disk  # noqa: E402

SIZE = 48 * rig.MIB
AREA = 16 * rig.MIB  # of stamp.c; fio has the next one
DEPTH, MOST = 32, 16
DEADLINE_MS = 500
PATIENCE = 8  # seconds that a guest stands still at most, on a busy host; the usual deadline is longer
HELD = 0.06  # of the requests, with --slow
# What the audit log may hold.
USUAL = {"none", "front-end-gone", "replaced"}
EXPECTED = {("back-end", "kill"): USUAL | {"back-end-died"}, ("back-end", "stop"): USUAL | {"back-end-hung"},
            ("gate", "kill"): USUAL | {"adopted"}, ("gate", "stop"): USUAL | {"adopted"}}
FIO = ("--output-format=normal --direct=1 --ioengine=libaio --iodepth=8 --verify=crc32c --verify_fatal=1 "
       "--verify_state_save=0 --do_verify=1 --randrepeat=0 --rw=randwrite --bsrange=4k-64k --name=fio "
       f"--offset={AREA} --size=2M")


@dataclasses.dataclass(frozen=True)
class Options:
    """What one run is made of."""
    mode: str
    ring: str
    back_end: str
    signal: str = "kill"
    victim: str = "back-end"
    count: int = 20
    spares: int = 0
    slow: bool = False
    seed: int = 0

    def name(self):
        words = [self.mode, self.ring, self.back_end, f"{self.count} x SIG{self.signal.upper()}"]
        words += ["to the gate"] * (self.victim == "gate") + [f"{self.spares} spare"] * bool(self.spares)
        return " ".join(words + ["slow disk"] * self.slow)


class Acknowledged:
    """What the guest says to be durable."""

    def __init__(self, guest):
        self.last = (0, 0)
        self.count = 0
        self.wrong = []
        guest.listeners.append(self.take)

    def take(self, line):
        found = re.search(r"BULKHEAD ack (\d+) (\d+)$", line)
        if found:
            self.last = (int(found[1]), int(found[2]))
            self.count += 1
        elif "BULKHEAD not-ok" in line or "I/O error" in line:
            self.wrong.append(line)


class Torture:
    """One run."""

    def __init__(self, options, image):
        self.options = options
        self.image = image
        self.dice = random.Random(options.seed)
        self.ended = 0
        self.notes = []

    def guest(self):
        options = self.options
        command = rig.blk(self.image) if options.back_end == "bulkhead" else rig.qsd(self.image)
        more = ["--deadline", str(DEADLINE_MS)] * (options.signal == "stop" and options.victim == "back-end")
        more += ["--spares", str(options.spares)] * bool(options.spares) + ["--queues", "1"]
        front = f"vhost-user-blk,num-queues=1,queue-size=128,packed={'on' if options.ring == 'packed' else 'off'}"
        device = rig.Device("disk", front, mode=options.mode, command=command, options=more)
        return rig.Guest(f"torture {options.name()}", [device], windows=options.mode in ("shadow", "direct"),
                         tools=True)

    def victim(self, gate):
        """A process to end: one of those that serve."""
        def look():
            gates, backs = gate.processes()
            return gates if self.options.victim == "gate" else backs
        return self.dice.choice(rig.wait_until(look, "there is a process to end", 20))

    def end_one(self, guest, gate):
        """Ends a victim at a random moment, and waits until fsync answers again."""
        self.go_on(guest, 1)
        # Who dies at once again and again is started ever later; most of them live longer than that.
        time.sleep(self.dice.choice((0, 0.25, 0.25, 0.25)) + self.dice.uniform(0, 0.06))
        gate.alive()
        pid = self.victim(gate)
        os.kill(pid, signal.SIGKILL if self.options.signal == "kill" else signal.SIGSTOP)
        self.ended += 1
        guest.note(f"{self.ended}: SIG{self.options.signal.upper()} to {pid}, {self.acks.last}")
        rig.wait_until(lambda: not pathlib.Path(f"/proc/{pid}/exe").exists() or self.gone(pid),
                       f"process {pid} is over", 30)

    @staticmethod
    def gone(pid):
        try:
            return os.readlink(f"/proc/{pid}/exe") == ""
        except OSError:
            return True

    def begin(self, guest, area):
        self.acks.last = (0, 0)
        guest.must(f"load {area.arguments()} {DEPTH} {MOST} {FIO}")
        self.go_on(guest, 10)

    def look(self, guest):
        """Notes in the log how the gate stands."""
        for gate in guest.gates.values():
            guest.note(f"processes {gate.processes()}, events {gate.events()[-3:]}")
            if self.options.mode != "none":
                guest.note(f"metrics {gate.metrics()}")

    def go_on(self, guest, records):
        """Waits until fsync has acknowledged so many more."""
        before = self.acks.count

        def went_on():
            return self.acks.count >= before + records or self.acks.wrong

        try:
            rig.wait_until(went_on, "the guest goes on", PATIENCE)
        except rig.Failure:
            self.look(guest)
            rig.wait_until(went_on, "the guest goes on", 10 * PATIENCE)
            raise
        if self.acks.wrong:
            raise rig.Failure(self.acks.wrong[0])

    def stop(self, guest):
        """The load ends in order: every write there is was done, and is the newest of its blocks."""
        lines = guest.must("unload", 180)
        found = re.search(r"BULKHEAD stamp writes (\d+) reads (\d+) early (\d+) worst-us (\d+)", "\n".join(lines))
        if not found:
            raise rig.Failure("the writer did not end as it should")
        worst = int(found[4]) / 1000
        self.notes.append(f"{found[1]} writes, {found[2]} reads compared, {found[3]} overtook an older one, the worst "
                          f"took {worst:.1f} ms")
        if worst > 1000 * PATIENCE:
            raise rig.Failure(f"a request took {worst:.0f} ms: it was forgotten for a while")

    def run(self):
        options = self.options
        first = stamps.Range(0, AREA, options.seed % 1000000 + 1, MOST)
        second = stamps.Range(0, AREA, first.seed + 1, MOST)
        with self.guest() as guest:
            self.acks = Acknowledged(guest)
            try:
                self.go(guest, first, second)
            except rig.Failure as failure:
                guest.note(f"PROBLEM {failure}")
                return [str(failure), f"log: {guest.log.name}"]
            pathlib.Path(guest.log.name).unlink()
        return []

    def go(self, guest, first, second):
        guest.start()
        guest.must("tools")
        gate = guest.gates["disk"]
        ends = self.options.count - self.options.count // 5
        self.begin(guest, first)
        while self.ended < ends:
            self.end_one(guest, gate)
        self.go_on(guest, 10)
        self.stop(guest)
        guest.must(f"stamp check $DISK {first.arguments()} {MOST}")
        self.judge(first, self.acks.last)
        guest.must("complaints")
        # Once more, and a reset in the middle.
        self.begin(guest, second)
        while self.ended < self.options.count:
            self.end_one(guest, gate)
        self.go_on(guest, 10)
        told = self.acks.last
        guest.reset()
        guest.must(f"stamp check $DISK {second.arguments()} {MOST}")
        self.judge(second, told)
        guest.must("complaints")
        self.tell(gate)

    def judge(self, area, told):
        problems = area.problems(self.image, told)
        if problems:
            raise rig.Failure(f"{len(problems)} blocks: {'; '.join(problems[:3])}")

    def tell(self, gate):
        if self.options.mode == "none":
            return
        reasons = {event["reason"] for event in gate.events()} - EXPECTED[self.options.victim, self.options.signal]
        if reasons:
            raise rig.Failure(f"the gate says {', '.join(sorted(reasons))}")
        stalls = [event["number"] / 1000 for event in gate.events() if event.get("reason") == "replaced"]
        if stalls:
            self.notes.append(f"{len(stalls)} replacements, stall: median {statistics.median(stalls):.1f} ms, worst "
                              f"{max(stalls):.1f} ms")
        found = gate.metrics()
        self.notes.append(", ".join(f"{name.removeprefix('bulkhead_gate_')} {value:g}" for name, value in found.items()
                                    if re.search("requests|restarts|repeated|refused|copied|most", name)))


def make_image(folder, options):
    """A file of zeros, or a slow disk: (its path, what ends it)."""
    if not options.slow:
        path = folder / "disk.img"
        with open(path, "wb") as handle:
            handle.truncate(SIZE)
        return path, path.unlink
    fuse_disk.WORKERS = 24  # so that what is held back does not hold all others
    disk = fuse_disk.FuseDisk(str(folder / "slow"), SIZE)
    dice = random.Random(options.seed)
    for operation in (fuse_disk.READ, fuse_disk.WRITE):
        disk.delay[operation] = lambda *_: 0 if dice.random() > HELD else 0.03
    return pathlib.Path(disk.path), disk.close


def one(options, folder):
    image, finish = make_image(folder, options)
    torture = Torture(options, image)
    begin = time.monotonic()
    problems = torture.run()
    finish()
    torture.notes.append(f"{torture.ended} times SIG{options.signal.upper()}, {torture.acks.count} records "
                         f"acknowledged, seed {options.seed}, {time.monotonic() - begin:.0f} s")
    return problems, torture.notes


def combinations(arguments):
    """Every run that the arguments ask for."""
    modes = [arguments.mode] if arguments.mode else ["shadow", "bounce", "direct"]
    rings = [arguments.ring] if arguments.ring else ["split", "packed"]
    backs = [arguments.back_end] if arguments.back_end else ["bulkhead", "qsd"]
    for mode, ring, back_end in itertools.product(modes, rings, backs):
        # Without the gate's rings a back end must keep an in-flight region, which QEMU's does not.
        if (mode, back_end) != ("direct", "qsd"):
            yield Options(mode, ring, back_end, arguments.signal, arguments.victim, arguments.count,
                          arguments.spares, arguments.slow, arguments.seed)


def main():
    parser = argparse.ArgumentParser(description="Ends back ends and gates under a guest, TAP.")
    parser.add_argument("--count", type=int, default=20, help="how often, in each run")
    parser.add_argument("--signal", choices=("kill", "stop"), default="kill")
    parser.add_argument("--victim", choices=("back-end", "gate"), default="back-end")
    parser.add_argument("--mode", choices=("shadow", "bounce", "direct", "open", "none"))
    parser.add_argument("--ring", choices=("split", "packed"))
    parser.add_argument("--back-end", choices=("bulkhead", "qsd"))
    parser.add_argument("--spares", type=int, default=0)
    parser.add_argument("--slow", action="store_true", help="a disk that holds some requests back")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    if arguments.slow:
        fuse_disk.enter()
    runs = list(combinations(arguments))
    print(f"TAP version 13\n1..{len(runs)}", flush=True)
    failures = 0
    folder = pathlib.Path(subprocess.check_output(["mktemp", "-d", "/tmp/bulkhead-torture.XXXXXX"], text=True).strip())
    for number, options in enumerate(runs, 1):
        problems, notes = one(options, folder)
        failures += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {number} - {options.name()}")
        for line in [*notes, *(f"PROBLEM {problem}" for problem in problems)]:
            print(f"# {line}", flush=True)
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
