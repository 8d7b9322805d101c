#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A daemon that stands by: it has the disk open, and takes it only when somebody speaks to it."""

import fcntl
import os
import signal
import socket
import struct
import subprocess
import threading

import daemon

SECTOR = 512


class Standby(daemon.Case):
    def stand_by(self, *arguments):
        """One that stands by, in a folder of its own."""
        folder = os.path.join(self.folder, 'standby')
        os.mkdir(folder)
        standby = daemon.Daemon(folder, '--blk-file', self.image, '--standby', *arguments)
        self.addCleanup(standby.kill)
        return standby.wait_ready()

    def is_locked(self):
        """Whether somebody has the image for writing or reading."""
        with open(self.image, 'r+b') as file:
            lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            return struct.unpack('hhqqi4x', fcntl.fcntl(file, fcntl.F_OFD_GETLK, lock))[0] != fcntl.F_UNLCK

    def test_serves_after_its_predecessor(self):
        first = self.serve()
        standby = self.stand_by()
        self.assertTrue(first.write(3, b'x' * SECTOR))
        first.kill()
        self.assertEqual(standby.read(3, SECTOR), b'x' * SECTOR)
        self.assertTrue(standby.write(4, b'y' * SECTOR))
        self.assertTrue(self.is_locked())

    def test_does_not_lock_before(self):
        self.make_image()
        standby = self.stand_by()
        self.assertFalse(self.is_locked())
        self.assertEqual(standby.terminate()[0], 0)

    def test_waits_for_the_lock(self):
        first = self.serve()
        standby = self.stand_by()
        found = []
        reader = threading.Thread(target=lambda: found.append(standby.read(0, SECTOR)))
        reader.start()
        daemon.wait_until(lambda: 'waiting for another process' in standby.log(), 'it waits')
        self.assertEqual(found, [])
        first.kill()
        reader.join(daemon.PATIENCE)
        self.assertEqual(found, [b'\1' * SECTOR])

    def test_ends_while_it_waits_for_the_lock(self):
        self.serve()
        standby = self.stand_by()
        with socket.socket(socket.AF_UNIX) as front:
            front.connect(standby.socket)
            daemon.wait_until(lambda: 'waiting for another process' in standby.log(), 'it waits')
            status, seconds = standby.terminate()
        self.assertEqual(status, 0)
        self.assertLess(seconds, daemon.PROMPT)

    def test_size_is_that_of_the_time_when_it_takes_over(self):
        self.make_image()
        standby = self.stand_by()
        with open(self.image, 'r+b') as file:
            file.truncate(2 << 20)
        self.assertEqual(standby.info()['capacity'], str(2 << 20))

    def test_empty_by_then(self):
        self.make_image()
        standby = self.stand_by()
        with open(self.image, 'r+b') as file:
            file.truncate(0)
        with socket.socket(socket.AF_UNIX) as front:
            front.connect(standby.socket)
            self.assertEqual(standby.wait_end(), 1)
        self.assertIn('cannot be taken over', standby.log())

    def test_other_signals_mean_nothing(self):
        self.make_image()
        standby = self.stand_by()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH):
            os.kill(standby.pid, number)
        self.assertEqual(standby.read(0, SECTOR), b'\1' * SECTOR)

    def test_its_peer_goes_without_a_word(self):
        self.make_image()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [daemon.BLK, '--blk-file', self.image, '--standby', '--fd', str(theirs.fileno())]
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(process.wait)
            theirs.close()
            ours.close()
            self.assertEqual(process.wait(daemon.PATIENCE), 0)


if __name__ == '__main__':
    daemon.main()
