#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes the seeds of the fuzzers: inputs that come close to the known bug classes of virtio back ends.

Each seed is named after a class and says in one line what it does. Classes that have no place behind a ring or a register
page or a message (network headers, vsock, file names) have no seed here. The formats are those of fuzz_rings.c and
fuzz_mmio.c; bytes_seeds.py has that of fuzz_bytes.c, vu_seeds.py that of fuzz_vhost_user.c.

fuzz_definition.c takes definitions: its seeds are the golden files of tests/platform, good and bad.

Usage: make_seeds.py DIRECTORY    (makes DIRECTORY/rings, /mmio, /bytes, /relay, /vhost_user and /definition)
"""

import os
import pathlib
import re
import struct
import sys

import bytes_seeds
import image_seeds
import relay_seeds
import vu_seeds

NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 1 << 7, 1 << 15


class Rings:
    """An input of fuzz_rings.c. Guest memory begins at 0x10000; offsets here are from there."""

    BASE, DIRECT = 0x10000, 0x4000
    DESC, DRIVER, DEVICE, TABLE, DATA = 0, 0x400, 0x800, 0x1000, 0x2000
    POP, PUSH, PUBLISH, NOTIFY, POKE, STOP, START, USE, REFUSE = range(9)

    def __init__(self, packed, size=8, indirect=True, event=False, order=False, blocks=2, avail=0, used=0, bits=3):
        flags = packed * 1 | indirect * 2 | event * 4 | order * 8
        self.packed, self.size = packed, size
        self.avail, self.wrap = 0, True
        self.out = bytearray([flags, 63, 12, blocks])
        self.setup(avail, used, bits)

    def setup(self, avail=0, used=0, bits=3, desc=DESC):
        self.out += struct.pack('<6HB', desc, self.DRIVER, self.DEVICE, self.size, avail, used, bits)

    def step(self, operation, operands=b''):
        self.out += bytes([operation]) + operands

    def poke(self, at, data, paged=False):
        for i in range(0, len(data), 255):
            part = data[i:i + 255]
            self.step(self.POKE, struct.pack('<BHB', paged, at + i, len(part)) + part)

    def desc_bytes(self, at, length, flags, extra):
        if self.packed:
            return struct.pack('<QIHH', at, length, extra, flags)
        return struct.pack('<QIHH', at, length, flags, extra)

    def chain(self, head, buffers):
        """Makes (address, length, flags) buffers available, well linked."""
        for i, (at, length, flags) in enumerate(buffers):
            if i + 1 < len(buffers):
                flags |= NEXT
            if self.packed:
                self.poke(self.DESC + 16 * self.avail,
                          self.desc_bytes(at, length, flags | (AVAIL if self.wrap else USED), head))
                self.avail += 1
                if self.avail == self.size:
                    self.avail, self.wrap = 0, not self.wrap
            else:
                index = (head + i) % self.size
                self.poke(self.DESC + 16 * index, self.desc_bytes(at, length, flags, (index + 1) % self.size))
        if not self.packed:
            self.offer(head)

    def offer(self, head):
        """Split: an entry of the available ring, and the index."""
        self.poke(self.DRIVER + 4 + 2 * (self.avail % self.size), struct.pack('<H', head))
        self.avail += 1
        self.poke(self.DRIVER + 2, struct.pack('<H', self.avail & 0xffff))

    def table(self, entries, raw=False):
        data = b''
        for i, (at, length, flags) in enumerate(entries):
            if not self.packed and not raw and i + 1 < len(entries):
                flags |= NEXT
            data += self.desc_bytes(at, length, flags, i + 1)
        self.poke(self.TABLE, data)
        return len(data)

    def pop(self, count=1):
        for _ in range(count):
            self.step(self.POP)

    def push(self, written=0xffffffff, which=0):
        self.step(self.PUSH, struct.pack('<BI', which, written))
        self.step(self.PUBLISH)

    def use(self, kind, offset, length, which=0):
        self.step(self.USE, struct.pack('<BHHB', which, offset, length, kind))


def ring_seeds(packed):
    """Yields (name, input) for one format."""
    base, end = Rings.BASE, Rings.BASE + Rings.DIRECT
    data = base + Rings.DATA
    pages = end

    # A descriptor that begins inside the memory and ends outside.
    s = Rings(packed)
    s.chain(0, [(end - 8, 16, 0), (pages + 0x4000 - 1, 2, WRITE)])
    s.pop()
    yield 'class_01_range_without_length', s

    # The end of the address space.
    s = Rings(packed)
    s.chain(0, [(0xfffffffffffffff0, 0x20, 0)])
    s.pop()
    yield 'class_01_address_wraps_around', s

    # Descriptor and table are rewritten after the pop.
    s = Rings(packed)
    length = s.table([(data, 64, 0), (data + 64, 64, WRITE)])
    s.chain(0, [(base + Rings.TABLE, length, INDIRECT)])
    s.pop()
    s.poke(Rings.TABLE, b'\xff' * length)
    s.poke(Rings.DESC, b'\xff' * 32)
    s.use(0, 0, 64)
    s.use(1, 0, 64)
    s.push()
    yield 'class_02_rewritten_after_the_pop', s

    # A head far outside the ring; for packed, a start position outside.
    s = Rings(packed, avail=9 if packed else 0)
    if not packed:
        s.offer(0xffff)
    s.pop()
    yield 'class_03_index_out_of_range', s

    # Good, bad, good in one batch.
    s = Rings(packed)
    s.chain(0, [(data, 16, 0)])
    s.chain(1, [(0x1000, 16, 0)])
    s.chain(2, [(data, 16, 0)])
    s.pop(3)
    yield 'class_06_bad_address_within_a_batch', s

    # Crumbs, empty descriptors, and a header cut off them.
    s = Rings(packed)
    s.chain(0, [(data, 1, 0), (data, 0, 0), (data + 1, 2, 0), (data + 8, 0, WRITE), (data + 9, 1, WRITE)])
    s.pop()
    s.use(2, 0, 2)
    s.use(3, 0, 0)
    s.use(2, 0, 16)
    s.use(3, 0, 0)
    s.push(1)
    yield 'class_07_header_in_crumbs', s

    # Descriptors that lead to themselves; the whole packed ring as one list.
    s = Rings(packed)
    if packed:
        for i in range(8):
            s.poke(16 * i, s.desc_bytes(data, 1, NEXT | AVAIL, 0))
    else:
        s.poke(0, s.desc_bytes(data, 1, NEXT, 0))
        s.offer(0)
    s.pop()
    yield 'class_08_loop', s

    # The same in an indirect table, longer than any limit.
    s = Rings(packed)
    length = s.table([(data, 1, NEXT)] * 15, raw=True)
    s.poke(Rings.TABLE + length, s.desc_bytes(data, 1, NEXT, 0))
    s.chain(0, [(base + Rings.TABLE, length + 16, INDIRECT)])
    s.pop()
    yield 'class_08_loop_in_a_table', s

    # Tables in tables, a table behind a descriptor, a table with a next one.
    s = Rings(packed)
    length = s.table([(base + Rings.TABLE, 32, INDIRECT), (data, 1, 0)])
    s.chain(0, [(data, 8, 0), (base + Rings.TABLE, length, INDIRECT)])
    s.pop()
    s.chain(2, [(base + Rings.TABLE, length, INDIRECT | NEXT), (data, 1, 0)])
    s.pop()
    yield 'class_08_table_in_a_table', s

    # A head that is in flight is made available again, and again.
    s = Rings(packed, size=4)
    for _ in range(6):
        s.chain(0, [(data, 16, 0)])
        s.pop()
    s.push()
    s.pop()
    yield 'class_09_more_in_flight_than_the_ring', s

    # Pages are acquired, then a later descriptor is refused, or the pool runs out.
    s = Rings(packed, blocks=1)
    s.chain(0, [(pages + 16, 0x300, 0), (pages + 0x800, 0x280, WRITE), (0x99, 1, WRITE)])
    s.pop()
    yield 'class_10_leak_on_the_error_path', s
    s = Rings(packed, blocks=1)
    s.chain(0, [(pages + 16, 0x500, 0)])
    s.chain(1, [(pages + 16, 0x500, 0)])
    s.pop(2)
    s.push()
    s.pop()
    s.step(Rings.REFUSE, b'\x02')
    s.chain(2, [(pages, 0x100, 0), (pages, 0x200, WRITE)])
    s.pop(2)
    yield 'class_10_used_up_and_tried_again', s

    # More is written, and claimed, than there is room for.
    s = Rings(packed)
    s.chain(0, [(data, 16, 0), (data + 16, 5, WRITE)])
    s.pop()
    s.use(1, 0, 250)
    s.use(1, 4, 250)
    s.push(0xffffffff)
    yield 'class_11_answer_longer_than_its_room', s

    # Long to read, short to write, and the other way round.
    s = Rings(packed)
    s.chain(0, [(data, 0x1000, 0), (data, 1, WRITE)])
    s.chain(2, [(data, 1, 0), (data, 0x1000, WRITE)])
    s.pop(2)
    s.use(0, 0, 299)
    s.use(1, 0, 299)
    s.use(0, 0, 299, 1)
    s.use(1, 0, 299, 1)
    s.push(1)
    s.push(299)
    yield 'class_12_lengths_that_do_not_match', s

    # The device writes into its own ring and used area.
    s = Rings(packed)
    s.chain(0, [(base, 0x200, WRITE), (base + Rings.DEVICE, 0x60, WRITE)])
    s.chain(2, [(base + Rings.DRIVER, 4, WRITE)])
    s.pop(2)
    s.use(1, 0, 299)
    s.use(1, 0x200, 90)
    s.push()
    s.push()
    s.pop()
    yield 'class_14_writes_into_its_own_ring', s

    # A start in the middle, with indices that were never true.
    s = Rings(packed, avail=0x7ffd if not packed else 7, used=0xfffe if not packed else 7, bits=0)
    s.chain(0, [(data, 16, WRITE)])
    s.pop(3)
    s.step(Rings.STOP)
    s.step(Rings.START)
    s.setup(avail=5, used=3, bits=7)
    s.pop(3)
    yield 'class_16_state_that_is_not_to_be_trusted', s

    # Stopped with chains in flight, which come back later; started again.
    s = Rings(packed, order=True)
    s.chain(0, [(pages, 0x180, WRITE)])
    s.chain(1, [(data, 16, WRITE)])
    s.pop(2)
    s.step(Rings.STOP)
    s.push(16, 1)
    s.push(16, 0)
    s.step(Rings.START)
    s.setup()
    s.pop(2)
    yield 'class_17_completion_after_the_stop', s

    # A table as long as a length can say.
    for length in (0xfffffff0, 0x100000, 15, 0):
        s = Rings(packed)
        s.chain(0, [(base + Rings.TABLE, length, INDIRECT)])
        s.pop()
        yield 'class_18_table_of_%d_bytes' % length, s

    # The ring is somewhere else at the second start, partly outside.
    s = Rings(packed, event=True)
    s.chain(0, [(data, 16, WRITE)])
    s.step(Rings.NOTIFY, b'\x01')
    s.pop()
    s.push(16)
    s.step(Rings.STOP)
    s.step(Rings.START)
    s.setup(desc=0x3fc0)
    s.pop()
    yield 'class_23_ring_moves_between_starts', s


class Mmio:
    """An input of fuzz_mmio.c."""

    WRITE, ACCESS, POKE, FINISH, FLUSH, SERVE, LIVE, REQUEST, CAPACITY, DISK = range(10)
    RING_BITS = {'indirect': 28, 'event': 29, 'version': 32, 'packed': 34, 'order': 35, 'data': 38, 'reset': 40}
    CLASS = 0x1 << 2 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 16
    READ, OUT, FLUSH_T, ID, LIFETIME, DISCARD, ZEROES, ERASE = 0, 1, 4, 8, 10, 11, 13, 14
    RW, RO, BAD_DATA, QUIET = 1, 0, 2, 4

    def __init__(self, packed, kind=0, *features):
        self.out = bytearray([kind])
        self.packed = packed
        names = list(features) + ['indirect', 'reset'] + (['packed'] if packed else [])
        self.live(names)

    def live(self, names, size=16):
        bits = 0
        for name in names:
            bits |= 1 << (self.RING_BITS[name] - 28)
        self.step(self.LIVE, struct.pack('<HIB', bits, self.CLASS, size))

    def step(self, operation, operands=b''):
        self.out += bytes([operation]) + operands

    def write(self, offset, value):
        self.step(self.WRITE, struct.pack('<BI', offset // 4, value))

    def poke(self, at, data):
        self.step(self.POKE, struct.pack('<HB', at, len(data)) + data)

    def chain(self, buffers):
        """The first chain of queue 0 after LIVE, of any (address, length, flags); no notification."""
        for i, (at, length, flags) in enumerate(buffers):
            if i + 1 < len(buffers):
                flags |= NEXT
            if self.packed:
                self.poke(16 * i, struct.pack('<QIHH', at, length, 0, flags | AVAIL))
            else:
                self.poke(16 * i, struct.pack('<QIHH', at, length, flags, i + 1))
        if not self.packed:
            self.poke(0x402, struct.pack('<HH', 1, 0))

    def request(self, kind, sector=0, length=512, bits=0, head=0, queue=0):
        self.step(self.REQUEST, struct.pack('<BBBBHB', queue, head, kind, sector, length, bits))

    def finish(self, which=0, result=0):
        self.step(self.FINISH, bytes([which, result]))
        self.step(self.FLUSH)


def mmio_seeds(packed):
    """Yields (name, input) for one ring format."""
    # Everything a good driver does.
    s = Mmio(packed, 0, 'event', 'data')
    for i, kind in enumerate((Mmio.OUT, Mmio.READ, Mmio.FLUSH_T, Mmio.ID, Mmio.LIFETIME, Mmio.DISCARD)):
        length = {Mmio.ID: 20, Mmio.LIFETIME: 6, Mmio.FLUSH_T: 0, Mmio.DISCARD: 16}.get(kind, 512)
        s.request(kind, i, length, Mmio.RW if kind in (Mmio.READ, Mmio.ID, Mmio.LIFETIME) else 0, 3 * i % 15)
    yield 'class_00_good_driver', s

    # Several segments; the guest rewrites them while the disk works.
    s = Mmio(packed)
    s.step(Mmio.DISK, b'\x0b')
    s.poke(0x6000, struct.pack('<QIIQII', 1, 2, 0, 9, 1, 0))
    s.request(Mmio.ZEROES, 0, 32)
    s.poke(0x6000, b'\xff' * 32)
    s.finish()
    s.finish()
    yield 'class_02_segments_rewritten', s

    # Room for one operation, and requests that wait.
    s = Mmio(packed, 0, 'order')
    s.step(Mmio.DISK, b'\x03')
    for i in range(4):
        s.request(Mmio.READ, i, 512, Mmio.RW, 3 * i)
    for i in range(4):
        s.finish(i, i)
    yield 'class_09_disk_without_room', s

    # Answers into buffers of another size.
    s = Mmio(packed)
    for i, length in enumerate((1, 19, 21, 0xffff)):
        s.request(Mmio.ID, 0, length, Mmio.RW, 3 * i)
    yield 'class_11_answer_of_wrong_size', s

    # Selector and notification out of range.
    s = Mmio(packed)
    for value in (2, 0xffff, 0x10000, 0xffffffff):
        s.write(0x30, value)
        for offset in (0x38, 0x44, 0x80, 0x84, 0xc0):
            s.write(offset, 1)
        s.write(0x50, value)
    yield 'class_15_queue_out_of_range', s

    # A reset while the disk works, and a driver that begins again meanwhile.
    s = Mmio(packed)
    s.step(Mmio.DISK, b'\x0b')
    s.request(Mmio.READ, 0, 512, Mmio.RW, 0)
    s.request(Mmio.OUT, 1, 512, 0, 3)
    s.write(0x70, 0)
    s.write(0x70, 1)
    s.finish()
    s.write(0x44, 0)
    s.finish()
    s.live(['packed'] if packed else [])
    s.request(Mmio.READ, 0, 512, Mmio.RW, 0)
    yield 'class_17_reset_in_flight', s

    # One queue is reset while the disk works.
    s = Mmio(packed)
    s.step(Mmio.DISK, b'\x0b')
    s.request(Mmio.READ, 0, 512, Mmio.RW, 0, 1)
    s.write(0x30, 1)
    s.write(0xc0, 1)
    s.request(Mmio.READ, 0, 512, Mmio.RW, 0, 1)
    s.finish()
    s.write(0x44, 1)
    yield 'class_17_queue_reset_in_flight', s

    # Beyond the end of the disk, and the disk shrinks.
    s = Mmio(packed)
    s.request(Mmio.READ, 63, 1024, Mmio.RW, 0)
    s.request(Mmio.OUT, 64, 512, 0, 3)
    s.step(Mmio.CAPACITY, b'\x04')
    s.request(Mmio.OUT, 4, 512, 0, 6)
    s.poke(0x6000, struct.pack('<QII', 0xffffffffffffffff, 0xffffffff, 0))
    s.request(Mmio.DISCARD, 0, 16, 0, 9)
    yield 'class_19_beyond_the_end', s

    # Lengths up to what a descriptor can say, into memory that may only be read.
    s = Mmio(packed, 1)
    s.request(Mmio.READ, 0, 0xfe00, Mmio.RW, 0)
    s.request(Mmio.OUT, 0, 0x1000, Mmio.BAD_DATA, 3)
    s.request(Mmio.READ, 0, 0x1000, Mmio.RW | Mmio.BAD_DATA, 6)
    yield 'class_21_long_lengths', s

    # Memory that may only be read was hit last; the next request wants to write there.
    s = Mmio(packed)
    rom, status = 0x40000, 0x10000 + 0x5000
    s.chain([(rom, 16, 0)])
    s.write(0x50, 0)
    s.live(['packed'] if packed else [])
    s.chain([(rom, 16, 0), (rom + 512, 512, WRITE), (status, 1, WRITE)])
    s.write(0x50, 0)
    yield 'class_06_read_only_memory_hit_before', s

    # Addresses and size change after QueueReady.
    s = Mmio(packed)
    s.request(Mmio.READ, 0, 512, Mmio.RW | Mmio.QUIET, 0)
    s.write(0x30, 0)
    for offset in (0x38, 0x80, 0x84, 0x90, 0xa0):
        s.write(offset, 0xffffffff)
    s.write(0x44, 1)
    s.write(0x50, 0)
    yield 'class_23_ring_moved_after_ready', s

    # A read-only disk, one that writes through.
    for kind in (2, 4):
        s = Mmio(packed, kind)
        s.request(Mmio.OUT, 0, 512, 0, 0)
        s.request(Mmio.ZEROES, 0, 16, 0, 3)
        s.step(Mmio.ACCESS, struct.pack('<BHB', 0, 0x120, 1))
        yield 'class_00_disk_of_kind_%d' % kind, s


def with_included(path):
    """A definition with what it includes behind it, each behind a line #---, and named f1.yaml, f2.yaml, ... in it."""
    found = [path]
    texts = []
    for file in found:
        text = file.read_text(encoding='utf-8')
        include = re.search(r'^include: (.*)$', text, re.M)
        for name in re.findall(r'[^\s,\[\]]+\.yaml', include.group(1)) if include else []:
            other = (file.parent / name).resolve()
            if other.exists():
                if other not in found:
                    found.append(other)
                line = include.group(0).replace(name, 'f%d.yaml' % found.index(other))
                text = text.replace(include.group(0), line)
                include = re.search(r'^include: (.*)$', text, re.M)
        texts.append(text)
    return '\n#---\n'.join(texts)


def write_definitions(folder):
    """The definitions that have golden files, and the examples; returns how many."""
    os.makedirs(folder, exist_ok=True)
    tests = pathlib.Path(__file__).resolve().parent.parent
    paths = sorted([*(tests / 'platform').glob('*/*.yaml'), *(tests.parent / 'examples').glob('*/*.yaml')])
    for path in paths:
        with open(os.path.join(folder, '%s-%s' % (path.parent.name, path.stem)), 'wb') as file:
            file.write(with_included(path).encode())
    return len(paths)


def write_files(folder, seeds):
    """Seeds that are files as they are; returns how many."""
    os.makedirs(folder, exist_ok=True)
    count = 0
    for name, data in seeds:
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(data)
        count += 1
    return count


def main():
    """Writes all seeds; prints how many."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    count = 0
    for group, seeds in (('rings', ring_seeds), ('mmio', mmio_seeds), ('bytes', bytes_seeds.seeds),
                         ('relay', relay_seeds.seeds), ('vhost_user', vu_seeds.seeds)):
        folder = os.path.join(sys.argv[1], group)
        os.makedirs(folder, exist_ok=True)
        for packed in (False, True):
            for name, seed in seeds(packed):
                path = os.path.join(folder, '%s.%s' % (name, 'packed' if packed else 'split'))
                with open(path, 'wb') as file:
                    file.write(seed.out)
                count += 1
    count += write_definitions(os.path.join(sys.argv[1], 'definition'))
    count += write_files(os.path.join(sys.argv[1], 'image'), image_seeds.seeds())
    print('%d seeds in %s' % (count, sys.argv[1]))


if __name__ == '__main__':
    main()
