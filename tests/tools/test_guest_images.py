#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows that guest images are the same bytes each time, and that a kernel option that was lost is found.

What it is not: a boot.  tests/run/ has the guests.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import tap

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'tools' / 'guest'))
sys.dont_write_bytecode = True

import image  # noqa: E402  (found through the path above)
import make_kernel  # noqa: E402


class Images(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        environment = mock.patch.dict(os.environ, BULKHEAD_CACHE=folder.name)
        environment.start()
        self.addCleanup(environment.stop)

    def tree(self, name, umask, order):
        """A small root; what is written is the same, how it comes about is not."""
        root = self.folder / name
        before = os.umask(umask)
        try:
            (root / 'etc').mkdir(parents=True)
            for file in order:
                (root / 'etc' / file).write_text(f'{file}\n' * 100)
            (root / 'etc' / 'run me').write_text('#!/bin/sh\n')
            (root / 'etc' / 'run me').chmod(0o700)
            (root / 'sh').symlink_to('etc/run me')
        finally:
            os.umask(before)
        if os.geteuid() == 0 and umask != 0o022:
            for path in root.rglob('*'):
                os.chown(path, 4242, 4242, follow_symlinks=False)
        return root

    def disk(self, tree, name='guest'):
        disk = self.folder / f'{tree.name}-{name}.ext4'
        image.ext4(tree, disk, name, 8 * image.MIB)
        return disk

    def test_same_disk_whoever_makes_it_and_when(self):
        first = self.disk(self.tree('one', 0o022, ['a', 'b', 'c']))
        time.sleep(1.1)  # a file system's times count seconds
        second = self.disk(self.tree('two', 0o077, ['c', 'a', 'b']))
        self.assertEqual(first.read_bytes(), second.read_bytes())

    def test_another_guest_has_another_identity(self):
        tree = self.tree('one', 0o022, ['a'])
        uuids = {subprocess.check_output(['dumpe2fs', '-h', str(self.disk(tree, name))], text=True,
                                         stderr=subprocess.DEVNULL).split('Filesystem UUID:')[1]
                 .split()[0] for name in ('cluster', 'ivi')}
        self.assertEqual(len(uuids), 2)

    def test_disk_is_a_sound_file_system(self):
        disk = self.disk(self.tree('one', 0o022, ['a']))
        subprocess.run(['e2fsck', '-f', '-n', str(disk)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def test_disk_may_be_longer_than_its_file_system(self):
        disk = self.folder / 'long.ext4'
        image.ext4(self.tree('one', 0o022, []), disk, 'long', 8 * image.MIB, 9 * image.MIB)
        self.assertEqual(disk.stat().st_size, 9 * image.MIB)

    def test_same_initrd(self):
        busybox = self.folder / 'busybox'
        busybox.write_bytes(b'program')
        first = image.initrd(busybox)
        os.utime(busybox, (1, 1))
        self.assertEqual(first, image.initrd(busybox))
        self.assertIn(b'TRAILER!!!', first)


class KernelOptions(unittest.TestCase):
    def refused(self, wanted, found):
        return make_kernel.refused(wanted, make_kernel.options(found))

    def test_what_is_set_is_accepted(self):
        self.assertEqual(self.refused('# why\nCONFIG_A=y\nCONFIG_B=n\nCONFIG_C=1\n',
                                      'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=1\n'), [])

    def test_what_is_lost_is_named(self):
        self.assertEqual(self.refused('CONFIG_A=y\n', '# CONFIG_A is not set\n'),
                         ['CONFIG_A=y was asked for, it is n'])

    def test_what_came_back_is_named(self):
        self.assertEqual(self.refused('CONFIG_A=n\n', 'CONFIG_A=y\n'),
                         ['CONFIG_A=n was asked for, it is y'])

    def test_our_options_are_sorted_within_their_groups(self):
        for group in make_kernel.CONFIG.read_text().split('\n\n'):
            # As a person sorts them: the underscore stands before letters.
            names = [line.split('=')[0].replace('_', ' ') for line in group.splitlines()
                     if line.startswith('CONFIG_')]
            self.assertEqual(names, sorted(names))


if __name__ == '__main__':
    tap.main()
