#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows that ./check.sh adds up what its stages say, and never ends well when one of them did not.

Each case copies the real script into a scratch directory whose tools are small shell scripts.
"""

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import unittest

import tap

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Check(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.scratch.name)
        shutil.copy2(ROOT / 'check.sh', self.root / 'check.sh')
        self.tool('setup.sh', 'echo setup')
        self.tool('check_includes.py', 'echo 3 passed, 0 failed')
        self.tool('trace.py', 'echo fine')

    def tearDown(self):
        self.scratch.cleanup()

    def tool(self, name, body):
        path = self.root / 'tools' / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('#!/bin/sh\n%s\n' % body, encoding='utf-8')
        path.chmod(stat.S_IRWXU)

    def run_it(self, *args):
        done = subprocess.run([str(self.root / 'check.sh'), *args], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              stderr=subprocess.STDOUT, text=True, check=False, cwd=os.sep)
        return done.returncode, done.stdout

    def expect(self, status, last, *parts, stages=('includes', 'trace')):
        code, output = self.run_it(*stages)
        self.assertEqual(output.splitlines()[-1], last, output)
        self.assertEqual(code, status, output)
        for part in parts:
            self.assertIn(part, output)

    def test_cases_and_stages_add_up(self):
        self.expect(0, '4 passed, 0 failed')

    def test_failed_cases(self):
        self.tool('check_includes.py', 'echo why; echo 3 passed, 2 failed; exit 1')
        self.expect(1, '4 passed, 2 failed', 'FAILED includes', 'why')

    def test_stage_without_a_count_that_fails(self):
        self.tool('trace.py', 'echo why; exit 2')
        self.expect(1, '3 passed, 1 failed', 'FAILED trace', 'why')

    def test_count_without_failures_but_a_bad_end(self):
        self.tool('check_includes.py', 'echo 3 passed, 0 failed; kill -9 $$')
        self.expect(1, '4 passed, 1 failed', 'FAILED includes')

    def test_several_counts_in_one_stage(self):
        self.tool('check_includes.py', 'echo 3 passed, 0 failed; echo 5 passed, 1 failed; exit 1')
        self.expect(1, '9 passed, 1 failed')

    def test_setup_that_fails(self):
        self.tool('setup.sh', 'exit 1')
        self.expect(1, '0 passed, 1 failed')

    def test_setup_can_be_left_out(self):
        self.tool('setup.sh', 'exit 1')
        self.expect(0, '3 passed, 0 failed', stages=('--no-setup', 'includes'))

    def test_unknown_stage(self):
        self.assertEqual(self.run_it('nonsense')[0], 2)

    def test_logs_are_kept(self):
        self.run_it('includes')
        self.assertEqual((self.root / 'build' / 'check' / 'includes.log').read_text(encoding='utf-8'),
                         '3 passed, 0 failed\n')

    def test_a_run_of_everything_forgets_earlier_results(self):
        old = self.root / 'build' / 'check' / 'tap' / 'old.tap'
        old.parent.mkdir(parents=True)
        old.write_text('1..1\nok 1 - gone\n', encoding='utf-8')
        self.run_it('includes')
        self.assertTrue(old.exists())
        self.run_it('--quick')
        self.assertFalse(old.exists())

    def test_list_names_every_stage(self):
        code, output = self.run_it('--list')
        names = [line.split()[0] for line in output.splitlines()]
        functions = [line[len('stage_'):line.index('(')] for line in
                     (ROOT / 'check.sh').read_text(encoding='utf-8').splitlines() if line.startswith('stage_')
                     and '()' in line and not line.startswith('stage_names')]
        self.assertEqual((code, sorted(names)), (0, sorted(functions)))


if __name__ == '__main__':
    tap.main()
