#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vu-blk against bulkhead-blk: every ring variant, and a back end that is killed while it works.

What the daemon does with options, sockets and broken resources is in tests/daemon/.
"""

import os
import signal
import subprocess
import time

import backend_cases

# Everything that the rings can be, besides what any back end must do.
OWN = [
    ('packed', ['--packed']),
    ('packed, 4 queues', ['--packed', '--queues', '4']),
    ('packed, no event index', ['--packed', '--no-event-idx']),
    ('packed, odd size', ['--packed', '--queue-size', '37', '--depth', '16']),
    ('packed, indirect', ['--packed', '--indirect']),
    ('packed, indirect, 4 queues', ['--packed', '--indirect', '--queues', '4']),
    ('split, in order', ['--in-order']),
    ('split, in order, indirect, 4 queues', ['--in-order', '--indirect', '--queues', '4']),
    ('packed, in order', ['--packed', '--in-order']),
    ('packed, in order, indirect, 4 queues', ['--packed', '--in-order', '--indirect', '--queues', '4']),
    ('split, in-flight region', ['--inflight']),
    ('packed, in-flight region', ['--inflight', '--packed']),
]

# Variants in which a successor can find out what was in flight.
RESUME = [
    ('split', []),
    ('split, 4 queues', ['--queues', '4']),
    ('split, indirect', ['--indirect']),
    ('split, in order', ['--in-order']),
    ('packed', ['--packed']),
    ('packed, 4 queues, indirect', ['--packed', '--queues', '4', '--indirect']),
    ('packed, in order', ['--packed', '--in-order']),
]

KILLS = 4
PATIENCE = 50  # seconds


class BulkheadBlk(backend_cases.Cases):
    def command(self):
        return [self.program, '--socket-path', self.socket, '--blk-file', self.image, '--serial', 'bulkhead-test']

    def test_serial(self):
        self.assertEqual(self.vu('id').rstrip(b'\n\0'), b'bulkhead-test')

    def resume(self, options):
        """Kills the back end several times during a verify, which must not notice."""
        with subprocess.Popen([self.vu_blk, '--socket', self.socket, '--inflight', '--reconnect', '--depth', '16',
                               '--block', str(backend_cases.BLOCK), '--count', '60000',
                               '--timeout', str(2000 * PATIENCE), *options, 'verify'],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            for _ in range(KILLS):
                time.sleep(0.25)
                if running.poll() is not None:
                    break
                self.backend.stop(signal.SIGKILL)
                self.start()
            out, said = running.communicate(timeout=3 * PATIENCE)
        self.assertEqual(running.returncode, 0, said.decode(errors='replace'))
        self.assertNotIn(b' 0 resumed', out)

    def start(self):
        """A killed back end leaves its socket behind, and the kernel ends its I/O after the process, on a busy machine
        long after: until then the image is locked, and the next back end refuses to serve it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if os.path.exists(self.socket):
                os.unlink(self.socket)
            try:
                super().start()
                return
            except RuntimeError as error:
                if 'in use by another process' not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


backend_cases.add_variants(BulkheadBlk, backend_cases.SPLIT + OWN)
for name, options in RESUME:
    def test(self, options=tuple(options)):
        self.resume(options)
    setattr(BulkheadBlk, 'test_killed_while_it_works (%s) [BH-BLK-36]' % name, test)

if __name__ == '__main__':
    backend_cases.main(backend_cases.Cases)
