# SPDX-License-Identifier: BSD-2-Clause
"""Seeds of fuzz_vhost_user.c, in its format. make_seeds.py writes them."""

import struct

MESSAGE, TURN, LIVE, OFFER, KICK, POKE, FINISH, FLUSH, TRUNCATE, CONFIG, CRASH, RECONNECT, STOP, ROT = range(14)
MEMORY, EVENT, INFLIGHT, SOCKET, PIPE, ROOT, PATH = range(7)
USER, GUEST, SIZE = 0x7f0000000000, 0x40000000, 0x10000
NEED_REPLY = 8

SET_FEATURES, RESET_OWNER, SET_MEM_TABLE = 2, 4, 5
SET_NUM, SET_ADDR, SET_BASE, GET_BASE, SET_KICK, SET_CALL = 8, 9, 10, 11, 12, 13
SET_PROTOCOL, ENABLE, CHANNEL, GET_CONFIG, SET_CONFIG = 16, 18, 21, 24, 25
GET_INFLIGHT, SET_INFLIGHT, RESET_DEVICE, ADD_REG, REM_REG, SET_STATUS = 31, 32, 34, 37, 38, 39


class Session:
    """An input of fuzz_vhost_user.c."""

    def __init__(self, packed, unsealed=False, keeps=False, serves=False):
        self.packed = packed
        self.out = bytearray([packed * 1 | unsealed * 2 | keeps * 4 | serves * 8])

    def step(self, operation, operands=b''):
        self.out += bytes([operation]) + operands

    def live(self, bits=0, log_size=3, ring=0):
        self.step(LIVE, bytes([bits, log_size, ring]))

    def message(self, request, payload=b'', fds=(), adjust=0, flags=NEED_REPLY):
        self.step(MESSAGE, bytes([request, flags, len(payload)]) + payload +
                  struct.pack('<bB', adjust, len(fds)) + bytes(fds))
        self.step(TURN)

    def state(self, request, index, number):
        self.message(request, struct.pack('<II', index, number))

    def region(self, request, guest, size, user, offset, fds=(MEMORY,)):
        self.message(request, struct.pack('<5Q', 0, guest, size, user, offset), fds)

    def offer(self, head, descs, ring=0):
        self.step(OFFER, bytes([ring, head, len(descs) - 1]) + b''.join(struct.pack('<HHB', *d) for d in descs))

    def chain(self, head, ring=0):
        self.offer(head, [(0x8000, 16, 0), (0x8100, 64, 1)], ring)
        self.step(KICK, bytes([ring]))

    def finish(self, which=0):
        self.step(FINISH, bytes([which]))
        self.step(FLUSH)

    def poke(self, target, at, data):
        self.step(POKE, struct.pack('<BHB', target, at, len(data)) + data)


def address(index, shift=0, used=0):
    base = USER + 0x1000 * index + shift
    return struct.pack('<IIQQQQ', index, 0, base, base + 0x800 + used, base + 0x400, 0)


def seeds(packed):
    """Yields (name, input) for one format."""
    # Everything a good front end does.
    s = Session(packed)
    s.live(1 | 2)
    for head in (0, 2, 4):
        s.chain(head)
    for _ in range(3):
        s.finish(1)
    s.message(GET_CONFIG, struct.pack('<III', 0, 8, 0) + bytes(8))
    s.message(SET_CONFIG, struct.pack('<III', 4, 1, 0) + b'\1')
    s.message(CHANNEL, fds=[SOCKET])
    s.step(CONFIG)
    s.step(STOP, b'\0')
    yield 'class_00_good_front_end', s

    # Rings that reach over the end of the region; buffers that do.
    s = Session(packed)
    s.live()
    s.state(ENABLE, 0, 0)
    for shift in (SIZE - 16, SIZE - 0x804, SIZE - 1, -1):
        s.message(SET_ADDR, address(0, shift))
    s.live()
    s.offer(0, [(0xfff8, 16, 1)])
    s.step(KICK, b'\0')
    yield 'class_01_over_the_end', s

    # Indices with bits above the ones that count.
    s = Session(packed)
    s.live()
    for index in (2, 0x100, 0x10000, 0xffffffff):
        s.state(SET_BASE, index, 1)
        s.message(SET_KICK, struct.pack('<Q', index << 16), [EVENT])
    s.step(RECONNECT)
    s.live()
    s.state(SET_BASE, 1, 0xffffffff)
    yield 'class_03_index_cut_off', s

    # Size and offset that overflow together.
    s = Session(packed)
    s.live()
    s.region(ADD_REG, 1 << 40, (1 << 64) - 0x1000, 1 << 41, 0x2000)
    s.region(ADD_REG, 1 << 40, 0x2000, 1 << 41, (1 << 64) - 0x1000)
    s.region(ADD_REG, (1 << 64) - 0x1000, 0x1000, 1 << 41, 0)
    s.region(ADD_REG, 1 << 40, 0x1000, 1 << 41, 0)
    s.region(REM_REG, 1 << 40, 0x1000, 1 << 41, 0, ())
    yield 'class_04_overflow', s

    # Surplus, missing and wrong descriptors; a message in two halves.
    for i, fds in enumerate(([EVENT] * 2, [MEMORY] * 9, [], [PIPE], [SOCKET], [ROOT], [PATH], [INFLIGHT])):
        s = Session(packed)
        s.live()
        s.message(SET_KICK, struct.pack('<Q', 0), fds)
        s.region(ADD_REG, 1 << 40, 0x1000, 1 << 41, 0, fds)
        s.message(SET_FEATURES, bytes(4), fds, adjust=4)
        yield 'class_05_descriptors_%d' % i, s

    # Counts out of range.
    s = Session(packed)
    table = struct.pack('<4Q', GUEST, SIZE, USER, 0)
    s.message(SET_MEM_TABLE, struct.pack('<II', 9, 0) + table, [MEMORY])
    s.step(RECONNECT)
    s.message(SET_MEM_TABLE, struct.pack('<II', 2, 0) + table * 2, [MEMORY] * 2)
    s.step(RECONNECT)
    s.live(1)
    s.message(GET_INFLIGHT, struct.pack('<QQHHI', 0, 0, 0xffff, 0xffff, 0))
    yield 'class_15_counts', s

    # A crash with requests in flight, out of order; the region as it is, and broken.
    for broken in (False, True):
        s = Session(packed)
        s.live(1)
        for head in (0, 2, 4):
            s.chain(head)
        s.finish(1)
        s.step(CRASH)
        if broken:
            s.poke(1, 12, struct.pack('<HH', 0x8000, 7))
            s.poke(1, 34, struct.pack('<HHH', 0, 0xffff, 0x1000))
        s.live(1)
        for _ in range(3):
            s.finish()
        s.chain(6)
        s.finish()
        yield 'class_16_crash%s' % ('_and_broken_region' if broken else ''), s

    # Everything that drains, with a request in flight.
    for name, request, payload in (('reset', RESET_DEVICE, b''), ('status', SET_STATUS, bytes(8)),
                                   ('owner', RESET_OWNER, b''), ('base', GET_BASE, bytes(8)),
                                   ('disable', ENABLE, bytes(8)), ('table', SET_MEM_TABLE, None),
                                   ('remove', REM_REG, struct.pack('<5Q', 0, GUEST, SIZE, USER, 0))):
        s = Session(packed)
        s.live(1 | 4)
        s.chain(0)
        s.chain(2)
        if payload is None:
            s.message(request, struct.pack('<II', 1, 0) + table, [MEMORY])
        else:
            s.message(request, payload)
        s.step(KICK, b'\0')
        s.finish(1)
        s.finish(0)
        s.step(TURN)
        s.live()
        s.chain(4)
        yield 'class_17_%s_in_flight' % name, s

    # Memory is truncated under the rings, and under a request.
    for size in (0, 0x1000, 0x8000):
        s = Session(packed, unsealed=True)
        s.live(1)
        s.chain(0)
        s.step(TRUNCATE, struct.pack('<H', size))
        s.step(KICK, b'\0')
        s.finish()
        s.step(RECONNECT)
        s.live()
        yield 'class_10_truncated_to_%d' % size, s

    # A successor takes the connection over, with requests in flight; and from a record that has rotted.
    for name, part, at in (('', 0, 0), ('_protocol', 0, 1), ('_features', 0, 12), ('_status', 0, 17),
                           ('_regions', 0, 20), ('_region', 1, 9), ('_slot', 2, 0), ('_ring', 3, 44),
                           ('_address', 3, 9), ('_kick', 3, 49)):
        s = Session(packed, keeps=True)
        s.live(2)
        s.region(ADD_REG, 1 << 40, 0x1000, 1 << 41, 0)
        s.region(ADD_REG, (1 << 40) + 0x3000, 0x1000, (1 << 41) + 0x3000, 0)
        s.region(ADD_REG, (1 << 40) + 0x5000, 0x1000, (1 << 41) + 0x5000, 0)
        s.message(CHANNEL, fds=[SOCKET])
        s.chain(0)
        s.chain(2)
        s.finish(1)
        if name:
            s.step(ROT, bytes([part, at, 0xa5]))
        s.step(CRASH)
        s.step(TURN)
        s.region(REM_REG, (1 << 40) + 0x3000, 0x1000, (1 << 41) + 0x3000, 0, ())
        s.chain(4)
        s.finish()
        s.finish()
        s.step(CRASH)
        s.step(RECONNECT)
        s.live()
        yield 'class_16_adopted%s' % name, s

    # Rings that somebody else serves.
    s = Session(packed, keeps=True, serves=True)
    s.live()
    s.message(SET_CALL, bytes(8), [EVENT])
    s.message(SET_KICK, bytes(8), [EVENT])
    s.message(SET_KICK, bytes(8), [PIPE])
    s.message(SET_MEM_TABLE, struct.pack('<II', 1, 0) + table, [MEMORY])
    s.step(CRASH)
    s.step(STOP, b'\0')
    s.live(16)
    s.message(RESET_DEVICE)
    yield 'class_23_rings_elsewhere', s

    # Rings move while they run, and while they do not.
    s = Session(packed)
    s.live()
    s.chain(0)
    s.message(SET_ADDR, address(0))
    s.state(SET_NUM, 0, 8)
    s.state(ENABLE, 0, 0)
    s.finish()
    s.step(TURN)
    s.message(SET_ADDR, address(0, 8))
    s.state(ENABLE, 0, 1)
    s.live()
    s.message(SET_ADDR, address(0, 0x100))
    yield 'class_23_ring_moves', s
