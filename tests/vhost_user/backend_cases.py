# SPDX-License-Identifier: BSD-2-Clause
"""What every vhost-user-blk back end must do, as test cases over vu-blk. Not a test itself: a module that ends with
`main(Cases)` gives the back end a class of its own.

The image is a file that the back end serves: what vu-blk writes is looked for there, not only read back.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tools'))
import tap  # noqa: E402

SIZE = 32 << 20
BLOCK = 16384

# Ring variants: name, options of vu-blk.
SPLIT = [
    ('split', []),
    ('split, 4 queues', ['--queues', '4']),
    ('split, no event index', ['--no-event-idx']),
    ('split, indirect', ['--indirect']),
    ('split, indirect, 4 queues, no event index', ['--indirect', '--queues', '4', '--no-event-idx']),
    ('split, small queue', ['--queue-size', '16', '--depth', '16']),
    ('split, spinning', ['--poll']),
]


class Backend:
    """A running back end."""

    def __init__(self, command, socket):
        self.socket = socket
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        self.wait_for_socket()

    def wait_for_socket(self):
        deadline = time.monotonic() + 20
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError('the back end does not listen: %s' % self.stop())
            time.sleep(0.02)

    def alive(self):
        return self.process.poll() is None

    def stop(self, number=signal.SIGTERM):
        """Ends the process; returns what it said."""
        if self.alive():
            self.process.send_signal(number)
        try:
            _, said = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
        return said.decode(errors='replace')


class Cases(unittest.TestCase):
    # How often to try again with a back end that hangs up on a newcomer while it still puts the last front end away.
    busy_tries = 0

    vu_blk = None
    program = None

    def command(self):
        """The back end's command line for self.image and self.socket."""
        raise NotImplementedError

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix='vu-blk-')
        self.image = os.path.join(self.directory.name, 'image')
        self.socket = os.path.join(self.directory.name, 'socket')
        with open(self.image, 'wb') as file:
            file.truncate(SIZE)
        self.backend = None
        self.start()

    def tearDown(self):
        if self.backend is not None:
            self.backend.stop()
        self.directory.cleanup()

    def start(self):
        self.backend = Backend(self.command(), self.socket)

    def run_vu(self, arguments, data):
        return subprocess.run([self.vu_blk, '--socket', self.socket, *map(str, arguments)], input=data,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)

    def vu(self, *arguments, data=None, status=0):
        """Runs vu-blk; returns what it printed."""
        ran = self.run_vu(arguments, data)
        for _ in range(self.busy_tries):
            if not ran.stderr.endswith(b': gone\n'):
                break
            time.sleep(0.1)
            ran = self.run_vu(arguments, data)
        self.assertEqual(ran.returncode, status, ran.stderr.decode(errors='replace'))
        self.assertTrue(self.backend.alive(), 'the back end died')
        return ran.stdout

    def contents(self, offset, length):
        with open(self.image, 'rb') as file:
            file.seek(offset)
            return file.read(length)

    def test_info(self):
        info = dict(line.split(': ', 1) for line in self.vu('info').decode().splitlines())
        self.assertEqual(int(info['capacity']), SIZE)
        self.assertEqual(info['read-only'], 'no')
        self.assertEqual(info['flush'], 'yes')

    def test_id(self):
        self.assertTrue(self.vu('id').strip())

    def test_written_data_is_in_the_image(self):
        data = random.Random(1).randbytes(300 * 512)
        self.vu('--sector', 1001, '--length', len(data), '--block', 50 * 512, 'write', data=data)
        self.vu('flush')
        self.assertEqual(self.contents(1001 * 512, len(data)), data)
        self.assertEqual(self.contents(1000 * 512, 512), bytes(512))
        self.assertEqual(self.contents(1301 * 512, 512), bytes(512))
        self.assertEqual(self.vu('--sector', 1001, '--length', len(data), 'read'), data)

    def test_read_shows_the_image(self):
        data = random.Random(2).randbytes(64 * 512)
        with open(self.image, 'r+b') as file:
            file.seek(77 * 512)
            file.write(data)
        self.assertEqual(self.vu('--sector', 77, '--length', len(data), 'read'), data)

    def test_last_sector(self):
        data = b'\x5a' * 512
        self.vu('--sector', SIZE // 512 - 1, '--length', 512, 'write', data=data)
        self.assertEqual(self.contents(SIZE - 512, 512), data)

    def test_write_zeroes_and_discard(self):
        data = b'\xa5' * (1 << 20)
        self.vu('--length', len(data), 'write', data=data)
        self.vu('--sector', 8, '--length', 4096, 'zeroes')
        self.vu('--sector', 64, '--length', 65536, '--unmap', 'zeroes')
        self.vu('--sector', 1024, '--length', 65536, 'discard')
        self.assertEqual(self.contents(0, 4096), data[:4096])
        self.assertEqual(self.contents(4096, 4096), bytes(4096))
        self.assertEqual(self.contents(32768, 65536), bytes(65536))

    def test_front_end_killed(self):
        """The next front end finds the back end as good as new."""
        for number in (signal.SIGKILL, signal.SIGTERM):
            with subprocess.Popen([self.vu_blk, '--socket', self.socket, '--count', '100000000', '--depth', '32',
                                   'bench'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
                time.sleep(0.3)
                self.assertIsNone(running.poll())
                running.send_signal(number)
            self.vu('--count', 500, '--block', BLOCK, 'verify')

    def verify(self, options):
        self.vu(*options, '--count', 3000, '--block', BLOCK, '--seed', len(options), 'verify')


def add_variants(cases, variants):
    """Gives a class a test method for each ring variant."""
    for name, options in variants:
        def test(self, options=tuple(options)):
            self.verify(options)
        setattr(cases, 'test_verify (%s)' % name, test)


def main(cases):
    """`test.py VU-BLK [BACK-END]`: prints TAP."""
    cases.vu_blk = sys.argv[1]
    cases.program = sys.argv[2] if len(sys.argv) > 2 else None
    tap.main()
