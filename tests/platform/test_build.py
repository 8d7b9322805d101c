#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""All that `bulkhead build` writes: the same bytes wherever and by whomever it is built, and scripts that a shell takes."""

import json
import os
import pathlib
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
BASE = '''bulkhead: 1
modes: [park, drive]
resources:
  disk: { type: disk, image: disks/a.img }
  random: { type: entropy }
  bus: { type: can, bus: virtual, mediator: the filters }
policy:
  - { guest: g, resource: disk, allow: [read] }
  - { guest: g, resource: disk, allow: [write, flush], modes: [park], limits: { operations: 100 } }
'''
DEFINITION = '''bulkhead: 1
include: base/base.yaml
name: p
guests:
  g:
    arch: arm64
    memory: 128M
    boot: { kernel: Image, command-line: "quiet it's ${HOME} `x`" }
    devices:
      root: { type: blk, resource: disk }
      entropy: { type: rng, resource: random }
      terminal: { type: console, ports: [diag] }
      bus: { type: can, resource: bus, optional: true }
  pc:
    arch: x86_64
    memory: 128M
    boot: { kernel: Image, command-line: "console=ttyS0 it's $(x)" }
    devices:
      entropy: { type: rng, resource: random }
policy:
  - { guest: g, resource: random, allow: [read] }
  - { guest: pc, resource: random, allow: [read] }
  - { guest: g, resource: bus, allow: [receive], ids: [0x100-0x1ff] }
  - { guest: g, resource: bus, allow: [send], ids: [0x180-0x181], modes: [park] }
'''


class Build(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='bulkhead-build-'))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def tree(self, name):
        folder = self.folder / name
        (folder / 'base' / 'disks').mkdir(parents=True)
        header = struct.pack('<IIQQQQQQ4sI', 0, 0, 0, 1 << 20, 10, 0, 0, 0, b'ARM\x64', 0)
        (folder / 'Image').write_bytes(header.ljust(4096, b'\0'))
        (folder / 'base' / 'disks' / 'a.img').write_bytes(bytes(1 << 16))
        (folder / 'platform.yaml').write_text(DEFINITION, encoding='utf-8')
        (folder / 'base' / 'base.yaml').write_text(BASE, encoding='utf-8')
        return folder

    def build(self, where, definition, umask=0o022, **environment):
        """{file: bytes} of a build that is started in folder `where`."""
        out = self.folder / ('out-%d' % len(list(self.folder.glob('out-*'))))
        done = subprocess.run([BULKHEAD, 'build', '-o', out, definition], cwd=where, umask=umask, capture_output=True, text=True,
                              check=False, env={'PATH': os.environ['PATH'], **environment})
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        return {path.name: path.read_bytes() for path in out.iterdir()}

    def test_same_bytes_wherever_it_is_built(self):
        one, other = self.tree('one'), self.tree('other/deep er')
        first = self.build(one, 'platform.yaml', LANG='C', TZ='UTC')
        self.assertEqual({'report.html', 'memory-map.txt', 'platform.json', 'p.service', 'g.dtb', 'g.h', 'g.start',
                          'g.engine.json', 'g.engine.sh', 'pc.engine.json', 'pc.engine.sh'}, set(first))
        for path in other.rglob('*'):
            os.utime(path, (1, 1))
        for second in (self.build(other, 'platform.yaml', 0o077, LANG='de_DE.UTF-8', LC_ALL='de_DE.UTF-8', TZ='Asia/Tokyo'),
                       self.build(one, 'platform.yaml', PATH='/nowhere', HOME='/x'),
                       self.build('/', str(other / 'platform.yaml')),
                       self.build(self.folder, 'one/../one/platform.yaml')):
            self.assertEqual(set(first), set(second))
            for name, content in first.items():
                self.assertEqual(content, second[name], name)

    def test_scripts_are_shell(self):
        built = self.build(self.tree('one'), 'platform.yaml')
        for guest, line in (('g', None), ('pc', "console=ttyS0 it's $(x)")):
            path = self.folder / 'script.sh'
            # What it would start is printed instead.
            path.write_bytes(built[guest + '.engine.sh'].replace(b'\nexec ', b'\nprintf "%s\\n" '))
            data = json.loads(built[guest + '.engine.json'])
            numbers = {each['name']: str(10 + index) for index, each in enumerate(data['descriptors'])}
            variables = {name.replace('-', '_'): number for name, number in numbers.items()}
            # A '$' of the user's is not for the shell, so it stands in single quotes.
            subprocess.run(['shellcheck', '-s', 'sh', '-e', 'SC2016', path], check=True)
            done = subprocess.run(['sh', path], env=variables, capture_output=True, text=True, check=True)
            said = done.stdout.splitlines()
            self.assertEqual(data['engine']['program'], said[0])
            # Script and data are the same command, but for the processor that this host decides about.
            other = 'emulated' if 'kvm' in said[said.index('-accel') + 1] else 'kvm'
            wanted = []
            for option in data['options']:
                if option['group'] != other:
                    value = option.get('value')
                    if 'descriptor' in option:
                        value = value.replace('{%s}' % option['descriptor'], numbers[option['descriptor']])
                    wanted += [option['option']] + ([value] if value is not None else [])
            self.assertEqual(wanted, said[1:])
            if line:
                self.assertEqual(line, said[said.index('-append') + 1])
            without = subprocess.run(['sh', path], env={}, capture_output=True, text=True, check=False)
            self.assertNotEqual(0, without.returncode)
            self.assertIn('control: stream socket', without.stderr)

    def test_what_the_policy_compiles_to(self):
        data = json.loads(self.build(self.tree('one'), 'platform.yaml')['platform.json'])
        self.assertEqual('base/disks/a.img', data['resources']['disk']['image'])
        root = data['allowances']['g']['root']
        self.assertEqual(('disk', ['read', 'write']), (root['resource'], root['opened']))
        self.assertEqual((['read'], ['read'], {'operations': 1, 'ranges': []}, 0),
                         tuple(root['modes']['drive'][key] for key in ('allowed', 'rights', 'filter')) +
                         (root['modes']['drive']['limits']['operations-per-second'],))
        self.assertEqual((['read', 'write', 'flush'], ['read', 'write'], {'operations': 7, 'ranges': []}, 100),
                         tuple(root['modes']['park'][key] for key in ('allowed', 'rights', 'filter')) +
                         (root['modes']['park']['limits']['operations-per-second'],))
        bus = data['allowances']['g']['bus']['modes']
        self.assertEqual([{'first': 0x100, 'last': 0x1ff, 'operations': 1}], bus['drive']['filter']['ranges'])
        self.assertEqual([(0x100, 0x17f, 1), (0x180, 0x181, 3), (0x182, 0x1ff, 1)],
                         [tuple(each.values()) for each in bus['park']['filter']['ranges']])
        self.assertNotIn('terminal', data['allowances']['g'])


if __name__ == '__main__':
    tap.main()
