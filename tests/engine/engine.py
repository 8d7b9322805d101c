# SPDX-License-Identifier: BSD-2-Clause
"""Runs platforms whose engine only pretends (fake_qemu.c), with real back ends, and looks at what is left of them.

Not a test itself. The programs are found through BULKHEAD and FAKE_QEMU, which the build sets. This process adopts what
a run leaves behind, so that no process can hide.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tools'))
sys.dont_write_bytecode = True

import tap  # noqa: E402  (found through the lines above)

BULKHEAD = os.environ.get('BULKHEAD', 'bulkhead')
FAKE_QEMU = os.environ.get('FAKE_QEMU', 'fake_qemu')
PATIENCE = 30  # seconds; what takes longer hangs
PR_SET_CHILD_SUBREAPER = 36

# The exit statuses of `bulkhead run` (include/bulkhead/engine_supervisor.h).
OK, REFUSED, USAGE, GUEST, BACKEND, ENGINE, INTERNAL = range(7)

main = tap.main


def descendants(pid):
    """The processes below that one, with their names: {pid: name}. Zombies too."""
    below = {}
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().partition('(')[2].rpartition(')')
            below.setdefault(int(rest.split()[1]), {})[int(stat.parent.name)] = name
    found, ahead = {}, [pid]
    while ahead:
        children = below.get(ahead.pop(), {})
        found.update(children)
        ahead += children
    return found


def limit_descriptors(most):
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Run:
    """One `bulkhead run`. What it prints goes to a file, or to `reader`."""

    def __init__(self, case, *, stdout=None, **popen):
        self.case = case
        self.platform = case.platform
        self.state = case.state
        self.path = os.path.join(case.folder, 'output-' + case.platform)
        command = [case.program, 'run', '--state', self.state, *case.options, case.definition]
        with open(self.path, 'wb') as output:
            self.process = subprocess.Popen(command, env=case.environment, stdin=subprocess.DEVNULL,
                                            stdout=stdout or output, stderr=output, start_new_session=True, **popen)

    def text(self):
        return pathlib.Path(self.path).read_text(encoding='utf-8')

    def lines(self, label):
        """What that name said, without the name."""
        return [text for name, _, text in (line.partition('| ') for line in self.text().splitlines())
                if name.strip() == label]

    def wait_for(self, text):
        self.case.wait_until(lambda: text in self.text() or self.process.poll() is not None, text, self)
        if text not in self.text():
            raise AssertionError('ended with %s before "%s":\n%s' % (self.process.returncode, text, self.text()))

    def wait_running(self):
        for guest in self.case.guests:
            self.wait_for('| %s: runs' % guest)

    def call(self, **request):
        """A request to the control socket: the answer, and the descriptor that came along or None."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
            control.settimeout(PATIENCE)
            control.connect(os.path.join(self.case.runtime, 'bulkhead', self.platform, 'control'))
            control.send(json.dumps(request).encode())
            data, fds, _, _ = socket.recv_fds(control, 65536, 1)
        return json.loads(data), fds[0] if fds else None

    def audit(self, event=None):
        """The entries of the audit log so far."""
        with open(os.path.join(self.state, 'audit.jsonl'), encoding='ascii') as log:
            entries = [json.loads(line) for line in log]
        return [entry for entry in entries if event in (None, entry['event'])]

    def audit_spares(self, device='root', guest='a'):
        """The processes that stand by: started ahead, alive, and not the one that serves."""
        alive = descendants(self.process.pid)
        return [entry['pid'] for entry in self.audit('backend')
                if entry['state'] == 'started' and entry['standby'] and entry['device'] == device and
                entry['guest'] == guest and entry['pid'] in alive and entry['pid'] != self.device(device, guest)['pid']]

    def guest(self, name='a'):
        status = self.call(request='status')[0]['status']
        return next(guest for guest in status['guests'] if guest['name'] == name)

    def device(self, name, guest='a'):
        return next(device for device in self.guest(guest)['devices'] if device['name'] == name)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError('it does not end:\n' + self.text()) from None

    def stop(self):
        self.signal(signal.SIGINT)
        return self.end()


class Case(unittest.TestCase):
    """A folder with a kernel, disks and an engine; in the end nothing of the run may be left."""

    guests = ('a',)
    program = BULKHEAD
    platform = 'test'
    options = ()  # more of `bulkhead run`

    @classmethod
    def setUpClass(cls):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='bulkhead-engine-')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.runtime = os.path.join(self.folder, 'runtime')
        os.mkdir(self.runtime, 0o700)
        self.state = os.path.join(self.folder, 'state')
        self.environment = {**os.environ, 'XDG_RUNTIME_DIR': self.runtime}
        self.definition = os.path.join(self.folder, 'platform.yaml')
        self.engine = os.path.join(self.folder, 'fake_qemu')
        shutil.copy(FAKE_QEMU, self.engine)
        # An arm64 kernel image, as far as its header goes.
        self.write('Image', struct.pack('<IIQQQQQQ4sI', 0x14000010, 0, 0, 1 << 20, 0, 0, 0, 0, b'ARM\x64', 0) +
                   bytes(4096))
        for guest in self.guests:
            self.write(guest + '.img', bytes(1 << 20))
        self.define()
        self.addCleanup(self.look_for_leftovers)

    def write(self, name, data):
        with open(os.path.join(self.folder, name), 'wb') as file:
            file.write(data if isinstance(data, bytes) else data.encode())

    def define(self, stop_within='3s', modes=('normal',), allow=None, devices=(), resources=(), keys=None, root=''):
        """A definition. `allow` has the policy lines in place of the usual ones, each the text between its braces;
        `devices` and `resources` are more lines of theirs, `keys` has more lines of guests, by name; `root` has more
        keys of the disks.
        """
        text = ['bulkhead: 1', 'name: ' + self.platform, 'engine: { qemu: fake_qemu }',
                'modes: [%s]' % ', '.join(modes), 'resources:']
        text += ['  %s-disk: { type: disk, image: %s.img }' % (name, name) for name in self.guests]
        text += ['  random: { type: entropy }', *('  ' + line for line in resources), 'guests:']
        for name in self.guests:
            text += ['  %s:' % name, '    arch: arm64', '    memory: 128M', '    stop-within: ' + stop_within,
                     '    boot: { kernel: Image }', *('    ' + line for line in (keys or {}).get(name, ())),
                     '    devices:',
                     '      root: { type: blk, resource: %s-disk%s }' % (name, root),
                     '      entropy: { type: rng, resource: random }',
                     '      terminal: { type: console, ports: [diag] }', *('      ' + line for line in devices)]
        usual = [line for name in self.guests for line in (
            'guest: %s, resource: random, allow: [read]' % name,
            'guest: %s, resource: %s-disk, allow: [read, write, flush, discard]' % (name, name))]
        text += ['policy:', *('  - { %s }' % line for line in allow or usual)]
        self.write('platform.yaml', '\n'.join(text) + '\n')

    def script(self, *words, guest='a'):
        self.write('fake_qemu.%s' % guest, '\n'.join(words))

    def start(self, **options):
        run = Run(self, **options)
        self.addCleanup(self.put_down, run)
        return run

    def start_running(self, **options):
        run = self.start(**options)
        run.wait_running()
        return run

    @staticmethod
    def put_down(run):
        """For a test that failed: what it started ends with its supervisor."""
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()

    def wait_until(self, condition, what, run=None):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError('%s: not after %s s\n%s' % (what, PATIENCE, run.text() if run else ''))
            time.sleep(0.01)

    def locked(self, name):
        """Whether somebody has a lock on that image."""
        with open(os.path.join(self.folder, name), 'rb+') as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    def gone(self):
        """Reaps what was adopted; whether nothing is left."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
        return not descendants(os.getpid())

    def look_for_leftovers(self):
        """No process, no socket or folder, no lock."""
        self.wait_until(self.gone, 'processes are left: %s' % descendants(os.getpid()))
        for guest in self.guests:
            if os.path.exists(os.path.join(self.folder, guest + '.img')):
                self.assertFalse(self.locked(guest + '.img'), 'an image is locked')
        left = [str(path) for path in pathlib.Path(self.runtime).rglob('*') if path.name != 'bulkhead']
        self.assertEqual(left, [])
