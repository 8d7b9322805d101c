# SPDX-License-Identifier: BSD-2-Clause
"""Starts bulkhead-gate by itself, and drives the disk behind it without a virtual machine.

Not a test itself. The programs are found through BULKHEAD_GATE, BULKHEAD_BLK and BULKHEAD_VU_BLK, which the build sets.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tools'))
sys.dont_write_bytecode = True

import tap  # noqa: E402  (found through the lines above)

GATE = os.environ.get('BULKHEAD_GATE', 'bulkhead-gate')
BLK = os.environ.get('BULKHEAD_BLK', 'bulkhead-blk')
VU_BLK = os.environ.get('BULKHEAD_VU_BLK', 'vu-blk')
PATIENCE = 30       # seconds; what takes longer hangs
RINGS = 0x100000000  # where vu-blk has its memory
DATA = 0x200000000
BOTH = '0:16G'
LENGTH = 4 << 20    # of the disk

main = tap.main


def wait_until(condition, what, patience=PATIENCE):
    """Waits for something that must come soon."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise AssertionError('%s: not after %s s' % (what, patience))
        time.sleep(0.01)


def children(pid):
    """The processes that a process has started, as {pid: command line}, the oldest first."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            text = path.read_text(encoding='utf-8', errors='replace')
            command = path.with_name('cmdline').read_bytes().split(b'\0')
        except OSError:
            continue
        fields = text.rpartition(')')[2].split()
        if int(fields[1]) == pid and fields[0] != 'Z':
            line = [part.decode(errors='replace') for part in command if part]
            found.append((int(fields[19]), int(path.parent.name), line))  # numbers of processes begin anew
    return {number: line for _, number, line in sorted(found)}


def is_closed(line):
    """Whether the other end of a connection closes it."""
    line.settimeout(PATIENCE)
    try:
        return line.recv(1) == b''
    except ConnectionResetError:
        return True


def run(*arguments, **options):
    """bulkhead-gate to its end: a CompletedProcess with text."""
    return subprocess.run([GATE, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False, **options)


class Gate:
    """A gate that works alone in front of a disk."""

    def __init__(self, folder, *arguments, command=None, listens=True, **popen):
        self.folder = folder
        self.socket = os.path.join(folder, 'front.sock')
        self.audit_path = os.path.join(folder, 'audit')
        self.metrics_path = os.path.join(folder, 'metrics.sock')
        self.log_path = os.path.join(folder, 'log')
        line = [GATE, '--type', 'blk', '--audit', self.audit_path, '--metrics', self.metrics_path, *arguments]
        line += ['--listen', self.socket] if listens else []
        line += ['--', *command] if command else []
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **popen)
        self.pid = self.process.pid

    def log(self):
        return pathlib.Path(self.log_path).read_text(encoding='utf-8')

    def says(self, text, times=1):
        if self.process.poll() is not None:
            raise AssertionError('the gate ended with %s: %s' % (self.process.returncode, self.log()))
        return self.log().count(text) >= times

    def wait_for(self, text, times=1):
        try:
            wait_until(lambda: self.says(text, times), text)
        except AssertionError as error:
            raise AssertionError('%s\n%s' % (error, self.log())) from error
        return self

    def wait_served(self):
        return self.wait_for('serves')

    def wait_busy(self):
        """Until requests go through it."""
        before = self.metric('requests_total')
        wait_until(lambda: self.metric('requests_total') > before + 50, 'requests')

    def inner(self):
        """The inner gate's process."""
        return [pid for pid, line in children(self.pid).items() if '--control' in line]

    def backs(self):
        """The back ends, the oldest first."""
        return [pid for pid, line in children(self.pid).items() if '--control' not in line]

    def audit(self, reason=None):
        """The audit lines, or those with a reason."""
        lines = [json.loads(line) for line in pathlib.Path(self.audit_path).read_text(encoding='utf-8').splitlines()]
        return [line for line in lines if reason is None or line['reason'] == reason]

    def ask_metrics(self, request=b'GET /metrics HTTP/1.0\r\n\r\n'):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self.metrics_path)
            line.sendall(request)
            answer = b''
            for part in iter(lambda: line.recv(65536), b''):
                answer += part
        return answer.decode()

    def metric(self, name):
        """The number of the one sample whose name begins so."""
        body = self.ask_metrics().partition('\r\n\r\n')[2]
        found = [line for line in body.splitlines() if line.startswith('bulkhead_gate_' + name)]
        assert len(found) == 1, found
        return float(found[0].rpartition(' ')[2])

    def vu(self, command, *options, data=None):
        return subprocess.run([VU_BLK, '--socket', self.socket, *options, command], input=data, capture_output=True,
                              timeout=3 * PATIENCE, check=False)

    def verify(self, count, *options):
        """Random requests with their data checked. What vu-blk says, if anything is wrong."""
        result = self.vu('verify', '--sector', '0', '--length', str(LENGTH), '--count', str(count),
                         '--timeout', '20000', *options)
        return None if result.returncode == 0 else (result.stdout + result.stderr).decode()

    def begin_verify(self, count, *options):
        """The same in the background; the result is `join()`ed."""
        return Background(lambda: self.verify(count, *options))

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)


class Background(threading.Thread):
    def __init__(self, work):
        super().__init__(daemon=True)
        self.work = work
        self.result = 'it did not end'
        self.start()

    def run(self):
        self.result = self.work()

    def join(self, timeout=3 * PATIENCE):
        super().join(timeout)
        return self.result


class Case(unittest.TestCase):
    """A folder for each test, with a disk; and an end for each gate."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='bulkhead-keeper-')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.image = os.path.join(self.folder, 'image')
        with open(self.image, 'wb') as file:
            file.truncate(LENGTH)
        self.blk = [BLK, '--fd', '{fd}', '--standby', '--blk-file', self.image]

    def gate(self, *arguments, command=None, backend=None, **options):
        if command is None and backend is None:
            command = self.blk
        gate = Gate(self.folder, *arguments, *(['--backend', backend] if backend else []), command=command, **options)
        self.addCleanup(gate.kill)
        return gate

    def check_ends(self, gate, status=0):
        """It ends in order, and leaves nothing behind."""
        started = list(children(gate.pid))
        self.assertEqual(gate.terminate(), status, gate.log())
        for pid in started:
            wait_until(lambda: not os.path.exists('/proc/%d/exe' % pid), 'process %d is gone' % pid)
        self.assertFalse(os.path.exists(gate.socket))
        self.assertFalse(os.path.exists(gate.metrics_path))
