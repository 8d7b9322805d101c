#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vu-rng against bulkhead-rng: bytes, limits, sources that give nothing, and a back end that is killed.

Each source that has to show what becomes of its bytes is a pipe of the test's own.
"""

import ctypes
import json
import os
import pathlib
import platform
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'daemon'))

import daemon  # noqa: E402  (found through the line above)

RNG = os.environ.get('BULKHEAD_RNG', 'bulkhead-rng')
VU_RNG = os.environ.get('BULKHEAD_VU_RNG', 'vu-rng')
LATE = 4        # vu-rng: what was asked for did not come
BYTES_MAX = 256  # for one buffer
GETRANDOM = {'x86_64': 318, 'aarch64': 278}


class Case(daemon.Case):
    def start(self, *arguments, folder=None, **popen):
        rng = daemon.Daemon(folder or self.folder, *arguments, program=RNG, **popen)
        self.addCleanup(rng.kill)
        return rng

    def serve(self, *arguments, **popen):
        return self.start(*arguments, **popen).wait_ready()

    def run_rng(self, *arguments, **popen):
        return subprocess.run([RNG, *arguments], capture_output=True, text=True, timeout=daemon.PATIENCE, check=False,
                              stdin=subprocess.DEVNULL, **popen)

    def vu(self, rng, command, *options):
        return subprocess.run([VU_RNG, '--socket', rng.socket, *map(str, options), command], capture_output=True,
                              timeout=2 * daemon.PATIENCE, check=False)

    def read(self, rng, length, *options):
        result = self.vu(rng, 'read', '--length', length, *options)
        self.assertEqual(result.returncode, 0, (result.stderr, rng.log()))
        self.assertEqual(len(result.stdout), length)
        return result.stdout

    def lengths(self, rng, length, *options, status=0):
        """How many bytes came in each buffer."""
        result = self.vu(rng, 'lengths', '--length', length, *options)
        self.assertEqual(result.returncode, status, (result.stderr, rng.log()))
        return [int(line) for line in result.stdout.split()]

    def pipe(self):
        """(reading end, writing end)."""
        ends = os.pipe()
        self.addCleanup(os.close, ends[0])
        return ends

    def serve_pipe(self, *arguments):
        """A daemon with a pipe for its source, and the end that is written to."""
        reading, writing = self.pipe()
        rng = self.serve('--source', '/dev/fd/%d' % reading, *arguments, pass_fds=[reading])
        return rng, os.fdopen(writing, 'wb', buffering=0)


class Bytes(Case):
    # [BH-RNG-1]
    def test_bytes_fill_each_buffer(self):
        rng = self.serve('--sandbox', 'strict' if self.can_be_strict() else 'best-effort')
        for ring in ([], ['--packed'], ['--inflight'], ['--packed', '--inflight'], ['--depth', 16]):
            self.assertEqual(self.lengths(rng, 640, *ring)[:10], [64] * 10)
        self.assertEqual(self.lengths(rng, 5, '--block', 1), [1] * 5)
        self.assertEqual(self.lengths(rng, 100, '--block', 100), [100])

    def can_be_strict(self):
        folder = os.path.join(self.folder, 'strict')
        os.mkdir(folder)
        probe = self.start('--sandbox', 'strict', folder=folder)
        daemon.wait_until(lambda: probe.process.poll() is not None or 'sandbox' in probe.log(), 'it starts or ends')
        return 'NOT closed' not in probe.log()

    # [BH-RNG-7]
    def test_bytes_of_large_buffers_are_cut(self):
        rng = self.serve()
        self.assertEqual(self.lengths(rng, 4 * BYTES_MAX, '--block', 4096), [BYTES_MAX] * 4)

    # [BH-RNG-3] Neither in one life, nor in the next, nor for another guest.
    def test_bytes_are_never_the_same(self):
        blocks = set()
        for _ in range(3):
            rng = self.serve()
            for _ in range(2):
                data = self.read(rng, 16000, '--depth', 8)
                blocks.update(data[at:at + 16] for at in range(0, len(data), 16))
            rng.kill()
        self.assertEqual(len(blocks), 6 * 1000)

    # [BH-RNG-1, BH-RNG-3] What the source gave, all of it, each byte once, and nothing else.
    def test_bytes_are_those_of_the_source(self):
        rng, source = self.serve_pipe()
        with source:
            source.write(bytes(range(256)))
            self.assertEqual(sorted(self.read(rng, 256)), list(range(256)))
            self.assertEqual(self.lengths(rng, 1, '--timeout', 300, status=LATE), [])

    def test_bytes_from_a_device(self):
        """The generator as a device: what takes the way through the ring of the host, in the closed sandbox."""
        rng = self.serve('--source', '/dev/random')
        self.assertIn('come from /dev/random', rng.log())
        self.assertEqual(len(set(self.read(rng, 4096))), 256)

    # [BH-RNG-9] Guests that draw as fast as they can do not keep another one waiting.
    def test_bytes_for_everyone(self):
        greedy = []
        for name in ('a', 'b', 'c'):
            folder = os.path.join(self.folder, name)
            os.mkdir(folder)
            rng = self.start(folder=folder).wait_ready()
            taker = subprocess.Popen([VU_RNG, '--socket', rng.socket, '--length', str(1 << 60), '--block', '256',
                                      '--depth', '32', 'read'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(taker.wait)
            self.addCleanup(taker.kill)
            greedy.append(taker)
        modest = self.serve()
        self.assertEqual(self.lengths(modest, 3200), [64] * 50)
        self.assertTrue(all(taker.poll() is None for taker in greedy))


class Limit(Case):
    DAY = ('--period', '86400000')

    # [BH-RNG-8] To the byte, and the rest waits. A guest that begins anew gets no more.
    def test_limit_holds_back(self):
        rng = self.serve('--max-bytes', '100', *self.DAY)
        self.assertEqual(self.lengths(rng, 1000, '--timeout', 300, status=LATE), [64, 36])
        self.assertEqual(self.lengths(rng, 1000, '--depth', 4, '--timeout', 300, status=LATE), [])
        self.assertEqual(self.vu(rng, 'stop', '--depth', 4).returncode, 0)

    # [BH-RNG-8] What waited is served in the next period, and none of it failed.
    def test_limit_delays(self):
        rng = self.serve('--max-bytes', '100', '--period', '200')
        self.assertEqual(self.lengths(rng, 500, '--depth', 3), [64, 36] * 5)
        self.assertNotIn('warning', rng.log())

    def test_limit_that_is_not_reached(self):
        rng = self.serve('--max-bytes', '4K', *self.DAY)
        self.assertEqual(len(self.read(rng, 4096)), 4096)
        self.assertEqual(self.lengths(rng, 1, '--timeout', 300, status=LATE), [])


class Source(Case):
    # [BH-RNG-5] While the source hangs the guest waits; the daemon answers everything else.
    def test_source_hangs(self):
        rng, source = self.serve_pipe()
        with source:
            self.assertEqual(self.lengths(rng, 8, '--timeout', 300, status=LATE), [])
            for ring in ([], ['--packed'], ['--inflight', '--depth', 16]):
                self.assertEqual(self.vu(rng, 'stop', *ring).returncode, 0)
            source.write(b'abc')
            self.assertEqual(sorted(self.read(rng, 3)), sorted(b'abc'))
            self.assertEqual(self.lengths(rng, 8, '--timeout', 300, status=LATE), [])
            status, seconds = rng.terminate()
        self.assertEqual(status, 0)
        self.assertLess(seconds, daemon.PROMPT)

    # [BH-RNG-5] It ends: recorded, once, and no byte comes from anywhere else.
    def test_source_ends(self):
        rng, source = self.serve_pipe()
        source.write(b'last')
        source.close()
        self.assertEqual(sorted(self.read(rng, 4)), sorted(b'last'))
        self.assertEqual(self.lengths(rng, 8, '--timeout', 1000, status=LATE), [])
        self.assertIn('gives nothing, the guest waits: it has ended', rng.log())
        self.assertEqual(rng.log().count('gives nothing'), 1)
        self.assertEqual(rng.terminate()[0], 0)

    # [BH-RNG-5] It comes back, and the guest that waited is served.
    def test_source_comes_back(self):
        path = os.path.join(self.folder, 'fifo')
        os.mkfifo(path)
        rng = self.serve('--source', path)
        with open(path, 'wb', buffering=0) as source:
            source.write(b'first')
            self.assertEqual(sorted(self.read(rng, 5)), sorted(b'first'))
        with subprocess.Popen([VU_RNG, '--socket', rng.socket, '--length', '6', 'read'],
                              stdout=subprocess.PIPE) as waiting:
            daemon.wait_until(lambda: 'it has ended' in rng.log(), 'the end is noticed')
            with open(path, 'wb', buffering=0) as source:
                source.write(b'second')
                self.assertEqual(sorted(waiting.communicate(timeout=daemon.PATIENCE)[0]), sorted(b'second'))
        self.assertIn('gives bytes again', rng.log())

    # [BH-RNG-4] The generator that is not seeded yet, as the system call says it: the guest waits.
    def test_source_not_seeded(self):
        if platform.machine() not in GETRANDOM:
            self.skipTest('the number of getrandom is not known here')
        rng = self.serve(preexec_fn=self.unseed)
        self.assertEqual(self.lengths(rng, 8, '--timeout', 500, status=LATE), [])
        self.assertIn("the kernel's generator gives nothing, the guest waits: it is not seeded yet", rng.log())
        self.assertEqual(self.vu(rng, 'stop').returncode, 0)
        self.assertEqual(rng.terminate()[0], 0)

    @staticmethod
    def unseed():
        """Makes getrandom fail with EAGAIN in this process, as it does before the seed is there."""
        libc = ctypes.CDLL(None, use_errno=True)
        program = b''.join(struct.pack('HBBI', *line) for line in (
            (0x20, 0, 0, 0),                                  # load the number of the call
            (0x15, 0, 1, GETRANDOM[platform.machine()]),      # getrandom?
            (0x06, 0, 0, 0x00050000 | 11),                    # EAGAIN
            (0x06, 0, 0, 0x7fff0000)))                        # allowed
        room = ctypes.create_string_buffer(program)
        head = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 4, ctypes.addressof(room)))
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, head) != 0:
            raise OSError(ctypes.get_errno(), 'no seccomp')

    # [BH-RNG-4] The source is named in the log, and what is none is refused, with the reason.
    def test_source_is_named(self):
        self.assertIn("random bytes come from the kernel's generator", self.serve().log())
        path = os.path.join(self.folder, 'file')
        pathlib.Path(path).write_bytes(bytes(64))
        for source, why in ((path, 'the same bytes again'), ('/dev/zero', 'no source'), ('/dev/urandom', 'its seed'),
                            (self.folder, 'gives no bytes'), ('/none', 'No such file')):
            result = self.run_rng('--source', source, '--socket-path', os.path.join(self.folder, 's'))
            self.assertEqual(result.returncode, 1, source)
            self.assertIn(source, result.stderr)
            self.assertIn(why, result.stderr)


class Guest(Case):
    # [BH-RNG-6] A violation stops the device; the next driver finds it as good as new.
    def test_guest_breaks_the_rules(self):
        rng = self.serve()
        for number, offence in enumerate(['readable', 'mixed', 'empty'] * 2):
            ring = ['--packed'] if number % 2 else []
            self.assertEqual(self.vu(rng, offence, *ring).returncode, 0, offence)
            self.assertEqual(len(self.read(rng, 64, *ring)), 64)
        self.assertIn('device-readable', rng.log())
        self.assertIn('without a byte', rng.log())

    def test_guest_cannot_fill_the_log(self):
        rng = self.serve()
        for _ in range(60):
            self.vu(rng, 'readable')
        self.assertLess(len(rng.log().splitlines()), 45)

    def test_guest_stops_and_starts(self):
        rng = self.serve()
        for ring in ([], ['--packed'], ['--inflight'], ['--inflight', '--packed', '--depth', 32]):
            self.assertEqual(self.vu(rng, 'stop', *ring).returncode, 0)
            self.read(rng, 64, *ring)

    # A front end that is killed while its guest waits leaves nothing behind.
    def test_guest_is_killed(self):
        rng, source = self.serve_pipe()
        with source:
            for _ in range(3):
                with subprocess.Popen([VU_RNG, '--socket', rng.socket, '--depth', '16', 'read'],
                                      stdout=subprocess.DEVNULL) as waiting:
                    time.sleep(0.1)
                    self.assertIsNone(waiting.poll())
                    waiting.kill()
            source.write(b'0123456789')
            self.assertEqual(sorted(self.read(rng, 10)), sorted(b'0123456789'))

    # The back end is killed while it works, and while the guest waits; the guest does not notice.
    def test_guest_outlives_its_back_end(self):
        for ring in ([], ['--packed']):
            rng = self.serve()
            with subprocess.Popen([VU_RNG, '--socket', rng.socket, '--length', '60000000', '--depth', '16', '--inflight',
                                   '--reconnect', *ring, 'read'], bufsize=0, stdout=subprocess.PIPE) as running:
                got = 0
                for kills in range(1, 4):
                    while got < kills * 1000000:
                        got += len(running.stdout.read(65536))
                    rng.kill()
                    rng = self.serve()
                got += len(running.communicate(timeout=2 * daemon.PATIENCE)[0])
            self.assertEqual(running.returncode, 0)
            self.assertEqual(got, 60000000)
            rng.kill()

    # [BH-RNG-5] What waited in the ring of the one that died is served by the next.
    def test_guest_waits_across_a_restart(self):
        reading, writing = self.pipe()
        source = ['--source', '/dev/fd/%d' % reading]
        rng = self.serve(*source, pass_fds=[reading])
        with subprocess.Popen([VU_RNG, '--socket', rng.socket, '--length', '5', '--inflight', '--reconnect', 'read'],
                              stdout=subprocess.PIPE) as waiting:
            time.sleep(0.3)
            rng.kill()
            self.serve(*source, pass_fds=[reading])
            os.write(writing, b'12345')
            os.close(writing)
            self.assertEqual(sorted(waiting.communicate(timeout=daemon.PATIENCE)[0]), sorted(b'12345'))


class Program(Case):
    def test_program_capabilities(self):
        result = self.run_rng('--print-capabilities')
        self.assertEqual(json.loads(result.stdout), {'type': 'rng'})

    def test_program_mistakes(self):
        for mistake in (['--max-bytes', '0'], ['--max-bytes', 'x'], ['--period', '0', '--max-bytes', '1'],
                        ['--period', '100'], ['--max-bytes', '1', '--period', '86400001'], ['--source', '/dev/fd/99'],
                        ['--num-queues', '2']):
            result = self.run_rng(*mistake, '--socket-path', os.path.join(self.folder, 's'))
            self.assertEqual(result.returncode, 2, mistake)
            self.assertNotEqual(result.stderr, '', mistake)

    # With a connection of its own the daemon ends when its front end goes, even while its source hangs.
    def test_program_ends_with_its_front_end(self):
        reading, writing = self.pipe()
        self.addCleanup(os.close, writing)
        for more in ([], ['--source', '/dev/fd/%d' % reading]):
            ours, theirs = socket.socketpair()
            rng = self.start('--fd', str(theirs.fileno()), *more, listens=False, pass_fds=[theirs.fileno(), reading])
            theirs.close()
            rng.wait_ready()
            ours.close()
            self.assertEqual(rng.wait_end(), 0)

    # Nothing is open but what it needs; without a device not even the ring of the host.
    def test_program_descriptors(self):
        for more, ring in (([], False), (['--source', '/dev/random'], True)):
            rng = self.serve(*more)
            try:
                links = [os.readlink('/proc/%d/fd/%s' % (rng.pid, fd)) for fd in os.listdir('/proc/%d/fd' % rng.pid)]
            except PermissionError:
                self.skipTest('only root may look into a process that is not dumpable')
            self.assertEqual('anon_inode:[io_uring]' in links, ring)
            known = ('/dev/null', rng.log_path, 'anon_inode:', 'socket:', *more[1:])
            self.assertEqual([link for link in links if not link.startswith(known)], [])
            rng.kill()


if __name__ == '__main__':
    daemon.main()
