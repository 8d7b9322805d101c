#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A hostile front end before the gate: every message in every state with what does not belong to it, memory that is
not what it seems, rings where none may be, and an end at every point.

The gate of all of these cases is one process: it must be the same one in the end, hold no descriptor more, and serve the
next front end; its back end must have noticed nothing; nor the neighbour.
"""

import fcntl
import os
import struct
import time

import front
import hostile
from front import Front, Gone
from hostile import DATA, PART, PRIVATE, RINGS, region


class Frontend(hostile.Cases):
    mode = 'shadow'
    kept = None  # the gate of all cases

    @classmethod
    def tearDownClass(cls):
        kept, cls.kept = cls.kept, None
        if kept is not None:
            kept[1].stop()
            kept[0].cleanup()

    def setUp(self):
        super().setUp()
        if self.kept is None:
            directory = hostile.tempfile.TemporaryDirectory(prefix='front-')
            os.chmod(directory.name, 0o755)
            share = ['--share', region(DATA)] if self.mode == 'shadow' else []
            gate = hostile.Gate(directory.name, self.mode, hostile.back_end(directory.name, 'honest'), share)
            type(self).kept = (directory, gate)
            self.serves(gate)
        self.attacked = self.kept[1]
        self.inner = self.attacked.inner()
        self.descriptors = self.count_descriptors()
        self.lines = len(self.attacked.audit())

    def tearDown(self):
        """The gate is the one that it was, and serves."""
        try:
            self.assertTrue(self.attacked.alive(), self.attacked.log())
            self.serves(self.attacked)
            self.assertEqual(self.attacked.inner(), self.inner, self.attacked.log())
            # A connection is put away when its end was noticed.
            hostile.wait_until(lambda: self.count_descriptors() <= self.descriptors, 'descriptors are closed')
            reasons = self.reasons()
            self.assertEqual([r for r in reasons if r.startswith('back-end')], [], self.attacked.log())
            for word in ('Sanitizer', 'runtime error'):
                self.assertNotIn(word, self.attacked.log())
        except BaseException:
            type(self).tearDownClass()
            raise
        finally:
            super().tearDown()

    def serves(self, gate):
        status, said = hostile.run_guest(gate.socket, self.secrets, '--count', 40, 'verify')
        self.assertEqual(status, 0, said + gate.log())

    def count_descriptors(self):
        return sum(len(os.listdir('/proc/%d/fd' % pid)) for pid in self.inner)

    def reasons(self):
        """Since this case began."""
        return [line['reason'] for line in self.attacked.audit()[self.lines:]]

    def front(self, sealed=True):
        return Front(self.attacked.socket, sealed)

    def refused(self, what, again):
        """The audit log says so. It takes a few events a second and no more: done again until there is room."""
        def told():
            again()
            time.sleep(0.3)
            return 'front-end-refused' in self.reasons()
        hostile.wait_until(told, 'the audit log says that %s was refused' % what)

    # ---- messages

    def variants(self, peer, request):
        """(payload, descriptors, flags) that are not as they must be."""
        right, fds = front.payload_of(request), front.fds_of(peer, request)
        some = [peer.events[0], peer.files[DATA]]
        yield right, fds, front.VERSION | front.NEED_REPLY
        yield right, fds + some, front.VERSION
        yield right, some * 4 if not fds else [], front.VERSION
        yield right + b'\xff' * 8, fds, front.VERSION
        yield right[:len(right) // 2], fds, front.VERSION
        yield b'\xff' * max(8, len(right)), fds, front.VERSION
        yield b'\xff' * 300, [peer.files[PRIVATE]] * 8, front.VERSION
        yield right, fds, front.VERSION | front.REPLY
        yield right, fds, 2

    def say_variant(self, request, state, number):
        """Whether the gate closes the connection on it."""
        with self.front() as peer:
            payload, fds, flags = list(self.variants(peer, request))[number]
            try:
                peer.reach(state)
            except Gone as error:
                raise AssertionError('a well-behaved front end was refused') from error
            try:
                peer.say(request, payload, fds, flags)
                return peer.is_gone()
            except Gone:
                return True

    def message(self, request):
        for state in Front.STATES:
            for number in range(9):
                gone = self.say_variant(request, state, number)
                if request not in front.KNOWN:
                    self.assertTrue(gone, 'message %d was taken in state %s' % (request, state))
        if request not in front.KNOWN:
            self.refused('message %d' % request, lambda: self.say_variant(request, 'fresh', 0))

    def test_size_that_no_message_has(self):
        def say(size):
            with self.front() as peer:
                peer.greet()
                try:
                    peer.raw(struct.pack('<III', 5, 1, size) + bytes(64))
                    return peer.is_gone()
                except Gone:
                    return True
        for size in (300, 4096, 0x7fffffff, 0xffffffff):
            self.assertTrue(say(size))
        self.refused('a size', lambda: say(300))

    def test_many_descriptors(self):
        with self.front() as peer:
            try:
                for _ in range(50):
                    peer.raw(b'\0', [peer.events[0]] * 200)
                self.assertTrue(peer.is_gone())
            except Gone:
                pass

    def test_end_at_each_byte(self):
        """Of a message with descriptors; and half of one, with nothing after it for a while."""
        whole = struct.pack('<III', 5, 1, 8 + 32) + front.table((RINGS, PART, 0))
        for length in range(1, len(whole), 3):
            with self.front() as peer:
                peer.greet()
                peer.raw(whole[:length], [peer.files[RINGS]])
                if length == 7:
                    time.sleep(0.5)

    def test_end_after_each_message(self):
        steps = []
        with self.front() as peer:
            peer.raw = lambda data, fds=(): steps.append((data, len(fds)))
            peer.ask_u64 = peer.say
            peer.reach('running')
        for count in range(len(steps) + 1):
            with self.front() as peer:
                fds = {3: list(peer.files.values()), 1: peer.events[:1], 0: []}
                try:
                    for data, with_fds in steps[:count]:
                        peer.raw(data, fds[with_fds])
                except Gone:
                    pass

    # ---- memory

    def say_table(self, payload, fds_of):
        """Whether the gate closes the connection on a memory table."""
        with self.front() as peer:
            peer.greet()
            peer.say(2, struct.pack('<Q', front.F_VERSION_1 | front.F_PROTOCOL))
            try:
                peer.say(5, payload, fds_of(peer))
                return peer.is_gone()
            except Gone:
                return True

    def test_tables_that_make_no_sense(self):
        one = lambda peer: [peer.files[RINGS]]  # noqa: E731
        tables = {
            'beyond the file': front.table((RINGS, 2 * PART, 0)),
            'offset beyond the file': front.table((RINGS, PART, PART)),
            'offset that wraps': front.table((RINGS, PART, (1 << 64) - PART)),
            'end that wraps': front.table(((1 << 64) - PART + 4096, PART, 0)),
            'nothing': front.table((RINGS, 0, 0)),
            'everything': front.table((0, (1 << 64) - 1, 0)),
            'count without regions': struct.pack('<II', 8, 0) + front.table((RINGS, PART, 0))[8:],
        }
        for what, payload in tables.items():
            self.assertTrue(self.say_table(payload, one), what)
        self.refused('a table', lambda: self.say_table(tables['nothing'], one))

    def test_memory_that_is_no_memory(self):
        read_only = os.open('/dev/zero', os.O_RDONLY)
        folder = os.open('/', os.O_RDONLY)
        for fd in (read_only, folder):
            self.say_table(front.table((RINGS, PART, 0)), lambda peer, fd=fd: [fd])
            os.close(fd)
        self.say_table(front.table((RINGS, PART, 0)), lambda peer: [peer.events[0]])

    def test_two_regions_in_one_place(self):
        self.say_table(front.table((RINGS, PART, 0), (RINGS + 4096, PART, 0)),
                       lambda peer: [peer.files[RINGS], peer.files[DATA]])

    def test_slots_without_end(self):
        """Up to 509 of them, each a file of its own."""
        files = [front.memory_file(4096) for _ in range(509)]
        with self.front() as peer:
            peer.reach('agreed')
            try:
                for i, fd in enumerate(files):
                    address = 0x8000000000 + i * 65536
                    peer.say(37, struct.pack('<QQQQQ', 0, address, 4096, address, 0), [fd], front.VERSION | front.NEED_REPLY)
                    peer.hear()
            except Gone:
                pass
        for fd in files:
            os.close(fd)

    def test_memory_that_shrinks(self):
        """Not sealed: taken away while the ring runs, and while there is none."""
        for address in (RINGS, DATA, PRIVATE):
            with self.front(sealed=False) as peer:
                peer.reach('running')
                peer.is_gone()
                os.ftruncate(peer.files[address], 0)
                for _ in range(5):
                    peer.kick()
                    time.sleep(0.02)
                try:
                    peer.say(11, struct.pack('<II', 0, 0))
                    peer.is_gone()
                except Gone:
                    pass

    def test_memory_that_shrinks_in_flight(self):
        with self.front(sealed=False) as peer:
            peer.reach('running')
            for _ in range(20):
                peer.offer(8, kind=0)
            os.ftruncate(peer.files[DATA], 0)
            os.ftruncate(peer.files[RINGS], 0)
            peer.kick()
            time.sleep(0.1)

    # ---- rings

    def say_ring(self, **where):
        with self.front() as peer:
            peer.reach('agreed')
            try:
                peer.ring(0, **where)
                peer.say(13, struct.pack('<Q', 0), [peer.events[1]])
                peer.say(12, struct.pack('<Q', 0), [peer.events[0]])
                peer.say(18, struct.pack('<II', 0, 1))
                peer.kick()
                return peer.is_gone()
            except Gone:
                return True

    def test_rings_in_no_memory(self):
        for where in (0, 0x7000000000, RINGS - 4096, (1 << 64) - 16, RINGS + PART - 16):
            self.assertTrue(self.say_ring(descriptor=where), hex(where))
            self.assertTrue(self.say_ring(used=where), hex(where))
            self.assertTrue(self.say_ring(available=where), hex(where))
        self.refused('a ring', lambda: self.say_ring(descriptor=0))

    def test_rings_that_are_not_aligned(self):
        for where in (1, 2, 4, 8):
            self.say_ring(descriptor=RINGS + where)
            self.say_ring(used=RINGS + 0x2000 + where)

    def test_rings_in_one_place(self):
        self.say_ring(descriptor=RINGS, used=RINGS, available=RINGS)

    def test_ring_sizes(self):
        for size in (0, 3, 65, 1024, 32768, 65536, 0xffffffff):
            with self.front() as peer:
                peer.reach('agreed')
                peer.say(8, struct.pack('<II', 0, size))
                peer.is_gone()

    def test_rings_that_there_are_not(self):
        for index in (2, 64, 255, 0xffffffff):
            for request in (8, 9, 10, 11, 18):
                with self.front() as peer:
                    peer.reach('agreed')
                    peer.say(request, struct.pack('<II', index, 1) + bytes(32 if request == 9 else 0))
                    self.assertTrue(peer.is_gone(), '%d %#x' % (request, index))

    def test_stop_and_start_without_end(self):
        """GET_VRING_BASE, with requests in flight, and the start after it."""
        with self.front() as peer:
            peer.reach('running')
            for _ in range(300):
                peer.offer(4)
                peer.ask(11, struct.pack('<II', 0, 0))
                peer.say(10, struct.pack('<II', 0, peer.used()))
                peer.say(12, struct.pack('<Q', 0), [peer.events[0]])
            try:
                for _ in range(300):
                    peer.ask(11, struct.pack('<II', 0, 0))
            except Gone:
                pass  # a ring that stands still need not be stopped

    def test_tables_without_end(self):
        with self.front() as peer:
            peer.reach('agreed')
            for _ in range(300):
                peer.share()
            self.assertFalse(peer.is_gone())

    # ---- events

    def test_call_that_blocks(self):
        """The flags of an eventfd belong to all who hold it: full, and with waiting, whoever signals it waits."""
        with self.front() as peer:
            peer.reach('running')
            peer.is_gone()
            os.eventfd_write(peer.events[1], (1 << 64) - 2)
            os.set_blocking(peer.events[1], True)
            for _ in range(3):
                peer.offer(1)
                time.sleep(0.1)
            # Closed from this side only when the gate has had its chance to wait for ever.
            peer.socket.shutdown(front.socket.SHUT_RDWR)
            self.serves(self.attacked)

    def test_kick_that_blocks(self):
        """It is readable, and then it is not: who reads it then waits."""
        with self.front() as peer:
            peer.reach('running')
            peer.is_gone()
            flags = fcntl.fcntl(peer.events[0], fcntl.F_GETFL)
            for _ in range(20000):
                peer.kick()
                fcntl.fcntl(peer.events[0], fcntl.F_SETFL, flags | os.O_NONBLOCK)
                try:
                    os.eventfd_read(peer.events[0])
                except BlockingIOError:
                    pass
                fcntl.fcntl(peer.events[0], fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
            peer.socket.shutdown(front.socket.SHUT_RDWR)
            self.serves(self.attacked)

    def test_error_that_blocks(self):
        with self.front() as peer:
            peer.reach('running')
            peer.is_gone()
            os.eventfd_write(peer.events[2], (1 << 64) - 2)
            os.set_blocking(peer.events[2], True)
            peer.offer(200)  # more than the ring has
            time.sleep(0.2)
            peer.socket.shutdown(front.socket.SHUT_RDWR)
            self.serves(self.attacked)

    def test_kick_that_is_a_file(self):
        with self.front() as peer:
            peer.reach('agreed')
            peer.ring()
            peer.say(12, struct.pack('<Q', 0), [peer.files[DATA]])
            peer.is_gone()


class FrontendBounce(Frontend):
    mode = 'bounce'

    def test_rings_in_the_data_part(self):
        with self.front() as peer:
            peer.reach('agreed')
            peer.ring(0, DATA, DATA + 0x2000, DATA + 0x1000)
            peer.is_gone()


for _request in (0, *front.NAMES, 45, 100, 255, 0xffffffff):
    def _test(self, request=_request):
        self.message(request)
    setattr(Frontend, 'test_message %d %s' % (_request, front.NAMES.get(_request, '')), _test)


class RingsShared(hostile.Cases):
    def test_rings_in_the_data_part(self):
        """Shadow: rings in memory that the back end could map. Nothing is shared then, and all is copied."""
        self.gate = hostile.Gate(self.folder, 'shadow', hostile.back_end(self.folder, 'honest'), ['--share', region(DATA)])
        with Front(self.gate.socket) as peer:
            peer.reach('agreed')
            peer.ring(0, DATA + 0x10000, DATA + 0x12000, DATA + 0x11000)
            peer.say(13, struct.pack('<Q', 0), [peer.events[1]])
            peer.say(12, struct.pack('<Q', 0), [peer.events[0]])
            peer.say(18, struct.pack('<II', 0, 1))
            peer.is_gone()
            hostile.wait_until(lambda: 'rings-shared' in self.gate.reasons(), 'the audit log says so')


class ZNeighbour(hostile.LastNeighbour):
    """Last, by its name."""


if __name__ == '__main__':
    hostile.main()
