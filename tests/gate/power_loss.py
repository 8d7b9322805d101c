#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Power loss at any moment: what the guest was told to be durable is in the image, with its back end ended meanwhile.

    power_loss.py [--seconds 10] [--samples 40] [--mode M] [--ring R] [--kills 20] [--seed N]

What it is: the image lies in a file system of this process, which notes each write and each flush in the order in
which they come and are done. A write is durable when a flush that came after it was done is done itself; until
then it may be there, in parts, or not. Every prefix of that record is looked at: a record of stamp.c is begun only
after fsync of the one before, so at that moment all that the one before promised must be durable; the same holds for
what the console said. No write may land on a newer one at any time. A sample of prefixes is made into images, with
what was not flushed there in parts, in any order: they are looked at as after a reset, and the ext4 beside it
recovers its journal, is clean, and holds each file of which fsync has returned. Standard output is TAP 13.
What it is not: a disk's own cache. And QEMU's storage daemon is left out: to its guests it says that it has no write
cache, and does not flush what it writes.
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
import threading
import time

import rig
import stamps

sys.path.insert(0, str(rig.ROOT / "tests" / "daemon"))
import fuse_disk  # noqa: E402

BLOCK = stamps.BLOCK
AREA = 16 * rig.MIB
START = rig.MIB  # of stamp.c's range
FILES = 32 * rig.MIB  # where ext4 begins
FILES_SIZE = 32 * rig.MIB
SIZE = FILES + FILES_SIZE
DEPTH, MOST = 32, 16
SECTOR = 512
ENOUGH = 100  # records and files
HELD = 0.04  # of the writes: later ones overtake them
fuse_disk.WORKERS = 24  # so that those that are held do not hold all others
BEGUN, DONE, FLUSH_BEGUN, FLUSHED, TOLD, FILE_TOLD = range(6)


class RecordingDisk(fuse_disk.FuseDisk):
    """Notes what reaches it: `events` are (what, number or record, ...), `writes` are (offset, data)."""

    def __init__(self, folder, size):
        self.lock = threading.Lock()
        self.events = []
        self.writes = []
        self.flushes = 0
        self.held = 0
        self.dice = random.Random(size)
        self.recording = False
        super().__init__(folder, size)

    def note(self, *event):
        with self.lock:
            self.events.append(event)

    def begin_write(self, offset, data):
        with self.lock:
            self.writes.append((offset, data))
            self.events.append((BEGUN, len(self.writes) - 1))
            return len(self.writes) - 1

    def flush(self):
        with self.lock:
            self.flushes += 1
            number = self.flushes
            self.events.append((FLUSH_BEGUN, number))
        self.note(FLUSHED, number)

    def transfer(self, opcode, body):
        if not self.recording or opcode not in (fuse_disk.WRITE, fuse_disk.FSYNC):
            return super().transfer(opcode, body)
        if opcode == fuse_disk.FSYNC:
            self.flush()
            return b""
        _, offset, length, _, _, flags = struct.unpack_from("<QQIIQI", body)
        number = self.begin_write(offset, bytes(body[40:40 + length]))
        if self.dice.random() < HELD:
            # Longer than a successor needs: it must not begin while this may still land.
            self.held += 1
            time.sleep(self.dice.uniform(0.02, 0.1))
        answer = super().transfer(opcode, body)
        self.note(DONE, number)
        if flags & os.O_DSYNC:
            self.flush()
        return answer


class State:
    """What is on the disk for certain, and what may be, at one place of the record."""

    def __init__(self, disk, area, image):
        self.writes = disk.writes
        self.area = area
        self.durable = bytearray(image)
        self.maybe = {}  # numbers of writes that are begun, not durable: whether they are done
        self.covered = {}  # of each flush under way: what it will make durable
        self.current = [0] * area.blocks  # number of the last write of each block
        self.promised = (0, 0)  # record, writes: must be durable from here on
        self.next = (0, 0)  # of the newest record that was begun
        self.files = 0
        self.least = {}  # of each block: the write that must be there, as far as promised
        self.found = []

    def take(self, event):
        what, value = event[0], event[1]
        if what == BEGUN:
            self.maybe[value] = False
            self.look_at_write(value)
        elif what == DONE:
            self.maybe[value] = True
            self.look_at_landing(value)
        elif what == FLUSH_BEGUN:
            self.covered[value] = [number for number, done in self.maybe.items() if done]
        elif what == FLUSHED:
            for number in self.covered.pop(value):
                if self.maybe.pop(number, None) is not None:
                    offset, data = self.writes[number]
                    self.durable[offset:offset + len(data)] = data
        elif what == TOLD:
            self.promise(value)
        else:
            self.files = value

    def lines(self, number):
        """What stamp.c wrote with that write: (block of the range, first line of it)."""
        offset, data = self.writes[number]
        first = (offset - START) // BLOCK
        inside = START <= offset < START + self.area.size
        return [(first + at // BLOCK - stamps.RECORDS, stamps.LINE_FORM.unpack_from(data, at))
                for at in range(0, len(data) if inside else 0, BLOCK)]

    def look_at_landing(self, number):
        """A block must never go back."""
        for block, (magic, seed, stamp, _) in self.lines(number):
            if block >= 0 and magic == stamps.MAGIC and seed == self.area.seed:
                if stamp < self.current[block]:
                    self.found.append(f"block {block}: write {stamp} landed on write {self.current[block]}")
                self.current[block] = stamp

    def look_at_write(self, number):
        """A record that is begun says that fsync of the one before it has returned."""
        for block, (magic, seed, record, done) in self.lines(number):
            if block < 0 and magic == stamps.MAGIC_RECORD and seed == self.area.seed and record > self.next[0]:
                self.promise(self.next)
                self.next = (record, done)

    def promise(self, record):
        """From now on that record, and all writes that it names, are durable: are they?"""
        if record <= self.promised:
            return
        for number in range(self.promised[1] + 1, record[1] + 1):
            start, count = self.area.extent(number)
            for block in range(start, start + count):
                self.least[block] = number
        self.promised = record
        at = START + record[0] % stamps.RECORDS * BLOCK
        if stamps.LINE_FORM.unpack_from(self.durable, at)[2] < record[0]:
            self.found.append(f"record {record[0]} was promised and is not durable")
        for block, least in self.least.items():
            at = START + (stamps.RECORDS + block) * BLOCK
            problem = self.area.block_problem(block, self.durable[at:at + BLOCK], least)
            if problem:
                self.found.append(f"record {record[0]}: {problem}")
        # What is durable stays so: a block is looked at once for each promise.
        self.least = {}

    def crash(self, dice):
        """The image as it may be after power was lost here."""
        image = bytearray(self.durable)
        numbers = list(self.maybe)
        dice.shuffle(numbers)
        for number in numbers:
            offset, data = self.writes[number]
            kind = dice.randrange(3)  # all of it, nothing, some sectors
            for at in range(0, len(data), SECTOR):
                if kind == 0 or (kind == 2 and dice.random() < 0.5):
                    image[offset + at:offset + at + SECTOR] = data[at:at + SECTOR]
        return image


def partition_table():
    """The one sector that makes the ext4 the first partition."""
    entry = struct.pack("<BBBBBBBBII", 0, 0, 0, 0, 0x83, 0, 0, 0, FILES // SECTOR, FILES_SIZE // SECTOR)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def file_system(folder):
    path = folder / "files.ext4"
    with open(path, "wb") as handle:
        handle.truncate(FILES_SIZE)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", str(path)], check=True)
    return path.read_bytes()


class PowerLoss:
    """One run."""

    def __init__(self, arguments, mode, ring, folder):
        self.arguments, self.mode, self.ring, self.folder = arguments, mode, ring, folder
        self.dice = random.Random(arguments.seed)
        self.area = stamps.Range(START, AREA, arguments.seed % 1000000 + 1, MOST)
        self.notes = []
        self.wrong = []
        self.told = 0

    def record(self, disk):
        """Runs the guest, and ends its back end now and then."""
        device = rig.Device("disk", f"vhost-user-blk,num-queues=1,queue-size=128,packed={self.ring}",
                            mode=self.mode, command=rig.blk(disk.path))
        windows = self.mode in ("shadow", "direct")
        with rig.Guest(f"power loss {self.mode} {self.ring}", [device], windows=windows) as guest:
            guest.listeners.append(lambda line: self.take(disk, line))
            guest.start()
            guest.must("mount -t ext4 ${DISK}1 /mnt && rm -f /tmp/stop")
            guest.must(f"stamp run $DISK {self.area.arguments()} {DEPTH} {MOST} /tmp/stop & writer=$!")
            guest.must("files & loader=$!")
            end = time.monotonic() + self.arguments.seconds
            kills = 0
            # A busy host needs longer for a record that says something.
            while (time.monotonic() < end or (self.told < ENOUGH and time.monotonic() < end + rig.PATIENCE)) and (
                    not self.wrong):
                time.sleep(self.arguments.seconds / (self.arguments.kills + 1) * self.dice.uniform(0.5, 1))
                if self.mode != "none" and kills < self.arguments.kills:
                    for pid in guest.gates["disk"].processes()[1][:1]:
                        os.kill(pid, signal.SIGKILL)
                        kills += 1
            guest.must("unload && complaints")
        if not self.wrong:
            pathlib.Path(guest.log.name).unlink()
        self.notes.append(f"{self.told} records and files acknowledged, back end ended {kills} times")

    def take(self, disk, line):
        if found := re.search(r"BULKHEAD ack (\d+) (\d+)$", line):
            disk.note(TOLD, (int(found[1]), int(found[2])))
        elif found := re.search(r"BULKHEAD file (\d+)$", line):
            disk.note(FILE_TOLD, int(found[1]))
        elif "BULKHEAD not-ok" in line:
            self.wrong.append(line)
        self.told += found is not None

    def run(self):
        disk = RecordingDisk(str(self.folder / f"disk-{self.mode}-{self.ring}"), SIZE)
        try:
            disk.data[:SECTOR] = partition_table()
            disk.data[FILES:] = file_system(self.folder)
            before = bytes(disk.data)
            disk.recording = True
            self.record(disk)
            disk.recording = False
        except rig.Failure as failure:
            self.wrong.append(str(failure))
        finally:
            disk.close()
        return self.wrong or self.replay(disk, before)

    def replay(self, disk, before):
        state = State(disk, self.area, before)
        samples = set(self.dice.sample(range(len(disk.events)), min(self.arguments.samples, len(disk.events))))
        found = []
        for position, event in enumerate(disk.events):
            state.take(event)
            if position in samples:
                found += [f"prefix {position}: {problem}" for problem in self.sample(state)]
        self.notes.append(f"{len(disk.events)} prefixes of {len(disk.writes)} writes ({disk.held} held back) and "
                          f"{disk.flushes} flushes, {len(samples)} of them as images; durable in the end: "
                          f"record {state.promised[0]}, write {state.promised[1]}, file {state.files}")
        if 2 * disk.flushes > len(disk.writes):
            # A successor that was not told how the guest set the cache writes through.
            found.append(f"{disk.flushes} flushes for {len(disk.writes)} writes: the guest did not ask for that")
        if self.told < ENOUGH or state.files == 0:
            found.append("the guest did next to nothing")
        return (state.found + found)[:10]

    def sample(self, state):
        """What is wrong with one image."""
        path = self.folder / "sample.img"
        image = state.crash(self.dice)
        path.write_bytes(image)
        found = self.area.problems(path, state.promised, power_lost=True)[:3]
        files = self.folder / "sample.ext4"
        files.write_bytes(image[FILES:])
        # 1: the journal was replayed.
        done = subprocess.run(["e2fsck", "-p", str(files)], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        again = subprocess.run(["e2fsck", "-f", "-n", str(files)], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
        if done.returncode > 1 or again.returncode != 0:
            found.append(f"e2fsck: {done.stdout[-200:]} {again.stdout[-200:]}")
        for number in range(max(1, state.files - 3), state.files + 1):
            text = subprocess.run(["debugfs", "-R", f"cat /file-{number}", str(files)], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL).stdout
            if text != f"file {number}\n".encode() * 1000:
                found.append(f"file {number} was acknowledged and is not whole")
        return found


def main():
    parser = argparse.ArgumentParser(description="Power loss behind the gate, TAP.")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--mode", choices=("shadow", "bounce", "direct", "open", "none"))
    parser.add_argument("--ring", choices=("off", "on"), help="packed")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    fuse_disk.enter()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    runs = list(itertools.product([arguments.mode] if arguments.mode else ["shadow", "bounce", "direct"],
                                  [arguments.ring] if arguments.ring else ["off", "on"]))
    print(f"TAP version 13\n1..{len(runs)}", flush=True)
    failures = 0
    folder = pathlib.Path(subprocess.check_output(["mktemp", "-d", "/tmp/bulkhead-power.XXXXXX"], text=True).strip())
    for number, (mode, ring) in enumerate(runs, 1):
        run = PowerLoss(arguments, mode, ring, folder)
        problems = run.run()
        failures += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {number} - {mode} {'packed' if ring == 'on' else 'split'}")
        for line in [*run.notes, f"seed {arguments.seed}", *(f"PROBLEM {problem}" for problem in problems)]:
            print(f"# {line}", flush=True)
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
