#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The table of checks: every name that any source can print is in it, and the largest definition is checked quickly.

How quickly is counted in instructions, which do not depend on how busy the machine is: twice as many guests may take
little more than twice as many.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / 'tools'))

import tap  # noqa: E402

DUMP = os.path.abspath(os.environ['DEFINITION_DUMP'])

# A finding is added with a severity, or through BH_SAY, BH_WARN and SAY, which have one.
ADDED = re.compile(r'(?:BH_SEVERITY_[A-Z]+|\b(?:BH_)?(?:SAY|WARN)\([^,;]*),\s*"([^"]*)"')
# A function that passes the name on: refuse(search, error, "engine", text).
PASSED = re.compile(r'\brefuse\(\s*search,[^,;]*,\s*"([a-z-]+)"')
LIMIT = re.compile(r'static const char \w+\[\] = "([a-z]+-limit)"')

COLLECTED = re.compile(r'Collected : (\d+)')


def dump(*arguments):
    run = subprocess.run([DUMP, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return run.returncode, run.stdout.decode() + run.stderr.decode()


def large(guests, devices, wrong=False):
    """A definition of that size in which every device has a disk of its own; `wrong`: with another's name in each line."""
    lines = ['bulkhead: 1', 'name: large', 'modes: [park, drive]', 'resources:']
    for guest in range(guests):
        lines += [f'  disk-{guest}-{device}: {{ type: disk, image: images/{guest}/{device}.img }}' for device in range(devices)]
    lines.append('guests:')
    for guest in range(guests):
        lines += [f'  guest-{guest}:', '    arch: arm64', '    memory: 128M', '    boot: { kernel: Image }', '    devices:']
        lines += [f'      disk-{device}: {{ type: blk, resource: disk-{guest}-{device} }}' for device in range(devices)]
    lines.append('policy:')
    for guest in range(guests):
        for device in range(devices):
            name = f'disk-{guest}-{device}{"-none" if wrong else ""}'
            lines.append(f'  - {{ guest: guest-{guest}, resource: {name}, allow: [read] }}')
            lines.append(f'  - {{ guest: guest-{guest}, resource: {name}, allow: [write, flush], modes: [park] }}')
    return '\n'.join(lines) + '\n'


def instructions(text):
    """How many it takes to read, check and print it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'large.yaml')
        path.write_text(text)
        run = subprocess.run(['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', DUMP, str(path)],
                             capture_output=True, check=False, timeout=300)
        return int(COLLECTED.search(run.stderr.decode())[1])


class Table(unittest.TestCase):
    def setUp(self):
        code, output = dump('--checks')
        self.assertEqual(0, code)
        self.names = [line.split(': ', 1)[0] for line in output.splitlines()]

    def test_no_name_stands_there_twice(self):
        self.assertEqual(sorted(set(self.names)), sorted(self.names))

    def test_every_name_in_the_sources_is_in_the_table(self):
        used = {}
        for folder in ('platform', 'engine', 'cli'):
            for source in (ROOT / folder).glob('**/*.c'):
                text = source.read_text()
                for pattern in (ADDED, PASSED, LIMIT):
                    for name in pattern.findall(text):
                        used.setdefault(name, source.relative_to(ROOT))
        self.assertLess(80, len(used))
        self.assertEqual({}, {name: str(path) for name, path in used.items() if name not in self.names})

    def test_every_name_in_the_table_is_in_a_source(self):
        text = ''.join(source.read_text() for folder in ('platform', 'engine', 'cli')
                       for source in (ROOT / folder).glob('**/*.c') if source.name != 'check.c')
        self.assertEqual([], [name for name in self.names if f'"{name}"' not in text])


class Growth(unittest.TestCase):
    def check(self, wrong):
        small = instructions(large(8, 32, wrong))
        twice = instructions(large(16, 32, wrong))
        self.assertLess(twice, 2.2 * small)

    def test_a_good_definition(self):
        self.check(wrong=False)

    def test_one_in_which_every_policy_line_is_wrong(self):
        self.check(wrong=True)

    def test_the_largest_is_good(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, 'large.yaml')
            path.write_text(large(64, 32))
            code, output = dump(str(path))
        self.assertEqual(0, code, output[:2000])
        self.assertNotIn('warning: ', output)


if __name__ == '__main__':
    tap.main()
