# SPDX-License-Identifier: BSD-2-Clause
"""Seeds of fuzz_bytes.c, for make_seeds.py: what drivers of a console and of an entropy device do, right and wrong."""

import struct


class Bytes:
    """An input of fuzz_bytes.c: a console of two ports, or (kind 1 and its allowance) a source of entropy."""

    WRITE, ACCESS, POKE, FLUSH, SERVE, LIVE, CHAIN, TYPE, ROOM, HANG_UP, OPEN, PRESENT, SIZE, SOURCE = range(14)
    W, MESSAGE, TWO, ROM, MIXED, QUIET = 1, 2, 4, 8, 16, 32
    READY, PORT_READY, PORT_OPEN = 0, 3, 6

    def __init__(self, packed, kind=0, features=7):
        self.out = bytearray([kind])
        self.packed = packed
        self.live(features)

    def live(self, features=7, size=16):
        ring = 1 << 0 | 1 << 12 | self.packed << 6
        self.step(self.LIVE, struct.pack('<HBB', ring, features, size))

    def step(self, operation, operands=b''):
        self.out += bytes([operation]) + operands

    def write(self, offset, value):
        self.step(self.WRITE, struct.pack('<BI', offset // 4, value))

    def chain(self, queue, head, length, bits=0, message=()):
        self.step(self.CHAIN, struct.pack('<BBHB', queue, head, length, bits) + bytes(message))

    def say(self, head, port, event, value=1):
        self.chain(3, head, 8, self.MESSAGE, (port, event, value))

    def hello(self):
        for head in range(12):
            self.chain(2, head, 64, self.W)
        self.say(0, 0, self.READY)
        for port in range(2):
            self.say(1 + 2 * port, port, self.PORT_READY)
            self.say(2 + 2 * port, port, self.PORT_OPEN)


def seeds(packed):
    """Yields (name, input) for one ring format."""
    # Everything a good driver does.
    s = Bytes(packed)
    s.hello()
    for queue in (0, 4):
        s.chain(queue, 0, 16, Bytes.W)
        s.chain(queue + 1, 0, 5)
    s.step(Bytes.TYPE, b'\x14')
    s.step(Bytes.TYPE, b'\x15')
    s.step(Bytes.ROOM, b'\x20')
    s.step(Bytes.SIZE, b'\x02\x30')
    yield 'class_00_console', s

    # Bytes of the source, with and without a limit.
    for kind in (1, 1 | 20 << 1):
        s = Bytes(packed, kind)
        for head in range(4):
            s.chain(0, head, 32, Bytes.W)
        for _ in range(3):
            s.step(Bytes.SOURCE, b'\xff')
        yield 'class_00_entropy_of_kind_%d' % kind, s

    # Parts of the wrong direction, in every queue.
    for queue in range(6):
        s = Bytes(packed)
        s.hello()
        s.step(Bytes.TYPE, b'\x14')
        s.step(Bytes.TYPE, b'\x15')
        s.chain(queue, 13, 16, Bytes.TWO | Bytes.MIXED | (0 if queue & 1 else Bytes.W))
        yield 'class_12_wrong_direction_in_queue_%d' % queue, s

    # Control messages that are too short, and buffers that are.
    s = Bytes(packed)
    s.chain(2, 0, 7, Bytes.W)
    s.say(0, 0, Bytes.READY)
    s.live()
    s.chain(3, 0, 7, Bytes.MESSAGE, (0, 0, 1))
    yield 'class_07_short_messages', s

    # Ports and events that there are not.
    s = Bytes(packed)
    s.hello()
    for head, port in enumerate((2, 3, 127, 255)):
        s.say(5 + head, port, 3 + head, head & 1)
    yield 'class_15_port_out_of_range', s

    # Full rings, nobody reads, and a reset with everything in flight; in the end somebody hangs up.
    s = Bytes(packed)
    s.hello()
    for head in range(16):
        s.chain(1, head, 40)
        s.chain(5, head, 4)
    s.step(Bytes.TYPE, b'\x21')
    s.chain(4, 0, 16, Bytes.W)
    s.chain(4, 1, 16, Bytes.W)
    s.write(0x70, 0)
    s.live()
    s.hello()
    for head in range(16):
        s.chain(5, head, 40)
    s.step(Bytes.HANG_UP, b'\x03')
    s.step(Bytes.TYPE, b'\x03')
    yield 'class_17_reset_in_flight', s

    # Ports come and go while the driver speaks of them.
    s = Bytes(packed)
    s.hello()
    for operand in (b'\x01', b'\x03'):
        s.step(Bytes.PRESENT, operand)
        s.say(6, 1, Bytes.PORT_READY)
        s.say(7, 1, Bytes.PORT_OPEN)
    s.step(Bytes.OPEN, b'\x01')
    s.step(Bytes.OPEN, b'\x03')
    yield 'class_00_ports_come_and_go', s

    # Last words before there is a driver, and when nobody takes them.
    s = Bytes(packed)
    s.write(0x70, 0)
    for _ in range(30):
        s.step(Bytes.ACCESS, struct.pack('<BHB', 0, 0x108, 65))
    yield 'class_00_last_words', s

    # Buffers where nobody may write.
    for kind in (0, 1):
        s = Bytes(packed, kind)
        s.hello()
        s.chain(0, 13, 16, Bytes.W | Bytes.ROM)
        s.step(Bytes.TYPE, b'\x14')
        s.step(Bytes.SOURCE, b'\x14')
        yield 'class_06_read_only_buffer_of_kind_%d' % kind, s
