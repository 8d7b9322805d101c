# SPDX-License-Identifier: BSD-2-Clause
"""Seeds for fuzz_relay.c: what a back end can do wrong, and every way in which one is replaced. Input: u8 flags, u8 class,
u8 kind of the first back end, then steps. The numbers of the steps are those of `enum step` there."""

import struct

OFFER, COLLECT, POP, PUSH, LIE, POKE, CALLED, DETACH, ATTACH, TIME, STOP, START, REFUSE, GUEST_POKE, CONFIG = range(15)
PACKED, SHARED, HOSTILE, EVENT, ORDER = 1, 2, 4, 8, 16
CLASSES = ('blk', 'console', 'net', 'fs', 'i2c', 'can', 'gpio')


class Relay:
    def __init__(self, flags, kind, back):
        self.out = bytes([flags, CLASSES.index(kind), back])

    def step(self, operation, *operands):
        self.out += bytes([operation]) + b''.join(operands)
        return self

    def offer(self, request, queue=0, shape=0x10):
        return self.step(OFFER, bytes([queue, request, shape]))

    def serve(self, count=1, queue=0, written=1):
        for _ in range(count):
            self.step(POP, bytes([queue]))
        for which in range(count):
            self.step(PUSH, bytes([which % 4]), struct.pack('<H', written))
        return self.step(CALLED, bytes([0, queue])).step(COLLECT, bytes([queue]))

    def lie(self, ident, length, queue=0):
        self.step(LIE, bytes([queue]), struct.pack('<II', ident, length))
        return self.step(CALLED, bytes([0, queue])).step(COLLECT, bytes([queue]))

    def poke(self, at, data):
        return self.step(POKE, bytes([0]), struct.pack('<IB', at, len(data)), data)

    def replace(self, look, back):
        return self.step(DETACH, bytes([look])).step(ATTACH, bytes([back]))


def of_rings(flags, back):
    """Seeds that all combinations of rings share."""
    seeds = {}
    for kind in CLASSES:
        seeds[f'served-{kind}'] = Relay(flags, kind, back).offer(0).offer(1, 1, 0x7d).offer(2, 3).serve(2).serve(1, 1).serve(1, 3)
        seeds[f'replaced-{kind}'] = (Relay(flags, kind, back).offer(0).offer(1).offer(2, 2).offer(3, 3).step(POP, b'\0')
                                     .serve(1).replace(1, back).serve(2).serve(1, 2).serve(1, 3).replace(0, back))
        seeds[f'stopped-{kind}'] = (Relay(flags, kind, back).offer(0).offer(1, 1).step(STOP, b'\0').step(STOP, b'\1').serve(1, 1)
                                    .step(START, b'\0').offer(2).replace(1, back).step(STOP, b'\0').step(REFUSE).offer(3, 3))
    lies = {'id-range': (0xffff, 1), 'id-free': (3, 1), 'long': (0, 0xffff), 'zero': (0, 0)}
    for name, (ident, length) in lies.items():
        seeds[f'lie-{name}'] = Relay(flags, 'blk', back).offer(0).offer(1).lie(ident, length).replace(0, back).serve(2)
    seeds['twice'] = Relay(flags, 'blk', back).offer(0).offer(1).lie(0, 1).lie(0, 1).replace(1, back ^ 1).serve(2)
    seeds['scribble'] = Relay(flags, 'blk', back).offer(0).poke(0, b'\xff' * 200).poke(0x1000, b'\x80' * 255).serve(1)
    seeds['limits'] = (Relay(flags, 'blk', back).step(TIME, b'\xff\xff\x01\x01').offer(0).offer(1).offer(2).serve(1)
                       .step(TIME, b'\xff\xff\x01\x00').serve(1).step(TIME, b'\xff\xff\x00\x00').serve(1))
    seeds['many'] = Relay(flags, 'blk', back)
    for i in range(48):
        seeds['many'].offer(i, i % 4, 0x70)
    for queue in range(4):
        seeds['many'].serve(8, queue, 601)
    seeds['small-ring'] = Relay(flags, 'blk', back | 0x20)
    for i in range(10):
        seeds['small-ring'].offer(i, 0, 0x7d)
    seeds['small-ring'].serve(2).serve(2).replace(1, back | 0x30).serve(2)
    seeds['hostile-guest'] = (Relay(flags | HOSTILE, 'blk', back).offer(0)
                              .step(GUEST_POKE, b'\0', struct.pack('<IB', 0, 16), b'\xff' * 16).serve(1))
    return seeds


def seeds(packed):
    """Pairs of a name and a seed, for one ring format of the guest's."""
    for flags, back in ((0, 0), (0, 3), (SHARED, 1), (SHARED | EVENT, 6), (ORDER, 10)):
        for name, seed in of_rings(flags | (PACKED if packed else 0), back).items():
            yield '%s-%d-%d' % (name, flags, back), seed
