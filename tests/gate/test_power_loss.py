#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Does power_loss.py notice a flush that was not one, and a write that lands late? On records made by hand. TAP."""

import random
import types
import unittest

import power_loss
import rig
import stamps

import tap

SIZE = power_loss.START + stamps.RECORDS * stamps.BLOCK + rig.MIB


def block(magic, seed, number, place):
    return stamps.LINE_FORM.pack(magic, seed, number, place) * (stamps.BLOCK // stamps.LINE)


class Record(unittest.TestCase):

    def setUp(self):
        self.area = stamps.Range(power_loss.START, SIZE - power_loss.START, 5, 1)
        self.disk = types.SimpleNamespace(writes=[])
        self.state = power_loss.State(self.disk, self.area, bytes(SIZE))

    def take(self, *events):
        for event in events:
            self.state.take(event)

    def write(self, number):
        """Begins write `number` of the seed; gives its number in the record."""
        start, _ = self.area.extent(number)
        return self.begin(stamps.RECORDS + start, block(stamps.MAGIC, 5, number, start))

    def log(self, record, done):
        return self.begin(record % stamps.RECORDS, block(stamps.MAGIC_RECORD, 5, record, done))

    def begin(self, at, data):
        self.disk.writes.append((power_loss.START + at * stamps.BLOCK, data))
        self.take((power_loss.BEGUN, len(self.disk.writes) - 1))
        return len(self.disk.writes) - 1

    def flush(self, number, really=True):
        self.take((power_loss.FLUSH_BEGUN, number))
        if really:
            self.take((power_loss.FLUSHED, number))

    def in_order(self, really=True):
        """Write, record, flush, and then the next record is begun."""
        self.take((power_loss.DONE, self.write(1)))
        self.take((power_loss.DONE, self.log(1, 1)))
        self.flush(1, really)
        self.log(2, 1)

    def test_in_order(self):
        self.in_order()
        self.assertEqual(self.state.found, [])
        self.assertEqual(self.state.promised, (1, 1))

    def test_flush_that_is_none(self):
        self.in_order(really=False)
        self.assertIn("record 1 was promised and is not durable", self.state.found)

    def test_write_that_was_under_way_when_the_flush_came(self):
        late = self.write(1)
        self.take((power_loss.DONE, self.log(1, 1)))
        self.take((power_loss.FLUSH_BEGUN, 1), (power_loss.DONE, late), (power_loss.FLUSHED, 1))
        self.log(2, 1)
        self.assertEqual(len(self.state.found), 1)
        self.assertIn("write 1 was acknowledged", self.state.found[0])

    def test_what_the_console_said(self):
        self.take((power_loss.DONE, self.write(1)), (power_loss.DONE, self.log(1, 1)), (power_loss.TOLD, (1, 1)))
        self.assertEqual(len(self.state.found), 2)

    def test_late_landing(self):
        start, _ = self.area.extent(1)
        old = self.begin(stamps.RECORDS + start, block(stamps.MAGIC, 5, 1, start))
        new = self.begin(stamps.RECORDS + start, block(stamps.MAGIC, 5, 9, start))
        self.take((power_loss.DONE, new), (power_loss.DONE, old))
        self.assertEqual(self.state.found, [f"block {start}: write 1 landed on write 9"])

    def test_what_is_not_flushed_may_be_there_in_parts(self):
        self.take((power_loss.DONE, self.write(1)))
        seen = {bytes(self.state.crash(random.Random(seed))) for seed in range(20)}
        self.assertGreater(len(seen), 3)
        self.assertIn(bytes(SIZE), seen)


if __name__ == "__main__":
    tap.main()
