#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The policy at a running daemon: --filter with a page that the test writes as a supervisor does, and --operations."""

import fcntl
import mmap
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time

import daemon

RNG = os.environ.get('BULKHEAD_RNG', 'bulkhead-rng')
VU_RNG = os.environ.get('BULKHEAD_VU_RNG', 'vu-rng')
CONSOLE = os.environ.get('BULKHEAD_CONSOLE', 'bulkhead-console')

SECTOR = 512
LATE = 4  # vu-rng: what was asked for did not come

# include/bulkhead/filter.h
MAGIC = 0x31664842
BYTES = 4096
RANGES_MAX = 250
# include/bulkhead/operations.h
READ, WRITE, FLUSH, DISCARD, ERASE, LIFETIME = (1 << bit for bit in range(6))
ALL = 0xffffffff
# linux/fcntl.h; Python 3.11 does not have the last
SEALS = {'seal': 1, 'shrink': 2, 'grow': 4, 'future-write': 0x10}


class Page:
    """A filter's page, written through the one mapping that can."""

    def __init__(self, operations=0, magic=MAGIC, size=BYTES, seals=tuple(SEALS)):
        self.fd = os.memfd_create('filter', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size)
        self.memory = mmap.mmap(self.fd, size) if size else None
        if self.memory:
            self.memory[:16] = struct.pack('=IIII', magic, 0, operations, 0)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, sum(SEALS[name] for name in seals))

    def put(self, offset, value):
        """Writes one word, in one store."""
        words = memoryview(self.memory).cast('I')
        words[offset // 4] = value
        words.release()

    def set(self, operations):
        self.put(8, operations)

    def close(self):
        if self.memory:
            self.memory.close()
        os.close(self.fd)


class Case(daemon.Case):
    def page(self, *arguments, **options):
        page = Page(*arguments, **options)
        self.addCleanup(page.close)
        return page

    def serve_page(self, page, *arguments, **popen):
        return self.serve('--filter', str(page.fd), *arguments, pass_fds=[page.fd], **popen)


class Disk(Case):
    # [BH-DEV-29]
    def test_filter_allows(self):
        blk = self.serve_page(self.page(ALL))
        self.assertTrue(blk.write(3, b'a' * SECTOR))
        self.assertEqual(blk.read(3, SECTOR), b'a' * SECTOR)
        self.assertTrue(blk.flush())
        self.assertEqual(blk.vu('discard', '--length', '65536').returncode, 0)
        self.assertEqual(blk.vu('verify', '--count', '300', '--block', '4096').returncode, 0)
        self.assertNotIn('refused', blk.log())

    # [BH-DEV-29, BH-BLK-40] Each operation alone is refused, and changes nothing.
    def test_filter_refuses(self):
        page = self.page()
        blk = self.serve_page(page)
        before = pathlib.Path(self.image).read_bytes()
        attempts = {
            READ: lambda: blk.read(0, SECTOR) is not None,
            WRITE: lambda: blk.write(0, b'x' * SECTOR),
            FLUSH: blk.flush,
            DISCARD: lambda: blk.vu('discard', '--length', '65536').returncode == 0,
            WRITE | 1 << 31: lambda: blk.vu('zeroes', '--length', '65536').returncode == 0,
        }
        for operation, attempt in attempts.items():
            page.set(ALL & ~operation)
            self.assertFalse(attempt(), operation)
            self.assertEqual(pathlib.Path(self.image).read_bytes(), before)
        page.set(0)
        for operation, attempt in attempts.items():
            self.assertFalse(attempt(), operation)
        self.assertEqual(pathlib.Path(self.image).read_bytes(), before)
        self.assertEqual(blk.vu('id').returncode, 0)
        for operation, attempt in attempts.items():
            page.set(operation)
            self.assertTrue(attempt(), operation)

    # [BH-DEV-30] The guest that is served notices with its next request; nobody is started anew.
    def test_filter_changes_under_a_busy_guest(self):
        page = self.page(READ)
        blk = self.serve_page(page)
        for _ in range(3):
            with subprocess.Popen([daemon.VU_BLK, '--socket', blk.socket, '--count', '100000000', 'bench'],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as busy:
                try:
                    time.sleep(0.1)
                    self.assertIsNone(busy.poll())
                    page.set(ALL & ~READ)
                    self.assertEqual(busy.wait(daemon.PATIENCE), 1)
                finally:
                    busy.kill()
            self.assertIsNone(blk.read(0, SECTOR))
            page.set(READ)
            self.assertEqual(blk.read(0, SECTOR), b'\1' * SECTOR)
        self.assertIsNone(blk.process.poll())
        blk.process.send_signal(signal.SIGUSR1)  # a disk needs none, and minds none
        self.assertEqual(blk.read(1, SECTOR), b'\2' * SECTOR)

    # [BH-DEV-33] The first at once; then what came meanwhile, each time with the sum.
    def test_filter_refusals_are_logged(self):
        page = self.page(READ)
        blk = self.serve_page(page)
        begin = time.monotonic()
        self.assertFalse(blk.write(0, b'x' * SECTOR))
        daemon.wait_until(lambda: 'does not allow it: write (1 in all)' in blk.log(), 'the first refusal in the log')
        for _ in range(9):
            self.assertFalse(blk.write(0, b'x' * SECTOR))
        self.assertFalse(blk.flush())
        daemon.wait_until(lambda: '(11 in all)' in blk.log(), 'the others in the log')
        seconds = time.monotonic() - begin
        lines = [line for line in blk.log().splitlines() if 'refused' in line]
        self.assertLessEqual(len(lines), 2 + seconds, blk.log())
        counted = [re.search(r'(\d+) requests, the last of them (\w+)', line) for line in lines]
        self.assertEqual(sum(int(match.group(1)) if match else 1 for match in counted), 11, lines)
        self.assertTrue(all('warning' in line for line in lines))

    # [BH-DEV-31] Whatever else stands there while it runs: it is read within the page, and the daemon lives.
    def test_filter_with_hostile_contents(self):
        page = self.page(READ)
        blk = self.serve_page(page)
        for offset, value in ((12, RANGES_MAX + 1), (12, ALL), (4, 1), (4, ALL), (0, 0), (16, ALL), (20, ALL)):
            page.put(offset, value)
            self.assertEqual(blk.read(0, SECTOR), b'\1' * SECTOR)
            self.assertFalse(blk.write(0, b'x' * SECTOR))
        page.memory[:] = b'\xff' * BYTES
        self.assertTrue(blk.write(0, b'x' * SECTOR))
        page.memory[:] = bytes(BYTES)
        self.assertIsNone(blk.read(0, SECTOR))
        self.assertIsNone(blk.process.poll())

    # [BH-DEV-27, BH-DEV-32] In the closed sandbox the page is there to be read, and no descriptor of it.
    def test_filter_is_a_mapping_that_reads(self):
        page = self.page(READ)
        blk = self.serve_page(page)
        self.assertEqual(blk.read(0, SECTOR), b'\1' * SECTOR)
        try:
            maps = pathlib.Path('/proc/%d/maps' % blk.pid).read_text(encoding='utf-8')
            links = [os.readlink('/proc/%d/fd/%s' % (blk.pid, fd)) for fd in os.listdir('/proc/%d/fd' % blk.pid)]
        except PermissionError:
            self.skipTest('only root may look into a process that is not dumpable')
        rights = [line.split()[1] for line in maps.splitlines() if '/memfd:filter' in line]
        self.assertEqual(rights, ['r--s'])
        self.assertEqual([link for link in links if 'filter' in link], [])
        self.assertEqual(blk.status()['Seccomp'], '2')

    # With a filter the sandbox closes as it does without.
    def test_filter_in_the_same_sandbox(self):
        def layers(blk):
            return re.search(r'sandbox closed:[^\n]*', blk.log()).group(0)
        without = self.serve('--null', '1M')
        expected = layers(without)
        without.kill()
        self.assertEqual(layers(self.serve_page(self.page(ALL), '--null', '1M')), expected)


class Refused(Case):
    """What is no page that could be relied on ends the daemon before it serves."""

    def refused(self, fd, reason, status=1, program=daemon.BLK, more=('--null', '1M')):
        result = subprocess.run([program, *more, '--socket-path', os.path.join(self.folder, 'socket'), '--filter',
                                 str(fd)], capture_output=True, text=True, timeout=daemon.PATIENCE, check=False,
                                stdin=subprocess.DEVNULL, pass_fds=[fd] if fd < 1000 else [])
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertIn(reason, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.folder, 'socket')))

    # [BH-DEV-32]
    def test_filter_refused_unsealed(self):
        for missing in SEALS:
            page = self.page(ALL, seals=[name for name in SEALS if name != missing])
            self.refused(page.fd, 'is not sealed')

    # [BH-DEV-31]
    def test_filter_refused_without_the_form(self):
        self.refused(self.page(ALL, magic=MAGIC + 1).fd, 'a form that this version does not know')
        for size in (0, BYTES - 1, 2 * BYTES):
            self.refused(self.page(ALL, size=size).fd, 'no memory file of 4096 bytes')
        with socket.socket() as other:
            self.refused(other.fileno(), 'no memory file')
        with open('/dev/zero', 'rb') as other:
            self.refused(other.fileno(), 'no memory file')

    def test_filter_refused_descriptor_that_is_not_open(self):
        for text in ('1077', '99999', 'x', '-1', ''):
            result = self.run_blk('--null', '1M', '--socket-path', self.folder + '/s', '--filter', text)
            self.assertEqual(result.returncode, 2, result.stderr)

    def test_filter_refused_by_a_device_without(self):
        page = self.page(ALL)
        for program, known in ((daemon.BLK, True), (RNG, True), (CONSOLE, False)):
            usage = subprocess.run([program, '--help'], capture_output=True, text=True, check=True, timeout=20).stdout
            self.assertEqual('--filter N' in usage, known, program)
        self.refused(page.fd, 'no policy speaks of what this device does', status=2, program=CONSOLE,
                     more=('--port', '/dev/null'))


class Entropy(Case):
    def serve_rng(self, page, *arguments):
        rng = self.start('--filter', str(page.fd), *arguments, program=RNG, pass_fds=[page.fd])
        return rng.wait_ready()

    def read_command(self, rng, length, timeout):
        return [VU_RNG, '--socket', rng.socket, '--length', str(length), '--timeout', str(timeout), 'read']

    def read(self, rng, length, timeout=1000 * daemon.PATIENCE):
        return subprocess.run(self.read_command(rng, length, timeout), capture_output=True, check=False,
                              timeout=2 * daemon.PATIENCE)

    # [BH-RNG-12, BH-DEV-29, BH-DEV-30] Held, unanswered, and released after the page changed.
    def test_filter_holds_random_bytes_and_releases_them(self):
        page = self.page(0)
        rng = self.serve_rng(page)
        self.assertIn('may not draw', rng.log())
        self.assertEqual(self.read(rng, 64, timeout=200).returncode, LATE)
        for _ in range(3):
            with subprocess.Popen(self.read_command(rng, 640, 1000 * daemon.PATIENCE), stdout=subprocess.PIPE) as guest:
                try:
                    time.sleep(0.2)
                    self.assertIsNone(guest.poll())
                    page.set(READ)
                    rng.process.send_signal(signal.SIGUSR1)
                    self.assertEqual(len(guest.communicate(timeout=daemon.PATIENCE)[0]), 640)
                    self.assertEqual(guest.returncode, 0)
                finally:
                    guest.kill()
            page.set(0)
            rng.process.send_signal(signal.SIGUSR1)
            self.assertEqual(self.read(rng, 64, timeout=200).returncode, LATE)
        self.assertEqual(rng.terminate()[0], 0)
        self.assertEqual(rng.log().count('the guest may draw'), 3)
        self.assertNotIn('warning', rng.log())

    # [BH-DEV-30] A signal without a change changes nothing, and a change counts without a signal.
    def test_filter_signal_is_only_a_hint(self):
        page = self.page(0)
        rng = self.serve_rng(page)
        rng.process.send_signal(signal.SIGUSR1)
        self.assertEqual(self.read(rng, 64, timeout=200).returncode, LATE)
        page.set(READ)
        self.assertEqual(len(self.read(rng, 64).stdout), 64)


class Operations(Case):
    # [BH-BLK-41, BH-BLK-16]
    def test_operations_withheld_are_not_offered(self):
        none = '0 sectors'
        for words, expected in (
                ('read,write,flush,discard,erase,lifetime', {'read-only': 'no', 'flush': 'yes'}),
                ('read,write', {'read-only': 'no', 'flush': 'no', 'discard': none}),
                ('write,read,flush,flush', {'read-only': 'no', 'flush': 'yes', 'discard': none}),
                ('read,flush', {'read-only': 'yes', 'flush': 'yes', 'discard': none, 'write-zeroes': none}),
                ('read', {'read-only': 'yes', 'flush': 'no', 'discard': none, 'write-zeroes': none})):
            blk = self.serve('--operations', words)
            info = blk.info()
            self.assertEqual({name: info[name] for name in expected}, expected, words)
            self.assertEqual(blk.read(0, SECTOR), b'\1' * SECTOR)
            self.assertEqual(blk.write(0, b'w' * SECTOR), 'write' in words, words)
            blk.kill()

    # [BH-BLK-41] The filter cannot give what is withheld.
    def test_operations_bound_the_filter(self):
        blk = self.serve_page(self.page(ALL), '--operations', 'write')
        self.assertIsNone(blk.read(0, SECTOR))
        self.assertTrue(blk.write(0, b'w' * SECTOR))
        self.assertEqual(pathlib.Path(self.image).read_bytes()[:SECTOR], b'w' * SECTOR)

    # [BH-BLK-17]
    def test_operations_without_write_open_the_image_to_read(self):
        self.make_image()
        os.chmod(self.image, 0o400)
        blk = self.serve('--blk-file', self.image, '--operations', 'read')
        flags = []
        try:
            for fd in os.listdir('/proc/%d/fd' % blk.pid):
                if os.readlink('/proc/%d/fd/%s' % (blk.pid, fd)) == self.image:
                    flags.append(pathlib.Path('/proc/%d/fdinfo/%s' % (blk.pid, fd)).read_text(encoding='utf-8'))
        except PermissionError:
            self.skipTest('only root may look into a process that is not dumpable')
        self.assertTrue(flags)
        for text in flags:
            self.assertEqual(int(text.split('flags:')[1].split()[0], 8) & os.O_ACCMODE, os.O_RDONLY)

    def test_operations_mistakes(self):
        for words, reason in (('', 'not ""'), ('read,', 'not ""'), ('read,wirte', 'not "wirte"'), ('all', 'not "all"'),
                              ('read write', 'not "read write"'), ('READ', 'not "READ"'),
                              ('read,discard', 'add write'), ('erase', 'add write')):
            result = self.run_blk('--null', '1M', '--socket-path', self.folder + '/s', '--operations', words)
            self.assertEqual(result.returncode, 2, words)
            self.assertIn(reason, result.stderr)


if __name__ == '__main__':
    daemon.main()
