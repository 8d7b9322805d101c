# SPDX-License-Identifier: BSD-2-Clause
"""Runs `bulkhead` as a user does, and platforms that only pretend.

Not a test itself. The programs are found through BULKHEAD and FAKE_SUPERVISOR, which the build sets.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tools'))
sys.dont_write_bytecode = True

import tap  # noqa: E402  (found through the lines above)

BULKHEAD = os.environ.get('BULKHEAD', 'bulkhead')
FAKE_SUPERVISOR = os.environ.get('FAKE_SUPERVISOR', 'fake_supervisor')
PATIENCE = 20  # seconds; what takes longer hangs

main = tap.main


def gate(state='serving', requests=0, megabytes=0, in_flight=0, restarts=0, stall=0):
    return {'state': state, 'requests': requests, 'bytes_read': megabytes << 20, 'bytes_written': 1 << 20,
            'copied': 0, 'refused': 0, 'limited': 0, 'in_flight': in_flight, 'restarts': restarts, 'stall_us': 0,
            'stall_us_max': stall}


def device(name, kind, pid, window=4 << 20, mapped=12 << 20, windows=3, its=None):
    return {'name': name, 'type': kind, 'resource': 'some', 'state': 'running' if pid else 'ended', 'pid': pid,
            'isolation': 'direct' if window else 'open', 'window': window, 'isolated': bool(pid), 'mapped': mapped,
            'mapped_windows': ['cluster/%d' % number for number in range(windows)], 'gate': its or gate()}


STATUS = {
    'platform': 'hello', 'definition': '/home/me/platform.yaml', 'pid': 100, 'state': 'running', 'since_ms': 5000,
    'mode': 'drive', 'modes': ['drive', 'park', 'workshop'], 'audit': {'path': '/state/audit.jsonl', 'lost': 0},
    'guests': [
        {'name': 'cluster', 'state': 'running', 'criticality': 'ASIL-B', 'engine': 'QEMU 11.1', 'accelerator': 'TCG',
         'detail': '', 'pid': 101, 'memory': {'private': 128 << 20, 'shared': 12 << 20},
         'gate': {'pid': 99, 'ready': True, 'restarts': 2},
         'devices': [device('root', 'blk', 102, its=gate('replacing', 12034, 811, 3, 1, 4250)), device('entropy', 'rng', 103, 1 << 20, 1 << 20 | 4096, 1)]},
        {'name': 'ivi', 'state': 'failed', 'criticality': 'QM', 'engine': 'QEMU 11.1', 'accelerator': 'KVM',
         'detail': 'its kernel panicked', 'pid': 0, 'memory': {'private': 0, 'shared': 256 << 20},
         'gate': {'pid': 0, 'ready': False, 'restarts': 0},
         'devices': [device('console', 'console', 0, 0, None)]},
    ]}


def wait_until(condition, what):
    """Waits for something that must come soon."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError('%s: not after %s s' % (what, PATIENCE))
        time.sleep(0.01)


class Case(unittest.TestCase):
    """A runtime folder for each test, and an end for each process."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='bulkhead-cli-')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.environment = {**os.environ, 'XDG_RUNTIME_DIR': self.folder}
        self.log = os.path.join(self.folder, 'log')

    def run_cli(self, *arguments, **options):
        """A CompletedProcess."""
        options = {'capture_output': True, 'text': True, 'check': False, 'timeout': PATIENCE,
                   'env': self.environment, 'stdin': subprocess.DEVNULL, **options}
        if 'input' in options:
            del options['stdin']
        return subprocess.run([BULKHEAD, *arguments], **options)

    def start(self, *arguments, **options):
        """A Popen that is ended with the test."""
        process = subprocess.Popen([BULKHEAD, *arguments], env=self.environment, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def refused(self, result, *texts, status=1):
        """It ended with `status`, printed nothing, and said `texts`."""
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, '')
        for text in texts:
            self.assertIn(text, result.stderr)
        self.assertRegex(result.stderr, r'\A(bulkhead: [^\n]+\n)+\Z')

    def run_platform(self, name='hello', status=None):
        """A platform that pretends to run."""
        path = os.path.join(self.folder, name + '.json')
        pathlib.Path(path).write_text(json.dumps(STATUS if status is None else status), encoding='utf-8')
        log = os.path.join(self.folder, name + '.log')
        with open(log, 'wb') as output:
            process = subprocess.Popen([FAKE_SUPERVISOR, name, path], env=self.environment, stdout=output,
                                       stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.log = lambda: pathlib.Path(log).read_text(encoding='utf-8')
        wait_until(lambda: process.poll() is not None or 'ready' in process.log(), name)
        self.assertIsNone(process.poll(), process.log())
        return process
