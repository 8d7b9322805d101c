#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The systemd unit of `bulkhead build`: that systemd takes it, how much it leaves open, and what follows from what.

That a platform lives in the sandbox that it describes: tests/engine/test_unit.py.
"""

import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'tests' / 'tools'))

import tap  # noqa: E402

BULKHEAD = os.path.abspath(os.environ['BULKHEAD'])
EXPOSURE_MAX = 2.6
PROGRAM = '/usr/bin/bulkhead'
FOLDER = '/srv/bulkhead/p/'

DEFINITION = '''bulkhead: 1
name: p
{more}
resources:
  disk: {{ type: disk, image: {image}{flags} }}
guests:
  g:
    arch: arm64
    memory: 128M
    stop-within: 1500ms
    boot: {{ kernel: Image }}
    {keys}
    devices:
      root: {{ type: blk, resource: disk, window: 16M }}
policy:
  - {{ guest: g, resource: disk, allow: [{allow}] }}
'''


def directives(text):
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition('=')
        if equals and not line.startswith('#'):
            found.setdefault(name, []).append(value)
    return found


class Units(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='bulkhead-units-'))
        self.addCleanup(shutil.rmtree, self.folder, True)
        header = struct.pack('<IIQQQQQQ4sI', 0, 0, 0, 1 << 20, 10, 0, 0, 0, b'ARM\x64', 0)
        (self.folder / 'Image').write_bytes(header.ljust(4096, b'\0'))

    def build(self, path, *options):
        """The text of its unit."""
        out = self.folder / 'out'
        done = subprocess.run([BULKHEAD, 'build', '-o', out, *options, path], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        units = list(out.glob('*.service'))
        self.assertEqual(1, len(units))
        text = units[0].read_text(encoding='utf-8')
        units[0].unlink()
        return text

    def unit(self, *options, image='a.img', flags='', allow='read', keys='', more='', name='p.yaml'):
        path = self.folder / name
        path.write_text(DEFINITION.format(image=image, flags=flags, allow=allow, keys=keys, more=more), encoding='utf-8')
        return self.build(path, *options)

    def analyse(self, text, *arguments):
        """What systemd-analyze says of it. The program has to be there, so it is this one."""
        path = self.folder / 'bulkhead-test.service'
        path.write_text(text.replace(PROGRAM, '/bin/true'), encoding='utf-8')
        return subprocess.run(['systemd-analyze', *arguments, path], capture_output=True, text=True, check=False,
                              env={**os.environ, 'LANG': 'C.UTF-8', 'SYSTEMD_COLORS': '0'})

    def verify(self, text):
        done = self.analyse(text, 'verify', '--man=no')
        self.assertEqual((0, ''), (done.returncode, done.stdout + done.stderr), text)

    def test_examples_are_taken_and_closed(self):
        shutil.copytree(ROOT / 'examples', self.folder / 'examples', ignore=shutil.ignore_patterns('images'))
        for path in sorted((self.folder / 'examples').glob('*/*.yaml')):
            images = path.parent / 'images'
            images.mkdir(exist_ok=True)
            for name in ('Image', 'initrd'):
                shutil.copy(self.folder / 'Image', images / name)
            text = self.build(path)
            self.verify(text)
            done = self.analyse(text, 'security', '--offline=yes', '--no-pager')
            exposure = float(re.search(r'exposure level for \S+: ([\d.]+)', done.stdout).group(1))
            print(f'# {path.relative_to(self.folder)}: exposure {exposure}')
            self.assertLessEqual(exposure, EXPOSURE_MAX)

    def test_every_directive_has_a_reason(self):
        for block in re.split(r'\n\n|\n(?=\[)', self.unit()):
            lines = [line for line in block.splitlines() if not line.startswith('[')]
            if lines and not lines[0].startswith(('Description=', 'WantedBy=')):
                self.assertTrue(lines[0].startswith('# '), block)

    def test_nasty_names(self):
        for nasty in ('a b.img', 'a%n$HOME.img', 'a"q".img', "it's.img", 'a\\x20b.img', ';#=:,.img', 'ä.img', '-a.img'):
            quoted = '"%s"' % nasty.replace('\\', '\\\\').replace('"', '\\"')
            text = self.unit(image=quoted, name=nasty + '.yaml')
            self.verify(text)
            found = directives(text)
            decoded = [word.replace('%%', '%') for word in shlex.split(found['ReadOnlyPaths'][0])]
            self.assertEqual(['-' + FOLDER + nasty], decoded)
            decoded = [word.replace('%%', '%') for word in shlex.split(found['RequiresMountsFor'][0])]
            self.assertEqual([FOLDER.rstrip('/'), FOLDER + nasty], decoded)
            command = [word.replace('%%', '%').replace('$$', '$') for word in shlex.split(found['ExecStart'][0])]
            self.assertEqual(FOLDER + nasty + '.yaml', command[-1])

    def test_a_disk_by_its_rights(self):
        self.assertEqual(['-' + FOLDER + 'a.img'], directives(self.unit())['ReadOnlyPaths'])
        self.assertEqual(['-' + FOLDER + 'a.img'], directives(self.unit(allow='read, write'))['ReadWritePaths'])
        found = directives(self.unit(image='../d/./x//a.img', allow='read, write'))
        self.assertEqual(['-/srv/bulkhead/d/x/a.img'], found['ReadWritePaths'])

    def test_rights_of_any_mode(self):
        more = 'modes: [drive, workshop]'
        path = self.folder / 'modes.yaml'
        path.write_text(DEFINITION.format(image='a.img', flags='', allow='read', keys='', more=more) +
                        '  - { guest: g, resource: disk, allow: [write], modes: [workshop] }\n', encoding='utf-8')
        self.assertIn('ReadWritePaths', directives(self.build(path)))

    def test_a_device_of_the_host(self):
        for path in ('/dev/mmcblk0p3', '/dev/disk/by-label/a b-c'):
            text = self.unit(image='"%s"' % path, allow='read, write')
            self.verify(text)
            found = directives(text)
            self.assertEqual([path, 'rw'], shlex.split(found['DeviceAllow'][-1]))
            name = subprocess.run(['systemd-escape', '--path', '--suffix=device', path], capture_output=True, text=True,
                                  check=True).stdout.strip()
            self.assertEqual([name], found['Requires'])
            self.assertNotIn('ReadWritePaths', found)
            self.assertNotIn('ReadOnlyPaths', found)

    def test_places_that_the_sandbox_would_hide(self):
        self.assertEqual(['yes'], directives(self.unit())['ProtectHome'])
        self.assertEqual(['read-only'], directives(self.unit(image='/home/me/a.img'))['ProtectHome'])
        self.assertEqual(['yes'], directives(self.unit(image='/homes/me/a.img'))['ProtectHome'])
        self.assertEqual(['no'], directives(self.unit(image='/var/tmp/a.img'))['PrivateTmp'])

    def test_the_accelerator(self):
        found = directives(self.unit(more='engine: { accelerator: tcg }'))
        self.assertEqual(['yes'], found['PrivateDevices'])
        self.assertNotIn('MemoryDenyWriteExecute', found)
        found = directives(self.unit(more='engine: { accelerator: kvm }'))
        self.assertEqual(['/dev/kvm rw'], found['DeviceAllow'])
        self.assertEqual(['yes'], found['MemoryDenyWriteExecute'])

    def test_sums(self):
        found = directives(self.unit(more='engine: { accelerator: kvm }'))
        # The guest, its window, its engine, its gate with what it has for one device, two back ends, the supervisor.
        self.assertEqual(['%dM' % (128 + 16 + 256 + 32 + 8 + 2 * 16 + 64)], found['MemoryMax'])
        # The supervisor's own, the guest's, the device's, those of its queue.
        self.assertEqual(['%d' % (256 + 48 + 40 + 3)], found['LimitNOFILE'])
        self.assertEqual(['%d' % (2 + 15)], found['TimeoutStopSec'])
        self.assertNotIn('AllowedCPUs', found)
        self.assertEqual(['1-3 7'], directives(self.unit(keys='host-cpus: [7, 2-3, 1]'))['AllowedCPUs'])

    def test_restart(self):
        self.assertEqual(['on-abnormal'], directives(self.unit())['Restart'])
        self.assertEqual(['on-failure'], directives(self.unit(keys='on-reset: restart'))['Restart'])

    def test_the_image_if_there_is_one(self):
        self.assertTrue(directives(self.unit())['ExecStart'][0].endswith(' ' + FOLDER + 'p.yaml'))
        key = self.folder / 'key.pem'
        subprocess.run(['openssl', 'genpkey', '-algorithm', 'ed25519', '-out', key], check=True, capture_output=True)
        text = self.unit('--sign', key, '--rollback', '1', '--release', '1')
        self.verify(text)
        self.assertTrue(directives(text)['ExecStart'][0].endswith(' ' + FOLDER + 'p.image'))


if __name__ == '__main__':
    tap.main()
