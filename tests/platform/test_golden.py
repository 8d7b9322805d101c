#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Golden files of the definition: pass/NAME.yaml and fail/NAME.yaml, each with its exact output in NAME.out.

The output is definition-dump's: diagnostics, and for a good definition each value and where it stands
(line:column+length, and `in N` the N-th included file, `via N` the N-th use of a template). Two more tests hold the set itself: every key of the table is wrong somewhere in each way that it
can be wrong, and every named check finds something somewhere.

After a change that is meant to change the output, write the golden files again and READ the difference:

    DEFINITION_DUMP=BUILD/tests/platform/definition-dump tests/platform/test_golden.py --write [CASE...]
    git diff tests/platform

A CASE is a path such as fail/empty.yaml; without one all are written. What the cases include lies in pass/base and fail/base.
"""

import os
import pathlib
import re
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'tools'))

import tap  # noqa: E402

DUMP = os.path.abspath(os.environ['DEFINITION_DUMP'])
FIRST_LINE = re.compile(r'^\S+?\.yaml(?::\d+:\d+)?: (?:error|warning): (.*) \[([a-z-]+)\]$', re.MULTILINE)

# Checks that these files cannot show: of the file itself (test_inputs.py), of the layout and the images, of what is built, of
# an image, of the host and the engine.
ELSEWHERE = {'file', 'device-count', 'boot-image', 'disk-image', 'kernel-format', 'elf-format', 'elf-image', 'elf-place',
             'memory-size', 'window-size', 'memory-fit', 'memory-tight', 'device-tree', 'build-folder', 'json', 'image',
             'host-limit', 'runtime-folder', 'platform-runs', 'backend-missing', 'backend-start', 'resource-missing',
             'resource-denied', 'resource-kind', 'resource-in-use', 'resource-empty', 'resource-twice', 'engine',
             'engine-version', 'engine-kvm', 'engine-layout', 'engine-cpus', 'engine-memory', 'audit-log'}


def dump(*arguments):
    run = subprocess.run([DUMP, *arguments], cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                         check=False)
    return run.returncode, run.stdout.decode() + run.stderr.decode()


def cases(folder):
    return sorted((HERE / folder).glob('*.yaml'))


def golden(case):
    """What a case is to print; nothing as long as nobody wrote it, which is a failure of that case alone."""
    out = case.with_suffix('.out')
    return out.read_text() if out.exists() else ''


def findings(folder='fail'):
    """(text, check) of every finding of the cases, as the golden files have them."""
    return [found for case in cases(folder) for found in FIRST_LINE.findall(golden(case))]


class Golden(unittest.TestCase):
    maxDiff = None

    def compare(self, case, status):
        code, output = dump(f'{case.parent.name}/{case.name}')
        self.assertEqual(golden(case), output)
        self.assertEqual(status, code)

    def test_no_golden_file_without_a_case(self):
        for folder in ('pass', 'fail'):
            self.assertEqual([], [out.name for out in (HERE / folder).glob('*.out')
                                  if not out.with_suffix('.yaml').exists()])

    def test_every_case_fails_or_passes_as_its_folder_says(self):
        for case in cases('fail'):
            self.assertIn(': error: ', golden(case), case.name)
        for case in cases('pass'):
            self.assertNotIn(': error: ', golden(case), case.name)


class Examples(unittest.TestCase):
    def test_examples_are_good(self):
        examples = sorted((HERE.parent.parent / 'examples').glob('*/*.yaml'))
        self.assertNotEqual([], examples)
        for example in examples:
            code, output = dump(str(example))
            self.assertEqual(0, code, output)
            self.assertNotIn('warning: ', output)


class Complete(unittest.TestCase):
    """Which ways to be wrong the golden files hold for each key of the table."""

    # Of platform/definition/schema.h: the number of each type of key.
    (VERSION, NAME, REFERENCE, TEXT, PATH, NUMBER, SIZE, TIME, CHOICE, FLAG, NAMES, RANGES, GROUP, THINGS, LIST, INCLUDE,
     TEMPLATES, TEMPLATE) = range(18)

    # More entries than they may have are too many lines for a file here: test_inputs.py.
    LARGE = {'resources', 'policy', 'assert'}

    def setUp(self):
        self.keys = [line.rsplit(None, 4) for line in dump('--keys')[1].splitlines()]
        self.found = findings()

    def wrong(self, checks, key):
        """Whether one of the checks found something whose text begins with the key."""
        return any(check in checks and text.startswith(key + ' ') for text, check in self.found)

    def missing(self, checks, wanted):
        return [f'{group} {key}' for group, key, kind, *_ in self.keys
                if wanted(int(kind)) and not self.wrong(checks, key)]

    def test_every_key_with_the_wrong_kind_of_value(self):
        self.assertEqual([], self.missing({'type'}, lambda kind: kind != self.VERSION))

    def test_every_key_without_a_value(self):
        self.assertEqual([], self.missing({'empty'}, lambda kind: kind != self.VERSION))

    def test_every_key_out_of_its_range(self):
        ranged = {self.TEXT, self.NUMBER, self.SIZE, self.TIME, self.NAMES, self.RANGES, self.THINGS, self.LIST}
        self.assertEqual(self.LARGE, {line.split()[-1] for line in self.missing({'range'}, lambda kind: kind in ranged)})

    def test_every_choice_with_a_word_that_it_has_not(self):
        self.assertEqual([], self.missing({'choice'}, lambda kind: kind == self.CHOICE))

    def test_every_flag_with_what_is_neither(self):
        self.assertEqual([], self.missing({'flag'}, lambda kind: kind == self.FLAG))

    def test_every_key_in_the_wrong_place(self):
        self.assertEqual([], self.missing({'key-place'}, lambda kind: True))

    def test_every_required_key_missing(self):
        for group, key, kind, need, _ in self.keys:
            if need == 'required' and int(kind) != self.VERSION:
                self.assertTrue(any(check == 'missing' and text.endswith(f' has no {key}')
                                    and (group == 'definition' or group in text)
                                    for text, check in self.found), f'{group} {key}')

    def test_every_check_finds_something_and_is_listed(self):
        code, output = dump('--checks')
        listed = {line.split(':')[0] for line in output.splitlines()}
        found = {check for _, check in self.found + findings('pass')}
        self.assertEqual(0, code)
        self.assertEqual(listed - ELSEWHERE, found)

    def test_every_name_in_the_sources_is_listed(self):
        pattern = re.compile(r'(?:BH_SEVERITY_[A-Z]+,|(?:SAY|WARN)\([a-z>-]+,)\s*"([a-z-]+)"')
        listed = {line.split(':')[0] for line in dump('--checks')[1].splitlines()}
        used = set()
        for source in (HERE.parent.parent / 'platform').glob('**/*.c'):
            used |= set(pattern.findall(source.read_text()))
        self.assertLess(20, len(used))
        self.assertEqual(set(), used - listed)


def add_case(case, status):
    name = 'test_%s_%s' % (case.parent.name, case.stem.replace('-', '_'))
    setattr(Golden, name, lambda self: self.compare(case, status))


def write(names):
    for case in [HERE / name for name in names] or cases('pass') + cases('fail'):
        code, output = dump(f'{case.parent.name}/{case.name}')
        if code != (0 if case.parent.name == 'pass' else 1):
            sys.exit(f'{case}: exit status {code}\n{output}')
        case.with_suffix('.out').write_text(output)


for path in cases('pass'):
    add_case(path, 0)
for path in cases('fail'):
    add_case(path, 1)

if __name__ == '__main__':
    if sys.argv[1:2] == ['--write']:
        write(sys.argv[2:])
    else:
        tap.main()
