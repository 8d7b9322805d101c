#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Do stamp.c and stamps.py notice what the gate's tests are for? On a file, with damage of our own. TAP."""

import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

import rig
import stamps

import cache
import tap

SIZE = 4 * rig.MIB
MOST = 16


class Stamps(unittest.TestCase):
    """A range that was written and ended in order, and then changed."""

    @classmethod
    def setUpClass(cls):
        # Not in /tmp, which may be a file system without O_DIRECT.
        cache.root().mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=cache.root(), prefix=".stamps.")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.program = cls.folder / "stamp"
        subprocess.run(["gcc", "-std=gnu11", "-O2", "-pthread", "-Wall", "-Wextra", "-o", str(cls.program),
                        str(pathlib.Path(__file__).resolve().parent / "stamp.c")], check=True)
        cls.area = stamps.Range(rig.MIB, SIZE, 77, MOST)
        cls.image = cls.folder / "image"
        with open(cls.image, "wb") as handle:
            handle.truncate(rig.MIB + SIZE)
        stop = cls.folder / "stop"
        threading.Thread(target=lambda: (time.sleep(1), stop.touch())).start()
        said = subprocess.run([str(cls.program), "run", str(cls.image), *cls.area.arguments().split(), "32", str(MOST),
                               str(stop)], text=True, stdout=subprocess.PIPE, check=True).stdout.splitlines()
        acks = [line for line in said if line.startswith("BULKHEAD ack ")]
        cls.acknowledged = tuple(int(word) for word in acks[-1].split()[2:])
        cls.clean = cls.image.read_bytes()

    def verdicts(self):
        """Whether stamp.c and stamps.py find nothing wrong."""
        done = subprocess.run([str(self.program), "check", str(self.image), *self.area.arguments().split(), str(MOST)],
                              stdout=subprocess.DEVNULL)
        return done.returncode == 0, self.area.problems(self.image, self.acknowledged) == []

    def damage(self, at, data):
        """The image with other bytes at that block of the range."""
        image = bytearray(self.clean)
        place = self.area.offset + at * stamps.BLOCK
        image[place:place + len(data)] = data
        self.image.write_bytes(image)

    def written_block(self):
        """A block that was written twice or more, and the first of these writes."""
        least = self.area.least(self.acknowledged[1])
        first = {}
        for number in range(1, self.acknowledged[1] + 1):
            start, count = self.area.extent(number)
            for block in range(start, start + count):
                first.setdefault(block, number)
        return next((block, first[block]) for block, last in enumerate(least) if last > first.get(block, last))

    def stamp(self, block, number):
        return stamps.LINE_FORM.pack(stamps.MAGIC, self.area.seed, number, block)

    def test_nothing_is_wrong(self):
        self.image.write_bytes(self.clean)
        self.assertEqual(self.verdicts(), (True, True))
        self.assertGreater(self.acknowledged[1], 100)

    def test_late_write_on_a_newer_one(self):
        block, old = self.written_block()
        self.damage(stamps.RECORDS + block, self.stamp(block, old) * (stamps.BLOCK // stamps.LINE))
        self.assertEqual(self.verdicts(), (False, False))

    def test_half_a_late_write(self):
        block, old = self.written_block()
        self.damage(stamps.RECORDS + block, self.stamp(block, old) * (stamps.BLOCK // stamps.LINE // 2))
        self.assertEqual(self.verdicts(), (False, False))

    def test_lost_write(self):
        block, _ = self.written_block()
        self.damage(stamps.RECORDS + block, bytes(stamps.BLOCK))
        self.assertEqual(self.verdicts(), (False, False))

    def test_write_in_the_wrong_place(self):
        block, _ = self.written_block()
        self.damage(stamps.RECORDS + block,
                    self.stamp(block + 1, self.acknowledged[1]) * (stamps.BLOCK // stamps.LINE))
        self.assertEqual(self.verdicts(), (False, False))

    def test_lost_record(self):
        """Only the host knows what the guest has said."""
        self.damage(self.acknowledged[0] % stamps.RECORDS, bytes(stamps.BLOCK))
        self.assertEqual(self.verdicts(), (True, False))


if __name__ == "__main__":
    tap.main()
