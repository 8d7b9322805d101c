# SPDX-License-Identifier: BSD-2-Clause
"""Starts a gate with an attacker behind or in front of it, and a neighbour that must not notice.

Not a test itself. The programs are found through the environment, which the build sets: BULKHEAD_GATE,
BULKHEAD_HOSTILE_BACKEND, BULKHEAD_HOSTILE_GUEST. BULKHEAD_GATE_SANDBOX is the gate's sandbox mode, if not its own.
"""

import atexit
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tools'))
sys.dont_write_bytecode = True

import tap  # noqa: E402  (found through the lines above)

GATE = os.environ.get('BULKHEAD_GATE', 'bulkhead-gate')
BACKEND = os.environ.get('BULKHEAD_HOSTILE_BACKEND', 'hostile-backend')
GUEST = os.environ.get('BULKHEAD_HOSTILE_GUEST', 'hostile-guest')
SANDBOX = os.environ.get('BULKHEAD_GATE_SANDBOX')

PATIENCE = int(os.environ.get('HOSTILE_PATIENCE', '60'))
IMPATIENT, PATIENT = 500, 10000  # milliseconds that a gate waits for a back end

# The guest's memory (guest.h).
PRIVATE, RINGS, DATA, OTHER, PART = 0x40000000, 0x100000000, 0x100100000, 0x110000000, 0x100000
AREAS = ('private', 'rings', 'data', 'other')
# What a read buffer holds before it is read into: device-writable, and not for the back end's eyes where it is copied.
WRITABLE = 'ee' * 16

main = tap.main


def wait_until(condition, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise AssertionError('%s: not after %s s' % (what, patience))
        time.sleep(0.01)


def new_secrets():
    return {area: secrets.token_hex(16) for area in AREAS}


def secret_options(known):
    return [word for name, value in known.items() for word in ('--secret', '%s=%s' % (name, value))]


def region(address, size=PART):
    return '0x%x:0x%x' % (address, size)


def listens(path):
    """Whether somebody listens on a Unix socket; finding out by connecting would be heard."""
    with open('/proc/net/unix', encoding='utf-8') as table:
        return any(line.split()[-1] == path and line.split()[3] == '00010000' for line in table)


class Gate:
    """A gate that works alone, with a back end that it starts."""

    def __init__(self, folder, mode, back_end, options=(), deadline=PATIENT):
        self.folder = folder
        self.socket = os.path.join(folder, 'front')
        self.audit_path = os.path.join(folder, 'audit')
        self.log_path = os.path.join(folder, 'log')
        command = [GATE, '--listen', self.socket, '--type', 'blk', '--mode', mode, '--queues', '2', '--queue-size', '64',
                   '--arena', '4M', '--deadline', str(deadline), '--restarts', '1000', '--audit', self.audit_path]
        command += ['--sandbox', SANDBOX] if SANDBOX else []
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen([*command, *options, '--', *back_end], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        wait_until(lambda: listens(self.socket) or self.process.poll() is not None, 'the gate listens')

    def log(self):
        return pathlib.Path(self.log_path).read_text(encoding='utf-8', errors='replace')

    def audit(self):
        """The lines of the audit log; a line that is no JSON is an error."""
        if not os.path.exists(self.audit_path):
            return []
        return [json.loads(line) for line in pathlib.Path(self.audit_path).read_text(encoding='utf-8').splitlines()]

    def reasons(self):
        return [line['reason'] for line in self.audit()]

    def alive(self):
        return self.process.poll() is None

    def inner(self):
        """The process ids of the gate itself: the keeper's children of that name."""
        path = '/proc/%d/task/%d/children' % (self.process.pid, self.process.pid)
        found = []
        for pid in pathlib.Path(path).read_text(encoding='ascii').split():
            try:
                if os.path.samefile('/proc/%s/exe' % pid, GATE):
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def stop(self):
        """Ends the gate; returns its exit status."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return 'killed'


def image(folder):
    path = os.path.join(folder, 'image')
    with open(path, 'wb') as file:
        file.truncate(8 << 20)
    return path


def back_end(folder, attack, *options, known=None):
    """The command of a back end that attacks."""
    return [BACKEND, '--fd', '{fd}', '--image', image(folder), '--state', folder, '--attack', attack, *map(str, options),
            *secret_options(known or {})]


def run_guest(socket, known, *arguments):
    """Runs a guest to its end; returns (exit status, what it said)."""
    ran = subprocess.run([GUEST, '--socket', socket, *secret_options(known), *map(str, arguments)],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
                         check=False)
    return ran.returncode, ran.stdout.decode(errors='replace')


class Neighbour:
    """A guest with a gate and an honest disk of its own, busy all the time."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix='neighbour-')
        self.secrets = new_secrets()
        self.gate = Gate(self.folder.name, 'shadow', back_end(self.folder.name, 'honest'), ['--share', region(DATA)])
        self.guest = subprocess.Popen([GUEST, '--socket', self.gate.socket, *secret_options(self.secrets), '--depth', '2',
                                       '--count', '50', 'neighbour'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)

    def operations(self):
        """How many it has verified so far. It has seen no error, or this raises."""
        try:
            self.guest.stdin.write(b'?\n')
            self.guest.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.guest.stdout.readline()
        if not line.strip().isdigit():
            raise AssertionError('the neighbour noticed: %s%s' % ((line + self.guest.stdout.read()).decode(),
                                                                 self.gate.log()))
        return int(line)

    def abandon(self):
        """Nothing stays behind, whatever became of the tests."""
        self.guest.kill()
        self.guest.wait()
        self.gate.stop()

    def stop(self):
        self.guest.stdin.close()
        said = self.guest.stdout.read().decode()
        status = self.guest.wait(PATIENCE)
        ended = self.gate.stop()
        reasons = self.gate.reasons()
        self.folder.cleanup()
        return status, said, ended, reasons


class Cases(unittest.TestCase):
    """One neighbour for all cases of a program."""
    neighbour = None

    @classmethod
    def setUpClass(cls):
        if Cases.neighbour is None:
            Cases.neighbour = Neighbour()
            atexit.register(Cases.neighbour.abandon)

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix='hostile-')
        self.new_folder()
        self.secrets = new_secrets()
        self.gate = None
        self.before = self.neighbour.operations()

    def new_folder(self):
        """For one attacker: its files are its own."""
        os.chmod(self.directory.name, 0o755)
        self.folder = tempfile.mkdtemp(dir=self.directory.name)
        os.chmod(self.folder, 0o755)

    def tearDown(self):
        """Nobody but the attacked noticed, and the gate ends in order, with nothing that a sanitizer has to say."""
        try:
            self.assertGreater(self.neighbour.operations(), self.before)
            if self.gate is not None:
                status = self.gate.stop()
                log = self.gate.log()
                self.assertEqual(status, 0, log)
                # No other gate had to take over.
                self.assertNotIn('adopted', self.gate.reasons(), log)
                for word in ('Sanitizer', 'runtime error'):
                    self.assertNotIn(word, log)
        finally:
            if self.gate is not None and self.gate.alive():
                self.gate.stop()
            self.directory.cleanup()

    def report(self):
        """What the attacker says: lines without their generation."""
        path = pathlib.Path(self.folder, 'report')
        text = path.read_text(encoding='utf-8', errors='replace') if path.exists() else ''
        return [line.split(' ', 1)[1] for line in text.splitlines() if ' ' in line]

    def told(self, word):
        """The second words of the report's lines that begin with `word`."""
        return {line.split(' ')[1] for line in self.report() if line.startswith(word + ' ')}

    def everything(self, said=''):
        """For a failure: all that there is to read."""
        lines = [line for line in self.report() if not line.startswith('message')]
        return '%s\n--- gate\n%s\n--- audit\n%s\n--- back end\n%s' % (
            said, self.gate.log(), '\n'.join(map(str, self.gate.audit())), '\n'.join(lines[-40:]))


class LastNeighbour(Cases):
    """Sorted behind all others: the neighbour ends, and has nothing to report."""

    def tearDown(self):
        self.directory.cleanup()

    def test_neighbour_noticed_nothing(self):
        status, said, ended, reasons = self.neighbour.stop()
        self.assertEqual((status, ended), (0, 0), said)
        self.assertIn('intact', said)
        self.assertEqual([reason for reason in reasons if reason != 'front-end-gone'], [])
