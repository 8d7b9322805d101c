# SPDX-License-Identifier: BSD-2-Clause
"""Starts and ends the daemons under test, and drives their disks without a virtual machine.

Not a test itself. The programs are found through BULKHEAD_BLK and BULKHEAD_VU_BLK, which the build sets.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tools'))
sys.dont_write_bytecode = True

import tap  # noqa: E402  (found through the lines above)

BLK = os.environ.get('BULKHEAD_BLK', 'bulkhead-blk')
VU_BLK = os.environ.get('BULKHEAD_VU_BLK', 'vu-blk')
PATIENCE = 20  # seconds; what takes longer hangs
PROMPT = 1.0   # seconds within which a daemon ends

main = tap.main


def wait_until(condition, what, patience=PATIENCE):
    """Waits for something that must come soon."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise AssertionError('%s: not after %s s' % (what, patience))
        time.sleep(0.01)


class Daemon:
    """A running daemon (bulkhead-blk, if no other is named) that listens on a path. Its log is in `log`, a file."""

    def __init__(self, folder, *arguments, program=BLK, listens=True, **popen):
        self.socket = os.path.join(folder, 'socket')
        self.log_path = os.path.join(folder, 'log')
        command = [program, *arguments] + (['--socket-path', self.socket] if listens else [])
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **popen)
        self.pid = self.process.pid

    def log(self):
        return pathlib.Path(self.log_path).read_text(encoding='utf-8')

    def serves(self):
        """Whether the sandbox is closed: from then on the daemon serves."""
        if self.process.poll() is not None:
            raise AssertionError('the daemon ended with %s: %s' % (self.process.returncode, self.log()))
        return 'sandbox' in self.log()

    def wait_ready(self):
        wait_until(self.serves, 'the daemon serves')
        return self

    def wait_end(self, patience=PATIENCE):
        return self.process.wait(patience)

    def terminate(self):
        """SIGTERM; the exit status and how long it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        return status, time.monotonic() - begin

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    def status(self):
        """/proc/PID/status as a dictionary."""
        lines = pathlib.Path('/proc/%d/status' % self.pid).read_text(encoding='utf-8').splitlines()
        return {name: value.strip() for name, _, value in (line.partition(':') for line in lines)}

    def vu(self, command, *options, data=None, **popen):
        """Runs a command of vu-blk on the disk. A CompletedProcess."""
        return subprocess.run([VU_BLK, '--socket', self.socket, *options, command], input=data, capture_output=True,
                              timeout=PATIENCE, check=False, **popen)

    def read(self, sector, length):
        """Bytes, or None when the disk reports an error."""
        result = self.vu('read', '--sector', str(sector), '--length', str(length))
        return result.stdout if result.returncode == 0 else None

    def write(self, sector, data):
        """Whether the disk took it."""
        return self.vu('write', '--sector', str(sector), '--length', str(len(data)), data=data).returncode == 0

    def flush(self):
        return self.vu('flush').returncode == 0

    def info(self):
        """What the device offers, as a dictionary."""
        lines = self.vu('info').stdout.decode().splitlines()
        return dict(line.split(': ', 1) for line in lines)


class Case(unittest.TestCase):
    """A folder for each test, and an end for each daemon."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='bulkhead-daemon-')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.image = os.path.join(self.folder, 'image')

    def make_image(self, size=1 << 20):
        """An image in which each sector is filled with the low byte of its number, from 1 on."""
        with open(self.image, 'wb') as file:
            for sector in range(size // 512):
                file.write(bytes([(sector + 1) & 0xff]) * 512)
            file.truncate(size)
        return self.image

    def start(self, *arguments, **popen):
        daemon = Daemon(self.folder, *arguments, **popen)
        self.addCleanup(daemon.kill)
        return daemon

    def serve(self, *arguments, **popen):
        """A daemon that serves; the image if no disk is named."""
        if '--blk-file' not in arguments and '--null' not in arguments:
            arguments = ('--blk-file', self.make_image()) + arguments
        return self.start(*arguments, **popen).wait_ready()

    def run_blk(self, *arguments, **popen):
        """Runs the program to its end. A CompletedProcess with text."""
        return subprocess.run([BLK, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False,
                              stdin=subprocess.DEVNULL, **popen)

    def listen(self, name='socket'):
        """A listening socket of our own."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(os.path.join(self.folder, name))
        listener.listen(1)
        return listener
