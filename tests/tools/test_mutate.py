#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows what tools/mutate.py changes and what it leaves alone, and that a survivor fails it.

The last cases build a small project of their own with meson and run the real script on it.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import tap

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'tools'))

from mutating import allow, find  # noqa: E402  (found through the path above)


def changes(text):
    """All mutants of a text, as the changed line without white space at its ends."""
    found = []
    for mutant in find.mutants('core/x.c', text):
        before, after = text.splitlines(), mutant.changed().splitlines()
        found += [new.strip() for old, new in zip(before, after) if old != new]
    return found


class Find(unittest.TestCase):
    def test_each_comparison_becomes_its_neighbour(self):
        for old, new in (('<', '<='), ('<=', '<'), ('>', '>='), ('>=', '>'), ('==', '!='), ('!=', '==')):
            self.assertIn('if (a %s b) {' % new, changes('if (a %s b) {' % old))

    def test_and_becomes_or(self):
        self.assertIn('return a || b;', changes('return a && b;'))

    def test_operands_of_or_vanish_one_by_one(self):
        found = changes('if (a || f(b || c) || d) {')
        for wanted in ('if (0 || f(b || c) || d) {', 'if (a || 0 || d) {', 'if (a || f(b || c) || 0) {'):
            self.assertIn(wanted, found)

    def test_a_check_vanishes(self):
        found = changes('if (size > f(x)) {')
        self.assertIn('if ((size > f(x)) && 0) {', found)
        self.assertIn('if ((size > f(x)) || 1) {', found)

    def test_off_by_one_in_a_condition(self):
        self.assertIn('while (i + 0u < n) {', changes('while (i + 1u < n) {'))
        self.assertIn('if (n - 0 > i) {', changes('if (n - 1 > i) {'))

    def test_one_step_outside_a_condition_stays(self):
        self.assertEqual(changes('i = n + 1u;'), [])

    def test_arrows_and_shifts_are_no_comparisons(self):
        self.assertEqual(changes('x = a->b << 3 >> 1; x <<= 2;'), [])

    def test_comments_strings_and_directives_stay(self):
        self.assertEqual(changes('/* a < b */ // c > d\n#if A > 1 || \\\n B < 2\nf("a < b", \'<\');\n'), [])

    def test_static_assertions_stay(self):
        self.assertEqual(changes('_Static_assert(sizeof(a) == 16, "x");'), [])

    def test_condition_over_several_lines(self):
        text = 'if (a < b ||\n    c > d) {\n}\n'
        self.assertIn('if (a < b ||\n    0) {\n}\n', [mutant.changed() for mutant in find.mutants('x', text)])

    def test_place_outlives_changes_elsewhere(self):
        first = find.mutants('x', 'if (a < b) {\n')[0]
        second = find.mutants('x', 'int c;\n\n        if (a < b) {\n')[0]
        self.assertEqual(allow.Reasons.key(first), allow.Reasons.key(second))


class Project(unittest.TestCase):
    """A tree with one checked function, and a test that may or may not notice."""

    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.scratch.name)
        shutil.copytree(ROOT / 'tools' / 'mutating', self.root / 'tools' / 'mutating',
                        ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copy2(ROOT / 'tools' / 'mutate.py', self.root / 'tools' / 'mutate.py')
        self.write('.gitignore', '__pycache__/\n')
        self.write('meson.build', "project('x', 'c')\ncore = static_library('core', 'core/get.c')\n"
                   "test('t', executable('t', 'test.c', link_with : core), suite : 'unit')\n")
        self.write('core/get.c', 'int get(int i);\nint get(int i)\n{\n    return i >= 4;\n}\n')
        subprocess.run(['git', 'init', '-q', str(self.root)], check=True)

    def tearDown(self):
        self.scratch.cleanup()

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding='utf-8')

    def program(self, *calls):
        self.write('test.c', 'int get(int i);\nint main(void)\n{\n    return !(%s);\n}\n' % ' && '.join(calls))

    def run_it(self):
        done = subprocess.run([sys.executable, str(self.root / 'tools' / 'mutate.py'), '--only',
                               str(self.root / 'core' / 'get.c'), '-j', '1'],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def test_noticed(self):
        self.program('!get(3)', 'get(4)')
        code, output = self.run_it()
        self.assertEqual((code, output.splitlines()[-1]), (0, '1 passed, 0 failed'), output)

    def test_survivor_fails_until_it_is_excused(self):
        self.program('!get(3)', 'get(5)')
        code, output = self.run_it()
        self.assertEqual((code, output.splitlines()[-1]), (1, '0 passed, 1 failed'), output)
        self.assertIn('return i > 4;', output)
        self.write('tools/mutate.allow', 'core/get.c :: return i >= 4; :: >= becomes > @ 7 :: for this test\n')
        code, output = self.run_it()
        self.assertEqual((code, output.splitlines()[-1]), (0, '0 passed, 0 failed'), output)

    def test_endless_loop_is_noticed(self):
        self.write('core/get.c', 'int get(int i);\nint get(int i)\n{\n    unsigned n = i;\n    while (n > 0) {\n'
                                 '        n--;\n    }\n    return n;\n}\n')
        self.program('get(3) == 0')
        code, output = self.run_it()
        self.assertEqual((code, output.splitlines()[-1]), (0, '2 passed, 0 failed'), output)

    def test_nothing_is_said_about_a_tree_that_fails_unchanged(self):
        self.program('get(3)')
        code, output = self.run_it()
        self.assertEqual(code, 1, output)
        self.assertIn('fails without any change', output)

    def test_checkout_is_not_touched(self):
        self.program('!get(3)', 'get(4)')
        before = {path: path.read_bytes() for path in self.root.rglob('*.c')}
        self.run_it()
        self.assertEqual(before, {path: path.read_bytes() for path in self.root.rglob('*.c')})


if __name__ == '__main__':
    tap.main()
