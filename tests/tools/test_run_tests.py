#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows that tools/run_tests.py never takes a broken test program for a good one.

Each case runs the real script against one or more small shell programs; a `meson` of our own in PATH lists them.
"""

import json
import os
import stat
import subprocess
import tempfile
import time
import unittest

import tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class RunTests(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.path = self.scratch.name
        self.tests = []
        self.script('meson', 'cat "%s/tests.json"' % self.path)
        with open(self.file('skips'), 'w', encoding='utf-8') as skips:
            skips.write('# none\n')

    def tearDown(self):
        self.scratch.cleanup()

    def file(self, name):
        return os.path.join(self.path, name)

    def script(self, name, body):
        with open(self.file(name), 'w', encoding='utf-8') as out:
            out.write('#!/bin/sh\n%s\n' % body)
        os.chmod(self.file(name), stat.S_IRWXU)

    def add(self, name, body, suite='unit', timeout=20, parallel=True):
        self.script('run-' + name, body)
        self.tests.append({'name': name, 'cmd': [self.file('run-' + name)], 'env': {'OWN': 'yes'},
                           'timeout': timeout, 'suite': ['bulkhead:' + suite], 'is_parallel': parallel})

    def run_it(self, *args):
        """Returns (exit status, last line, all output)."""
        with open(self.file('tests.json'), 'w', encoding='utf-8') as out:
            json.dump(self.tests, out)
        env = dict(os.environ, PATH=self.path + ':' + os.environ['PATH'])
        done = subprocess.run([os.path.join(ROOT, 'tools', 'run_tests.py'), self.path, '--tap',
                               self.file('tap'), '--skips', self.file('skips'), *args],
                              env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout.splitlines()[-1], done.stdout

    def expect(self, status, last, *parts):
        code, line, output = self.run_it()
        self.assertEqual(line, last, output)
        self.assertEqual(code, status, output)
        for part in parts:
            self.assertIn(part, output)

    def test_counts_cases_not_programs(self):
        self.add('a', 'echo 1..2; echo ok 1 - x; echo ok 2 - y')
        self.add('b', 'echo 1..1; echo ok 1 - z')
        self.expect(0, '3 passed, 0 failed')

    def test_several_plans_in_one_program(self):
        self.add('a', 'echo 1..1; echo ok 1 - x; echo 1..2; echo ok 1 - y; echo ok 2 - z')
        self.expect(0, '3 passed, 0 failed')

    def test_plan_at_the_end(self):
        self.add('a', 'echo ok 1 - x; echo ok 2 - y; echo 1..2')
        self.expect(0, '2 passed, 0 failed')

    def test_failing_case_is_shown_with_its_detail(self):
        self.add('a', 'echo 1..2; echo ok 1 - x; echo not ok 2 - y; echo "# 0x1 != 0x2"; exit 1')
        self.expect(1, '1 passed, 1 failed', 'not ok: y', '0x1 != 0x2')

    def test_failing_case_with_exit_status_zero(self):
        self.add('a', 'echo 1..1; echo not ok 1 - y')
        self.expect(1, '0 passed, 1 failed')

    def test_crash(self):
        self.add('a', 'echo 1..1; echo ok 1 - x; kill -SEGV $$')
        self.expect(1, '1 passed, 1 failed', 'SIGSEGV')

    def test_crash_in_the_middle_is_named_and_breaks_the_plan(self):
        self.add('a', 'echo 1..2; echo ok 1 - x; kill -ABRT $$')
        self.expect(1, '1 passed, 2 failed', 'SIGABRT', 'plan mismatch')

    def test_timeout_ends_the_program_and_its_children(self):
        self.add('a', 'echo 1..1; echo ok 1 - x; (sleep 7; touch "%s") & wait' % self.file('late'), timeout=1)
        start = time.monotonic()
        self.expect(1, '1 passed, 1 failed', 'no end after 1 s')
        self.assertLess(time.monotonic() - start, 6)
        self.assertFalse(os.path.exists(self.file('late')))

    def test_missing_plan(self):
        self.add('a', 'echo ok 1 - x')
        self.expect(1, '1 passed, 1 failed', 'no plan')

    def test_no_output_at_all(self):
        self.add('a', 'true')
        self.expect(1, '0 passed, 1 failed', 'no plan')

    def test_exit_status_without_a_failing_case(self):
        self.add('a', 'echo 1..1; echo ok 1 - x; echo leak >&2; exit 23')
        self.expect(1, '1 passed, 1 failed', 'exit status 23', 'stderr: leak')

    def test_too_few_cases(self):
        self.add('a', 'echo 1..3; echo ok 1 - x; echo ok 2 - y')
        self.expect(1, '2 passed, 1 failed', 'plan mismatch: 1..3, but 2 cases')

    def test_too_many_cases(self):
        self.add('a', 'echo 1..1; echo ok 1 - x; echo ok 2 - y')
        self.expect(1, '2 passed, 1 failed', 'plan mismatch: 1..1, but 2 cases')

    def test_case_counted_twice(self):
        self.add('a', 'echo 1..2; echo ok 1 - x; echo ok 1 - x')
        self.expect(1, '2 passed, 1 failed', 'plan mismatch')

    def test_bail_out(self):
        self.add('a', 'echo 1..1; echo ok 1 - x; echo "Bail out! no device"')
        self.expect(1, '1 passed, 1 failed', 'Bail out! no device')

    def test_program_that_does_not_exist(self):
        self.add('a', 'true')
        os.unlink(self.file('run-a'))
        self.expect(1, '0 passed, 1 failed', 'No such file')

    def test_unlisted_skip_fails(self):
        self.add('a', 'echo 1..2; echo ok 1 - x; echo "ok 2 - y # SKIP no KVM"')
        self.expect(1, '1 passed, 1 failed', 'no KVM')

    def test_unlisted_skip_as_cmocka_prints_it_fails(self):
        self.add('a', 'echo 1..2; echo ok 1 - x; echo "not ok 2 # SKIP y"')
        self.expect(1, '1 passed, 1 failed', 'y: skipped')

    def test_skipping_everything_fails(self):
        self.add('a', 'echo "1..0 # SKIP no network"')
        self.expect(1, '0 passed, 1 failed', 'no network')

    def test_listed_skip_counts_nowhere(self):
        with open(self.file('skips'), 'w', encoding='utf-8') as skips:
            skips.write('a: needs_kvm*: the machine has no KVM\n')
        self.add('a', 'echo 1..2; echo ok 1 - x; echo "ok 2 - needs_kvm_irq # SKIP none"')
        self.expect(0, '1 passed, 0 failed', 'the machine has no KVM')

    def test_skip_list_without_a_reason_is_refused(self):
        with open(self.file('skips'), 'w', encoding='utf-8') as skips:
            skips.write('a: x\n')
        self.add('a', 'echo 1..1; echo ok 1 - x')
        self.assertNotEqual(self.run_it()[0], 0)

    def test_suite_and_name_select(self):
        self.add('a', 'echo 1..1; echo ok 1 - x')
        self.add('b', 'echo 1..1; echo not ok 1 - y', suite='guest')
        self.assertEqual(self.run_it('--suite', 'unit')[:2], (0, '1 passed, 0 failed'))
        self.assertEqual(self.run_it('--no-suite', 'guest')[:2], (0, '1 passed, 0 failed'))
        self.assertEqual(self.run_it('b')[:2], (1, '0 passed, 1 failed'))
        self.assertEqual(self.run_it('--list')[2], 'a\nb\n')

    def test_nothing_selected_fails(self):
        self.expect(1, '0 passed, 1 failed', 'no test matches')

    def test_environment_and_cmocka_format(self):
        self.add('a', 'echo 1..1; [ "$CMOCKA_MESSAGE_OUTPUT$OWN" = TAPyes ] && echo ok 1 - x')
        self.expect(0, '1 passed, 0 failed')

    def test_program_runs_in_the_build_directory(self):
        self.add('a', 'echo 1..1; [ "$(pwd -P)" = "$(cd %s && pwd -P)" ] && echo ok 1 - x' % self.path)
        self.expect(0, '1 passed, 0 failed')

    def test_tap_log_is_kept(self):
        self.add('a', 'echo 1..1; echo ok 1 - x', parallel=False)
        self.expect(0, '1 passed, 0 failed')
        with open(self.file('tap/a.tap'), encoding='utf-8') as log:
            self.assertEqual(log.read(), '1..1\nok 1 - x\n')

    def test_one_program_by_command(self):
        done = subprocess.run(
            [os.path.join(ROOT, 'tools', 'run_tests.py'), '--program', 'p', '--tap', self.file('tap'), '--',
             'sh', '-c', 'echo 1..1; echo not ok 1 - x; exit 1'], stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.splitlines()[-1], '0 passed, 1 failed')
        self.assertTrue(os.path.exists(self.file('tap/p.tap')))


if __name__ == '__main__':
    tap.main()
