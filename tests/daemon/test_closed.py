#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The sandbox of a serving daemon, seen from outside: what the kernel says that it still has."""

import os
import pathlib
import re
import resource
import subprocess
import time

import daemon

NAMESPACES = ('user', 'mnt', 'net', 'ipc', 'uts', 'cgroup')


class Closed(daemon.Case):
    def layers(self, blk):
        """The layers that the daemon says are closed, and those that are not."""
        match = re.search(r'sandbox closed:([^;\n]*)(?:; NOT closed:(.*))?', blk.log())
        self.assertIsNotNone(match, blk.log())
        return match.group(1).split(), match.group(2) or ''

    def link(self, blk, name):
        try:
            return os.readlink('/proc/%d/%s' % (blk.pid, name))
        except PermissionError:
            self.skipTest('only root may look into a process that is not dumpable')
            return None

    # [BH-DEV-27]
    def test_closed_status(self):
        blk = self.serve()
        status = blk.status()
        self.assertEqual(status['NoNewPrivs'], '1')
        self.assertEqual(status['Seccomp'], '2')
        for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
            self.assertEqual(int(status[name], 16), 0, name)
        closed, _ = self.layers(blk)
        self.assertIn('seccomp', closed)
        if 'capabilities' in closed:
            self.assertEqual(int(status['CapBnd'], 16), 0)
        if 'identity' in closed:
            self.assertNotIn('0', status['Uid'].split())
            self.assertNotIn('0', status['Gid'].split())
            if os.geteuid() == 0:
                self.assertEqual(status['Groups'], '')

    def test_closed_namespaces(self):
        blk = self.serve()
        if 'namespaces' not in self.layers(blk)[0]:
            self.skipTest('the kernel allows no namespaces')
        for name in NAMESPACES:
            self.assertNotEqual(self.link(blk, 'ns/' + name), os.readlink('/proc/self/ns/' + name), name)

    def test_closed_root_is_empty(self):
        blk = self.serve()
        if 'root' not in self.layers(blk)[0]:
            self.skipTest('the kernel allows no mounts')
        self.link(blk, 'root')
        self.assertEqual(os.listdir('/proc/%d/root/' % blk.pid), [])
        mounts = pathlib.Path('/proc/%d/mountinfo' % blk.pid).read_text(encoding='utf-8').splitlines()
        self.assertEqual(len(mounts), 1, mounts)
        self.assertIn(' / / ro,', mounts[0])

    def test_closed_limits(self):
        blk = self.serve()
        limits = {}
        for line in pathlib.Path('/proc/%d/limits' % blk.pid).read_text(encoding='utf-8').splitlines():
            match = re.match(r'Max (.+?)\s{2,}(\S+)\s+(\S+)', line)
            if match:
                limits[match.group(1)] = (match.group(2), match.group(3))
        self.assertEqual(limits['core file size'], ('0', '0'))
        self.assertEqual(limits['open files'], ('1024', '1024'))

    # Nothing is open but what it needs, whatever it inherited.
    def test_closed_lower_limits_stay(self):
        def lower():
            resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
        blk = self.serve(preexec_fn=lower)
        self.assertIn('limits', self.layers(blk)[0])
        limits = pathlib.Path('/proc/%d/limits' % blk.pid).read_text(encoding='utf-8')
        self.assertRegex(limits, r'Max open files +512 +512 ')

    def test_closed_descriptors(self):
        with open('/etc/passwd', 'rb') as stray:
            blk = self.serve(pass_fds=[stray.fileno()])
        self.link(blk, 'root')
        open_now = sorted(os.readlink('/proc/%d/fd/%s' % (blk.pid, fd)) for fd in os.listdir('/proc/%d/fd' % blk.pid))
        expected = [r'/dev/null', r'/dev/null', re.escape(blk.log_path), re.escape(self.image),
                    r'anon_inode:\[eventpoll\]', r'anon_inode:\[signalfd\]', r'anon_inode:\[io_uring\]', r'socket:.*']
        for pattern in expected:
            match = [name for name in open_now if re.fullmatch(pattern, name)]
            self.assertTrue(match, (pattern, open_now))
            open_now.remove(match[0])
        # Timers, and the port's own events.
        self.assertEqual([name for name in open_now if not re.fullmatch(r'anon_inode:\[(timerfd|eventfd)\]', name)], [])

    def test_closed_mappings_are_not_writable_and_executable(self):
        blk = self.serve('--blk-file', self.make_image(16 << 20))
        blk.vu('verify', '--count', '100')
        try:
            maps = pathlib.Path('/proc/%d/maps' % blk.pid).read_text(encoding='utf-8')
        except PermissionError:
            self.skipTest('only root may look into a process that is not dumpable')
        self.assertNotRegex(maps, r'(?m)^\S+ .w x')
        self.assertNotRegex(maps, r'(?m)^\S+ .wx')
        self.assertNotRegex(maps, r'(?m)^\S+ ..xs')

    # The sandbox holds all that a back end has to do: nothing it needs was forgotten.
    def test_closed_daemon_works(self):
        blk = self.serve('--blk-file', self.make_image(16 << 20))
        for _ in range(3):
            for more in (['--inflight'], ['--packed', '--queues', '4'], ['--indirect']):
                result = blk.vu('verify', '--count', '300', *more)
                self.assertEqual(result.returncode, 0, (result.stderr, blk.log()))
        self.assertEqual(blk.terminate()[0], 0)

    def test_closed_memory_stays_small(self):
        blk = self.serve('--blk-file', self.make_image(64 << 20))
        self.assertEqual(blk.vu('verify', '--count', '2000', '--block', '4096', '--queues', '4', '--depth', '32').returncode, 0)
        try:
            rollup = pathlib.Path('/proc/%d/smaps_rollup' % blk.pid).read_text(encoding='utf-8')
        except PermissionError:
            self.skipTest('only root may look into a process that is not dumpable')
        if 'asan' in pathlib.Path('/proc/%d/maps' % blk.pid).read_text(encoding='utf-8'):
            self.skipTest('a sanitizer takes more')
        self.assertLess(int(re.search(r'(?m)^Pss:\s+(\d+) kB', rollup).group(1)), 2048)

    def test_closed_strict_is_all_or_nothing(self):
        blk = self.start('--null', '1M', '--sandbox', 'strict')
        deadline = time.monotonic() + daemon.PATIENCE
        while blk.process.poll() is None and 'sandbox' not in blk.log() and time.monotonic() < deadline:
            time.sleep(0.01)
        if 'NOT closed' in blk.log():
            self.assertEqual(blk.wait_end(), 3)
        else:
            self.assertEqual(blk.info()['capacity'], str(1 << 20))

    # A layer that is missing is named; strict refuses to go on without it.
    def test_closed_missing_layer_is_named(self):
        # The kernel allows no further namespace there.
        allow_none = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
        command = ['unshare', '--user', '--map-root-user', 'sh', '-c', allow_none, 'sh', daemon.BLK, '--null', '1M']
        result = subprocess.run([*command, '--socket-path', os.path.join(self.folder, 'socket'), '--sandbox', 'strict'],
                                capture_output=True, text=True, check=False, timeout=daemon.PATIENCE)
        if 'unshare failed' in result.stderr:
            self.skipTest('the kernel allows no namespaces')
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertRegex(result.stderr, r'NOT closed:.*namespaces \(')

    def test_closed_off_says_so(self):
        blk = self.serve('--sandbox', 'off')
        self.assertIn('sandbox is off', blk.log())
        self.assertEqual(blk.status()['Seccomp'], '0')


if __name__ == '__main__':
    daemon.main()
