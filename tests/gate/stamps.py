# SPDX-License-Identifier: BSD-2-Clause
"""What stamp.c leaves on a disk, seen from the host: what must be there after an acknowledgement.

What it is: the same extents and blocks as stamp.c makes, and a look at an image file.
What it is not: a test.
"""
import struct

BLOCK = 4096
LINE = 32
RECORDS = 256
MAGIC = 0x31304B4C554253AB
MAGIC_RECORD = 0x31304B4C554252AB
LINE_FORM = struct.Struct("<4Q")  # magic, seed, number, place
MASK = (1 << 64) - 1


def mix(value):
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


class Range:
    """The part of a disk that one `stamp run` uses."""

    def __init__(self, offset, size, seed, most):
        self.offset = offset
        self.size = size
        self.seed = seed
        self.most = most  # blocks in a write
        self.blocks = size // BLOCK - RECORDS

    def arguments(self):
        return f"{self.offset} {self.size} {self.seed}"

    def extent(self, number):
        """(first block, blocks) of write `number`."""
        dice = mix((self.seed * 0x9E3779B97F4A7C15 + number) & MASK)
        count = 1 + (dice >> 8 & 0xFFFFFFFF) % self.most if dice % 4 == 0 else 1
        return (dice >> 40) % (self.blocks - count + 1), count

    def least(self, done):
        """For each block the last of the writes 1 to `done`; 0: none."""
        least = [0] * self.blocks
        for number in range(1, done + 1):
            start, count = self.extent(number)
            for block in range(start, start + count):
                least[block] = number
        return least

    def record(self, data):
        """The newest record of a log (RECORDS blocks): (its number, all writes up to this are done)."""
        newest = (0, 0)
        for at in range(RECORDS):
            block = data[at * BLOCK:(at + 1) * BLOCK]
            magic, seed, number, done = LINE_FORM.unpack_from(block)
            if (magic == MAGIC_RECORD and seed == self.seed and number % RECORDS == at
                    and block == block[:LINE] * (BLOCK // LINE)):
                newest = max(newest, (number, done))
        return newest

    def block_problem(self, block, data, least):
        """What is wrong with one block that write `least` was acknowledged for, or ''."""
        if least == 0:
            return ""
        first = data[:LINE]
        lines = [first] if data == first * (BLOCK // LINE) else [
            data[at:at + LINE] for at in range(0, BLOCK, LINE)]
        for line in lines:
            magic, seed, number, place = LINE_FORM.unpack(line)
            if magic != MAGIC or seed != self.seed or place != block:
                return f"block {block}: write {least} was acknowledged, and something else is there"
            if number < least:
                return f"block {block}: write {least} was acknowledged, write {number} is there"
        return ""

    def problems(self, path, acknowledged, power_lost=False):
        """What of `acknowledged` (record, writes) the image does not hold.

        A record that is there, and was not acknowledged, names writes that were done; but only as long as the power
        stayed on.
        """
        with open(path, "rb") as image:
            image.seek(self.offset)
            log = image.read(RECORDS * BLOCK)
            found = []
            record, done = self.record(log)
            if (record, done) < acknowledged:
                found.append(f"record {acknowledged[0]} was acknowledged, the newest is {record}")
            done = acknowledged[1] if power_lost else max(done, acknowledged[1])
            for block, least in enumerate(self.least(done)):
                problem = self.block_problem(block, image.read(BLOCK), least)
                if problem:
                    found.append(problem)
        return found
