#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The largest definition is checked quickly, whether it is right or wrong in every line. That is counted in instructions,
which do not depend on how busy the machine is: twice as many guests may take little more than twice as many.

Not for a build with sanitizers, which callgrind cannot run.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tools'))

import tap  # noqa: E402

DUMP = os.path.abspath(os.environ['DEFINITION_DUMP'])
COLLECTED = re.compile(r'Collected : (\d+)')


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


def instructions(text, status):
    """How many it takes to read, check and print it, which ends with that exit status."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, 'large.yaml')
        path.write_text(text)
        run = subprocess.run(['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', DUMP, str(path)],
                             capture_output=True, check=False, timeout=300)
        if run.returncode != status:
            raise AssertionError(f'exit status {run.returncode}: {run.stderr.decode()[-2000:]}')
        return int(COLLECTED.search(run.stderr.decode())[1])


class Growth(unittest.TestCase):
    def check(self, wrong):
        small = instructions(large(8, 32, wrong), int(wrong))
        twice = instructions(large(16, 32, wrong), int(wrong))
        self.assertLess(twice, 2.2 * small)

    def test_a_good_definition(self):
        self.check(wrong=False)

    def test_one_in_which_every_policy_line_is_wrong(self):
        self.check(wrong=True)

    def test_the_largest_is_good(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, 'large.yaml')
            path.write_text(large(64, 32))
            run = subprocess.run([DUMP, str(path)], capture_output=True, check=False, timeout=60)
        self.assertEqual(0, run.returncode, run.stderr[:2000])
        self.assertNotIn(b'warning: ', run.stdout + run.stderr)


if __name__ == '__main__':
    tap.main()
